//! One lane: the steps of one team, or of the platform, carried out one at a time until its target is reached.
//!
//! # Protocol
//! *Flow.* Observe, plan, perform the plan's actions in the job's order, and again until a plan has
//! nothing to do. What fails is retried by its class, from a new observation.
//!
//! *Guarantees.* One task a lane. Before an operation's first effect the journal durably says
//! which operation runs. A newer target takes over at the next step boundary. A step that failed
//! holds back only the steps that need it.
//!
//! *Assumptions.* Every action may have been done already, in whole or in part, by a former process.
//!
//! *Caveats.* A step that is cut off by its time-out or by the end of the process may still take
//! effect on the server: the next observation tells.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span, field, info_span};

use super::board::Board;
use super::cause::Cause;
use super::chance::{Chance, Clock};
use super::failure::Failure;
use super::journal::JournalError;
use super::meter::{AttemptEnd, Job, Meter};
use super::observe::Observer;
use super::perform::Performer;
use super::record::{Converged, LaneId, LaneRecord, Problem, RunState};
use super::retry::{self, Decision, RetryPolicy};
use super::target::{ErrorClass, TargetError};
use super::transition::transition;
use crate::plan::PlanOptions;
use crate::plan::desired::{DesiredPlatform, DesiredTeam, Fingerprint};
use crate::plan::step::Operation;
use crate::values::Revision;

/// What a lane is to reach.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) revision: Revision,
    pub(super) cause: Cause,
    pub(super) fingerprint: Fingerprint,
    pub(super) work: Work,
}

/// Whose desired state it is.
#[derive(Debug, Clone)]
pub(super) enum Work {
    Platform(Arc<DesiredPlatform>),
    Team(Arc<DesiredTeam>),
    /// The team left the repository: nothing more is done for it.
    Nothing,
}

/// How the steps of a job are carried out.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The operations in order, each with those that it needs.
    pub steps: Vec<(Operation, Vec<Operation>)>,
    /// When a failed attempt is repeated.
    pub retry: RetryPolicy,
    /// How long one step may take.
    pub timeout: Duration,
}

/// What every team needs to know of the platform before it can be observed.
#[derive(Debug, Clone)]
pub(super) enum Facts {
    /// The platform's lane has not been there yet.
    Unknown,
    /// The prefix of robot names, after the platform's lane has been there.
    Known(Arc<str>),
    /// The platform's lane could not read Harbor, or could not settle the prefix.
    NotYet(Arc<TargetError>),
}

/// What all lanes share.
pub(super) struct Shared {
    pub(super) performer: Performer,
    pub(super) observer: Observer,
    pub(super) board: Arc<Board>,
    pub(super) slots: Semaphore,
    pub(super) facts: watch::Sender<Facts>,
    pub(super) platform_rules: Rules,
    pub(super) team_rules: Rules,
    pub(super) plan_options: PlanOptions,
    pub(super) client_secret: Option<SecretString>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) chance: Arc<dyn Chance>,
    pub(super) meter: Arc<dyn Meter>,
    /// Whether lanes go on asking for what only others can give: a daemon does, a single pass does not.
    pub(super) persistent: bool,
    /// Asks lanes to stop at the next step boundary.
    pub(super) stop: CancellationToken,
    /// Asks lanes to stop at once.
    pub(super) abort: CancellationToken,
}

/// One lane at work.
pub(super) struct Lane {
    pub(super) shared: Arc<Shared>,
    pub(super) id: LaneId,
    pub(super) targets: watch::Receiver<Arc<Target>>,
}

/// How an attempt ended.
pub(super) enum Attempt {
    /// The target is reached.
    Reached,
    /// Something failed, or something outside has to happen first.
    Failed(Failure),
    /// A newer target is there, or the process is to stop.
    Interrupted,
}

impl Lane {
    /// Works until the newest target is reached, parked or given up.
    pub(super) async fn pursue(&mut self) -> Result<(), JournalError> {
        let target = self.targets.borrow_and_update().clone();
        let cause = &target.cause;
        let span = info_span!(
            parent: &cause.span, "lane", lane = %self.id, commit = cause.revision.as_str()
        );
        self.reach(&target).instrument(span).await
    }

