//! A journal that goes with the process: for rehearsals and tests.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use crate::run::journal::{DaemonRecord, Journal, JournalError};
use crate::run::lock;
use crate::run::record::{LaneId, LaneRecord};

/// Keeps records in memory.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    lanes: Mutex<BTreeMap<LaneId, LaneRecord>>,
    daemon: Mutex<DaemonRecord>,
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn load(&self) -> Result<(DaemonRecord, Vec<LaneRecord>), JournalError> {
        Ok((
            lock(&self.daemon).clone(),
            lock(&self.lanes).values().cloned().collect(),
        ))
    }

    async fn put_lane(&self, record: &LaneRecord) -> Result<(), JournalError> {
        lock(&self.lanes).insert(record.lane.clone(), record.clone());
        Ok(())
    }

    async fn remove_lane(&self, lane: &LaneId) -> Result<(), JournalError> {
        lock(&self.lanes).remove(lane);
        Ok(())
    }

    async fn put_daemon(&self, record: &DaemonRecord) -> Result<(), JournalError> {
        *lock(&self.daemon) = record.clone();
        Ok(())
    }
}
