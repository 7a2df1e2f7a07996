//! The daemon's loop: whatever may have changed pokes, and what is true is read from the repository.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, field, info_span};

use super::instruments::Instruments;
use super::missed_hooks;
use super::pass::{self, PassError, Surroundings};
use super::serving::{Known, Serving, ServingError};
use super::source::{Reading, Source, SourceError};
use super::world::SystemChance;
use crate::edge::watch::{self, Watch};
use crate::run::chance::Chance as _;
use crate::run::engine::{Engine, Intent, Reach};
use crate::run::journal::JournalError;
use crate::run::{chain, lock};
use crate::serve::health::{Heartbeat, JournalHealth};
use crate::serve::socket::SocketError;
use crate::serve::webhook::Counts;
use crate::serve::{poke, status};
use crate::settings::RunSettings;
use crate::snapshot::Snapshot;
use crate::values::{Fault, Revision};

/// How long pokes are gathered before the repository is read: a push touches several files.
const GATHERING: Duration = Duration::from_millis(200);

/// A daemon that could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The pass that every start begins with could not be made.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// The status can't be told.
    #[error(transparent)]
    Status(#[from] status::StatusError),
    /// Nobody could poke it.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// It can't serve what it should.
    #[error(transparent)]
    Serving(#[from] ServingError),
}

impl From<JournalError> for ServiceError {
    fn from(error: JournalError) -> Self {
        Self::Pass(error.into())
    }
}

/// The daemon at work.
struct Service {
    source: Source,
    engine: Arc<Engine>,
    settings: RunSettings,
    instruments: Instruments,
    /// The newest revision that was read, good or refused.
    seen: Option<Revision>,
    /// What the newest good revision asks for.
    intent: Option<Intent>,
    /// What the next commit concerns: everything, until one was taken.
    reach: Reach,
    /// The newest good snapshot, for those who ask what teams may do.
    newest: Arc<Mutex<Option<Arc<Snapshot>>>>,
    /// The webhooks that came, where they are received.
    hooks: Option<Arc<Counts>>,
    /// When the repository was last looked at.
    looked: DateTime<Utc>,
}

/// Runs until stopped.
///
/// # Errors
/// When the journal can't be written: nothing may be done then. A repository that can't be read and
/// servers that are away are no errors; they are tried again.
pub async fn run(
    source: Source,
    surroundings: Surroundings,
    settings: RunSettings,
    instruments: Instruments,
    serving: Serving,
    stop: CancellationToken,
) -> Result<(), ServiceError> {
    let surroundings = Surroundings {
        meter: instruments.metrics.clone(),
        ..surroundings
    };
    let engine = pass::engine(&source, surroundings, &settings, true, |rules| rules).await;
    let engine = Arc::new(engine.map_err(PassError::from)?);
    let told = engine.clone();
    let telling = stop.child_token();
    status::tell(
        &settings.state,
        move || status::report(told.board()),
        telling.clone(),
    )?;

    let poke = Arc::new(Notify::new());
    poke::listen(&settings.state, poke.clone(), telling.clone())?;
    let newest: Arc<Mutex<Option<Arc<Snapshot>>>> = Arc::default();
    let known = newest.clone();
    let hooks = serving
        .open(
            &Known {
                source: &source,
                state: &settings.state,
                newest: Arc::new(move || lock(&known).clone()),
                instruments: &instruments,
                board: engine.board(),
            },
            poke.clone(),
            &telling,
        )
        .await?;
    let _watches = start_watch(&source, &poke);
    let deadline = settings.stop_deadline;
    let closing = source.clone();
    let mut service = Service {
        source,
        engine: engine.clone(),
        settings,
        instruments: instruments.clone(),
        seen: None,
        intent: None,
        reach: Reach::Everything,
        newest,
        hooks,
        looked: Utc::now(),
    };
    let ended = tokio::select! {
        ended = service.work(&poke) => ended,
        () = stop.cancelled() => Ok(()),
        error = engine.failed() => Err(PassError::Broken(error).into()),
    };
    if ended.is_err() {
        instruments.heartbeat.journal(JournalHealth::Broken);
    }
    tracing::info!(
        "stopping: steps in hand have {} to end",
        humantime::format_duration(deadline)
    );
    closing.close().await;
    if !engine.stop(deadline).await {
        tracing::warn!("some steps did not end in time and were cut off; the next start finishes them");
    }
    telling.cancel();
    ended
}

/// Watches the repository where that is possible; the poll remains where it is not.
fn start_watch(source: &Source, poke: &Arc<Notify>) -> Vec<Watch> {
    let watch = |(path, watched): (PathBuf, _)| match watch::watch(&path, watched, poke.clone()) {
        Ok(watch) => Some(watch),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the repository is polled alone: {error}"
            );
            None
        }
    };
    source.watched().into_iter().filter_map(watch).collect()
}

