//! The status of a running daemon, told on a Unix socket beside its journal.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::socket::{self, SocketError};
use crate::run::board::Board;
use crate::run::journal::DaemonRecord;
use crate::run::record::LaneRecord;

/// The status as it is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusReport {
    /// The daemon as a whole.
    pub daemon: DaemonRecord,
    /// Every lane, without the desired states.
    pub lanes: Vec<LaneRecord>,
}

impl StatusReport {
    /// The status of records that were read from a journal or a board.
    #[must_use]
    pub fn new(daemon: DaemonRecord, mut lanes: Vec<LaneRecord>) -> Self {
        for converged in lanes.iter_mut().filter_map(|lane| lane.converged.as_mut()) {
            converged.desired = None;
        }
        Self { daemon, lanes }
    }
}

/// A status that can't be told or read.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The socket can't be used.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// What came back is no status.
    #[error("failed to understand the status from {}", path.display())]
    Unreadable {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

/// Where the socket of a state folder is.
#[must_use]
pub fn socket_path(state: &Path) -> PathBuf {
    state.join("status.sock")
}

/// Tells the status to whoever connects, until stopped.
///
/// # Errors
/// When the socket can't be made.
pub fn tell(
    state: &Path,
    report: impl Fn() -> StatusReport + Send + Sync + 'static,
    stop: CancellationToken,
) -> Result<(), StatusError> {
    // A report is made of strings, numbers and times, none of which JSON can't hold.
    let answer = move || serde_json::to_vec(&report()).unwrap_or_default();
    Ok(socket::listen(socket_path(state), Arc::new(answer), stop)?)
}

/// Asks the daemon of a state folder. `None` when none is running.
///
/// # Errors
/// When something answers that is no status.
pub async fn ask(state: &Path) -> Result<Option<StatusReport>, StatusError> {
    let path = socket_path(state);
    let Some(text) = socket::ask(&path).await? else {
        return Ok(None);
    };
    let report = serde_json::from_slice(&text);
    report
        .map(Some)
        .map_err(|source| StatusError::Unreadable { path, source })
}

/// The report of a board.
#[must_use]
pub fn report(board: &Board) -> StatusReport {
    StatusReport::new(board.daemon(), board.records())
}
