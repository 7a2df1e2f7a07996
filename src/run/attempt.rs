//! One attempt of a lane: observe, plan, carry out, until a plan has nothing to do.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use tracing::{Instrument as _, field, info_span};

use super::failure::{Failure, reports, waits};
use super::journal::JournalError;
use super::lane::{Attempt, Facts, Lane, Target};
use super::perform::Context;
use super::target::{self, ErrorClass, TargetError};
use crate::plan;
use crate::plan::desired::{DesiredPlatform, DesiredTeam};
use crate::plan::observed::{ObservedPlatform, ObservedTeam};
use crate::plan::step::{Action, Operation, Step};

/// Plans that follow one another in an attempt, at most. A plan settles in one, or in two where a
/// login can only be tried after its robot was enabled; more means that somebody works against us.
const ROUNDS: usize = 4;

/// How a round of steps ended.
enum Round {
    Finished,
    Interrupted,
}

impl Lane {
    pub(super) async fn attempt_team(
        &mut self,
        target: &Target,
        desired: &Arc<DesiredTeam>,
        attempts: u32,
    ) -> Result<Attempt, JournalError> {
        let Some(facts) = self.platform_facts().await else {
            return Ok(Attempt::Interrupted);
        };
        let robot_prefix = match facts {
            Ok(prefix) => prefix,
            Err(error) => return Ok(Attempt::Failed(unreadable(Operation::EnsureProject, &error))),
        };
        for _ in 0..ROUNDS {
            let Some(seen) = self
                .unless_interrupted(self.shared.observer.observe(desired, &robot_prefix))
                .await
            else {
                return Ok(Attempt::Interrupted);
            };
            let mut failure = Failure::default();
            for error in &seen.errors {
                failure.add(Operation::EnsureProject, desired.team.as_str(), error);
            }
            let mut observed = seen.observed;
            observed.at = self.shared.clock.now();
            self.prove_logins(desired, &mut observed, &mut failure).await;

            let plan = plan::plan_team(desired, &observed, self.shared.plan_options);
            let context = Context {
                desired,
                observed: &observed,
                revision: &target.revision,
            };
            let round = self
                .carry_out(target, attempts, &plan.steps, Some(&context), &mut failure)
                .await?;
            if matches!(round, Round::Interrupted) {
                return Ok(Attempt::Interrupted);
            }
            failure.problems.extend(reports(&plan.steps));
            failure.waits_for = waits(&plan.steps);
            if !failure.is_empty() {
                return Ok(Attempt::Failed(failure));
            }
            if plan.settles() {
                return Ok(Attempt::Reached);
            }
        }
        Ok(Attempt::Failed(unsettled(desired.team.as_str())))
    }

    pub(super) async fn attempt_platform(
        &mut self,
        target: &Target,
        desired: &Arc<DesiredPlatform>,
        attempts: u32,
    ) -> Result<Attempt, JournalError> {
        let harbor = self.shared.performer.harbor.clone();
        let observing = harbor.observe_platform(&desired.shared_groups);
        let observed = match self.unless_interrupted(observing).await {
            None => return Ok(Attempt::Interrupted),
            Some(Ok(observed)) => observed,
            Some(Err(error)) => {
                let error = Arc::new(error);
                self.shared.facts.send_if_modified(|facts| match facts {
                    Facts::Known(_) => false,
                    Facts::Unknown | Facts::NotYet(_) => {
                        *facts = Facts::NotYet(error.clone());
                        true
                    }
                });
                return Ok(Attempt::Failed(unreadable(
                    Operation::EnsureConfiguration,
                    &error,
                )));
            }
        };
        let mut failure = Failure::default();
        let plan = plan::plan_platform(desired, &observed, self.shared.client_secret.is_some());
        let round = self
            .carry_out(target, attempts, &plan.steps, None, &mut failure)
            .await?;
        if matches!(round, Round::Interrupted) {
            return Ok(Attempt::Interrupted);
        }
        // Teams go on whatever became of the configuration, since most of what they need does not depend on
        // it, but not before the robot prefix is settled: a later change would rename their robots.
        self.shared
            .facts
            .send_replace(match robot_prefix(&observed, &plan.steps, &failure) {
                Some(prefix) => Facts::Known(prefix),
                None => Facts::NotYet(Arc::new(prefix_pending(&failure))),
            });
        failure.problems.extend(reports(&plan.steps));
        Ok(if failure.is_empty() {
            Attempt::Reached
        } else {
            Attempt::Failed(failure)
        })
    }

