//! `harborage doctor`: whether everything is set up, and what to change.

use std::fmt::Write as _;

use clap::Args;

use super::{AllSettings, CliError, Exit, Invocation, PathArg, join, output};
use crate::daemon::doctor::{self, Finding, Verdict};

/// Look at every server, permission and setting, and say what to change; change nothing
#[derive(Debug, Args)]
#[command(after_help = "\
Example: harborage doctor --config harborage.yaml
Exit status: 0 all is well, 4 something has to be changed.")]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    path: PathArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: AllSettings,
}

pub(super) async fn doctor(arguments: DoctorArgs, invocation: &Invocation) -> Result<Exit, CliError> {
    let said = join([arguments.path.into_said(), arguments.settings.into()]);
    let (settings, output) = invocation.start(said, "error,kube_client=off")?;
    let findings = doctor::examine(&settings).await;
    if arguments.json {
        output::print(&serde_json::to_string_pretty(&findings)?)?;
    } else {
        output::print(&text(&findings, output.colour()))?;
    }
    let is_wrong = findings.iter().any(|finding| finding.verdict == Verdict::Wrong);
    Ok(if is_wrong { Exit::Parked } else { Exit::Success })
}

fn text(findings: &[Finding], colour: bool) -> String {
    let mut text = String::new();
    for finding in findings {
        let (mark, code) = match finding.verdict {
            Verdict::Good => ("ok", 32),
            Verdict::Remark => ("note", 33),
            Verdict::Wrong => ("WRONG", 31),
        };
        let padded = format!("{mark:<6}");
        let mark = if colour {
            format!("\u{1b}[{code}m{padded}\u{1b}[0m")
        } else {
            padded
        };
        let _ = writeln!(text, "{mark} {:<11} {}", finding.subject, finding.told);
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "{:<18} to do: {remedy}", "");
        }
    }
    text
}
