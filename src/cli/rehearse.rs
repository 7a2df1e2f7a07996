//! `harborage rehearse`: the whole flow with no server at all.

use std::path::PathBuf;

use clap::Args;

use super::{CliError, Exit, Invocation, PathArg, join, output};
use crate::daemon::pass::Outcome;
use crate::daemon::rehearse::{self, RehearsalOptions};
use crate::daemon::source::Source;
use crate::settings::{OutputArgs, RepositoryArgs, RunningArgs};
use crate::shutdown;

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
        arguments.running.into(),
        arguments.output.into(),
    ]);
    let (settings, output) = invocation.start(said, "error")?;
    let source = Source::open(&settings.repository()?, &settings.source()?)?;
    let options = RehearsalOptions {
        commits: arguments.commits,
        latency: arguments.latency.unwrap_or_default(),
        fail_rate: arguments.fail,
        seed: arguments.seed,
        from: arguments.from,
        save: arguments.save,
    };
    let stop = shutdown::watch_signals()?;
    let show = Show { output, verbose: arguments.verbose };
    let outcome = rehearse::rehearse(&source, &settings.run()?, &options, &stop, &show).await?;
    Ok(match outcome {
        Outcome::Converged => Exit::Success,
        Outcome::Failed => Exit::Failed,
        Outcome::Parked => Exit::Parked,
    })
}
