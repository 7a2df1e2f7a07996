//! Running scenarios, one after another, and telling what came of it.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser as _;
use futures::future::LocalBoxFuture;
use tokio::signal::unix::{SignalKind, signal};

use super::harborage::Calls;
use super::options::Options;
use super::report::{Outcome, Row, table};
use super::scenarios;
use super::stage::Stage;
use super::world::{Server, World, caught};

/// How long a scenario may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long it may take to put right and take away what a scenario left.
const CLEANING: Duration = Duration::from_secs(240);
/// When no scenario is begun any more.
const DEADLINE: Duration = Duration::from_secs(20 * 60);

/// A thing that must hold, and how it is tried.
pub(crate) struct Scenario {
    /// A sentence.
    pub(crate) name: &'static str,
    /// The servers that must be the suite's own.
    pub(crate) own: &'static [Server],
    /// Why: `breaks` or `needs`.
    pub(crate) why: &'static str,
    pub(crate) run: fn(Arc<Stage>) -> LocalBoxFuture<'static, ()>,
}

impl Scenario {
    /// Why a server has to be the suite's own.
    fn reason(&self, server: Server) -> String {
        match self.why {
            "needs" => format!("needs a {server} of the suite's own"),
            why => format!("{why} {server}"),
        }
    }

    /// Its row of the table, with no call counted yet.
    fn row(&self, outcome: Outcome) -> Row {
        Row {
            name: self.name,
            outcome,
            calls: Calls::default(),
            time: None,
        }
    }
}

/// Makes a [`Scenario`] of a function, and of the servers that it `breaks`, or `needs` of the suite's own.
macro_rules! scenario {
    ($name:literal, $function:path $(, $why:ident $($server:ident)+)?) => {
        $crate::suite::Scenario {
            name: $name,
            own: &[$($($crate::world::Server::$server),+)?],
            why: concat!($(stringify!($why))?),
            run: |stage| Box::pin($function(stage)),
        }
    };
}
pub(crate) use scenario;

pub(crate) async fn main() -> ExitCode {
    let options = Options::parse();
    let chosen: Vec<Scenario> = scenarios::all()
        .into_iter()
        .filter(|scenario| {
            options.only.is_empty() || options.only.iter().any(|part| scenario.name.contains(part))
        })
        .collect();
    if options.list {
        for scenario in chosen {
            let reasons: Vec<String> = scenario
                .own
                .iter()
                .map(|server| scenario.reason(*server))
                .collect();
            let note = if reasons.is_empty() {
                String::new()
            } else {
                format!(" ({})", reasons.join(", "))
            };
            println!("{}{note}", scenario.name);
        }
        return ExitCode::SUCCESS;
    }
    if chosen.is_empty() {
        eprintln!(
            "no scenario has {:?} in its name; --list names them",
            options.only
        );
        return ExitCode::from(2);
    }
    let folder = tempfile::Builder::new()
        .prefix("harborage-e2e-")
        .tempdir()
        .unwrap();
    // PostgreSQL and Apache run as users of their own, who must get to their folders, and to no other.
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    std::fs::set_permissions(folder.path(), permissions).unwrap();
    let world = Arc::new(World::new(options, folder.path()).await);
    let rows = tokio::select! {
        rows = run(&world, &chosen) => Some(rows),
        () = told_to_stop() => None,
    };
    let Some(rows) = rows else {
        eprintln!("told to stop: what was made is taken away, and the servers are stopped");
        if let Err(why) = leave(&world).await {
            eprintln!("not all could be taken away:\n{why}");
        }
        return ExitCode::FAILURE;
    };
    println!("\n{}", table(&rows));
    for row in &rows {
        if let Outcome::Failed(why) = &row.outcome {
            println!("FAILED {}:\n{why}\n", row.name);
        }
    }
    if world.options().keep {
        println!(
            "the servers stay until Ctrl-C; files are in {}",
            folder.path().display()
        );
        for (name, address) in world.addresses() {
            println!("  {name:<16} {address}");
        }
        told_to_stop().await;
    }
    let left = leave(&world).await;
    if let Err(why) = &left {
        println!("not all could be taken away:\n{why}");
    }
    let passed = left.is_ok() && !rows.iter().any(|row| row.outcome.is_bad());
    if !world.options().keep && !passed {
        println!("logs are in {}", folder.path().display());
        let _ = folder.keep();
    }
    ExitCode::from(u8::from(!passed))
}

/// Waits for Ctrl-C or a request to end. Without it the servers, in process groups of their own, would stay.
async fn told_to_stop() {
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    tokio::select! {
        result = tokio::signal::ctrl_c() => result.unwrap(),
        _ = terminate.recv() => {}
    }
}

async fn run(world: &Arc<World>, scenarios: &[Scenario]) -> Vec<Row> {
    let began = Instant::now();
    let mut rows = Vec::new();
    for (number, scenario) in scenarios.iter().enumerate() {
        let named = scenario.own.iter().find(|server| world.is_named(**server));
        let row = if let Some(server) = named {
            scenario.row(Outcome::Skipped(scenario.reason(*server)))
        } else if began.elapsed() > DEADLINE {
            scenario.row(Outcome::NotRun)
        } else {
            one(world, scenario, number).await
        };
        let said = match &row.outcome {
            Outcome::Passed => "ok",
            Outcome::Failed(_) => "FAILED",
            Outcome::Skipped(_) => "skipped",
            Outcome::NotRun => "NOT RUN",
        };
        println!("{said:<8} {}", row.name);
        rows.push(row);
    }
    rows
}

async fn one(world: &Arc<World>, scenario: &Scenario, number: usize) -> Row {
    let preparing = Box::pin(async {
        world.kubernetes().await;
        let stage = Arc::new(Stage::new(world, number).await);
        world.keep(&stage);
        stage
    });
    let stage = match caught(preparing).await {
        Ok(stage) => stage,
        Err(why) => return scenario.row(Outcome::Failed(why)),
    };
    let acting = caught((scenario.run)(stage.clone()));
    let acted = within(PATIENCE, acting).await;
    let cleaned = if world.options().keep {
        // All stays but what would be in the way of the next.
        within(CLEANING, caught(stage.mend())).await
    } else {
        clean(world, &stage).await
    };
    Row {
        calls: stage.calls(),
        time: stage.time(),
        ..scenario.row(
            acted
                .and(cleaned)
                .map_or_else(Outcome::Failed, |()| Outcome::Passed),
        )
    }
}

/// Cleans a stage, which is tried again at the end where it fails.
async fn clean(world: &World, stage: &Arc<Stage>) -> Result<(), String> {
    let cleaned = within(CLEANING, stage.clean()).await;
    if cleaned.is_ok() {
        world.forget(stage);
    }
    cleaned
}

/// Takes away what is left on servers that stay.
async fn leave(world: &World) -> Result<(), String> {
    let mut errors = Vec::new();
    for stage in world.stages() {
        errors.extend(clean(world, &stage).await.err());
        world.forget(&stage);
    }
    errors.extend(within(CLEANING, world.leave()).await.err());
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.join("\n"))
    }
}

async fn within<T>(patience: Duration, future: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let result = tokio::time::timeout(patience, future).await;
    result.unwrap_or_else(|_| Err(format!("it was not over after {patience:?}")))
}
