//! Checks how a job is carried out: its scope, steps, retry and time limit.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_yaml::Spanned;

use super::check::Faults;
use super::wire::{JobFile, Retry, Scope, Step};
use crate::plan::step::Operation;
use crate::run::Rules;
use crate::run::retry::RetryPolicy;

const PLATFORM_OPERATIONS: [Operation; 2] = [Operation::EnsureConfiguration, Operation::EnsureSharedGroups];

/// How the steps of a job are carried out.
pub(super) fn rules<P>(job: &JobFile<P>, scope: Scope, faults: &mut Faults<'_>) -> Option<Rules> {
    if job.scope.value != scope {
        faults.at(
            &job.scope,
            "this job has another scope",
            format!("write {}", if scope == Scope::Team { "team" } else { "platform" }),
        );
    }
    let retry = retry(&job.retry, faults);
    let timeout = duration(&job.timeout, faults);
    steps(&job.steps, scope, faults);
    let steps = job
        .steps
        .iter()
        .map(|step| {
            (
                step.operation.value,
                step.needs.iter().map(|need| need.value).collect(),
            )
        })
        .collect();
    Some(Rules {
        steps,
        retry: retry?,
        timeout: timeout?,
    })
}

/// Each operation once, of the job's scope, and needing only what comes before it: so nothing needs itself.
fn steps(steps: &[Step], scope: Scope, faults: &mut Faults<'_>) {
    let mut before: BTreeSet<Operation> = BTreeSet::new();
    for step in steps {
        let operation = step.operation.value;
        if PLATFORM_OPERATIONS.contains(&operation) != (scope == Scope::Platform) {
            faults.at(
                &step.operation,
                format!("{operation} is not for this job's scope"),
                "",
            );
        }
        for need in &step.needs {
            if need.value == operation {
                faults.at(need, format!("{operation} needs itself"), "take it out of needs");
            } else if !before.contains(&need.value) {
                let hint = "a step needs only steps that come before it in the same file";
                faults.at(
                    need,
                    format!("{operation} needs {}, which does not come before it", need.value),
                    hint,
                );
            }
        }
        if !before.insert(operation) {
            faults.at(
                &step.operation,
                format!("{operation} comes twice"),
                "keep one of the two",
            );
        }
    }
}

fn retry(retry: &Retry, faults: &mut Faults<'_>) -> Option<RetryPolicy> {
    let (first, max) = (duration(&retry.first, faults), duration(&retry.max, faults));
    if !(1.0..=100.0).contains(&retry.factor.value) {
        faults.at(
            &retry.factor,
            format!("the factor is {}", retry.factor.value),
            "from 1 to 100",
        );
    }
    if retry.attempts.value == 0 {
        faults.at(&retry.attempts, "there are no attempts", "at least 1");
    }
    let (first, max) = (first?, max?);
    if max < first {
        faults.at(&retry.max, "max is shorter than first", "give at least as long");
    }
    Some(RetryPolicy {
        first,
        factor: retry.factor.value,
        max,
        attempts: retry.attempts.value,
    })
}

fn duration(text: &Spanned<String>, faults: &mut Faults<'_>) -> Option<Duration> {
    match humantime::parse_duration(&text.value) {
        Ok(duration) if !duration.is_zero() => Some(duration),
        _ => {
            faults.at(
                text,
                format!("{:?} is no duration", text.value),
                "write it like 30s, 5m or 1h30m",
            );
            None
        }
    }
}
