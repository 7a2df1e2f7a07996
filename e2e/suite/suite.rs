//! Running scenarios, one after another, and telling what came of it.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use tokio::signal::unix::{SignalKind, signal};

use super::harborage::Calls;
use super::options::Options;
use super::report::{Outcome, Row, table};
use super::scenarios;
use super::stage::Stage;
use super::world::{Server, World};

/// How long a scenario may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// A thing that must hold, and how it is tried.
pub(crate) struct Scenario {
    /// A sentence.
    pub(crate) name: &'static str,
    /// The servers that it breaks, or that must be the suite's own for another reason.
    pub(crate) breaks: &'static [Server],
    pub(crate) run: fn(Arc<Stage>) -> LocalBoxFuture<'static, ()>,
}

/// Makes a [`Scenario`] of a function and what it breaks.
macro_rules! scenario {
    ($name:literal, $function:path $(, breaks $($server:ident)+)?) => {
        $crate::suite::Scenario {
            name: $name,
            breaks: &[$($($crate::world::Server::$server),+)?],
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
            let breaks: Vec<String> = scenario.breaks.iter().map(ToString::to_string).collect();
            let note = if breaks.is_empty() {
                String::new()
            } else {
                format!(" (breaks {})", breaks.join(", "))
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
    // PostgreSQL and Gitea run as users of their own, who must get to theirs.
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), permissions).unwrap();
    let world = Arc::new(World::new(options, folder.path()));
    let rows = tokio::select! {
        rows = run(&world, &chosen) => rows,
        () = told_to_stop() => {
            eprintln!("told to stop: the servers are stopped");
            world.leave().await;
            return ExitCode::FAILURE;
        }
    };
    println!("\n{}", table(&rows));
    let failures: Vec<&Row> = rows
        .iter()
        .filter(|row| matches!(row.outcome, Outcome::Failed(_)))
        .collect();
    for row in &failures {
        let Outcome::Failed(why) = &row.outcome else {
            continue;
        };
        println!("FAILED {}:\n{why}\n", row.name);
    }
    let passed = failures.is_empty();
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
    world.leave().await;
    if !world.options().keep && !passed {
        println!("logs are in {}", folder.path().display());
        drop(world);
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
    let mut rows = Vec::new();
    for (number, scenario) in scenarios.iter().enumerate() {
        let row = match scenario.breaks.iter().find(|server| world.is_named(**server)) {
            Some(server) => Row {
                name: scenario.name,
                outcome: Outcome::LeftOut(format!("it would break {server}")),
                calls: Calls::default(),
                time: None,
            },
            None => one(world, scenario, number).await,
        };
        let said = match &row.outcome {
            Outcome::Passed => "ok",
            Outcome::Failed(_) => "FAILED",
            Outcome::LeftOut(_) => "left out",
        };
        println!("{said:<8} {}", row.name);
        rows.push(row);
    }
    rows
}

async fn one(world: &Arc<World>, scenario: &Scenario, number: usize) -> Row {
    let preparing = async {
        world.kubernetes().await;
        Arc::new(Stage::new(world, number).await)
    };
    let stage = match caught(preparing).await {
        Ok(stage) => stage,
        Err(why) => {
            return Row {
                name: scenario.name,
                outcome: Outcome::Failed(why),
                calls: Calls::default(),
                time: None,
            };
        }
    };
    let acting = tokio::time::timeout(PATIENCE, caught((scenario.run)(stage.clone())));
    let acted = acting
        .await
        .unwrap_or_else(|_| Err(format!("it was not over after {PATIENCE:?}")));
    let cleaned = caught(stage.clean()).await;
    Row {
        name: scenario.name,
        outcome: acted
            .and(cleaned)
            .map_or_else(Outcome::Failed, |()| Outcome::Passed),
        calls: stage.calls(),
        time: stage.time(),
    }
}

/// What a panic says, as an error.
async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let result = std::panic::AssertUnwindSafe(future).catch_unwind().await;
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        text.unwrap_or_else(|| "it panicked".to_owned())
    })
}
