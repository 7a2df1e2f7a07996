//! Why a lane is not ready, in sentences for a person. Pure: the time is handed in.

use chrono::{DateTime, Utc};

use super::journal::DaemonRecord;
use super::record::{Held, LaneId, LaneRecord, Problem, RunState};
use super::target::ErrorClass;

/// Explains where a lane stands: what is wrong, since when, what is tried next, and what a person can do. `platform`
/// is the record of the platform's own lane, which teams may wait for.
#[must_use]
pub fn explain(
    lane: &LaneRecord,
    platform: Option<&LaneRecord>,
    daemon: &DaemonRecord,
    now: DateTime<Utc>,
) -> Vec<String> {
    let mut sentences = Vec::new();
    match &lane.held {
        Some(Held::Removed { revision }) => {
            sentences.push(format!(
                "{} left the repository in {}. What it has in Harbor and Kubernetes stays, and nothing more is done for it.",
                lane.lane,
                revision.short()
            ));
            return sentences;
        }
        Some(Held::Faults { revision, faults }) => {
            sentences.push(format!(
                "The values of {} are at fault in {}, so it stays as its last good commit has it:",
                lane.lane,
                revision.short()
            ));
            sentences.extend(faults.iter().map(|fault| format!("  {fault}")));
            sentences.push("To do: mend the file and commit it.".to_owned());
        }
        None => {}
    }
    sentences.push(standing(lane, now));
    sentences.extend(lane.problems.iter().map(problem));
    sentences.extend(next(lane, now));
    sentences.extend(to_do(lane));
    let unready =
        platform.filter(|platform| platform.state != RunState::Done && lane.lane != LaneId::Platform);
    if let Some(platform) = unready.filter(|_| lane.state != RunState::Done) {
        sentences.push(format!(
            "The platform itself is not ready either, which teams may wait for: {}",
            standing(platform, now)
        ));
    }
    if lane.state != RunState::Done
        && let Some(converged) = &lane.converged
    {
        sentences.push(format!(
            "It was ready last at {}, with commit {}.",
            moment(converged.at),
            converged.revision.short()
        ));
    }
    if let Some((since, why)) = &daemon.unreadable {
        sentences.push(format!(
            "Newer commits are not seen: the repository can't be read since {}: {why}",
            moment(*since)
        ));
    }
    if let Some((revision, _)) = &daemon.refused {
        sentences.push(format!(
            "The newest commit {} is refused for a fault in what all teams share, and changes nothing; `harborage \
             status` tells it.",
            revision.short()
        ));
    }
    sentences
}

/// Where it stands, since when, and for which commit.
fn standing(lane: &LaneRecord, now: DateTime<Utc>) -> String {
    let (name, commit) = (&lane.lane, lane.revision.short());
    let since = format!("since {} ({})", moment(lane.since), age(now - lane.since));
    match &lane.state {
        RunState::Done => format!("{name} is ready {since}, with commit {commit}."),
        RunState::Pending => format!("{name} has not been begun yet for commit {commit}, {since}."),
        RunState::Running { operation } => {
            format!("{name} is being worked on for commit {commit}: {operation}, {since}.")
        }
        RunState::Waiting { why, .. } => {
            format!(
                "{name} is not ready for commit {commit}, {since}, after {} attempts: {why}.",
                lane.attempts
            )
        }
        RunState::Parked { why } => {
            format!(
                "{name} is parked for commit {commit}, {since}, after {} attempts: {why}.",
                lane.attempts
            )
        }
        RunState::Superseded { by } => {
            format!(
                "{name} left commit {commit} unfinished {since}, since {} asks for something else.",
                by.short()
            )
        }
    }
}

fn problem(problem: &Problem) -> String {
    format!(
        "The step {} failed at {} ({}): {}.",
        problem.operation, problem.object, problem.class, problem.message
    )
}

/// What happens next by itself.
fn next(lane: &LaneRecord, now: DateTime<Utc>) -> Option<String> {
    match &lane.state {
        RunState::Waiting { until, .. } => Some(format!(
            "Next: it is tried again at {}, {}.",
            moment(*until),
            if *until > now { format!("in {}", age(*until - now)) } else { "now".to_owned() }
        )),
        RunState::Parked { .. } => Some(
            "Next: it is tried again when a commit changes what it asks for, at the next look for drift, and when \
             harborage starts."
                .to_owned(),
        ),
        _ => None,
    }
}

/// What a person can do about what went wrong, each once.
fn to_do(lane: &LaneRecord) -> Vec<String> {
    let stuck = matches!(lane.state, RunState::Waiting { .. } | RunState::Parked { .. });
    let mut advice: Vec<&str> = lane.problems.iter().filter(|_| stuck).map(advice).collect();
    if stuck && advice.is_empty() {
        advice.push("see to what it waits for; it goes on by itself then");
    }
    let mut seen = std::collections::BTreeSet::new();
    advice.retain(|text| seen.insert(*text));
    advice.into_iter().map(|text| format!("To do: {text}.")).collect()
}

