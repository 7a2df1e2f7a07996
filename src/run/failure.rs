//! Why an attempt failed, gathered step by step, and what decides about the next.

use std::time::Duration;

use super::record::Problem;
use super::target::{ErrorClass, TargetError};
use crate::plan::step::{Operation, Step, Verdict};

/// Why an attempt failed, and what may follow.
#[derive(Default)]
pub(super) struct Failure {
    pub(super) problems: Vec<Problem>,
    /// What the server asked us to wait.
    pub(super) retry_after: Option<Duration>,
    /// What has to happen outside harborage first.
    pub(super) waits_for: Option<String>,
}

impl Failure {
    pub(super) fn add(&mut self, operation: Operation, object: &str, error: &TargetError) {
        self.retry_after = self.retry_after.max(error.retry_after);
        self.problems.push(Problem {
            operation,
            object: object.to_owned(),
            class: error.class,
            message: chain(error),
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty() && self.waits_for.is_none()
    }

    /// The class that decides: what can still pass by itself goes before what can't.
    pub(super) fn class(&self) -> ErrorClass {
        let has = |class| self.problems.iter().any(|problem| problem.class == class);
        if has(ErrorClass::Auth) {
            ErrorClass::Auth
        } else if has(ErrorClass::Transient) || self.waits_for.is_some() {
            ErrorClass::Transient
        } else if has(ErrorClass::Conflict) {
            ErrorClass::Conflict
        } else {
            ErrorClass::Rejected
        }
    }

    /// One sentence for a person.
    pub(super) fn why(&self) -> String {
        match (&self.waits_for, self.problems.as_slice()) {
            (_, [only]) => only.message.clone(),
            (_, [first, others @ ..]) => format!("{} (and {} more)", first.message, others.len()),
            (Some(waits_for), []) => waits_for.clone(),
            (None, []) => "the target was not reached".to_owned(),
        }
    }
}

/// An error with everything underneath it, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// The steps of a plan that wait for something outside, as one sentence.
pub(super) fn waits(steps: &[Step]) -> Option<String> {
    steps
        .iter()
        .find(|step| step.verdict == Verdict::Wait)
        .map(|step| format!("{}: {}", step.object, step.why))
}

/// The steps of a plan that only a person can do, as problems.
pub(super) fn reports(steps: &[Step]) -> Vec<Problem> {
    steps
        .iter()
        .filter(|step| step.verdict == Verdict::Report)
        .map(|step| Problem {
            operation: step.operation,
            object: step.object.clone(),
            class: ErrorClass::Rejected,
            message: format!("{}: {}", step.object, step.why),
        })
        .collect()
}
