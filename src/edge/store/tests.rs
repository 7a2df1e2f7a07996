use std::path::Path;

use super::*;
use crate::plan::desired::DesiredPlatform;
use crate::run::journal::{DaemonRecord, Journal as _};
use crate::run::record::{LaneId, LaneRecord, RunState};
use crate::values::Revision;

fn record(team: &str, commit: &str) -> LaneRecord {
    let nothing = DesiredPlatform {
        configuration: [].into(),
        robot_prefix: None,
        shared_groups: Vec::new(),
    };
    LaneRecord {
        lane: LaneId::Team(team.parse().unwrap()),
        revision: Revision::commit(commit),
        fingerprint: nothing.fingerprint(),
        state: RunState::Done,
        since: chrono::DateTime::UNIX_EPOCH,
        attempts: 1,
        problems: Vec::new(),
        converged: None,
        held: None,
    }
}

fn open(state: &Path) -> SledJournal {
    let opened = SledJournal::open(state).unwrap();
    assert_eq!(opened.moved_aside, None);
    opened.journal
}

#[tokio::test]
async fn what_was_put_is_read_back_after_reopening() {
    let state = tempfile::tempdir().unwrap();
    let daemon = DaemonRecord {
        revision: Some(Revision::commit("c1")),
        ..DaemonRecord::default()
    };
    {
        let journal = open(state.path());
        journal.put_lane(&record("a", "c1")).await.unwrap();
        journal.put_lane(&record("b", "c1")).await.unwrap();
        journal.put_lane(&record("a", "c2")).await.unwrap();
        journal
            .remove_lane(&LaneId::Team("b".parse().unwrap()))
            .await
            .unwrap();
        journal.put_daemon(&daemon).await.unwrap();
    }
    let journal = open(state.path());
    assert_eq!(journal.load().await.unwrap(), (daemon, vec![record("a", "c2")]));
}

#[tokio::test]
async fn a_team_called_platform_is_not_the_platform() {
    let state = tempfile::tempdir().unwrap();
    let journal = open(state.path());
    let platform = LaneRecord {
        lane: LaneId::Platform,
        ..record("x", "c1")
    };
    journal.put_lane(&platform).await.unwrap();
    journal.put_lane(&record("platform", "c1")).await.unwrap();
    assert_eq!(journal.load().await.unwrap().1.len(), 2);
}

#[tokio::test]
async fn many_writers_at_once_all_become_durable() {
    let state = tempfile::tempdir().unwrap();
    {
        let journal = std::sync::Arc::new(open(state.path()));
        let writers: Vec<_> = (0..64)
            .map(|number| {
                let journal = journal.clone();
                tokio::spawn(async move {
                    journal
                        .put_lane(&record(&format!("t{number}"), "c1"))
                        .await
                        .unwrap();
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
    }
    assert_eq!(open(state.path()).load().await.unwrap().1.len(), 64);
}

#[tokio::test]
async fn an_acknowledged_record_survives_a_process_that_dies_at_once() {
    let state = tempfile::tempdir().unwrap();
    let journal = open(state.path());
    journal.put_lane(&record("a", "c1")).await.unwrap();
    // What is on the disk at this moment is what a killed process leaves.
    let left = tempfile::tempdir().unwrap();
    copy(state.path(), left.path());
    assert_eq!(open(left.path()).load().await.unwrap().1, vec![record("a", "c1")]);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn a_left_over_snapshot_does_not_keep_the_journal_shut() {
    let state = tempfile::tempdir().unwrap();
    open(state.path()).put_lane(&record("a", "c1")).await.unwrap();
    let left_over = state.path().join("journal/snap.00000000DEADBEEF.generating");
    std::fs::write(&left_over, b"half").unwrap();
    let journal = open(state.path());
    assert_eq!(journal.load().await.unwrap().1.len(), 1);
    assert!(!left_over.exists());
}

#[test]
fn a_second_process_is_told_who_has_the_journal() {
    let state = tempfile::tempdir().unwrap();
    let _first = open(state.path());
    let error = SledJournal::open(state.path()).unwrap_err();
    assert!(matches!(error, OpenError::Taken { .. }), "{error}");
    assert!(error.to_string().contains("--state"));
}

#[tokio::test]
async fn a_damaged_journal_is_moved_aside_and_begun_anew() {
    let state = tempfile::tempdir().unwrap();
    {
        let journal = open(state.path());
        for number in 0..200 {
            journal
                .put_lane(&record(&format!("t{number}"), "c1"))
                .await
                .unwrap();
        }
    }
    let log = state.path().join("journal/db");
    let mut bytes = std::fs::read(&log).unwrap();
    let start = bytes.len() / 8;
    bytes[start..start + 4096]
        .iter_mut()
        .for_each(|byte| *byte ^= 0xff);
    std::fs::write(&log, bytes).unwrap();

    let opened = SledJournal::open(state.path()).unwrap();
    let loaded = opened.journal.load().await.unwrap();
    if let Some(aside) = opened.moved_aside {
        assert!(aside.ends_with("journal.corrupt-1") && aside.join("db").exists());
        assert_eq!(loaded, (DaemonRecord::default(), Vec::new()));
    } else {
        // sled may cut its log at the damage: what is left is sound, since each record is checked.
        assert!(loaded.1.len() < 200);
    }
    opened.journal.put_lane(&record("new", "c2")).await.unwrap();
}

#[tokio::test]
async fn a_record_that_is_not_what_was_written_is_damage() {
    let state = tempfile::tempdir().unwrap();
    open(state.path()).put_lane(&record("a", "c1")).await.unwrap();
    {
        let database = sled::open(state.path().join("journal")).unwrap();
        let mut bytes = database.get("lane/team/a").unwrap().unwrap().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        database.insert("lane/team/a", bytes).unwrap();
        database.flush().unwrap();
    }
    let opened = SledJournal::open(state.path()).unwrap();
    assert!(opened.moved_aside.is_some());
}

#[tokio::test]
async fn a_journal_of_a_newer_version_is_left_alone() {
    let state = tempfile::tempdir().unwrap();
    open(state.path()).put_lane(&record("a", "c1")).await.unwrap();
    {
        let database = sled::open(state.path().join("journal")).unwrap();
        let mut bytes = database.get("lane/team/a").unwrap().unwrap().to_vec();
        bytes[0] = 9;
        database.insert("lane/team/a", bytes).unwrap();
        database.flush().unwrap();
    }
    let error = SledJournal::open(state.path()).unwrap_err();
    assert!(matches!(error, OpenError::Newer { .. }), "{error}");
    assert!(state.path().join("journal/db").exists());
}

#[test]
fn a_state_folder_that_is_a_file_is_a_clear_error() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("state");
    std::fs::write(&file, b"").unwrap();
    let error = SledJournal::open(&file).unwrap_err();
    assert!(
        error.to_string().starts_with("failed to make the folder"),
        "{error}"
    );
}
