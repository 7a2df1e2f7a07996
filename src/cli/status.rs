//! `harborage status`: where every team stands.

use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, Utc};
use clap::Args;
use comfy_table::{Table, presets};

use super::{CliError, DaemonArgs, Exit, Invocation, output};
use crate::daemon::pass::{Outcome, PassReport};
use crate::run::explain::age;
use crate::run::journal::DaemonRecord;
use crate::run::record::{Held, LaneId, LaneRecord, RunState};
use crate::serve::status::{self, StatusReport};
use crate::settings::Settings;

/// Show where every team stands, from a running daemon or its journal
#[derive(Debug, Args)]
#[command(after_help = "\
Examples: harborage status --state /var/lib/harborage
          harborage status demo
          harborage status --watch
Exit status: 0 all ready, 3 some are not yet, 4 some need a person.")]
pub(super) struct StatusArgs {
    /// Only this team, in full (`platform` for Harbor's own configuration)
    #[arg(value_name = "TEAM")]
    team: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Show it again each second, as long as a daemon runs
    #[arg(short, long)]
    watch: bool,
    /// With --watch: end once nothing is at work or tried again by itself
    #[arg(long, requires = "watch")]
    until_settled: bool,
    #[command(flatten)]
    daemon: DaemonArgs,
}

pub(super) async fn status(arguments: StatusArgs, invocation: &Invocation) -> Result<Exit, CliError> {
    let (settings, output) = invocation.start(arguments.daemon.into(), super::QUIET)?;
    loop {
        let (mut report, running) = read(&settings).await?;
        if let Some(team) = &arguments.team {
            report.lanes.retain(|lane| lane.lane.to_string() == *team);
            if report.lanes.is_empty() {
                return Err(unknown(team, &settings).into());
            }
        }
        let text = if arguments.json {
            serde_json::to_string_pretty(&report)?
        } else {
            let detailed = arguments.team.is_some();
            show(&report, running, detailed, Utc::now(), output.colour())
        };
        let settled = report.lanes.iter().all(|lane| !is_moving(lane));
        if !arguments.watch {
            output::print(&text)?;
            return Ok(exit(&report.lanes));
        }
        output::redraw(&text)?;
        if !running || settled && arguments.until_settled {
            return Ok(exit(&report.lanes));
        }
        tokio::time::sleep(WATCH).await;
    }
}

/// How often a watched status is read.
const WATCH: std::time::Duration = std::time::Duration::from_secs(1);

/// Whether a lane is at work or will be again by itself.
fn is_moving(lane: &LaneRecord) -> bool {
    lane.held.is_none()
        && matches!(
            lane.state,
            RunState::Pending
                | RunState::Running { .. }
                | RunState::Waiting { .. }
                | RunState::Superseded { .. }
        )
}

/// What is said of a team that is in no record.
pub(super) fn unknown(team: &str, settings: &Settings) -> String {
    format!(
        "nothing is known of {team:?}; `harborage status` lists every team of {}",
        settings.state().display()
    )
}

/// Asks the daemon; where none runs, reads the journal.
pub(super) async fn read(settings: &Settings) -> Result<(StatusReport, bool), CliError> {
    let state = settings.state();
    if let Some(report) = status::ask(&state).await? {
        return Ok((report, true));
    }
    Ok((crate::daemon::stopped_status(Path::new(&state)).await?, false))
}

/// What a pass came to, as `apply` prints it.
pub(super) fn show_outcome(report: &PassReport, colour: bool) -> String {
    let mut text = show_lanes(&report.lanes, colour);
    let ending = match report.outcome {
        _ if report.stopped => "stopped before its end",
        Outcome::Converged => "converged",
        Outcome::Failed => "failed: trying again may help",
        Outcome::Parked => "parked: a person has to do something",
    };
    let _ = writeln!(text, "{} {ending}", report.revision.short());
    text
}

/// Where lanes stand, and what is wrong with them.
pub(super) fn show_lanes(lanes: &[LaneRecord], colour: bool) -> String {
    let mut text = table(lanes, Utc::now(), colour);
    for problem in lanes.iter().flat_map(|lane| &lane.problems) {
        text.push_str(&format_problem(problem));
    }
    text
}

pub(super) fn exit(lanes: &[LaneRecord]) -> Exit {
    let removed = |lane: &&LaneRecord| !matches!(lane.held, Some(Held::Removed { .. }));
    let mut exit = Exit::Success;
    for lane in lanes.iter().filter(removed) {
        match (&lane.state, &lane.held) {
            (RunState::Parked { .. }, _) | (_, Some(Held::Faults { .. })) => return Exit::Parked,
            (RunState::Done, None) => {}
            _ => exit = Exit::Failed,
        }
    }
    exit
}

