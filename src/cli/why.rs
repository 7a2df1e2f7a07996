//! `harborage why`: why a team is not ready, in sentences.

use chrono::Utc;
use clap::Args;

use super::{CliError, DaemonArgs, Exit, Invocation, output, status};
use crate::run::explain::explain;
use crate::run::record::{LaneId, LaneRecord};

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
    #[command(flatten)]
    daemon: DaemonArgs,
}

pub(super) async fn why(arguments: WhyArgs, invocation: &Invocation) -> Result<Exit, CliError> {
    let (settings, _) = invocation.start(arguments.daemon.into(), super::QUIET)?;
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