fn advice(problem: &Problem) -> &'static str {
    let kubernetes = problem.message.starts_with("Kubernetes");
    match (problem.class, kubernetes) {
        (ErrorClass::Transient, _) => "nothing yet; if it goes on, see whether the server answers at all",
        (ErrorClass::Conflict, _) => "find out who else changes the same object at the same time",
        (ErrorClass::Auth, true) => {
            "apply deploy/rbac.yaml and see that the token is good (`harborage doctor`)"
        }
        (ErrorClass::Auth, false) => {
            "see that the administrator's password is right and may do this (`harborage doctor`)"
        }
        (ErrorClass::Rejected, _) => {
            "change the object or the values as the answer says; it is not accepted as it is, however often it is sent"
        }
    }
}

fn moment(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// An age in its two largest units.
#[must_use]
pub fn age(age: chrono::Duration) -> String {
    let seconds = age.num_seconds().max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::desired::Fingerprint;
    use crate::plan::step::Operation;
    use crate::run::record::Converged;
    use crate::values::Revision;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn lane(state: RunState, problems: Vec<Problem>) -> LaneRecord {
        LaneRecord {
            lane: LaneId::Team("blue".parse().unwrap()),
            revision: Revision::commit("abcdef0123456789"),
            fingerprint: Fingerprint::of(&1),
            state,
            since: at(0),
            attempts: 3,
            problems,
            converged: Some(Converged {
                revision: Revision::commit("0123456789abcdef"),
                fingerprint: Fingerprint::of(&0),
                at: at(-3600),
                desired: None,
            }),
            held: None,
        }
    }

    fn text(lane: &LaneRecord) -> String {
        explain(lane, None, &DaemonRecord::default(), at(90)).join("\n")
    }

    #[test]
    fn a_ready_team_takes_one_sentence() {
        let text = text(&lane(RunState::Done, Vec::new()));
        assert_eq!(
            text,
            "blue is ready since 2027-01-15 08:00:00 UTC (1m 30s), with commit abcdef0123."
        );
    }

    #[test]
    fn a_waiting_team_is_told_with_step_answer_next_try_and_remedy() {
        let problem = Problem {
            operation: Operation::EnsureCredentials,
            object: "Secret harbor-pullsecret".to_owned(),
            class: ErrorClass::Auth,
            message: "Kubernetes did not write Secret harbor-pullsecret: it answered 403".to_owned(),
        };
        let why = "it answered 403".to_owned();
        let text = text(&lane(
            RunState::Waiting { until: at(100), why },
            vec![problem.clone(), problem],
        ));
        for part in [
            "blue is not ready for commit abcdef0123, since 2027-01-15 08:00:00 UTC (1m 30s), after 3 attempts",
            "The step ensure-credentials failed at Secret harbor-pullsecret (auth): Kubernetes did not write",
            "Next: it is tried again at 2027-01-15 08:01:40 UTC, in 10s.",
            "To do: apply deploy/rbac.yaml",
            "It was ready last at 2027-01-15 07:00:00 UTC, with commit 0123456789.",
        ] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
        assert_eq!(text.matches("To do").count(), 1, "{text}");
    }

    #[test]
    fn what_it_waits_for_outside_is_told() {
        let why = "its namespace does not exist yet".to_owned();
        let text = text(&lane(RunState::Waiting { until: at(0), why }, Vec::new()));
        assert!(
            text.contains("its namespace does not exist yet") && text.contains(", now."),
            "{text}"
        );
        assert!(text.contains("To do: see to what it waits for"), "{text}");
    }

    #[test]
    fn a_team_that_is_held_or_gone_is_told_why() {
        let mut held = lane(RunState::Done, Vec::new());
        held.held = Some(Held::Faults {
            revision: Revision::commit("fedcba9876543210"),
            faults: vec!["env/teams/blue/settings.yaml:3:5: expected a number".to_owned()],
        });
        let told = text(&held);
        assert!(
            told.contains("settings.yaml:3:5") && told.contains("mend the file"),
            "{told}"
        );
        held.held = Some(Held::Removed {
            revision: Revision::commit("fedcba9876543210"),
        });
        assert!(text(&held).contains("left the repository in fedcba9876"));
    }

    #[test]
    fn an_age_names_two_units() {
        assert_eq!(age(chrono::Duration::seconds(59)), "59s");
        assert_eq!(age(chrono::Duration::seconds(61)), "1m 1s");
        assert_eq!(age(chrono::Duration::seconds(3 * 3600 + 120)), "3h 2m");
        assert_eq!(age(chrono::Duration::seconds(200_000)), "2d 7h");
    }
}