fn show(report: &StatusReport, running: bool, detailed: bool, now: DateTime<Utc>, colour: bool) -> String {
    let mut text = headline(&report.daemon, running);
    if report.lanes.is_empty() {
        text.push_str("no team is known yet\n");
        return text;
    }
    text.push_str(&table(&report.lanes, now, colour));
    if detailed {
        for problem in report.lanes.iter().flat_map(|lane| &lane.problems) {
            text.push_str(&format_problem(problem));
        }
        for converged in report.lanes.iter().filter_map(|lane| lane.converged.as_ref()) {
            let _ = writeln!(
                text,
                "last ready at {} with commit {}",
                converged.at.format("%Y-%m-%d %H:%M:%S UTC"),
                converged.revision.short()
            );
        }
    }
    text
}

fn table(lanes: &[LaneRecord], now: DateTime<Utc>, colour: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["team", "state", "for", "commit", "about"]);
    for lane in lanes {
        table.add_row([
            lane.lane.to_string(),
            state(lane).to_owned(),
            age(now - lane.since),
            lane.revision.short().to_owned(),
            about(lane),
        ]);
    }
    let laid_out = table.trim_fmt();
    let mut text = String::new();
    let mut rows = laid_out.lines();
    text.extend(rows.next().map(|header| format!("{header}\n")));
    for (row, lane) in rows.zip(lanes) {
        // Painted after the layout, which would count the escape codes as columns.
        let row = if colour { paint(row, lane) } else { row.to_owned() };
        let _ = writeln!(text, "{row}");
    }
    text
}

/// A row with its state in colour. The state is the word behind the team's name.
fn paint(row: &str, lane: &LaneRecord) -> String {
    let state = state(lane);
    let code = match state {
        "ready" => 32,
        "parked" | "held" => 31,
        "waiting" | "running" | "pending" => 33,
        _ => 2,
    };
    let team = lane.lane.to_string();
    let behind = row.find(&team).map_or(0, |start| start + team.len());
    let (before, rest) = row.split_at(behind);
    format!(
        "{before}{}",
        rest.replacen(state, &format!("\u{1b}[{code}m{state}\u{1b}[0m"), 1)
    )
}

fn format_problem(problem: &crate::run::record::Problem) -> String {
    format!(
        "- {} {} ({}): {}\n",
        problem.operation, problem.object, problem.class, problem.message
    )
}

fn headline(daemon: &DaemonRecord, running: bool) -> String {
    let who = if running {
        "a daemon is running"
    } else {
        "no daemon is running; this is its journal"
    };
    let commit = match &daemon.revision {
        Some(revision) => format!("commit {}", revision.short()),
        None => "no commit yet".to_owned(),
    };
    let mut text = format!("{who}, {commit}\n");
    if let Some(missed) = &daemon.last_missed_hook {
        let at = missed.at.format("%Y-%m-%d %H:%M:%S UTC");
        let _ = write!(
            text,
            "{} commits came without a webhook, the last {}",
            daemon.missed_hooks,
            missed.revision.short()
        );
        let seconds = missed
            .unseen_seconds
            .and_then(|seconds| i64::try_from(seconds).ok());
        let lay = seconds.map_or_else(String::new, |seconds| {
            format!(" after {} unseen", age(chrono::Duration::seconds(seconds)))
        });
        let _ = writeln!(
            text,
            ", found at {at}{lay}: look at the deliveries that the git host shows"
        );
    }
    if let Some((since, why)) = &daemon.unreadable {
        let since = since.format("%Y-%m-%d %H:%M:%S UTC");
        let _ = writeln!(text, "the repository can't be read since {since}: {why}");
    }
    if let Some((revision, faults)) = &daemon.refused {
        let _ = writeln!(text, "the newest commit {} is refused:", revision.short());
        for fault in faults {
            let _ = writeln!(text, "  {fault}");
        }
    }
    text
}

fn state(lane: &LaneRecord) -> &'static str {
    match (&lane.held, &lane.state) {
        (Some(Held::Removed { .. }), _) => "removed",
        (Some(Held::Faults { .. }), _) => "held",
        (None, RunState::Pending) => "pending",
        (None, RunState::Running { .. }) => "running",
        (None, RunState::Done) => "ready",
        (None, RunState::Waiting { .. }) => "waiting",
        (None, RunState::Parked { .. }) => "parked",
        (None, RunState::Superseded { .. }) => "superseded",
    }
}

fn about(lane: &LaneRecord) -> String {
    if let Some(Held::Removed { revision }) = &lane.held {
        return format!("left the repository in {}; what it has stays", revision.short());
    }
    if let Some(Held::Faults { revision, faults }) = &lane.held {
        let first = faults.first().map_or("", String::as_str);
        return format!("its values are at fault in {}: {first}", revision.short());
    }
    match &lane.state {
        RunState::Running { operation } => operation.to_string(),
        RunState::Waiting { until, why } => format!("{why}; next try {}", until.format("%H:%M:%S UTC")),
        RunState::Parked { why } => why.clone(),
        RunState::Superseded { by } => format!("by {}", by.short()),
        RunState::Pending if lane.lane == LaneId::Platform => "Harbor has not been read yet".to_owned(),
        RunState::Pending | RunState::Done => String::new(),
    }
}
