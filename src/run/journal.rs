//! The journal: what must survive the process.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::record::{LaneId, LaneRecord};
use crate::values::Revision;

/// The journal can't be read or written. Nothing may go on without it.
#[derive(Debug, thiserror::Error)]
#[error("failed to {act}")]
pub struct JournalError {
    /// The act and its object: `write the record of demo`.
    pub act: String,
    /// What the store said.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// What is remembered of the daemon as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DaemonRecord {
    /// The newest commit whose snapshot was good.
    pub revision: Option<Revision>,
    /// The newest commit, when its snapshot was refused, with one line a fault.
    pub refused: Option<(Revision, Vec<String>)>,
    /// Since when the repository can't be read, and why.
    #[serde(default)]
    pub unreadable: Option<(DateTime<Utc>, String)>,
    /// Commits that the poll found before a webhook told of them, where webhooks are received.
    #[serde(default)]
    pub missed_hooks: u64,
    /// The last of them.
    #[serde(default)]
    pub last_missed_hook: Option<MissedHook>,
    /// When each scheduled job last began, by job name.
    pub last_fired: std::collections::BTreeMap<String, DateTime<Utc>>,
}

/// A commit that no webhook told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissedHook {
    /// The commit.
    pub revision: Revision,
    /// When the poll found it.
    pub at: DateTime<Utc>,
    /// How long it lay unseen, in seconds, by the commit's own time.
    pub unseen_seconds: Option<u64>,
}

/// Keeps lane records and the daemon's own.
///
/// What is recoverable after each call: when `put_lane` or `put_daemon` returns `Ok`, the record, and
/// every record put before it, is read back by `load` after the process or the
/// machine dies. When it returns an error, or dies in between, the former record or the new one is
/// read back, never a mixture. A lost journal loses no credential and repeats no write that is
/// already right, since everything in it is found again in the repository and on the servers.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Reads everything that is kept.
    async fn load(&self) -> Result<(DaemonRecord, Vec<LaneRecord>), JournalError>;

    /// Keeps a lane's record in place of its former one.
    async fn put_lane(&self, record: &LaneRecord) -> Result<(), JournalError>;

    /// Forgets a lane.
    async fn remove_lane(&self, lane: &LaneId) -> Result<(), JournalError>;

    /// Keeps the daemon's record in place of its former one.
    async fn put_daemon(&self, record: &DaemonRecord) -> Result<(), JournalError>;

    /// How many bytes it takes on the disk; `None` where there is no disk, or it can't be asked.
    fn size(&self) -> Option<u64> {
        None
    }
}