    /// Performs the actions of a plan in the job's order. What fails is added to `failure` and holds
    /// back the steps that need it; when a server can't be reached at all the round ends.
    async fn carry_out(
        &self,
        target: &Target,
        attempts: u32,
        steps: &[Step],
        context: Option<&Context<'_>>,
        failure: &mut Failure,
    ) -> Result<Round, JournalError> {
        if steps.iter().all(|step| step.action.is_none()) {
            return Ok(Round::Finished);
        }
        let Some(Ok(_slot)) = self.unless_interrupted(self.shared.slots.acquire()).await else {
            return Ok(Round::Interrupted);
        };
        let mut failed: BTreeSet<Operation> = BTreeSet::new();
        for (operation, needs) in &self.rules().steps {
            if needs.iter().any(|need| failed.contains(need)) {
                failed.insert(*operation);
                continue;
            }
            let mut announced = false;
            let of_this = steps.iter().filter(|step| step.operation == *operation);
            for (step, action) in of_this.filter_map(|step| Some((step, step.action.as_ref()?))) {
                if self.interrupt() {
                    return Ok(Round::Interrupted);
                }
                if !announced {
                    self.announce(target, attempts, *operation).await?;
                    announced = true;
                }
                let span = info_span!(
                    "step",
                    step.operation = operation.name(),
                    step.object = step.object,
                    otel.status_code = field::Empty
                );
                let performing = self.perform(*operation, action, context);
                let Some(result) = performing.instrument(span.clone()).await else {
                    return Ok(Round::Interrupted);
                };
                if let Err(error) = result {
                    span.record("otel.status_code", "ERROR");
                    failed.insert(*operation);
                    failure.add(*operation, &step.object, &error);
                    if error.class == ErrorClass::Auth || error.status.is_none() {
                        return Ok(Round::Finished);
                    }
                } else {
                    tracing::info!(
                        lane = %self.id, commit = %target.revision.short(), step.operation = operation.name(),
                        "{}: {:?} {} ({})", self.id, step.verdict, step.object, step.why
                    );
                }
            }
        }
        Ok(Round::Finished)
    }

    /// Performs one action within the job's time for a step. `None` when the process has to end now.
    async fn perform(
        &self,
        operation: Operation,
        action: &Action,
        context: Option<&Context<'_>>,
    ) -> Option<Result<(), TargetError>> {
        let performing = async {
            match context {
                Some(context) => self.shared.performer.perform(action, context).await,
                None => self.configure(action).await,
            }
        };
        let limit = self.rules().timeout;
        tokio::select! {
            result = tokio::time::timeout(limit, performing) => {
                Some(result.unwrap_or_else(|_| Err(timed_out(operation, limit))))
            }
            () = self.shared.abort.cancelled() => None,
        }
    }

    /// What the platform's lane found out, once it has been there.
    async fn platform_facts(&mut self) -> Option<Result<Arc<str>, Arc<TargetError>>> {
        let mut facts = self.shared.facts.subscribe();
        let known = self
            .unless_interrupted(facts.wait_for(|facts| !matches!(facts, Facts::Unknown)))
            .await?;
        match &*known.ok()? {
            Facts::Known(prefix) => Some(Ok(prefix.clone())),
            Facts::NotYet(error) => Some(Err(error.clone())),
            Facts::Unknown => None,
        }
    }

