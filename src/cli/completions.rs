//! `harborage completions`: completion scripts for shells.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{CliError, Exit, output};

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "Example: harborage completions bash > /etc/bash_completion.d/harborage")]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn completions(arguments: &CompletionsArgs) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut super::Cli::command(),
        "harborage",
        &mut script,
    );
    output::print(&String::from_utf8(script)?)?;
    Ok(Exit::Success)
}