impl Service {
    async fn work(&mut self, poke: &Notify) -> Result<(), ServiceError> {
        self.pass().instrument(poked("start")).await?;
        let mut next_sweep = self.next_sweep();
        let mut next_poll = self.next_poll();
        loop {
            self.instruments.heartbeat.beat();
            tokio::select! {
                () = poke.notified() => {
                    tokio::time::sleep(GATHERING).await;
                    self.pass().instrument(poked("change")).await?;
                }
                () = tokio::time::sleep_until(next_poll) => self.pass().instrument(poked("poll")).await?,
                () = until(next_sweep) => {
                    self.sweep().instrument(poked("schedule")).await?;
                    next_sweep = self.next_sweep();
                }
                () = tokio::time::sleep(Heartbeat::EVERY) => continue,
            }
            next_poll = self.next_poll();
        }
    }

    /// When the next poll is due, with a tenth of jitter, so that many daemons do not ask together.
    fn next_poll(&self) -> Instant {
        Instant::now() + self.settings.poll.mul_f64(0.9 + 0.2 * SystemChance.unit())
    }

    /// When the next look for drift is due. Decided once and kept, since it is drawn by chance.
    fn next_sweep(&self) -> Option<DateTime<Utc>> {
        let daemon = self.engine.board().daemon();
        let last = daemon.last_fired.get(Source::SWEEP).copied();
        self.source.next_sweep(last, Utc::now(), SystemChance.unit())
    }

    /// Reads the repository and sets the lanes to work that a new commit concerns.
    async fn pass(&mut self) -> Result<(), ServiceError> {
        let began = Utc::now();
        let passed = self.look().await;
        self.looked = began;
        passed
    }

    async fn look(&mut self) -> Result<(), ServiceError> {
        match self.source.read_if_new(self.seen.as_ref()).await {
            Ok(reading) => {
                self.readable().await?;
                if let Some(reading) = reading {
                    return self.take(reading).await;
                }
                self.unchanged();
                Ok(())
            }
            Err(SourceError::Refused { revision, faults }) => {
                self.readable().await?;
                self.refused(revision, &faults).await
            }
            Err(error) => self.unreadable(&error).await,
        }
    }

    /// Nothing new: what was good is so still.
    fn unchanged(&self) {
        if self.engine.board().daemon().refused.is_none() {
            self.instruments.metrics.still_good();
        }
    }

    async fn take(&mut self, reading: Reading) -> Result<(), ServiceError> {
        let snapshot = &reading.snapshot;
        let revision = snapshot.revision.clone();
        tracing::info!(
            commit = %revision.short(), snapshot.teams = snapshot.teams.len(), snapshot.held = snapshot.held.len(),
            "read {} with {} teams", revision.short(), snapshot.teams.len()
        );
        for fault in &snapshot.faults {
            tracing::warn!(commit = %revision.short(), "{fault}");
        }
        Span::current().record("commit", revision.as_str());
        // The first commit of a start is told by nobody.
        if let (Some(hooks), Some(_)) = (&self.hooks, &self.seen)
            && !missed_hooks::told(hooks.last_push(), &revision, self.looked)
        {
            missed_hooks::note(
                self.engine.board(),
                &self.instruments.metrics,
                &revision,
                reading.committed,
            )
            .await?;
        }
        self.seen = Some(revision.clone());
        *lock(&self.newest) = Some(reading.snapshot.clone());
        if reading.intent.is_none() {
            // What teams have stays, as when they are removed.
            tracing::warn!(commit = %revision.short(), "Harbor is switched off in the repository: nothing is done");
        }
        self.ask_for(reading.intent).await?;
        self.engine
            .board()
            .keep_daemon(|daemon| {
                daemon.revision = Some(revision);
                daemon.refused = None;
            })
            .await?;
        self.instruments.metrics.good_snapshot(snapshot.faults.len());
        self.instruments.heartbeat.snapshot();
        self.instruments.heartbeat.journal(JournalHealth::Writable);
        Ok(())
    }

