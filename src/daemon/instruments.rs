//! What tells of a running daemon: its numbers and its heartbeat.

use std::sync::Arc;
use std::time::Duration;

use super::world::SystemClock;
use crate::run::chance::Clock;
use crate::serve::health::Heartbeat;
use crate::serve::metrics::Metrics;

/// How long the loop may take for all but reading the repository: a snapshot of ten thousand teams and the
/// journal of a slow disk are well within it.
const BESIDE_READING: Duration = Duration::from_secs(120);

/// A daemon's metrics and heartbeat. Cheap to share.
#[derive(Clone)]
pub struct Instruments {
    /// The numbers.
    pub metrics: Arc<Metrics>,
    /// The heartbeat.
    pub heartbeat: Arc<Heartbeat>,
}

impl Instruments {
    /// Starts them. Reading the repository may take so long.
    #[must_use]
    pub fn start(reading: Duration) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Self {
            metrics: Arc::new(Metrics::new(clock.clone())),
            heartbeat: Arc::new(Heartbeat::new(clock, reading + BESIDE_READING)),
        }
    }
}
