//! The engine: takes the desired state of a commit and keeps lanes at work until it is reached.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::board::Board;
pub use super::cause::Asked;
use super::cause::Cause;
use super::chance::{Chance, Clock};
use super::journal::{Journal, JournalError};
use super::lane::{Facts, Lane, Rules, Shared, Target, Work};
use super::lock;
use super::meter::Meter;
use super::observe::Observer;
use super::perform::Performer;
use super::record::{Held, LaneId, LaneRecord, RunState};
use super::target::{Cluster, Harbor};
use crate::plan::PlanOptions;
use crate::plan::desired::{DesiredPlatform, DesiredTeam};
use crate::values::Revision;
use crate::values::names::TeamId;

/// What one commit asks for.
#[derive(Debug, Clone)]
pub struct Intent {
    /// The commit.
    pub revision: Revision,
    /// When it was asked for.
    pub asked: Asked,
    /// Harbor's own configuration.
    pub platform: DesiredPlatform,
    /// The teams whose values are good.
    pub teams: Vec<DesiredTeam>,
    /// The teams whose values are at fault, with one line a fault: they stay at their last good state.
    pub held: BTreeMap<TeamId, Vec<String>>,
}

/// Which lanes of an intent are set to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Those whose desired state is not the one they reached last: what a commit costs.
    Changed,
    /// All of them, to find drift; a healthy team costs reads only.
    Everything,
}

/// What the engine works with.
pub struct EngineParts {
    /// Harbor.
    pub harbor: Arc<dyn Harbor>,
    /// Kubernetes.
    pub cluster: Arc<dyn Cluster>,
    /// The journal.
    pub journal: Arc<dyn Journal>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness for secrets and jitter.
    pub chance: Arc<dyn Chance>,
    /// How the platform's steps are carried out.
    pub platform_rules: Rules,
    /// How a team's steps are carried out.
    pub team_rules: Rules,
    /// What plans may do.
    pub plan_options: PlanOptions,
    /// What attempts are told to.
    pub meter: Arc<dyn Meter>,
    /// The OIDC client secret for Harbor's configuration.
    pub client_secret: Option<SecretString>,
    /// Lanes that carry out steps at once, at most.
    pub lanes: usize,
    /// Whether lanes go on asking for what only others can give, such as a permission or a namespace.
    pub persistent: bool,
}

/// Keeps lanes at work. Cheap to share behind an `Arc`.
pub struct Engine {
    shared: Arc<Shared>,
    lanes: Arc<Mutex<HashMap<LaneId, watch::Sender<Arc<Target>>>>>,
    active: watch::Sender<usize>,
    population: Arc<AtomicUsize>,
    tracker: TaskTracker,
    fatal: watch::Sender<Option<Arc<JournalError>>>,
}

