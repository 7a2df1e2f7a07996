//! `harborage why`: why a team is not ready, in sentences.

use chrono::Utc;
use clap::Args;

use super::{CliError, Exit, Invocation, join, output, status};
use crate::run::explain::explain;
use crate::run::record::{LaneId, LaneRecord};
use crate::settings::{OutputArgs, Said};

/// Explain why a team is not ready: which step, which answer, since when, what is next, what to do
#[derive(Debug, Args)]
#[command(after_help = "\
Examples: harborage why demo --state /var/lib/harborage
          harborage why platform
Exit status: 0 ready, 3 not yet, 4 needs a person.")]
pub(super) struct WhyArgs {
    /// The team (`platform` for Harbor's own configuration)
    #[arg(value_name = "TEAM")]
    team: String,
    /// The folder of the journal [default: ./harborage-state]
    #[arg(long, env = "HARBORAGE_STATE", value_name = "DIR")]
    state: Option<std::path::PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn why(arguments: WhyArgs, invocation: &Invocation) -> Result<Exit, CliError> {
    let said = join([
        Said {
            state: arguments.state,
            ..Said::default()
        },
        arguments.output.into(),
    ]);
    let (settings, _) = invocation.start(said, super::QUIET)?;
    let (report, running) = status::read(&settings).await?;
    let lanes = &report.lanes;
    let Some(lane) = lanes.iter().find(|lane| lane.lane.to_string() == arguments.team) else {
        return Err(status::unknown(&arguments.team, &settings).into());
    };
    let platform = lanes
        .iter()
        .find(|lane: &&LaneRecord| lane.lane == LaneId::Platform);
    let mut sentences = explain(lane, platform, &report.daemon, Utc::now());
    if !running {
        sentences.push(
            "No daemon is running: this is what its journal says, and nothing is tried again now.".to_owned(),
        );
    }
    output::print(&sentences.join("\n"))?;
    Ok(status::exit(std::slice::from_ref(lane)))
}
