//! What the journal keeps of a lane.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::target::ErrorClass;
use crate::plan::desired::{DesiredTeam, Fingerprint};
use crate::plan::step::Operation;
use crate::values::Revision;
use crate::values::names::TeamId;

/// Whose steps a lane carries out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LaneId {
    /// The platform's own: Harbor's configuration.
    Platform,
    /// One team's.
    Team(TeamId),
}

impl std::fmt::Display for LaneId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Platform => f.write_str("platform"),
            Self::Team(team) => std::fmt::Display::fmt(team, f),
        }
    }
}

/// Everything that is remembered of a lane. Holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaneRecord {
    /// The lane.
    pub lane: LaneId,
    /// The commit that asked for what the lane is working on, or last worked on.
    pub revision: Revision,
    /// What that commit asks for.
    pub fingerprint: Fingerprint,
    /// Where the lane stands.
    pub state: RunState,
    /// Since when it stands there.
    pub since: DateTime<Utc>,
    /// Attempts at this target so far, the present one included.
    pub attempts: u32,
    /// What went wrong in the last attempt, step by step.
    pub problems: Vec<Problem>,
    /// The last state that was reached in full; kept while a newer one is worked on or can't be.
    pub converged: Option<Converged>,
    /// Why a newer commit is not acted upon for this team; `None` when it is.
    pub held: Option<Held>,
}

/// Where a lane stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum RunState {
    /// It has a target and has not begun.
    Pending,
    /// It is carrying out this operation.
    Running {
        /// The operation.
        operation: Operation,
    },
    /// The target is reached.
    Done,
    /// It tries again at this time, or earlier when something changes.
    Waiting {
        /// When.
        until: DateTime<Utc>,
        /// What it waits for.
        why: String,
    },
    /// Retrying can't help: it waits for a new commit, a drift sweep or a person.
    Parked {
        /// What a person should know.
        why: String,
    },
    /// A newer commit asked for something else before it was done.
    Superseded {
        /// That commit.
        by: Revision,
    },
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The operation.
    pub operation: Operation,
    /// The object, as the plan names it.
    pub object: String,
    /// What follows from it.
    pub class: ErrorClass,
    /// What happened, in full.
    pub message: String,
}

/// A state that was reached in full.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Converged {
    /// The commit that asked for it.
    pub revision: Revision,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// When it was reached, or last seen to hold.
    pub at: DateTime<Utc>,
    /// The desired state itself, so that a team whose values are at fault can still be
    /// looked after; `None` for the platform.
    pub desired: Option<DesiredTeam>,
}

/// Why a team is not brought to a newer commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "because")]
pub enum Held {
    /// Its values are at fault in this commit.
    Faults {
        /// The commit.
        revision: Revision,
        /// The faults, one line each.
        faults: Vec<String>,
    },
    /// It is no longer in the repository. What it has stays: nothing is removed by accident.
    Removed {
        /// The first commit without it.
        revision: Revision,
    },
}
