//! One pass: everything that a commit asks for is observed and made so, then the outcome is told.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::source::{Reading, Source};
use super::world::{SystemChance, SystemClock};
use crate::plan::PlanOptions;
use crate::run::Rules;
use crate::run::chance::{Chance, Clock};
use crate::run::engine::{Engine, EngineParts, Reach};
use crate::run::journal::{Journal, JournalError};
use crate::run::meter::{Meter, unmetered};
use crate::run::record::{LaneRecord, RunState};
use crate::run::target::{Cluster, ErrorClass, Harbor};
use crate::settings::RunSettings;
use crate::values::Revision;

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is as the commit asks.
    Converged,
    /// Something is not, and trying again may help.
    Failed,
    /// Something is not, and a person has to do something.
    Parked,
}

/// What a pass came to.
#[derive(Debug)]
pub struct PassReport {
    /// The commit, or the working tree, that was applied.
    pub revision: Revision,
    /// How it ended.
    pub outcome: Outcome,
    /// Every lane's record at its end.
    pub lanes: Vec<LaneRecord>,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

/// A pass that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The journal can't be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The journal could not be written while lanes were at work.
    #[error("the pass was given up: the journal can't be written")]
    Broken(#[source] Arc<JournalError>),
}

/// The attempts of a single pass: a daemon has more patience.
const ATTEMPTS_OF_ONE_PASS: u32 = 5;

/// The servers and the journal that lanes work with.
pub struct Surroundings {
    /// Harbor.
    pub harbor: Arc<dyn Harbor>,
    /// Kubernetes.
    pub cluster: Arc<dyn Cluster>,
    /// The journal.
    pub journal: Arc<dyn Journal>,
    /// Randomness.
    pub chance: Arc<dyn Chance>,
    /// What attempts are told to.
    pub meter: Arc<dyn Meter>,
}

impl Surroundings {
    /// These servers and this journal, with the system's randomness.
    #[must_use]
    pub fn new(harbor: Arc<dyn Harbor>, cluster: Arc<dyn Cluster>, journal: Arc<dyn Journal>) -> Self {
        Self {
            harbor,
            cluster,
            journal,
            chance: Arc::new(SystemChance),
            meter: unmetered(),
        }
    }
}

/// Gets an engine ready.
pub(super) async fn engine(
    source: &Source,
    surroundings: Surroundings,
    settings: &RunSettings,
    persistent: bool,
    adjust: impl Fn(Rules) -> Rules,
) -> Result<Engine, JournalError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Engine::start(EngineParts {
        harbor: surroundings.harbor,
        cluster: surroundings.cluster,
        journal: surroundings.journal,
        clock,
        chance: surroundings.chance,
        meter: surroundings.meter,
        platform_rules: adjust(source.platform_rules()),
        team_rules: adjust(source.team_rules()),
        plan_options: PlanOptions {
            create_namespaces: settings.create_namespaces,
        },
        client_secret: settings.oidc_client_secret.clone(),
        lanes: settings.lanes,
        persistent,
    })
    .await
}

/// Makes one pass over everything that a reading asks for.
///
/// # Errors
/// When the journal can't be used. What a server refuses is not an error here: it is in the report.
pub async fn apply(
    source: &Source,
    reading: Reading,
    surroundings: Surroundings,
    settings: &RunSettings,
    stop: &CancellationToken,
) -> Result<PassReport, PassError> {
    let revision = reading.snapshot.revision.clone();
    let held = !reading.snapshot.held.is_empty();
    let engine = engine(source, surroundings, settings, false, |mut rules| {
        rules.retry.attempts = rules.retry.attempts.min(ATTEMPTS_OF_ONE_PASS);
        rules
    })
    .await?;
    let mut stopped = false;
    if let Some(intent) = reading.intent {
        engine.submit(intent, Reach::Everything).await?;
        stopped = tokio::select! {
            () = engine.settled() => false,
            () = stop.cancelled() => true,
            error = engine.failed() => return Err(PassError::Broken(error)),
        };
    }
    engine.stop(settings.stop_deadline).await;
    let good = revision.clone();
    engine
        .board()
        .keep_daemon(|daemon| daemon.revision = Some(good))
        .await?;
    let lanes = engine.board().records();
    let outcome = outcome(&lanes);
    Ok(PassReport {
        revision,
        outcome: if held { outcome.or_parked() } else { outcome },
        lanes,
        stopped,
    })
}

impl Outcome {
    fn or_parked(self) -> Self {
        if self == Self::Failed {
            Self::Failed
        } else {
            Self::Parked
        }
    }
}

/// What lanes came to together: what may pass by itself is told before what needs a person.
#[must_use]
pub fn outcome(lanes: &[LaneRecord]) -> Outcome {
    let mut outcome = Outcome::Converged;
    for lane in lanes.iter().filter(|lane| lane.held.is_none()) {
        match &lane.state {
            RunState::Done => {}
            RunState::Parked { .. }
                if lane
                    .problems
                    .iter()
                    .all(|problem| problem.class == ErrorClass::Rejected)
                    && !lane.problems.is_empty() =>
            {
                outcome = outcome.or_parked();
            }
            _ => outcome = Outcome::Failed,
        }
    }
    outcome
}
