//! A Unix socket beside the journal that gives each caller one answer.
//!
//! The journal can be open in one process only, so other commands ask the daemon. Whoever connects
//! gets one document and the connection is closed; nothing is read. A socket has mode 0600: it is for the
//! user that runs the daemon.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

/// How long one caller may take to receive the answer.
const CALLER_LIMIT: Duration = Duration::from_secs(10);

/// A socket that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("failed to {act} the socket {}", path.display())]
pub struct SocketError {
    /// What was tried.
    pub act: &'static str,
    /// The socket.
    pub path: PathBuf,
    /// What the operating system said.
    #[source]
    pub source: std::io::Error,
}

/// Answers whoever connects, until stopped. Removes the socket then.
///
/// # Errors
/// When the socket can't be made. The caller holds the journal's lock, so a socket that is left over belongs to
/// nobody and is replaced.
pub(super) fn listen(
    path: PathBuf,
    answer: Arc<dyn Fn() -> Vec<u8> + Send + Sync>,
    stop: CancellationToken,
) -> Result<(), SocketError> {
    let failed = |source| SocketError {
        act: "listen on",
        path: path.clone(),
        source,
    };
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Ok((stream, _)) = listener.accept() => {
                    let answer = answer();
                    tokio::spawn(async move {
                        let _ = tokio::time::timeout(CALLER_LIMIT, send(stream, answer)).await;
                    });
                }
            }
        }
        let _ = std::fs::remove_file(&path);
    });
    Ok(())
}

async fn send(mut stream: UnixStream, answer: Vec<u8>) -> std::io::Result<()> {
    stream.write_all(&answer).await?;
    stream.shutdown().await
}

/// Asks a daemon. `None` when none listens.
///
/// # Errors
/// When the answer breaks off.
pub(super) async fn ask(path: &Path) -> Result<Option<Vec<u8>>, SocketError> {
    let Ok(mut stream) = UnixStream::connect(path).await else {
        return Ok(None);
    };
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer).await;
    read.map_err(|source| SocketError {
        act: "read from",
        path: path.to_owned(),
        source,
    })?;
    Ok(Some(answer))
}