    async fn reach(&mut self, target: &Target) -> Result<(), JournalError> {
        let (mut attempts, mut kept_out) = (0, 0);
        loop {
            attempts += 1;
            // Looked at before the attempt: the platform may settle while what was refused is on its way back.
            let unsettled = self.platform_is_unsettled();
            let span = info_span!(
                "attempt",
                attempt.number = attempts,
                attempt.outcome = field::Empty
            );
            match self.attempt(target, attempts).instrument(span.clone()).await? {
                Attempt::Reached => {
                    self.count(span, AttemptEnd::Reached);
                    return self.reached(target, attempts).await;
                }
                Attempt::Interrupted => {
                    self.count(span, AttemptEnd::Interrupted);
                    return self.interrupted(target, attempts).await;
                }
                Attempt::Failed(failure) => {
                    let is_kept_out = failure.class() == ErrorClass::Auth;
                    kept_out += u32::from(is_kept_out);
                    let counted = if is_kept_out {
                        kept_out
                    } else {
                        attempts - kept_out
                    };
                    match self.decide(&failure, counted, unsettled) {
                        Decision::Refused | Decision::Exhausted => {
                            self.count(span, AttemptEnd::Parked);
                            return self.park(target, attempts, failure).await;
                        }
                        Decision::Again(delay) => {
                            self.count(span, AttemptEnd::Failed);
                            if !self.wait(target, attempts, failure, delay).await? {
                                return self.interrupted(target, attempts).await;
                            }
                        }
                    }
                }
            }
        }
    }

    /// An attempt ended, and with it its span: a wait that follows is no part of it.
    fn count(&self, span: Span, end: AttemptEnd) {
        span.record("attempt.outcome", end.name());
        drop(span);
        self.shared.meter.attempt(Job::from(&self.id), end);
    }

    /// What follows from a failed attempt. A single pass ends where a daemon would go on asking: to be
    /// let in, or for something to happen outside.
    fn decide(&self, failure: &Failure, attempts: u32, platform_unsettled: bool) -> Decision {
        let policy = &self.rules().retry;
        let class = match failure.class() {
            // Harbor refuses groups until it is in OIDC mode: what the platform's lane still works at may help.
            ErrorClass::Rejected if platform_unsettled || self.platform_is_unsettled() => {
                ErrorClass::Transient
            }
            class => class,
        };
        let persistent = self.shared.persistent;
        if class == ErrorClass::Auth && !persistent {
            return Decision::Exhausted;
        }
        let outside = failure.problems.is_empty() && failure.waits_for.is_some();
        let counted = if outside && persistent {
            attempts.min(policy.attempts.saturating_sub(1))
        } else {
            attempts
        };
        let cause = retry::Failure {
            class,
            retry_after: failure.retry_after,
        };
        policy.decide(cause, counted, self.shared.chance.unit())
    }

    fn platform_is_unsettled(&self) -> bool {
        let platform = self
            .shared
            .board
            .get(&LaneId::Platform)
            .map(|record| record.state);
        self.id != LaneId::Platform
            && matches!(
                platform,
                Some(RunState::Pending | RunState::Running { .. } | RunState::Waiting { .. })
            )
    }

    async fn attempt(&mut self, target: &Target, attempts: u32) -> Result<Attempt, JournalError> {
        match &target.work {
            Work::Nothing => Ok(Attempt::Interrupted),
            Work::Platform(desired) => self.attempt_platform(target, desired, attempts).await,
            Work::Team(desired) => self.attempt_team(target, desired, attempts).await,
        }
    }

    /// Whether a newer target or a stop asks for an end at this step boundary.
    pub(super) fn interrupt(&self) -> bool {
        self.shared.stop.is_cancelled() || self.targets.has_changed().unwrap_or(true)
    }

    pub(super) fn rules(&self) -> &Rules {
        match self.id {
            LaneId::Platform => &self.shared.platform_rules,
            LaneId::Team(_) => &self.shared.team_rules,
        }
    }

    /// Says durably what is about to be done.
    pub(super) async fn announce(
        &self,
        target: &Target,
        attempts: u32,
        operation: Operation,
    ) -> Result<(), JournalError> {
        self.keep(target, RunState::Running { operation }, attempts, Vec::new())
            .await
    }

