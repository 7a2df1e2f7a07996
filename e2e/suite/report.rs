//! What a run came to.

use std::time::Duration;

use comfy_table::{Table, presets};

use super::harborage::Calls;

/// How a scenario ended.
pub(crate) enum Outcome {
    Passed,
    Failed(String),
    LeftOut(String),
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
        let left_out = matches!(row.outcome, Outcome::LeftOut(_));
        let number = |number: usize| {
            if left_out {
                String::new()
            } else {
                number.to_string()
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
                Outcome::LeftOut(why) => format!("left out: {why}"),
            },
        ]);
    }
    let count = |is: fn(&Outcome) -> bool| rows.iter().filter(|row| is(&row.outcome)).count();
    format!(
        "{}\n\n{} passed, {} failed, {} skipped\n",
        table.trim_fmt(),
        count(|outcome| matches!(outcome, Outcome::Passed)),
        count(|outcome| matches!(outcome, Outcome::Failed(_))),
        count(|outcome| matches!(outcome, Outcome::LeftOut(_)))
    )
}
