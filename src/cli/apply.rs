//! `harborage apply`: one pass over everything, then the outcome.

use std::sync::Arc;

use clap::Args;

use super::{AllSettings, CliError, Exit, Invocation, PathArg, join, output, status};
use crate::daemon::pass::{self, Outcome, Surroundings};
use crate::daemon::{connect, open_journal, source::Source};
use crate::run::meter::unmetered;
use crate::shutdown;

/// Make one pass over every team, then exit
#[derive(Debug, Args)]
#[command(after_help = "\
Example: harborage apply values/ --harbor-url http://harbor-core.harbor \\
             --harbor-password-file /run/secrets/harbor
Exit status: 0 converged, 3 failed (trying again may help), 4 parked or held (a person has to act).")]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    path: PathArg,
    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: AllSettings,
}

pub(super) async fn apply(arguments: ApplyArgs, invocation: &Invocation) -> Result<Exit, CliError> {
    let said = join([arguments.path.into_said(), arguments.settings.into()]);
    let (settings, output) = invocation.start(said, super::QUIET)?;
    let run = settings.run()?;
    let source = Source::open(&settings.repository()?, &settings.source()?, Some(&run.state))?;
    // Faults are shown as `check` shows them before anything is written.
    let Some(reading) = super::accept(source.read_head().await, output)? else {
        return Ok(Exit::Failure);
    };
    if reading.intent.is_none() {
        output::print("Harbor is switched off in this repository: nothing to do")?;
        return Ok(Exit::Success);
    }
    let servers = connect::connect(&settings.harbor()?, &settings.kubernetes()?, &unmetered()).await?;
    let journal = open_journal(&run.state).await?;
    let stop = shutdown::watch_signals()?;
    let surroundings = Surroundings::new(servers.harbor, servers.cluster, Arc::new(journal));
    let report = pass::apply(&source, reading, surroundings, &run, &stop).await?;
    if arguments.json {
        output::print(&serde_json::to_string_pretty(&report.lanes)?)?;
    } else {
        output::print(&status::show_outcome(&report, output.colour()))?;
    }
    Ok(match report.outcome {
        _ if report.stopped => Exit::Failed,
        Outcome::Converged => Exit::Success,
        Outcome::Failed => Exit::Failed,
        Outcome::Parked => Exit::Parked,
    })
}
