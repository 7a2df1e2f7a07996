//! The same flow as `apply`, against a Harbor and a Kubernetes inside this process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::connect;
use super::pass::{self, Outcome, PassError, Surroundings};
use super::preview;
use super::source::{Reading, Source, SourceError};
use super::world::SeededChance;
use crate::edge::store::MemoryJournal;
use crate::plan::show::FullPlan;
use crate::rehearsal::harbor::{HarborOptions, HarborStandIn, state::State as HarborState};
use crate::rehearsal::kubernetes::{KubernetesOptions, KubernetesStandIn, KubernetesState};
use crate::rehearsal::{CallCounts, ServeError, Weather};
use crate::run::Rules;
use crate::run::engine::{Engine, Reach};
use crate::run::meter::unmetered;
use crate::run::record::LaneRecord;
use crate::settings::{HarborAccess, KubernetesAccess, RunSettings};

/// How a rehearsal goes.
#[derive(Debug, Clone, Default)]
pub struct RehearsalOptions {
    /// A range `A..B` whose commits are replayed in turn; the head alone otherwise.
    pub commits: Option<String>,
    /// How long each call takes.
    pub latency: Duration,
    /// The share of calls that fail, 0 to 1.
    pub fail_rate: f64,
    /// What decides which calls fail, and how.
    pub seed: u64,
    /// The file with the state that the servers start from.
    pub from: Option<PathBuf>,
    /// The file that the servers' state is saved to.
    pub save: Option<PathBuf>,
}

/// What a rehearsal tells while it goes.
pub trait Audience: Send + Sync {
    /// A commit is about to be applied, and this is its plan; `None` when bad weather kept it from being made,
    /// or Harbor is switched off in the repository.
    fn planned(&self, reading: &Reading, plan: Option<&FullPlan>);
    /// So many of so many lanes are settled.
    fn progress(&self, settled: usize, of: usize);
    /// A commit that is refused: nothing is done for it.
    fn refused(&self, error: &SourceError);
    /// A commit was applied, with these records at its end and these calls made for it.
    fn applied(&self, lanes: &[LaneRecord], calls: &Calls);
}

/// The calls that were made to each stand-in.
#[derive(Debug, Clone)]
pub struct Calls {
    /// Harbor's.
    pub harbor: CallCounts,
    /// Kubernetes'.
    pub kubernetes: CallCounts,
    /// Wall time, in seconds.
    pub seconds: f64,
}

