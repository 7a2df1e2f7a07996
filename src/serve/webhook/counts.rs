//! What became of the deliveries, in numbers.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};

use super::host::Host;
use crate::run::lock;

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The repository is looked at.
    Accepted,
    /// It had come before.
    Repeated,
    /// It is about something that is not followed.
    NotOurs,
    /// The host tried the hook.
    Tested,
    /// It proves no secret.
    Refused,
    /// It proves a secret and can't be read.
    Malformed,
    /// It is larger than a hook may be.
    TooLarge,
    /// There were too many.
    Shed,
    /// Its body did not come.
    Cut,
    /// There is no secret to judge it by.
    NoSecret,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 10] = [
        Self::Accepted,
        Self::Repeated,
        Self::NotOurs,
        Self::Tested,
        Self::Refused,
        Self::Malformed,
        Self::TooLarge,
        Self::Shed,
        Self::Cut,
        Self::NoSecret,
    ];

    /// Its name in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Repeated => "repeated",
            Self::NotOurs => "not_ours",
            Self::Tested => "tested",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Shed => "shed",
            Self::Cut => "cut",
            Self::NoSecret => "no_secret",
        }
    }
}

/// The last push that was accepted: a hint, by which a poll that finds another commit can tell that a hook
/// was missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastPush {
    /// When it came.
    pub at: DateTime<Utc>,
    /// The commit that it announced, if it named one.
    pub commit: Option<String>,
}

const OUTCOMES: usize = Outcome::ALL.len();

/// Counts deliveries by host and outcome. The labels are bounded: nothing of a delivery becomes one.
#[derive(Debug, Default)]
pub struct Counts {
    /// The last row is for deliveries of no known form.
    cells: [[AtomicU64; OUTCOMES]; Host::ALL.len() + 1],
    last: Mutex<Option<LastPush>>,
}

impl Counts {
    pub(super) fn add(&self, host: Option<Host>, outcome: Outcome) {
        let row = host.map_or(Host::ALL.len(), |host| host as usize);
        self.cells[row][outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn pushed(&self, push: LastPush) {
        *lock(&self.last) = Some(push);
    }

    /// Every count: the host's name or `unknown`, the outcome, how many since the start.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, Outcome, u64)> {
        let hosts = Host::ALL.into_iter().map(Host::name).chain(["unknown"]);
        self.cells.iter().zip(hosts).flat_map(|(row, host)| {
            row.iter()
                .zip(Outcome::ALL)
                .map(move |(cell, outcome)| (host, outcome, cell.load(Ordering::Relaxed)))
        })
    }

    /// How many deliveries had an outcome, of all hosts.
    #[must_use]
    pub fn total(&self, outcome: Outcome) -> u64 {
        self.each()
            .filter(|(_, each, _)| *each == outcome)
            .map(|(_, _, count)| count)
            .sum()
    }

    /// The last push that was accepted since the start.
    #[must_use]
    pub fn last_push(&self) -> Option<LastPush> {
        lock(&self.last).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_and_outcome_has_a_place_of_its_own() {
        let counts = Counts::default();
        let hosts = || Host::ALL.into_iter().map(Some).chain([None]);
        for (place, (host, outcome)) in hosts()
            .flat_map(|host| Outcome::ALL.map(|outcome| (host, outcome)))
            .enumerate()
        {
            (0..place).for_each(|_| counts.add(host, outcome));
        }
        for (place, ((host, outcome), told)) in hosts()
            .flat_map(|host| Outcome::ALL.map(|outcome| (host, outcome)))
            .zip(counts.each())
            .enumerate()
        {
            assert_eq!(told, (host.map_or("unknown", Host::name), outcome, place as u64));
        }
    }
}
