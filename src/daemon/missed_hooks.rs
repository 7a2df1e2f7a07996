//! Commits that the poll finds before a webhook tells of them.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::run::board::Board;
use crate::run::journal::{JournalError, MissedHook};
use crate::serve::metrics::Metrics;
use crate::serve::webhook::LastPush;
use crate::values::Revision;

/// Whether a webhook told of a commit: the last one named it, or came since the repository was looked at before and
/// may have.
pub(super) fn told(last: Option<LastPush>, revision: &Revision, looked: DateTime<Utc>) -> bool {
    last.is_some_and(|push| push.commit.as_deref() == Some(revision.as_str()) || push.at >= looked)
}

/// Counts a commit that no webhook told of, and tells for how long it lay unseen by its own time.
///
/// # Errors
/// When the journal can't be written.
pub(super) async fn note(
    board: &Board,
    metrics: &Metrics,
    revision: &Revision,
    committed: Option<DateTime<Utc>>,
) -> Result<(), JournalError> {
    let now = Utc::now();
    let unseen = committed.and_then(|at| (now - at).to_std().ok());
    metrics.missed_hook(unseen);
    let lay = unseen.map_or_else(String::new, |unseen| {
        let unseen = humantime::format_duration(Duration::from_secs(unseen.as_secs()));
        format!(" It lay unseen for {unseen}.")
    });
    let commit = revision.short();
    tracing::warn!(commit = %commit, "{commit} was found by the poll: no webhook told of it.{lay}");
    let missed = MissedHook {
        revision: revision.clone(),
        at: now,
        unseen_seconds: unseen.map(|unseen| unseen.as_secs()),
    };
    let keep = |daemon: &mut crate::run::journal::DaemonRecord| {
        daemon.missed_hooks += 1;
        daemon.last_missed_hook = Some(missed);
    };
    board.keep_daemon(keep).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_told_by_its_name_or_by_a_push_since_the_last_look() {
        let looked = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let revision = Revision::commit("abc");
        let push = |seconds: i64, commit: Option<&str>| {
            Some(LastPush {
                at: looked + chrono::Duration::seconds(seconds),
                commit: commit.map(str::to_owned),
            })
        };
        assert!(told(push(-60, Some("abc")), &revision, looked));
        assert!(
            told(push(1, Some("def")), &revision, looked),
            "a newer push may have come meanwhile"
        );
        assert!(told(push(1, None), &revision, looked));
        assert!(!told(push(-60, Some("def")), &revision, looked));
        assert!(!told(push(-60, None), &revision, looked));
        assert!(!told(None, &revision, looked));
    }
}
