//! What runs, when, and with what: the job files, checked once.
//!
//! The jobs of `jobs/` are embedded. A file of the same name replaces one; a job of another name is an error,
//! since nothing would carry it out.

mod check;
mod check_provision;
mod check_rules;
mod collision;
mod desire;
mod wire;

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Rules;
use super::calendar::Schedule;
use desire::{Configure, Provision};

pub(super) use check::{CONFIGURE, PROVISION};
pub use desire::PlatformInputs;

/// The embedded job files, by name.
pub const EMBEDDED: [(&str, &str); 3] = [
    (
        "configure-harbor.yaml",
        include_str!("../../../jobs/configure-harbor.yaml"),
    ),
    (
        "provision-team.yaml",
        include_str!("../../../jobs/provision-team.yaml"),
    ),
    (
        "repair-drift.yaml",
        include_str!("../../../jobs/repair-drift.yaml"),
    ),
];

/// Something in a job file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFault {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for JobFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        if self.hint.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.hint)
        }
    }
}

/// Job files that are not as they should be, with every fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the job files have {} fault{}:\n{}", .0.len(), if .0.len() == 1 { "" } else { "s" }, lines(.0))]
pub struct JobFaults(pub Vec<JobFault>);

fn lines(faults: &[JobFault]) -> String {
    faults
        .iter()
        .map(|fault| format!("  {fault}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// What is declared of one job, for showing.
#[derive(Debug, Clone)]
pub struct JobSummary {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Whether a commit triggers it.
    pub on_commit: bool,
    /// Its schedule.
    pub schedule: Option<Schedule>,
    /// Its steps' names in order, or the jobs that it repairs.
    pub does: Vec<String>,
}

/// The jobs, ready to be carried out.
#[derive(Debug, Clone)]
pub struct JobDeclarations {
    configure: Configure,
    provision: Provision,
    platform_rules: Rules,
    team_rules: Rules,
    repair: Schedule,
    summaries: Vec<JobSummary>,
}

/// The spread of a scheduled job after its time, so that many daemons do not start together.
const JITTER: Duration = Duration::from_secs(30);

impl JobDeclarations {
    /// The embedded jobs, with files of the same names in their place. `now` tells whether schedules ever come.
    ///
    /// # Errors
    /// Every fault of every file.
    pub fn load(files: &[(String, String)], now: DateTime<Utc>) -> Result<Self, JobFaults> {
        check::load(files, now)
    }

    /// How the platform's steps are carried out.
    #[must_use]
    pub fn platform_rules(&self) -> Rules {
        self.platform_rules.clone()
    }

    /// How a team's steps are carried out.
    #[must_use]
    pub fn team_rules(&self) -> Rules {
        self.team_rules.clone()
    }

    /// When the next look for drift is due.
    #[must_use]
    pub fn next_repair(
        &self,
        last: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        random: f64,
    ) -> Option<DateTime<Utc>> {
        self.repair.next(last, now, JITTER, random)
    }

    /// What is declared, for showing.
    #[must_use]
    pub fn summaries(&self) -> &[JobSummary] {
        &self.summaries
    }
}

/// The JSON schema of job files, as it is kept in `jobs/job.schema.json`.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(wire::AnyJobFile);
    // A schema is a JSON value, which always prints.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
