//! What a run came to.

use std::time::Duration;

use comfy_table::{Table, presets};

use super::harborage::Calls;

/// How a scenario ended.
pub(crate) enum Outcome {
    Passed,
    Failed(String),
    /// Not run, for it would break a server that was named, or needs one of the suite's own.
    Skipped(String),
    /// Not run, for the time was over; so it counts as a failure.
    NotRun,
}

impl Outcome {
    /// Whether the run fails for it.
    pub(crate) fn is_bad(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::NotRun)
    }
}

/// A row of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) calls: Calls,
    pub(crate) time: Option<Duration>,
}

/// The table that ends a run, and the line that sums it up.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "scenario",
        "Harbor",
        "Kubernetes",
        "git",
        "writes",
        "converged in",
        "outcome",
    ]);
    for row in rows {
        let calls = row.calls;
        let has_run = matches!(row.outcome, Outcome::Passed | Outcome::Failed(_));
        let number = |number: usize| {
            if has_run {
                number.to_string()
            } else {
                String::new()
            }
        };
        table.add_row([
            row.name.to_owned(),
            number(calls.harbor),
            number(calls.kubernetes),
            number(calls.git),
            number(calls.writes),
            row.time
                .map_or_else(String::new, |time| format!("{:.2} s", time.as_secs_f64())),
            match &row.outcome {
                Outcome::Passed => "passed".to_owned(),
                Outcome::Failed(_) => "FAILED".to_owned(),
                Outcome::Skipped(why) => format!("skipped: {why}"),
                Outcome::NotRun => "NOT RUN".to_owned(),
            },
        ]);
    }
    let count = |is: fn(&Outcome) -> bool| rows.iter().filter(|row| is(&row.outcome)).count();
    format!(
        "{}\n\n{} passed, {} failed, {} skipped\n",
        table.trim_fmt(),
        count(|outcome| matches!(outcome, Outcome::Passed)),
        count(Outcome::is_bad),
        count(|outcome| matches!(outcome, Outcome::Skipped(_)))
    )
}
