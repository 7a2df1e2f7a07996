//! Whether the daemon lives, and whether it is ready.
//!
//! Neither asks whether Harbor or Kubernetes is up: a restart would not bring them back, and a daemon
//! that waits for them does what it should.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use chrono::{DateTime, Utc};

use crate::run::chance::Clock;
use crate::run::lock;

/// What is known of the daemon's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vitals {
    /// When its loop turned last.
    pub beat: DateTime<Utc>,
    /// Whether it has a good snapshot of the repository.
    pub snapshot: bool,
    /// How its journal is.
    pub journal: JournalHealth,
}

/// How the journal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalHealth {
    /// Nothing was written yet.
    Untried,
    /// The last write came through.
    Writable,
    /// A write failed; nothing is done any more.
    Broken,
}

/// What keeps the daemon from being alive or ready, as one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ailment {
    /// Its loop stands still.
    #[error("the loop has not turned for {}, and may take {}", humantime::format_duration(*.stood), humantime::format_duration(*.limit))]
    Stuck {
        /// How long it has not turned.
        stood: Duration,
        /// How long it may.
        limit: Duration,
    },
    /// There is no good snapshot.
    #[error("no good commit of the repository was read yet")]
    NoSnapshot,
    /// The journal was not written yet.
    #[error("the journal was not written yet")]
    JournalUntried,
    /// The journal can't be written.
    #[error("the journal can't be written")]
    JournalBroken,
}

impl Vitals {
    /// Whether the loop turns: its last beat is not older than the limit.
    ///
    /// # Errors
    /// When it does not.
    pub fn live(&self, now: DateTime<Utc>, limit: Duration) -> Result<(), Ailment> {
        // A clock that was set back says nothing of the loop.
        let stood = (now - self.beat).to_std().unwrap_or_default();
        if stood <= limit {
            return Ok(());
        }
        let stood = Duration::from_secs(stood.as_secs());
        Err(Ailment::Stuck { stood, limit })
    }

    /// Whether it can do its work.
    ///
    /// # Errors
    /// With the first thing that is missing.
    pub fn ready(&self) -> Result<(), Ailment> {
        match (self.journal, self.snapshot) {
            (JournalHealth::Broken, _) => Err(Ailment::JournalBroken),
            (_, false) => Err(Ailment::NoSnapshot),
            (JournalHealth::Untried, true) => Err(Ailment::JournalUntried),
            (JournalHealth::Writable, true) => Ok(()),
        }
    }
}

/// Takes the daemon's heartbeat, and tells who asks.
pub struct Heartbeat {
    clock: Arc<dyn Clock>,
    limit: Duration,
    vitals: Mutex<Vitals>,
}

impl Heartbeat {
    /// How often a loop that waits should beat. The limit has to be longer, and than all that the loop awaits.
    pub const EVERY: Duration = Duration::from_secs(5);

    /// Begins with a beat. The loop is taken for stuck when it has not turned for longer than the limit.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, limit: Duration) -> Self {
        let vitals = Vitals {
            beat: clock.now(),
            snapshot: false,
            journal: JournalHealth::Untried,
        };
        Self {
            clock,
            limit,
            vitals: Mutex::new(vitals),
        }
    }

    /// The loop turns.
    pub fn beat(&self) {
        lock(&self.vitals).beat = self.clock.now();
    }

    /// There is a good snapshot.
    pub fn snapshot(&self) {
        lock(&self.vitals).snapshot = true;
    }

    /// The journal was written, or could not be.
    pub fn journal(&self, health: JournalHealth) {
        lock(&self.vitals).journal = health;
    }

    /// What is known now.
    #[must_use]
    pub fn vitals(&self) -> Vitals {
        *lock(&self.vitals)
    }
}

/// `GET /livez` and `GET /readyz`: 200, or 503 with one sentence.
pub fn router(heartbeat: Arc<Heartbeat>) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .with_state(heartbeat)
}

async fn livez(State(heartbeat): State<Arc<Heartbeat>>) -> (StatusCode, String) {
    answer(heartbeat.vitals().live(heartbeat.clock.now(), heartbeat.limit))
}

async fn readyz(State(heartbeat): State<Arc<Heartbeat>>) -> (StatusCode, String) {
    answer(heartbeat.vitals().ready())
}

fn answer(verdict: Result<(), Ailment>) -> (StatusCode, String) {
    match verdict {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(ailment) => (StatusCode::SERVICE_UNAVAILABLE, format!("{ailment}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn well() -> Vitals {
        Vitals {
            beat: DateTime::UNIX_EPOCH,
            snapshot: true,
            journal: JournalHealth::Writable,
        }
    }

    #[test]
    fn a_loop_lives_as_long_as_its_last_beat_is_within_the_limit() {
        let at = |seconds| well().live(DateTime::UNIX_EPOCH + chrono::Duration::seconds(seconds), LIMIT);
        assert_eq!(at(0), Ok(()));
        assert_eq!(at(60), Ok(()));
        assert_eq!(at(-5), Ok(()), "a clock that was set back stops nobody");
        assert_eq!(
            at(61).unwrap_err().to_string(),
            "the loop has not turned for 1m 1s, and may take 1m"
        );
    }

    #[test]
    fn what_is_missing_for_readiness_is_named() {
        use JournalHealth::{Broken, Untried};
        assert_eq!(well().ready(), Ok(()));
        for (vitals, ailment) in [
            (
                Vitals {
                    snapshot: false,
                    ..well()
                },
                Ailment::NoSnapshot,
            ),
            (
                Vitals {
                    journal: Untried,
                    ..well()
                },
                Ailment::JournalUntried,
            ),
            (
                Vitals {
                    journal: Broken,
                    ..well()
                },
                Ailment::JournalBroken,
            ),
        ] {
            assert_eq!(vitals.ready(), Err(ailment));
        }
    }

    struct Stopped(Mutex<DateTime<Utc>>);

    impl Clock for Stopped {
        fn now(&self) -> DateTime<Utc> {
            *self.0.lock().unwrap()
        }
    }

    #[tokio::test]
    async fn the_answers_follow_the_heartbeat() {
        let clock = Arc::new(Stopped(Mutex::new(DateTime::UNIX_EPOCH)));
        let heartbeat = Arc::new(Heartbeat::new(clock.clone(), LIMIT));
        let told = async || {
            let live = livez(State(heartbeat.clone())).await.0;
            let ready = readyz(State(heartbeat.clone())).await.0;
            (live.as_u16(), ready.as_u16())
        };
        assert_eq!(told().await, (200, 503));
        heartbeat.snapshot();
        heartbeat.journal(JournalHealth::Writable);
        assert_eq!(told().await, (200, 200));
        *clock.0.lock().unwrap() += chrono::Duration::seconds(61);
        assert_eq!(told().await, (503, 200));
        heartbeat.beat();
        assert_eq!(told().await, (200, 200));
        heartbeat.journal(JournalHealth::Broken);
        assert_eq!(told().await, (200, 503));
    }
}
