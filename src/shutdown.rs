//! When to stop: SIGTERM and Ctrl-C ask once for a graceful stop, a second one ends at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Watches for SIGTERM and SIGINT. The token is cancelled at the first; at the second the
/// process ends with 130, as shells expect of an interrupted program.
///
/// # Errors
/// When the operating system refuses the handlers.
pub fn watch_signals() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = stop.clone();
    tokio::spawn(async move {
        for asked in 1_u8.. {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if asked > 1 {
                tracing::warn!(signal = name, "asked to stop again: ending at once");
                #[expect(
                    clippy::exit,
                    reason = "a person asked twice; every state on disk is safe at any instant"
                )]
                std::process::exit(130);
            }
            tracing::info!(signal = name, "asked to stop: finishing the steps in hand");
            token.cancel();
        }
    });
    Ok(stop)
}
