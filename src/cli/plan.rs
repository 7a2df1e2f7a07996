//! `harborage plan`: what would be done, and why.

use clap::Args;

use super::{AllSettings, CliError, Exit, Invocation, PathArg, join, output};
use crate::daemon::{connect, preview, source::Source};
use crate::plan::lint::{LintLimits, lint};
use crate::plan::show::ShowOptions;
use crate::run::meter::unmetered;

/// Show what would be created, changed, kept and adopted, and why; write nothing
#[derive(Debug, Args)]
#[command(after_help = "\
Examples: harborage plan values/ --harbor-url http://harbor-core.harbor \\
              --harbor-password-file /run/secrets/harbor
          harborage plan --config harborage.yaml --json | jq .summary
Exit status: 0 nothing to do, 3 something would be done, 4 something needs a person.")]
pub(super) struct PlanArgs {
    #[command(flatten)]
    path: PathArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Name the objects that stay as they are, too
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    settings: AllSettings,
}

pub(super) async fn plan(arguments: PlanArgs, invocation: &Invocation) -> Result<Exit, CliError> {
    let said = join([arguments.path.into_said(), arguments.settings.into()]);
    let (settings, output) = invocation.start(said, super::QUIET)?;
    let run = settings.run()?;
    let source = Source::open(&settings.repository()?, &settings.source()?, None)?;
    let Some(reading) = super::accept(source.read_head().await, output)? else {
        return Ok(Exit::Failure);
    };
    let Some(intent) = &reading.intent else {
        output::print("Harbor is switched off in this repository: nothing to do")?;
        return Ok(Exit::Success);
    };
    let servers = connect::connect(&settings.harbor()?, &settings.kubernetes()?, &unmetered()).await?;
    let (plan, unread) = preview::preview(intent, &servers.harbor, &servers.cluster, &run).await?;
    if let Some(error) = unread {
        output::remark(&format!("warning: {error}"))?;
    }
    if arguments.json {
        output::print(&serde_json::to_string_pretty(&plan)?)?;
    } else {
        let options = ShowOptions {
            colour: output.colour(),
            verbose: arguments.verbose,
        };
        output::print(&plan.text(options))?;
    }
    let refusals = lint(&plan.teams, LintLimits::default());
    for refusal in &refusals {
        output::remark(&format!("look at this before you apply it: {refusal}"))?;
    }
    Ok(
        if plan.needs_a_person() || !refusals.is_empty() || !reading.snapshot.held.is_empty() {
            Exit::Parked
        } else if plan.is_converged() {
            Exit::Success
        } else {
            Exit::Failed
        },
    )
}
