//! `harborage rehearse`: the whole flow with no server at all.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

use super::output::{self, Output};
use super::{CliError, Exit, Invocation, PathArg, join, status};
use crate::daemon::pass::Outcome;
use crate::daemon::rehearse::{self, Audience, Calls, RehearsalOptions};
use crate::daemon::source::{Reading, Source, SourceError};
use crate::plan::show::{FullPlan, ShowOptions};
use crate::run::record::LaneRecord;
use crate::settings::{GitArgs, OutputArgs, RepositoryArgs, RunningArgs};
use crate::{shutdown, snapshot};

/// Rehearse the whole flow against a Harbor and a Kubernetes inside this process
#[derive(Debug, Args)]
#[command(after_help = "\
Examples: harborage rehearse values/
          harborage rehearse values/ --commits v1..main --fail 0.1 --seed 7
          harborage rehearse values/ --save before.json && harborage rehearse values/ --from before.json

The stand-ins speak real HTTP on loopback and start empty: every namespace of the snapshot is there, as
the platform would have made it, and nothing else. Failed calls are retried within a second.
Exit status: 0 converged, 3 failed, 4 parked or held.")]
pub(super) struct RehearseArgs {
    #[command(flatten)]
    path: PathArg,
    /// Replay each commit of this range in turn, oldest first
    #[arg(long, value_name = "A..B")]
    commits: Option<String>,
    /// How long each call takes, such as 5ms
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    latency: Option<std::time::Duration>,
    /// The share of calls that fail, from 0 to 1
    #[arg(long, value_name = "RATE", default_value_t = 0.0, value_parser = rate)]
    fail: f64,
    /// What decides which calls fail, and how: the same seed gives the same weather
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Start from the servers' state in this file
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Save the servers' state to this file at the end (it holds the stand-ins' passwords)
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Name the objects that stay as they are, too
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    repository: RepositoryArgs,
    #[command(flatten)]
    git: GitArgs,
    #[command(flatten)]
    running: RunningArgs,
    #[command(flatten)]
    output: OutputArgs,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(rate),
        _ => Err("a number from 0 to 1, such as 0.1".to_owned()),
    }
}

pub(super) async fn rehearse(arguments: RehearseArgs, invocation: &Invocation) -> Result<Exit, CliError> {
    let said = join([
        arguments.path.into_said(),
        arguments.repository.into(),
        arguments.git.into(),
        arguments.running.into(),
        arguments.output.into(),
    ]);
    let (settings, output) = invocation.start(said, "error,kube_client=off,harborage::run=off")?;
    let source = Source::open(&settings.repository()?, &settings.source()?, None)?;
    let options = RehearsalOptions {
        commits: arguments.commits,
        latency: arguments.latency.unwrap_or_default(),
        fail_rate: arguments.fail,
        seed: arguments.seed,
        from: arguments.from,
        save: arguments.save,
    };
    let stop = shutdown::watch_signals()?;
    let show = Show::new(output, arguments.verbose);
    let outcome = rehearse::rehearse(&source, &settings.run()?, &options, &stop, &show).await?;
    Ok(match outcome {
        Outcome::Converged => Exit::Success,
        Outcome::Failed => Exit::Failed,
        Outcome::Parked => Exit::Parked,
    })
}

/// Prints a rehearsal while it goes: results to standard output, the progress to standard error.
struct Show {
    output: Output,
    verbose: bool,
    bar: ProgressBar,
}

impl Show {
    fn new(output: Output, verbose: bool) -> Self {
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("  {bar:40} {pos} of {len} lanes settled, {elapsed}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self { output, verbose, bar }
    }

    /// Prints. A standard output that can't be written to does not end a rehearsal.
    fn print(&self, text: &str) {
        self.bar.suspend(|| output::print(text).ok());
    }
}

impl Audience for Show {
    fn planned(&self, reading: &Reading, plan: Option<&FullPlan>) {
        let snapshot = &reading.snapshot;
        if !snapshot.faults.is_empty() {
            self.print(&snapshot::render(&snapshot.faults, self.output.colour()));
        }
        match plan {
            Some(plan) => {
                self.print(&plan.text(ShowOptions {
                    colour: self.output.colour(),
                    verbose: self.verbose,
                }));
            }
            None if reading.intent.is_none() => {
                let text = format!(
                    "{}: Harbor is switched off, nothing is done\n",
                    snapshot.revision.short()
                );
                self.print(&text);
            }
            None => {
                self.print("the plan could not be made in this weather; it is made again, team by team\n");
            }
        }
    }

    fn progress(&self, settled: usize, of: usize) {
        self.bar.set_length(of as u64);
        self.bar.set_position(settled as u64);
    }

    fn refused(&self, error: &SourceError) {
        if let SourceError::Refused { faults, .. } = error {
            self.print(&snapshot::render(faults, self.output.colour()));
        }
        self.print(&format!("{error}\n"));
    }

    fn applied(&self, lanes: &[LaneRecord], calls: &Calls) {
        self.bar.finish_and_clear();
        self.print(&format!(
            "{}\n{}",
            status::show_lanes(lanes, self.output.colour()),
            show_calls(calls)
        ));
    }
}

fn show_calls(calls: &Calls) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["calls", "reads", "writes", "sign-ins", "made to fail"]);
    for (name, counts) in [("Harbor", &calls.harbor), ("Kubernetes", &calls.kubernetes)] {
        let numbers = [counts.reads, counts.writes, counts.sign_ins, counts.struck].map(|n| n.to_string());
        table.add_row([vec![name.to_owned()], numbers.to_vec()].concat());
    }
    let mut text = format!("{}\n", table.trim_fmt());
    for counts in [&calls.harbor, &calls.kubernetes] {
        for (route, number) in &counts.by_route {
            let _ = writeln!(text, "  {number:>6}  {route}");
        }
    }
    let _ = writeln!(text, "  in {:.2} s", calls.seconds);
    text
}
