//! `harborage check`: whether a values repository says what it should. Needs no server.

use clap::Args;

use super::{CliError, Exit, Invocation, PathArg, join, output};
use crate::daemon::source::Source;
use crate::settings::{OutputArgs, RepositoryArgs};

/// Check a values repository offline: its layout, platform and teams, with every fault
#[derive(Debug, Args)]
#[command(after_help = "\
Examples: harborage check values/
          harborage check values/ --reference main --json
Exit status: 0 no fault, 1 faults.")]
pub(super) struct CheckArgs {
    #[command(flatten)]
    path: PathArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    repository: RepositoryArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn check(arguments: CheckArgs, invocation: &Invocation) -> Result<Exit, CliError> {
    let said = join([arguments.path.into_said(), arguments.repository.into(), arguments.output.into()]);
    let (settings, output) = invocation.start(said, "warn")?;
    let source = Source::open(&settings.repository()?, &settings.source()?)?;
    let check = source.check().await?;
    if arguments.json {
        output::print(&serde_json::to_string_pretty(&check)?)?;
    } else {
        if !check.faults.is_empty() {
            output::remark(&check.rendered(output.colour_on_stderr()))?;
        }
        output::print(&check.summary())?;
    }
    Ok(if check.faults.is_empty() { Exit::Success } else { Exit::Failure })
}
