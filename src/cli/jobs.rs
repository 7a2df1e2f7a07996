//! `harborage jobs`: what is declared, and when it next runs.

use std::path::PathBuf;

use chrono::Utc;
use clap::Args;
use comfy_table::{Table, presets};
use serde_json::json;

use super::{CliError, Exit, Invocation, join, output};
use crate::daemon::source;
use crate::run::declaration::JobSummary;
use crate::settings::{OutputArgs, Said};

/// Show the jobs: what they do, what triggers them, and when they next run
#[derive(Debug, Args)]
#[command(after_help = "\
Examples: harborage jobs
          harborage jobs --jobs my-jobs/ --json
          harborage jobs --schema > job.schema.json")]
pub(super) struct JobsArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print the JSON schema of job files
    #[arg(long)]
    schema: bool,
    /// A folder of job files that replace the built-in ones of the same name
    #[arg(long, env = "HARBORAGE_JOBS", value_name = "DIR")]
    jobs: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn jobs(arguments: JobsArgs, invocation: &Invocation) -> Result<Exit, CliError> {
    if arguments.schema {
        output::print(&crate::run::declaration::schema())?;
        return Ok(Exit::Success);
    }
    let said = join([
        Said {
            jobs: arguments.jobs,
            ..Said::default()
        },
        arguments.output.into(),
    ]);
    let (settings, _) = invocation.start(said, "warn")?;
    let jobs = source::read_jobs(settings.said.jobs.as_deref())?;
    if arguments.json {
        let rows: Vec<_> = jobs
            .summaries()
            .iter()
            .map(|job| {
                json!({
                    "name": job.name, "description": job.description, "on_commit": job.on_commit,
                    "schedule": job.schedule.as_ref().map(crate::run::calendar::Schedule::text),
                    "next": next(job), "does": job.does,
                })
            })
            .collect();
        output::print(&serde_json::to_string_pretty(&rows)?)?;
    } else {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["job", "when", "next", "does"]);
        for job in jobs.summaries() {
            let next = next(job).unwrap_or_else(|| "-".to_owned());
            table.add_row([job.name.clone(), when(job), next, job.does.join(", ")]);
        }
        output::print(&table.trim_fmt())?;
    }
    Ok(Exit::Success)
}

fn when(job: &JobSummary) -> String {
    let commit = job.on_commit.then(|| "commit".to_owned());
    let schedule = job
        .schedule
        .as_ref()
        .map(|schedule| format!("{} UTC", schedule.text()));
    commit.into_iter().chain(schedule).collect::<Vec<_>>().join(", ")
}

/// The next time by the schedule alone; a running daemon adds up to half a minute.
fn next(job: &JobSummary) -> Option<String> {
    let next = job
        .schedule
        .as_ref()?
        .next(None, Utc::now(), std::time::Duration::ZERO, 0.0)?;
    Some(next.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}
