//! The status of a running daemon, told on a Unix socket beside its journal.
//!
//! The journal can be open in one process only, so `harborage status` asks the daemon. Whoever
//! connects gets one JSON document and the connection is closed; nothing is read. The socket has
//! mode 0600: it is for the user that runs the daemon.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::run::board::Board;
use crate::run::journal::DaemonRecord;
use crate::run::record::LaneRecord;

/// How long one reader may take to receive the document.
const READER_LIMIT: Duration = Duration::from_secs(10);

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

/// The socket can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// It can't be listened on.
    #[error("failed to listen on the status socket {}", path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// What came back can't be read.
    #[error("failed to read the status from {}", path.display())]
    Read {
        /// The socket.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
}

/// Where the socket of a state folder is.
#[must_use]
pub fn socket_path(state: &Path) -> PathBuf {
    state.join("status.sock")
}

/// Tells the status to whoever connects, until stopped. Removes the socket then.
///
/// # Errors
/// When the socket can't be made. The caller holds the journal's lock, so a socket
/// that is left over belongs to nobody and is replaced.
pub fn tell(
    state: &Path,
    board: Arc<dyn Fn() -> StatusReport + Send + Sync>,
    stop: CancellationToken,
) -> Result<(), StatusError> {
    let path = socket_path(state);
    let listen = |source| StatusError::Listen {
        path: path.clone(),
        source,
    };
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(listen(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(listen)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(listen)?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Ok((stream, _)) = listener.accept() => {
                    let report = board();
                    tokio::spawn(async move {
                        let _ = tokio::time::timeout(READER_LIMIT, send(stream, report)).await;
                    });
                }
            }
        }
        let _ = std::fs::remove_file(&path);
    });
    Ok(())
}

async fn send(mut stream: UnixStream, report: StatusReport) -> std::io::Result<()> {
    let text = serde_json::to_vec(&report)?;
    stream.write_all(&text).await?;
    stream.shutdown().await
}

/// Asks the daemon of a state folder. `None` when none is running.
///
/// # Errors
/// When something answers that is no status.
pub async fn ask(state: &Path) -> Result<Option<StatusReport>, StatusError> {
    let path = socket_path(state);
    let Ok(mut stream) = UnixStream::connect(&path).await else {
        return Ok(None);
    };
    let mut text = Vec::new();
    let read = |source| StatusError::Read {
        path: path.clone(),
        source,
    };
    stream.read_to_end(&mut text).await.map_err(read)?;
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| read(error.into()))
}

/// The report of a board.
#[must_use]
pub fn report(board: &Board) -> StatusReport {
    StatusReport::new(board.daemon(), board.records())
}