    /// Takes over what a good revision asks for; nothing, where it has Harbor switched off.
    async fn ask_for(&mut self, intent: Option<Intent>) -> Result<(), ServiceError> {
        self.intent.clone_from(&intent);
        if let Some(intent) = intent {
            let reach = std::mem::replace(&mut self.reach, Reach::Changed);
            self.engine.submit(intent, reach).await?;
        }
        Ok(())
    }

    /// A commit that is refused changes nothing.
    async fn refused(&mut self, revision: Revision, faults: &[Fault]) -> Result<(), ServiceError> {
        self.instruments.metrics.refused_snapshot(faults.len());
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        tracing::error!(
            commit = %revision.short(),
            "{} is refused, and nothing changes: {}", revision.short(), faults.join("; ")
        );
        self.seen = Some(revision.clone());
        self.engine
            .board()
            .keep_daemon(|daemon| daemon.refused = Some((revision, faults)))
            .await?;
        self.instruments.heartbeat.journal(JournalHealth::Writable);
        self.ask_for_last_good().await
    }

    /// A repository that can't be read is told once, and again when the reason is another.
    async fn unreadable(&mut self, error: &SourceError) -> Result<(), ServiceError> {
        let why = chain(error);
        let before = self.engine.board().daemon().unreadable;
        if before.as_ref().is_none_or(|(_, before)| *before != why) {
            tracing::error!("the repository can't be read, and is tried again at each poll: {why}");
            let since = before.map_or_else(Utc::now, |(since, _)| since);
            self.engine
                .board()
                .keep_daemon(|daemon| daemon.unreadable = Some((since, why)))
                .await?;
        }
        self.ask_for_last_good().await
    }

    async fn readable(&self) -> Result<(), ServiceError> {
        if let Some((since, _)) = self.engine.board().daemon().unreadable {
            let since = since.format("%Y-%m-%d %H:%M:%S UTC");
            tracing::info!("the repository can be read again, for the first time since {since}");
            self.engine
                .board()
                .keep_daemon(|daemon| daemon.unreadable = None)
                .await?;
        }
        Ok(())
    }

    /// At a start without a newest state that is good, the last good one is taken in its place.
    async fn ask_for_last_good(&mut self) -> Result<(), ServiceError> {
        let last_good = self.engine.board().daemon().revision;
        let (None, Some(last_good)) = (&self.intent, last_good) else {
            return Ok(());
        };
        match self.source.read_at(&last_good).await {
            Ok(reading) => {
                *lock(&self.newest) = Some(reading.snapshot);
                self.ask_for(reading.intent).await?;
                self.instruments.heartbeat.snapshot();
            }
            Err(error) => tracing::warn!("the last good commit can't be read either: {}", chain(&error)),
        }
        Ok(())
    }

    /// Observes everything and repairs what drifted.
    async fn sweep(&mut self) -> Result<(), ServiceError> {
        let fired = Utc::now();
        self.engine
            .board()
            .keep_daemon(|daemon| {
                daemon.last_fired.insert(Source::SWEEP.to_owned(), fired);
            })
            .await?;
        if let Some(intent) = self.intent.clone() {
            Span::current().record("commit", intent.revision.as_str());
            tracing::info!(commit = %intent.revision.short(), "looking for drift");
            self.engine.submit(intent, Reach::Everything).await?;
        }
        Ok(())
    }
}

/// The span of all that follows from a poke. It is sent when the last lane that it set to work has ended.
fn poked(by: &'static str) -> Span {
    info_span!(parent: None, "poke", poke.by = by, commit = field::Empty)
}

/// Waits for a moment; for ever, where there is none.
async fn until(moment: Option<DateTime<Utc>>) {
    match moment {
        Some(moment) => tokio::time::sleep((moment - Utc::now()).to_std().unwrap_or_default()).await,
        None => std::future::pending().await,
    }
}
