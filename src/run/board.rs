//! The lane records as they stand, in memory and in the journal.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::journal::{DaemonRecord, Journal, JournalError};
use super::lock;
use super::record::{LaneId, LaneRecord};

/// Every lane's record. What is kept here is what `status` shows.
pub struct Board {
    journal: Arc<dyn Journal>,
    lanes: Mutex<BTreeMap<LaneId, LaneRecord>>,
    daemon: Mutex<DaemonRecord>,
}

impl Board {
    /// Takes over what the journal holds.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn load(journal: Arc<dyn Journal>) -> Result<Self, JournalError> {
        let (daemon, lanes) = journal.load().await?;
        let lanes = lanes
            .into_iter()
            .map(|record| (record.lane.clone(), record))
            .collect();
        Ok(Self {
            journal,
            lanes: Mutex::new(lanes),
            daemon: Mutex::new(daemon),
        })
    }

    /// Every record, platform first, then by team.
    #[must_use]
    pub fn records(&self) -> Vec<LaneRecord> {
        self.matching(|_| true)
    }

    /// The records that are wanted, in the same order.
    pub fn matching(&self, wanted: impl Fn(&LaneRecord) -> bool) -> Vec<LaneRecord> {
        lock(&self.lanes)
            .values()
            .filter(|record| wanted(record))
            .cloned()
            .collect()
    }

    /// Looks at each record without taking a copy: for counting.
    pub fn each(&self, look: impl FnMut(&LaneRecord)) {
        lock(&self.lanes).values().for_each(look);
    }

    /// How many bytes the journal takes on the disk; `None` where there is no disk.
    #[must_use]
    pub fn journal_size(&self) -> Option<u64> {
        self.journal.size()
    }

    /// One lane's record.
    #[must_use]
    pub fn get(&self, lane: &LaneId) -> Option<LaneRecord> {
        lock(&self.lanes).get(lane).cloned()
    }

    /// The daemon's own record.
    #[must_use]
    pub fn daemon(&self) -> DaemonRecord {
        lock(&self.daemon).clone()
    }

    /// Shows a record without keeping it: for states that announce no effect.
    pub fn note(&self, record: &LaneRecord) {
        lock(&self.lanes).insert(record.lane.clone(), record.clone());
    }

    /// Keeps a record. When this returns it survives the process.
    ///
    /// # Errors
    /// When the journal can't be written: nothing may be done that the record announces.
    pub async fn keep(&self, record: &LaneRecord) -> Result<(), JournalError> {
        self.journal.put_lane(record).await?;
        self.note(record);
        Ok(())
    }

    /// Changes the daemon's record and keeps it.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub async fn keep_daemon(
        &self,
        change: impl FnOnce(&mut DaemonRecord) + Send,
    ) -> Result<(), JournalError> {
        let mut record = self.daemon();
        change(&mut record);
        self.journal.put_daemon(&record).await?;
        *lock(&self.daemon) = record;
        Ok(())
    }
}
