//! `harborage trigger`: has a running daemon look at the repository now.

use clap::Args;

use super::{CliError, Exit, Invocation, join, output};
use crate::serve::poke;
use crate::settings::{OutputArgs, Said};

/// Poke the running daemon: it reads the repository at once instead of at its next poll
#[derive(Debug, Args)]
#[command(after_help = "\
Example: harborage trigger --state /var/lib/harborage")]
pub(super) struct TriggerArgs {
    /// The folder of the daemon's journal [default: ./harborage-state]
    #[arg(long, env = "HARBORAGE_STATE", value_name = "DIR")]
    state: Option<std::path::PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn trigger(arguments: TriggerArgs, invocation: &Invocation) -> Result<Exit, CliError> {
    let said = join([
        Said {
            state: arguments.state,
            ..Said::default()
        },
        arguments.output.into(),
    ]);
    let (settings, _) = invocation.start(said, super::QUIET)?;
    let state = settings.state();
    if poke::poke(&state).await? {
        output::print(
            "poked: the daemon reads the repository now; `harborage status --watch` shows what becomes of it",
        )?;
        return Ok(Exit::Success);
    }
    Err(format!("no daemon works with {}; is --state right?", state.display()).into())
}
