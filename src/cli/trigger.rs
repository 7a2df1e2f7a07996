//! `harborage trigger`: has a running daemon look at the repository now.

use clap::Args;

use super::{CliError, DaemonArgs, Exit, Invocation, output};
use crate::serve::poke;

/// Poke the running daemon: it reads the repository at once instead of at its next poll
#[derive(Debug, Args)]
#[command(after_help = "\
Example: harborage trigger --state /var/lib/harborage")]
pub(super) struct TriggerArgs {
    #[command(flatten)]
    daemon: DaemonArgs,
}

pub(super) async fn trigger(arguments: TriggerArgs, invocation: &Invocation) -> Result<Exit, CliError> {
    let (settings, _) = invocation.start(arguments.daemon.into(), super::QUIET)?;
    let state = settings.state();
    if poke::poke(&state).await? {
        output::print(
            "poked: the daemon reads the repository now; `harborage status --watch` shows what becomes of it",
        )?;
        return Ok(Exit::Success);
    }
    Err(format!("no daemon works with {}; is --state right?", state.display()).into())
}