impl Engine {
    /// Reads the journal and gets ready; nothing runs before the first [`Engine::submit`].
    ///
    /// # Errors
    /// When the journal can't be read.
    pub async fn start(parts: EngineParts) -> Result<Self, JournalError> {
        let population = Arc::new(AtomicUsize::new(0));
        let observer = Observer::start(parts.harbor.clone(), parts.cluster.clone(), population.clone());
        let shared = Shared {
            performer: Performer {
                harbor: parts.harbor,
                cluster: parts.cluster,
                chance: parts.chance.clone(),
            },
            observer,
            board: Arc::new(Board::load(parts.journal).await?),
            slots: Semaphore::new(parts.lanes),
            facts: watch::Sender::new(Facts::Unknown),
            platform_rules: parts.platform_rules,
            team_rules: parts.team_rules,
            plan_options: parts.plan_options,
            client_secret: parts.client_secret,
            clock: parts.clock,
            chance: parts.chance,
            meter: parts.meter,
            persistent: parts.persistent,
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            lanes: Arc::default(),
            active: watch::Sender::new(0),
            population,
            tracker: TaskTracker::new(),
            fatal: watch::Sender::new(None),
        })
    }

    /// The lane records.
    #[must_use]
    pub fn board(&self) -> &Arc<Board> {
        &self.shared.board
    }

    /// Takes a commit's intent: sets the lanes to work that it concerns, notes who is held or gone.
    ///
    /// # Errors
    /// When the journal can't be written.
    pub async fn submit(&self, intent: Intent, reach: Reach) -> Result<(), JournalError> {
        self.population
            .store(intent.teams.len() + intent.held.len(), Ordering::Relaxed);
        let known: BTreeSet<TeamId> = intent
            .teams
            .iter()
            .map(|desired| desired.team.clone())
            .chain(intent.held.keys().cloned())
            .collect();

        let cause = Cause {
            revision: intent.revision,
            asked: intent.asked,
            span: tracing::Span::current(),
        };
        let platform = Arc::new(intent.platform);
        let target = Target {
            revision: cause.revision.clone(),
            cause: cause.clone(),
            fingerprint: platform.fingerprint(),
            work: Work::Platform(platform),
        };
        // Teams can't be observed before the platform's lane has told the robot prefix.
        let unknown = !matches!(*self.shared.facts.borrow(), Facts::Known(_));
        self.consider(&LaneId::Platform, target, reach == Reach::Everything || unknown)
            .await?;

        for desired in intent.teams {
            let desired = Arc::new(desired);
            let target = Target {
                revision: cause.revision.clone(),
                cause: cause.clone(),
                fingerprint: desired.fingerprint(),
                work: Work::Team(desired.clone()),
            };
            let lane = LaneId::Team(desired.team.clone());
            self.consider(&lane, target, reach == Reach::Everything).await?;
        }
        for (team, faults) in intent.held {
            self.hold(&cause, team, faults, reach).await?;
        }
        self.note_removed(&cause, &known).await
    }

    /// Sets a lane to work unless it is there already, on its way, or parked for this very target.
    async fn consider(
        &self,
        lane: &LaneId,
        target: Target,
        even_if_reached: bool,
    ) -> Result<(), JournalError> {
        let mut record = self.shared.board.get(lane);
        if let Some(record) = record.as_mut().filter(|record| record.held.is_some()) {
            record.held = None;
            self.shared.board.keep(record).await?;
        }
        let settled = record.is_some_and(|record| {
            record.fingerprint == target.fingerprint
                && matches!(record.state, RunState::Done | RunState::Parked { .. })
        });
        if !settled || even_if_reached {
            self.point(lane, target);
        }
        Ok(())
    }

    /// A team whose values are at fault stays at its last good state, which a sweep still looks after.
    async fn hold(
        &self,
        cause: &Cause,
        team: TeamId,
        faults: Vec<String>,
        reach: Reach,
    ) -> Result<(), JournalError> {
        let lane = LaneId::Team(team.clone());
        let held = Held::Faults {
            revision: cause.revision.clone(),
            faults,
        };
        let Some(mut record) = self.shared.board.get(&lane) else {
            tracing::warn!(lane = %lane, "{team} has no good state yet: its values are at fault");
            return Ok(());
        };
        let converged = record.converged.clone();
        if record.held.as_ref() != Some(&held) {
            record.held = Some(held);
            self.shared.board.keep(&record).await?;
        }
        if reach == Reach::Everything
            && let Some(converged) = converged
            && let Some(desired) = converged.desired
        {
            let target = Target {
                revision: converged.revision,
                cause: cause.clone(),
                fingerprint: converged.fingerprint,
                work: Work::Team(Arc::new(desired)),
            };
            self.point(&lane, target);
        }
        Ok(())
    }

    /// Teams that a commit no longer has keep what they have; their lanes stop.
    async fn note_removed(&self, cause: &Cause, known: &BTreeSet<TeamId>) -> Result<(), JournalError> {
        let revision = &cause.revision;
        let gone = |record: &LaneRecord| {
            matches!(&record.lane, LaneId::Team(team) if !known.contains(team))
                && !matches!(record.held, Some(Held::Removed { .. }))
        };
        for mut record in self.shared.board.matching(gone) {
            let team = &record.lane;
            tracing::warn!(
                lane = %team, commit = %revision.short(),
                "{team} is no longer in the repository; what it has in Harbor and Kubernetes stays"
            );
            record.held = Some(Held::Removed {
                revision: revision.clone(),
            });
            self.shared.board.keep(&record).await?;
            if let Some(targets) = lock(&self.lanes).get(&record.lane) {
                let fingerprint = record.fingerprint.clone();
                targets.send_replace(Arc::new(Target {
                    revision: revision.clone(),
                    cause: cause.clone(),
                    fingerprint,
                    work: Work::Nothing,
                }));
            }
        }
        Ok(())
    }

    /// Shows that a lane is to go somewhere else than where it stands, so that nobody takes it for ready before
    /// it sets out.
    fn show_pending(&self, lane: &LaneId, target: &Target) {
        let former = self.shared.board.get(lane);
        if former
            .as_ref()
            .is_some_and(|record| record.fingerprint == target.fingerprint)
        {
            return;
        }
        self.shared.board.note(&LaneRecord {
            lane: lane.clone(),
            revision: target.revision.clone(),
            fingerprint: target.fingerprint.clone(),
            state: RunState::Pending,
            since: self.shared.clock.now(),
            attempts: 0,
            problems: Vec::new(),
            converged: former.as_ref().and_then(|record| record.converged.clone()),
            held: former.and_then(|record| record.held),
        });
    }

    /// Gives a lane its target; starts the lane when it is idle.
    fn point(&self, lane: &LaneId, target: Target) {
        let mut lanes = lock(&self.lanes);
        if let Some(targets) = lanes.get(lane) {
            // A lane that is on its way there is not disturbed; one that was told to stop is told anew.
            let on_its_way = {
                let present = targets.borrow();
                present.fingerprint == target.fingerprint && !matches!(present.work, Work::Nothing)
            };
            if !on_its_way {
                targets.send_replace(Arc::new(target));
            }
            return;
        }
        self.show_pending(lane, &target);
        let (sender, targets) = watch::channel(Arc::new(target));
        lanes.insert(lane.clone(), sender);
        self.active.send_modify(|active| *active += 1);
        let lane = Lane {
            shared: self.shared.clone(),
            id: lane.clone(),
            targets,
        };
        let (lanes, active, fatal) = (self.lanes.clone(), self.active.clone(), self.fatal.clone());
        self.tracker.spawn(async move {
            drive(lane, &lanes, &fatal).await;
            active.send_modify(|active| *active -= 1);
        });
    }

    /// Lanes at work now.
    #[must_use]
    pub fn active(&self) -> usize {
        *self.active.borrow()
    }

    /// Returns when no lane is at work: each has reached its target, is parked, or was interrupted.
    pub async fn settled(&self) {
        // The sender lives in self, so the channel can't be closed.
        let _ = self.active.subscribe().wait_for(|active| *active == 0).await;
    }

    /// Returns when the journal can't be written any more: nothing may go on then.
    pub async fn failed(&self) -> Arc<JournalError> {
        let mut fatal = self.fatal.subscribe();
        loop {
            if let Some(error) = &*fatal.borrow_and_update() {
                return error.clone();
            }
            if fatal.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Stops at step boundaries; what is not at one by the deadline is cut off, which the next start repairs.
    /// Whether every lane stopped by itself.
    pub async fn stop(&self, deadline: Duration) -> bool {
        self.shared.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok() {
            return true;
        }
        self.shared.abort.cancel();
        self.tracker.wait().await;
        false
    }
}

/// Runs a lane until it has nothing more to do. A target that arrives while it ends is not lost: both
/// sides look under the same lock.
async fn drive(
    mut lane: Lane,
    lanes: &Mutex<HashMap<LaneId, watch::Sender<Arc<Target>>>>,
    fatal: &watch::Sender<Option<Arc<JournalError>>>,
) {
    loop {
        if let Err(error) = lane.pursue().await {
            fatal.send_if_modified(|first| {
                let is_first = first.is_none();
                first.get_or_insert_with(|| Arc::new(error));
                is_first
            });
            lane.shared.stop.cancel();
        }
        let mut lanes = lock(lanes);
        if lane.shared.stop.is_cancelled() || !lane.targets.has_changed().unwrap_or(false) {
            lanes.remove(&lane.id);
            return;
        }
    }
}
