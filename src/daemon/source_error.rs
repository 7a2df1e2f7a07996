//! Why a repository or its job files can't be used.

use std::path::PathBuf;

use crate::edge::git::{FetchError, GitError, LocationError};
use crate::run::declaration::JobFaults;
use crate::snapshot::TreeError;
use crate::values::names::{NameError, TeamId};
use crate::values::{Fault, Revision, UnknownLayout};

/// A repository, or job files, that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The repository can't be opened, or has no such commit.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The location is none.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// It is behind a URL and could not be fetched.
    #[error("failed to fetch {url}")]
    Fetch {
        /// The URL, without a login.
        url: String,
        /// Why.
        #[source]
        source: FetchError,
    },
    /// A working tree is asked for of what has none.
    #[error("{url} has no working tree: a repository behind a URL is read at its commits")]
    NoWorkingTree {
        /// The URL.
        url: String,
    },
    /// No folder can be made for what is fetched.
    #[error("failed to make a temporary folder for what is fetched")]
    Temporary(#[source] std::io::Error),
    /// Its files can't be read.
    #[error("failed to read {} at {}", repository.display(), revision.short())]
    Unreadable {
        /// The repository.
        repository: PathBuf,
        /// The commit.
        revision: Revision,
        /// Which file, and why.
        #[source]
        source: TreeError,
    },
    /// What all teams share is at fault.
    #[error("{} is refused: what all teams share is at fault", revision.short())]
    Refused {
        /// The commit.
        revision: Revision,
        /// Every fault.
        faults: Vec<Fault>,
    },
    /// The job files are at fault.
    #[error(transparent)]
    Jobs(#[from] JobFaults),
    /// A job file can't be read.
    #[error("failed to read the job files in {}", path.display())]
    JobFiles {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The forced layout is none.
    #[error(transparent)]
    Layout(#[from] UnknownLayout),
    /// A job makes a name of a team's id that no server accepts.
    #[error("failed to name what team {team} shall have")]
    Name {
        /// The team.
        team: TeamId,
        /// The name.
        #[source]
        source: NameError,
    },
    /// The thread that read was ended.
    #[error("failed to read the repository: its thread ended")]
    Thread(#[source] tokio::task::JoinError),
}
