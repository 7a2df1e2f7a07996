//! The daemon in numbers, for Prometheus.
//!
//! [`Metrics`] keeps what happens; what stands is read from the lane records when somebody asks, so that it
//! can't be out of step with them. No label holds a team, a commit, a user or a path: all are words of the
//! program itself.

mod families;
mod text;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::{DateTime, Utc};
use prometheus_client::registry::Registry;

use crate::run::board::Board;
use crate::run::chance::Clock;
use crate::run::lock;
use crate::run::meter::{AttemptEnd, CallEnd, Job, Meter, Server};
use crate::run::record::{Held, LaneId, LaneRecord, RunState};
use crate::serve::webhook::Counts;
use families::{AttemptLabels, CallLabels, DeliveryLabels, Families, HeldLabels, LaneLabels};

/// Keeps the daemon's numbers. Shared behind an `Arc` by whoever has one to tell.
pub struct Metrics {
    registry: Registry,
    families: Families,
    clock: Arc<dyn Clock>,
    /// When the repository was last found good; at first the start.
    last_good: Mutex<DateTime<Utc>>,
    hooks: OnceLock<Arc<Counts>>,
}

/// Every state of a lane, as its label says it.
const STATES: [&str; 6] = ["pending", "running", "waiting", "done", "parked", "superseded"];
/// Every reason to hold a team, as its label says it.
const HELD: [&str; 2] = ["faults", "removed"];

impl Metrics {
    /// Begins to count. The clock's present time is taken for the start of the process.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let mut registry = Registry::default();
        let started = clock.now();
        let families = Families::register(&mut registry, started);
        Self {
            registry,
            families,
            clock,
            last_good: Mutex::new(started),
            hooks: OnceLock::new(),
        }
    }

    /// The newest commit was read and is good, but for this many faults that hold single teams.
    pub fn good_snapshot(&self, faults: usize) {
        self.families.snapshot_faults.set(count(faults));
        self.still_good();
    }

    /// The repository was read, and the newest commit is the good one that was taken before.
    pub fn still_good(&self) {
        *lock(&self.last_good) = self.clock.now();
    }

    /// The newest commit was read and refused for this many faults.
    pub fn refused_snapshot(&self, faults: usize) {
        self.families.snapshot_faults.set(count(faults));
    }

    /// A poll found a commit that a webhook should have told of, so long after it was made.
    pub fn missed_hook(&self, unseen: Option<Duration>) {
        self.families.missed_hooks.inc();
        if let Some(unseen) = unseen {
            self.families.unseen.observe(unseen.as_secs_f64());
        }
    }

    /// Tells of the webhooks that are counted there, too. Their labels are words of the program, never of a
    /// request.
    pub fn tell_of_hooks(&self, hooks: Arc<Counts>) {
        // There is one receiver in a process.
        let _ = self.hooks.set(hooks);
    }

    /// Everything, as `OpenMetrics` or in Prometheus' older text.
    #[must_use]
    pub fn text(&self, board: &Board, openmetrics: bool) -> String {
        self.look_at(board);
        let mut text = String::new();
        // Only a writer that fails can make this fail, and a String does not.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        if openmetrics { text } else { text::older(&text) }
    }

    /// Takes over what stands.
    fn look_at(&self, board: &Board) {
        let mut lanes = std::collections::BTreeMap::<(&str, &str), usize>::new();
        let mut held = std::collections::BTreeMap::<&str, usize>::new();
        board.each(|record| {
            *lanes
                .entry((Job::from(&record.lane).name(), state(record)))
                .or_default() += 1;
            if let (LaneId::Team(_), Some(why)) = (&record.lane, &record.held) {
                *held.entry(reason(why)).or_default() += 1;
            }
        });
        for job_name in Job::ALL.iter().map(|job| job.name()) {
            for state in STATES {
                let standing = lanes.get(&(job_name, state)).copied().unwrap_or_default();
                let labels = LaneLabels { job_name, state };
                self.families.lanes.get_or_create(&labels).set(count(standing));
            }
        }
        for because in HELD {
            let standing = held.get(because).copied().unwrap_or_default();
            let labels = HeldLabels { because };
            self.families.held.get_or_create(&labels).set(count(standing));
        }
        for (host, outcome, number) in self.hooks.get().iter().flat_map(|hooks| hooks.each()) {
            let outcome = outcome.name();
            let labels = DeliveryLabels { host, outcome };
            let counter = self.families.deliveries.get_or_create(&labels);
            counter.inner().store(number, Ordering::Relaxed);
        }
        let bytes = board.journal_size().unwrap_or_default();
        self.families
            .journal
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
        let age = self.clock.now() - *lock(&self.last_good);
        let age = age.to_std().unwrap_or_default();
        self.families.age.set(age.as_secs_f64());
    }
}

impl Meter for Metrics {
    fn call(&self, server: Server, end: CallEnd, took: Duration) {
        let labels = CallLabels::new(server, end);
        self.families.calls.get_or_create(&labels).inc();
        self.families
            .call_seconds
            .get_or_create(&labels.target())
            .observe(took.as_secs_f64());
    }

    fn attempt(&self, job: Job, end: AttemptEnd) {
        let labels = AttemptLabels::new(job, end);
        self.families.attempts.get_or_create(&labels).inc();
    }

    fn ready(&self, since_read: Duration, since_commit: Option<Duration>) {
        self.families.ready.observe(since_read.as_secs_f64());
        if let Some(since_commit) = since_commit {
            self.families.commit_ready.observe(since_commit.as_secs_f64());
        }
    }
}

fn state(record: &LaneRecord) -> &'static str {
    match record.state {
        RunState::Pending => "pending",
        RunState::Running { .. } => "running",
        RunState::Waiting { .. } => "waiting",
        RunState::Done => "done",
        RunState::Parked { .. } => "parked",
        RunState::Superseded { .. } => "superseded",
    }
}

fn reason(held: &Held) -> &'static str {
    match held {
        Held::Faults { .. } => "faults",
        Held::Removed { .. } => "removed",
    }
}

/// The number of something, as gauges take it.
fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// `GET /metrics`.
pub fn router(metrics: Arc<Metrics>, board: Arc<Board>) -> Router {
    Router::new()
        .route("/metrics", get(scrape))
        .with_state((metrics, board))
}

async fn scrape(State((metrics, board)): State<(Arc<Metrics>, Arc<Board>)>, headers: HeaderMap) -> Response {
    let openmetrics = headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("application/openmetrics-text"));
    let kind = if openmetrics {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    ([(CONTENT_TYPE, kind)], metrics.text(&board, openmetrics)).into_response()
}