    /// Waits before the next attempt. `false` when something ends the wait for good.
    async fn wait(
        &self,
        target: &Target,
        attempts: u32,
        failure: Failure,
        delay: Duration,
    ) -> Result<bool, JournalError> {
        let why = failure.why();
        let until = self.shared.clock.now() + delay;
        tracing::warn!(
            lane = %self.id, lane.attempts = attempts, retry.delay_ms = delay.as_millis(),
            "{} is not ready, trying again: {why}", self.id
        );
        self.keep(
            target,
            RunState::Waiting { until, why },
            attempts,
            failure.problems,
        )
        .await?;
        // On a clone, so that the new target is still new to whoever takes it up.
        let mut targets = self.targets.clone();
        let mut facts = self.shared.facts.subscribe();
        let waits_for_facts = matches!(*facts.borrow_and_update(), Facts::NotYet(_));
        tokio::select! {
            () = tokio::time::sleep(delay) => Ok(true),
            // Harbor can be read again: what failed for want of it need not wait longer.
            _ = facts.wait_for(|facts| matches!(facts, Facts::Known(_))), if waits_for_facts => Ok(true),
            _ = targets.changed() => Ok(false),
            () = self.shared.stop.cancelled() => Ok(false),
        }
    }

    async fn reached(&self, target: &Target, attempts: u32) -> Result<(), JournalError> {
        let former = self.shared.board.get(&self.id);
        let known = former.as_ref().is_some_and(|record| {
            record.state == RunState::Done
                && record.held.is_none()
                && record
                    .converged
                    .as_ref()
                    .is_some_and(|held| held.fingerprint == target.fingerprint)
        });
        if known {
            return Ok(());
        }
        tracing::info!(lane = %self.id, commit = %target.revision.short(), "{} is ready", self.id);
        self.tell_ready(target, former.as_ref());
        let mut record = self.record(target, RunState::Done, attempts, Vec::new())?;
        record.converged = Some(Converged {
            revision: target.revision.clone(),
            fingerprint: target.fingerprint.clone(),
            at: self.shared.clock.now(),
            desired: match &target.work {
                Work::Team(desired) => Some(desired.as_ref().clone()),
                Work::Platform(_) | Work::Nothing => None,
            },
        });
        self.shared.board.keep(&record).await
    }

    /// Tells how long the commit took that asked for this. What was reached before and only drifted since, no
    /// commit is waiting for.
    fn tell_ready(&self, target: &Target, former: Option<&LaneRecord>) {
        let converged = former.and_then(|record| record.converged.as_ref());
        let was_here = converged.is_some_and(|held| held.fingerprint == target.fingerprint);
        if self.id == LaneId::Platform || was_here {
            return;
        }
        let now = self.shared.clock.now();
        let since = |moment: DateTime<Utc>| (now - moment).to_std().unwrap_or_default();
        let asked = target.cause.asked;
        self.shared
            .meter
            .ready(since(asked.read), asked.committed.map(since));
    }

    async fn park(&self, target: &Target, attempts: u32, failure: Failure) -> Result<(), JournalError> {
        let why = failure.why();
        tracing::error!(lane = %self.id, lane.attempts = attempts, "{} is parked: {why}", self.id);
        self.keep(target, RunState::Parked { why }, attempts, failure.problems)
            .await
    }

    /// A newer target takes over, or the process stops: in the latter case the record stays as it
    /// is, and the next start takes the lane up again.
    async fn interrupted(&self, target: &Target, attempts: u32) -> Result<(), JournalError> {
        if self.shared.stop.is_cancelled() {
            return Ok(());
        }
        let by = self.targets.borrow().revision.clone();
        self.keep(target, RunState::Superseded { by }, attempts, Vec::new())
            .await
    }

    async fn keep(
        &self,
        target: &Target,
        state: RunState,
        attempts: u32,
        problems: Vec<Problem>,
    ) -> Result<(), JournalError> {
        self.shared
            .board
            .keep(&self.record(target, state, attempts, problems)?)
            .await
    }

    fn record(
        &self,
        target: &Target,
        state: RunState,
        attempts: u32,
        problems: Vec<Problem>,
    ) -> Result<LaneRecord, JournalError> {
        let former = self.shared.board.get(&self.id);
        let from = match former.as_ref().map(|record| &record.state) {
            Some(from @ (RunState::Running { .. } | RunState::Waiting { .. })) => from.clone(),
            // A settled lane is taken up again; that it was pending in between announces no effect.
            _ => RunState::Pending,
        };
        let state = transition(&from, state).map_err(|source| JournalError {
            act: format!("change the state of {}", self.id),
            source: source.into(),
        })?;
        Ok(LaneRecord {
            lane: self.id.clone(),
            revision: target.revision.clone(),
            fingerprint: target.fingerprint.clone(),
            state,
            since: self.shared.clock.now(),
            attempts,
            problems,
            converged: former.as_ref().and_then(|record| record.converged.clone()),
            held: former.and_then(|record| record.held),
        })
    }
}