    /// Awaits something that has no effect, unless a newer target or a stop comes first.
    async fn unless_interrupted<T>(&self, waiting: impl Future<Output = T>) -> Option<T> {
        let mut targets = self.targets.clone();
        tokio::select! {
            biased;
            () = self.shared.stop.cancelled() => None,
            _ = targets.changed() => None,
            done = waiting => Some(done),
        }
    }

    /// Tries the logins that nothing else tells about. A login that could not be tried leaves its
    /// Secret as it is for this attempt.
    async fn prove_logins(&self, desired: &DesiredTeam, observed: &mut ObservedTeam, failure: &mut Failure) {
        for wanted in plan::logins_to_prove(desired, observed) {
            match self
                .shared
                .performer
                .harbor
                .prove_login(&desired.project.name, &wanted.login)
                .await
            {
                Ok(proof) => {
                    observed.proofs.insert(wanted.secret, proof);
                }
                Err(error) => {
                    failure.add(
                        Operation::EnsureCredentials,
                        &format!("Secret {}", wanted.secret),
                        &error,
                    );
                }
            }
        }
    }

    async fn configure(&self, action: &Action) -> Result<(), TargetError> {
        let harbor = &self.shared.performer.harbor;
        match action {
            Action::WriteConfiguration {
                changes,
                with_client_secret,
            } => {
                let secret = self.shared.client_secret.as_ref().filter(|_| *with_client_secret);
                harbor.write_configuration(changes, secret).await
            }
            Action::CreateGroup { group } => match harbor.create_group(group).await {
                Err(error) if error.class == ErrorClass::Conflict => Ok(()),
                result => result,
            },
            _ => Ok(()),
        }
    }
}

/// The prefix that robots have from now on; `None` while a change of it is outstanding.
fn robot_prefix(observed: &ObservedPlatform, steps: &[Step], failure: &Failure) -> Option<Arc<str>> {
    let change = steps.iter().find_map(|step| match &step.action {
        Some(Action::WriteConfiguration { changes, .. }) => {
            Some((step, changes.get("robot_name_prefix")?.as_str()?))
        }
        _ => None,
    });
    match change {
        None => Some(Arc::from(observed.robot_prefix())),
        Some((step, prefix)) => {
            let failed = failure
                .problems
                .iter()
                .any(|problem| problem.object == step.object);
            (!failed).then(|| Arc::from(prefix))
        }
    }
}

fn prefix_pending(failure: &Failure) -> TargetError {
    let why = failure.problems.first().map(|problem| problem.message.clone());
    TargetError {
        target: target::Target::Harbor,
        act: "settle its robot prefix".to_owned(),
        class: ErrorClass::Transient,
        message: why.unwrap_or_else(|| "it was not set yet".to_owned()),
        status: None,
        retry_after: failure.retry_after,
        source: None,
    }
}

/// A failure of an observation that everything in the attempt needs.
fn unreadable(operation: Operation, error: &TargetError) -> Failure {
    let mut failure = Failure::default();
    failure.add(operation, "Harbor", error);
    failure
}

fn timed_out(operation: Operation, limit: std::time::Duration) -> TargetError {
    TargetError {
        target: match operation {
            Operation::EnsureNamespace | Operation::EnsureServiceAccounts => target::Target::Kubernetes,
            _ => target::Target::Harbor,
        },
        act: format!("finish a step of {operation}"),
        class: ErrorClass::Transient,
        message: format!("no end after {}", humantime::format_duration(limit)),
        status: None,
        retry_after: None,
        source: None,
    }
}

fn unsettled(object: &str) -> Failure {
    let mut failure = Failure::default();
    let error = TargetError {
        target: target::Target::Harbor,
        act: format!("settle on the state of {object}"),
        class: ErrorClass::Conflict,
        message: format!(
            "{ROUNDS} plans in a row found something to do; does another program change the same objects?"
        ),
        status: None,
        retry_after: None,
        source: None,
    };
    failure.add(Operation::EnsureCredentials, object, &error);
    failure
}