/// A rehearsal that could not be held.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// The repository can't be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The journal can't be used.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// A stand-in did not start.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A client of a stand-in could not be made.
    #[error(transparent)]
    Connect(#[from] connect::ConnectServersError),
    /// The file of a saved state can't be used.
    #[error("failed to {act} the saved state {}", path.display())]
    Saved {
        /// `read` or `write`.
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Both servers' state, as it is saved. It holds the stand-ins' passwords: theirs alone, and good for nothing else.
#[derive(Serialize, Deserialize)]
struct SavedState {
    admin_password: String,
    harbor: HarborState,
    kubernetes: KubernetesState,
}

/// A retry policy for servers in this process, which are never away for long.
fn impatient(mut rules: Rules) -> Rules {
    rules.retry.first = Duration::from_millis(20);
    rules.retry.max = Duration::from_millis(500);
    rules.retry.attempts = 200;
    rules
}

/// Holds a rehearsal.
///
/// # Errors
/// When the repository can't be read or the stand-ins can't be started. What goes wrong with a team
/// is in its record.
pub async fn rehearse(
    source: &Source,
    settings: &RunSettings,
    options: &RehearsalOptions,
    stop: &CancellationToken,
    audience: &dyn Audience,
) -> Result<Outcome, RehearsalError> {
    let stage = Stage::set(options).await?;
    let settings = RunSettings {
        // A client secret that is good for nothing but the stand-in.
        oidc_client_secret: Some(SecretString::from("rehearsal")),
        ..settings.clone()
    };
    let revisions = match &options.commits {
        Some(range) => source.commits(range).await?.into_iter().map(Some).collect(),
        None => vec![None],
    };
    let surroundings = Surroundings {
        harbor: stage.servers.harbor.clone(),
        cluster: stage.servers.cluster.clone(),
        journal: Arc::new(MemoryJournal::default()),
        chance: Arc::new(SeededChance::new(options.seed)),
        meter: unmetered(),
    };
    let engine = pass::engine(source, surroundings, &settings, true, impatient)
        .await
        .map_err(PassError::from)?;
    let mut held = false;
    for revision in revisions {
        let reading = match &revision {
            Some(revision) => source.read_at(revision).await,
            None => source.read_head().await,
        };
        let reading = match reading {
            Ok(reading) => reading,
            Err(error @ SourceError::Refused { .. }) => {
                audience.refused(&error);
                held = true;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        held = !reading.snapshot.held.is_empty();
        let Some(intent) = reading.intent.clone() else {
            audience.planned(&reading, None);
            continue;
        };
        for desired in &intent.teams {
            stage.kubernetes.add_namespace(desired.namespace.as_str());
        }
        let plan = preview::preview(&intent, &stage.servers.harbor, &stage.servers.cluster, &settings)
            .await
            .ok();
        audience.planned(&reading, plan.as_ref().map(|(plan, _)| plan));
        stage.harbor.reset_counts();
        stage.kubernetes.reset_counts();
        let began = std::time::Instant::now();
        engine
            .submit(intent, Reach::Changed)
            .await
            .map_err(PassError::from)?;
        tokio::select! {
            () = follow(&engine, audience) => {}
            () = stop.cancelled() => break,
            error = engine.failed() => return Err(PassError::Broken(error).into()),
        }
        let calls = Calls {
            harbor: stage.harbor.counts(),
            kubernetes: stage.kubernetes.counts(),
            seconds: began.elapsed().as_secs_f64(),
        };
        audience.applied(&engine.board().records(), &calls);
    }
    let stopped = stop.is_cancelled();
    engine.stop(settings.stop_deadline).await;
    if let Some(path) = &options.save {
        stage.save(path)?;
    }
    let outcome = pass::outcome(&engine.board().records());
    Ok(match outcome {
        _ if stopped => Outcome::Failed,
        Outcome::Converged if held => Outcome::Parked,
        outcome => outcome,
    })
}

/// Tells the progress until every lane is settled.
async fn follow(engine: &Engine, audience: &dyn Audience) {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let total = engine.board().records().len().max(engine.active());
    loop {
        tokio::select! {
            () = engine.settled() => break,
            _ = tick.tick() => {
                let active = engine.active();
                audience.progress(total.saturating_sub(active), total);
            }
        }
    }
    audience.progress(total, total);
}

/// The stand-ins, and clients for them.
struct Stage {
    harbor: HarborStandIn,
    kubernetes: KubernetesStandIn,
    servers: connect::Servers,
}

impl Stage {
    async fn set(options: &RehearsalOptions) -> Result<Self, RehearsalError> {
        let weather = Weather {
            latency: options.latency,
            fail_rate: options.fail_rate,
            seed: options.seed,
        };
        let saved = options.from.as_ref().map(SavedState::read).transpose()?;
        let (harbor_state, kubernetes_state, password) = match saved {
            Some(saved) => (
                Some(saved.harbor),
                Some(saved.kubernetes),
                Some(saved.admin_password),
            ),
            None => (None, None, None),
        };
        let mut harbor_options = HarborOptions {
            state: harbor_state,
            weather,
            ..HarborOptions::default()
        };
        if let Some(password) = password {
            harbor_options.admin_password = SecretString::from(password);
        }
        let harbor = HarborStandIn::start(harbor_options).await?;
        let kubernetes = KubernetesStandIn::start(KubernetesOptions {
            state: kubernetes_state,
            weather,
            ..KubernetesOptions::default()
        })
        .await?;
        let servers = connect::connect(
            &HarborAccess {
                url: harbor.base_url(),
                username: "admin".to_owned(),
                password: harbor.admin_password().clone(),
                ca: None,
                writes: 4,
                reads: 16,
                timeout: Duration::from_secs(5),
            },
            &KubernetesAccess {
                kubeconfig: None,
                context: None,
                url: Some(kubernetes.base_url()),
                token: None,
                ca: None,
                reads: 16,
                writes: 16,
                timeout: Duration::from_secs(5),
            },
            &unmetered(),
        )
        .await?;
        Ok(Self {
            harbor,
            kubernetes,
            servers,
        })
    }

    fn save(&self, path: &PathBuf) -> Result<(), RehearsalError> {
        let saved = SavedState {
            admin_password: self.harbor.admin_password().expose_secret().to_owned(),
            harbor: self.harbor.snapshot(),
            kubernetes: self.kubernetes.snapshot(),
        };
        let failed = |source| RehearsalError::Saved {
            act: "write",
            path: path.clone(),
            source,
        };
        let text = serde_json::to_vec(&saved).map_err(|error| failed(error.into()))?;
        std::fs::write(path, text).map_err(|error| failed(error.into()))
    }
}

impl SavedState {
    fn read(path: &PathBuf) -> Result<Self, RehearsalError> {
        let failed = |source| RehearsalError::Saved {
            act: "read",
            path: path.clone(),
            source,
        };
        let text = std::fs::read(path).map_err(|error| failed(error.into()))?;
        serde_json::from_slice(&text).map_err(|error| failed(error.into()))
    }
}
