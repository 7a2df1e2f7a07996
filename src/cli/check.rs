//! `harborage check`: whether a values repository says what it should. Needs no server.

use clap::Args;
use serde_json::json;

use super::{CliError, Exit, Invocation, PathArg, join, output};
use crate::daemon::source::{Source, SourceError};
use crate::settings::{GitArgs, OutputArgs, RepositoryArgs};
use crate::snapshot::{self, Snapshot};
use crate::values::Fault;

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
    git: GitArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) async fn check(arguments: CheckArgs, invocation: &Invocation) -> Result<Exit, CliError> {
    let said = join([
        arguments.path.into_said(),
        arguments.repository.into(),
        arguments.git.into(),
        arguments.output.into(),
    ]);
    let (settings, output) = invocation.start(said, super::QUIET)?;
    let source = Source::open(&settings.repository()?, &settings.source()?, None)?;
    let (snapshot, faults) = match source.read_head().await {
        Ok(reading) => (Some(reading.snapshot.clone()), reading.snapshot.faults.clone()),
        Err(SourceError::Refused { faults, .. }) => (None, faults),
        Err(error) => return Err(error.into()),
    };
    if arguments.json {
        let report = json!({"accepted": snapshot.is_some(), "snapshot": snapshot, "faults": faults});
        output::print(&serde_json::to_string_pretty(&report)?)?;
    } else {
        if !faults.is_empty() {
            output::remark(&snapshot::render(&faults, output.colour_on_stderr()))?;
        }
        output::print(&summary(snapshot.as_deref(), &faults))?;
    }
    Ok(if faults.is_empty() {
        Exit::Success
    } else {
        Exit::Failure
    })
}

fn summary(snapshot: Option<&Snapshot>, faults: &[Fault]) -> String {
    let count = match faults.len() {
        0 => "no faults".to_owned(),
        1 => "1 fault".to_owned(),
        n => format!("{n} faults"),
    };
    let Some(snapshot) = snapshot else {
        return format!("refused: {count}, some in what all teams share\n");
    };
    let platform = &snapshot.platform;
    let mut lines = vec![
        format!("revision     {}", snapshot.revision),
        format!("layout       {}", snapshot.layout),
    ];
    if let Some(version) = platform.spec_version {
        lines.push(format!("version      {version}"));
    }
    let harbor = match &platform.registry_host {
        Some(host) if platform.harbor_enabled => format!("on, at {host}"),
        _ => "off: nothing would be done".to_owned(),
    };
    lines.push(format!("Harbor       {harbor}"));
    if let Some(issuer) = &platform.oidc_issuer {
        lines.push(format!("issuer       {issuer}"));
    }
    lines.push(format!("teams        {}", snapshot.teams.len()));
    for team in snapshot.teams.values() {
        let mut about = Vec::new();
        if let Some(group) = &team.group_mapping {
            about.push(format!("group {group}"));
        }
        if let Some(quota) = team.storage_quota {
            about.push(format!("quota {quota}"));
        }
        about.push(
            if team.docker_login_download {
                "docker login downloadable"
            } else {
                "no docker login download"
            }
            .to_owned(),
        );
        lines.push(format!("  {:<10} {}", team.id.as_str(), about.join(", ")));
    }
    for name in snapshot.held.keys() {
        lines.push(format!("  {name:<10} held: its values are at fault"));
    }
    lines.push(count);
    lines.join("\n")
}
