//! Poking a running daemon: it reads the repository at once.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::socket::{self, SocketError};

const SOCKET: &str = "poke.sock";

/// Pokes for whoever connects, until stopped.
///
/// # Errors
/// When the socket can't be made.
pub fn listen(state: &Path, poke: Arc<Notify>, stop: CancellationToken) -> Result<(), SocketError> {
    let answer = move || {
        poke.notify_one();
        b"poked".to_vec()
    };
    socket::listen(state.join(SOCKET), Arc::new(answer), stop)
}

/// Pokes the daemon of a state folder. `false` when none is running.
///
/// # Errors
/// When the daemon does not confirm it.
pub async fn poke(state: &Path) -> Result<bool, SocketError> {
    Ok(socket::ask(&state.join(SOCKET)).await?.is_some())
}
