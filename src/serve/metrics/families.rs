//! The metrics by name, with their labels.

use std::sync::atomic::AtomicU64;

use chrono::{DateTime, Utc};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::run::meter::{AttemptEnd, CallEnd, Job, Server};

/// A call of the rehearsal takes a millisecond, and one is given up after half a minute by default.
const CALL_BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 30.0,
];
/// From a team that costs a few calls to one that waits a day for its namespace.
const READY_BUCKETS: [f64; 13] = [
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0,
];
/// A commit that nobody told of is found by the next poll; it may have been made long before it was pushed.
const UNSEEN_BUCKETS: [f64; 9] = [5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 86_400.0];

/// Whom a call went to, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CallLabels {
    target: &'static str,
    class: &'static str,
}

/// Whom a call went to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TargetLabels {
    target: &'static str,
}

/// Whose attempt it was, and how it ended. Prometheus itself has a label `job`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct AttemptLabels {
    job_name: &'static str,
    outcome: &'static str,
}

/// Whose lane, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct LaneLabels {
    pub(super) job_name: &'static str,
    pub(super) state: &'static str,
}

/// Why a team is held.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct HeldLabels {
    pub(super) because: &'static str,
}

/// What kind of host a webhook came from, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DeliveryLabels {
    pub(super) host: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

impl CallLabels {
    pub(super) fn new(server: Server, end: CallEnd) -> Self {
        Self {
            target: server.name(),
            class: end.name(),
        }
    }

    pub(super) fn target(&self) -> TargetLabels {
        TargetLabels { target: self.target }
    }
}

impl AttemptLabels {
    pub(super) fn new(job: Job, end: AttemptEnd) -> Self {
        Self {
            job_name: job.name(),
            outcome: end.name(),
        }
    }
}

type Seconds = Gauge<f64, AtomicU64>;

/// All of them.
pub(super) struct Families {
    pub(super) ready: Histogram,
    pub(super) commit_ready: Histogram,
    pub(super) attempts: Family<AttemptLabels, Counter>,
    pub(super) calls: Family<CallLabels, Counter>,
    pub(super) call_seconds: Family<TargetLabels, Histogram, fn() -> Histogram>,
    pub(super) lanes: Family<LaneLabels, Gauge>,
    pub(super) held: Family<HeldLabels, Gauge>,
    pub(super) snapshot_faults: Gauge,
    pub(super) age: Seconds,
    pub(super) journal: Gauge,
    pub(super) missed_hooks: Counter,
    pub(super) unseen: Histogram,
    pub(super) deliveries: Family<DeliveryLabels, Counter>,
}

impl Families {
    /// Makes them known under their names. Series whose labels are known are there from the start, so
    /// that their first event is a step and not a beginning.
    pub(super) fn register(registry: &mut Registry, started: DateTime<Utc>) -> Self {
        let families = Self::new();
        for end in CallEnd::ALL {
            for server in Server::ALL {
                drop(families.calls.get_or_create(&CallLabels::new(*server, *end)));
            }
        }
        for end in AttemptEnd::ALL {
            for job in Job::ALL {
                drop(families.attempts.get_or_create(&AttemptLabels::new(*job, *end)));
            }
        }
        let process = Seconds::default();
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit a double")]
        process.set(started.timestamp_millis() as f64 / 1000.0);
        registry.register(
            "process_start_time_seconds",
            "When the process was started, in seconds since 1970",
            process,
        );
        families.register_own(registry.sub_registry_with_prefix("harborage"));
        families
    }

    fn new() -> Self {
        let call_seconds: fn() -> Histogram = || Histogram::new(CALL_BUCKETS);
        Self {
            ready: Histogram::new(READY_BUCKETS),
            commit_ready: Histogram::new(READY_BUCKETS),
            attempts: Family::default(),
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(call_seconds),
            lanes: Family::default(),
            held: Family::default(),
            snapshot_faults: Gauge::default(),
            age: Seconds::default(),
            journal: Gauge::default(),
            missed_hooks: Counter::default(),
            unseen: Histogram::new(UNSEEN_BUCKETS),
            deliveries: Family::default(),
        }
    }

    fn register_own(&self, own: &mut Registry) {
        let build = Family::<BuildLabels, Gauge>::default();
        let version = env!("CARGO_PKG_VERSION");
        build.get_or_create(&BuildLabels { version }).set(1);
        own.register("build_info", "The version that runs", build);
        own.register_with_unit(
            "ready",
            "How long after a commit was read a team first had what it asks for",
            Unit::Seconds,
            self.ready.clone(),
        );
        own.register_with_unit(
            "commit_ready",
            "How long after a commit was made, by its own word, a team first had what it asks for",
            Unit::Seconds,
            self.commit_ready.clone(),
        );
        own.register(
            "attempts",
            "Attempts of lanes to reach what is desired, by job and how they ended",
            self.attempts.clone(),
        );
        own.register("calls", "Calls to servers, by how they ended", self.calls.clone());
        own.register_with_unit(
            "call",
            "How long calls to servers took",
            Unit::Seconds,
            self.call_seconds.clone(),
        );
        own.register(
            "lanes",
            "Lanes by job and state: pending and running are at work, parked wait for a person or a commit",
            self.lanes.clone(),
        );
        own.register(
            "held_teams",
            "Teams that are kept at their last good state, by reason",
            self.held.clone(),
        );
        own.register(
            "snapshot_faults",
            "Faults in the newest commit that was read",
            self.snapshot_faults.clone(),
        );
        own.register_with_unit(
            "snapshot_age",
            "How long ago the repository was last found good; since the start, where it never was",
            Unit::Seconds,
            self.age.clone(),
        );
        own.register_with_unit(
            "journal",
            "How much the journal takes on the disk",
            Unit::Bytes,
            self.journal.clone(),
        );
        own.register(
            "missed_hooks",
            "Commits that a poll found and a webhook should have told of",
            self.missed_hooks.clone(),
        );
        own.register_with_unit(
            "missed_hook_unseen",
            "How long after it was made, by its own word, a commit was found that no webhook told of",
            Unit::Seconds,
            self.unseen.clone(),
        );
        own.register(
            "hook_deliveries",
            "Webhooks that came, by kind of host and what became of them",
            self.deliveries.clone(),
        );
    }
}
