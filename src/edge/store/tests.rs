use std::path::Path;

use super::*;
use crate::plan::desired::DesiredPlatform;
use crate::run::journal::{DaemonRecord, Journal as _};
use crate::run::record::{LaneId, LaneRecord, RunState};
use crate::values::Revision;

pub(super) fn record(team: &str, commit: &str) -> LaneRecord {
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
async fn a_damaged_journal_is_moved_aside_and_begun_anew_wherever_the_damage_is() {
    let state = tempfile::tempdir().unwrap();
    {
        let journal = open(state.path());
        for number in 0..60 {
            journal
                .put_lane(&record(&format!("t{number}"), "c1"))
                .await
                .unwrap();
        }
    }
    let sound = std::fs::read(state.path().join("journal/db")).unwrap();
    // The log's last pages may be padding, in which nothing can be damaged.
    let end = sound.iter().rposition(|byte| *byte != 0).unwrap();
    for eighth in 0..8 {
        let left = tempfile::tempdir().unwrap();
        copy(state.path(), left.path());
        let mut bytes = sound.clone();
        let start = end * eighth / 8;
        bytes
            .iter_mut()
            .skip(start)
            .take(256)
            .for_each(|byte| *byte ^= 0xff);
        std::fs::write(left.path().join("journal/db"), bytes).unwrap();

        let opened = SledJournal::open(left.path()).unwrap();
        let aside = opened
            .moved_aside
            .unwrap_or_else(|| panic!("damage at {start} was not noticed"));
        assert!(aside.ends_with("journal.corrupt-1") && aside.join("db").exists());
        assert_eq!(
            opened.journal.load().await.unwrap(),
            (DaemonRecord::default(), Vec::new())
        );
        opened.journal.put_lane(&record("new", "c2")).await.unwrap();
        drop(opened.journal);
        assert_eq!(
            open(left.path()).load().await.unwrap().1,
            vec![record("new", "c2")]
        );
    }
}

#[tokio::test]
async fn a_log_that_lost_its_end_is_damaged() {
    let state = tempfile::tempdir().unwrap();
    {
        let journal = open(state.path());
        journal.put_lane(&record("a", "c1")).await.unwrap();
        journal.put_lane(&record("a", "c2")).await.unwrap();
    }
    std::fs::write(state.path().join("journal/db"), b"").unwrap();
    assert!(SledJournal::open(state.path()).unwrap().moved_aside.is_some());
}

#[tokio::test]
async fn a_journal_that_somebody_took_away_is_begun_anew_without_alarm() {
    let state = tempfile::tempdir().unwrap();
    open(state.path()).put_lane(&record("a", "c1")).await.unwrap();
    std::fs::remove_dir_all(state.path().join("journal")).unwrap();
    assert_eq!(open(state.path()).load().await.unwrap().1, Vec::new());
}

#[tokio::test]
async fn writes_that_are_handed_over_together_keep_their_order() {
    let state = tempfile::tempdir().unwrap();
    {
        let journal = open(state.path());
        let records: Vec<_> = (0..100)
            .map(|number| record("a", &format!("c{number}")))
            .collect();
        let puts = records.iter().map(|record| journal.put_lane(record));
        futures::future::try_join_all(puts).await.unwrap();
    }
    assert_eq!(
        open(state.path()).load().await.unwrap().1,
        vec![record("a", "c99")]
    );
}

#[tokio::test]
async fn after_a_write_that_failed_nothing_is_written_until_it_is_opened_anew() {
    let state = tempfile::tempdir().unwrap();
    let journal = open(state.path());
    journal.put_lane(&record("a", "c1")).await.unwrap();
    let (log, hidden) = (
        state.path().join("journal/db"),
        state.path().join("journal/hidden"),
    );
    std::fs::rename(&log, &hidden).unwrap();
    journal.put_lane(&record("a", "c2")).await.unwrap_err();
    std::fs::rename(&hidden, &log).unwrap();
    let error = journal.put_lane(&record("a", "c3")).await.unwrap_err();
    assert!(
        std::error::Error::source(&error)
            .unwrap()
            .to_string()
            .contains("start again")
    );
    drop(journal);
    let kept = open(state.path()).load().await.unwrap().1;
    assert!(
        kept == [record("a", "c1")] || kept == [record("a", "c2")],
        "{kept:?}"
    );
}

#[tokio::test]
async fn a_record_that_is_not_what_was_written_is_damage() {
    let state = tempfile::tempdir().unwrap();
    open(state.path()).put_lane(&record("a", "c1")).await.unwrap();
    {
        let database = sled_journal::open_sled(&state.path().join("journal")).unwrap();
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
        let database = sled_journal::open_sled(&state.path().join("journal")).unwrap();
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

#[tokio::test]
async fn no_damage_makes_a_record_old_or_the_process_panic() {
    let state = tempfile::tempdir().unwrap();
    {
        let journal = open(state.path());
        for round in 0..20 {
            let why = "Harbor is away. ".repeat(100);
            let state = RunState::Parked { why };
            let records: Vec<_> = (0..200)
                .map(|n| LaneRecord {
                    state: state.clone(),
                    ..record(&format!("t{n}"), &format!("c{round}"))
                })
                .collect();
            futures::future::try_join_all(records.iter().map(|record| journal.put_lane(record)))
                .await
                .unwrap();
        }
    }
    let sound = std::fs::read(state.path().join("journal/db")).unwrap();
    let mut moved = 0;
    for part in 0..16 {
        let left = tempfile::tempdir().unwrap();
        copy(state.path(), left.path());
        let mut bytes = sound.clone();
        let length = if part % 2 == 0 { 1 } else { 4096 };
        bytes
            .iter_mut()
            .skip(sound.len() * part / 16)
            .take(length)
            .for_each(|byte| *byte ^= 0xff);
        std::fs::write(left.path().join("journal/db"), bytes).unwrap();

        let opened = SledJournal::open(left.path()).unwrap();
        let lanes = opened.journal.load().await.unwrap().1;
        if opened.moved_aside.is_some() {
            moved += 1;
            assert!(lanes.is_empty());
        } else {
            // The damage was in what sled had not yet cleaned up.
            assert_eq!(lanes.len(), 200);
            assert!(
                lanes.iter().all(|lane| lane.revision == Revision::commit("c19")),
                "damage in part {part}"
            );
        }
    }
    assert!(moved > 0);
}
