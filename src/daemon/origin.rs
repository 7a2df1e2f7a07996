//! Where commits come from: a repository of this machine, or a copy of one that is fetched.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::source::SourceError;
use crate::edge::git::{History, Location, Mirror, RemoteSettings, Repository, Secret, WorkingTree};
use crate::edge::watch::Watched;
use crate::run::meter::Meter;
use crate::serve::webhook::{RepositoryName, Subject};
use crate::settings::{GitAccess, GivenSecret, SourceSettings};
use crate::values::Revision;

/// The folder of the copy, within the state folder.
const COPY: &str = "repository";

/// A repository, and what of it is followed.
pub(super) struct Origin {
    place: Place,
    reference: Option<String>,
}

enum Place {
    /// It is on this machine; its commits are read, or its working tree.
    Here {
        repository: Repository,
        working_tree: bool,
    },
    /// It is fetched.
    Remote {
        mirror: Box<Mirror>,
        /// Holds the copy of a command that keeps none.
        _folder: Option<tempfile::TempDir>,
    },
}

impl Origin {
    /// Opens what a location names. Of a remote repository a copy is kept in the state folder, or where there
    /// is none until the end of the process. Must be called on a thread of the runtime.
    pub(super) fn open(
        location: &Path,
        settings: &SourceSettings,
        state: Option<&Path>,
        meter: &Arc<dyn Meter>,
    ) -> Result<Self, SourceError> {
        let place = match Location::parse(location)? {
            Location::Path(path) => {
                let repository = Repository::open(path)?;
                Place::Here {
                    working_tree: settings.working_tree || !repository.is_git(),
                    repository,
                }
            }
            Location::Remote(url) if settings.working_tree => {
                return Err(SourceError::NoWorkingTree { url: url.to_string() });
            }
            Location::Remote(url) => {
                let (folder, held) = copy_folder(state)?;
                let runtime = tokio::runtime::Handle::current();
                let shown = url.to_string();
                let mirror = Mirror::open(&folder, url, remote_settings(&settings.git), runtime)
                    .map_err(|source| SourceError::Fetch { url: shown, source })?;
                Place::Remote {
                    mirror: Box::new(mirror.metered(meter.clone())),
                    _folder: held,
                }
            }
        };
        Ok(Self {
            place,
            reference: settings.reference.clone(),
        })
    }

    /// The newest commit of what is followed, fetched where it has to be; `None` where a working tree is read.
    pub(super) fn head(&self) -> Result<Option<Revision>, SourceError> {
        match &self.place {
            Place::Here {
                working_tree: true, ..
            } => Ok(None),
            Place::Here { repository, .. } => Ok(Some(repository.head(self.reference.as_deref())?)),
            Place::Remote { mirror, .. } => self.fetch(mirror, History::Newest).map(Some),
        }
    }

    /// The commits of a range `A..B`, oldest first.
    pub(super) fn commits(&self, range: &str) -> Result<Vec<Revision>, SourceError> {
        if let Place::Remote { mirror, .. } = &self.place {
            self.fetch(mirror, History::Whole)?;
        }
        Ok(self.repository().commits(range)?)
    }

    /// Where commits are read.
    pub(super) fn repository(&self) -> Repository {
        match &self.place {
            Place::Here { repository, .. } => repository.clone(),
            Place::Remote { mirror, .. } => mirror.repository(),
        }
    }

    /// The files as they lie in the folder.
    pub(super) fn working_tree(&self) -> WorkingTree {
        self.repository().working_tree()
    }

    /// Says that a commit is good: it stays readable whatever a remote does.
    pub(super) fn keep(&self, revision: &Revision) -> Result<(), SourceError> {
        match &self.place {
            Place::Here { .. } => Ok(()),
            Place::Remote { mirror, .. } => mirror.keep(revision).map_err(|source| failed(mirror, source)),
        }
    }

    /// What is followed, as webhooks name it.
    pub(super) fn subject(&self) -> Subject {
        let repository = match &self.place {
            Place::Here { .. } => None,
            Place::Remote { mirror, .. } => RepositoryName::parse(&mirror.url().to_string()),
        };
        Subject {
            repository,
            reference: self.reference.clone(),
        }
    }

    /// Where the repository is, without a login.
    pub(super) fn location(&self) -> String {
        match &self.place {
            Place::Here { repository, .. } => repository.path().display().to_string(),
            Place::Remote { mirror, .. } => mirror.url().to_string(),
        }
    }

    /// Ends a fetch that is under way. Blocks until it has ended.
    pub(super) fn close(&self) {
        if let Place::Remote { mirror, .. } = &self.place {
            mirror.close();
        }
    }

    /// What has to be watched to notice a change. A linked worktree has its HEAD in a folder of its own and
    /// its branches in its repository's. A remote repository is polled.
    pub(super) fn watched(&self, root: &str) -> Vec<(PathBuf, Watched)> {
        match &self.place {
            Place::Remote { .. } => Vec::new(),
            Place::Here {
                repository,
                working_tree: true,
            } => vec![(repository.path().join(root).join("env"), Watched::Folder)],
            Place::Here { repository, .. } => {
                let own = repository.git_directory().map(Path::to_owned);
                let mut folders: Vec<_> = own.into_iter().chain(repository.common_directory()).collect();
                folders.dedup();
                let watched = |folder| (folder, Watched::GitFolder);
                folders.into_iter().map(watched).collect()
            }
        }
    }

    fn fetch(&self, mirror: &Mirror, history: History) -> Result<Revision, SourceError> {
        mirror
            .fetch(self.reference.as_deref(), history)
            .map_err(|source| failed(mirror, source))
    }
}

fn failed(mirror: &Mirror, source: crate::edge::git::FetchError) -> SourceError {
    SourceError::Fetch {
        url: mirror.url().to_string(),
        source,
    }
}

fn copy_folder(state: Option<&Path>) -> Result<(PathBuf, Option<tempfile::TempDir>), SourceError> {
    if let Some(state) = state {
        return Ok((state.join(COPY), None));
    }
    let folder = tempfile::TempDir::new().map_err(SourceError::Temporary)?;
    Ok((folder.path().join(COPY), Some(folder)))
}

fn remote_settings(access: &GitAccess) -> RemoteSettings {
    let secret = |given: &GivenSecret| match given {
        GivenSecret::Text(text) => Secret::Text(text.clone()),
        GivenSecret::File(path) => Secret::File(path.clone()),
    };
    RemoteSettings {
        username: access.username.clone(),
        password: access.password.as_ref().map(secret),
        token: access.token.as_ref().map(secret),
        ca: access.ca.clone(),
        ssh_key: access.ssh_key.clone(),
        known_hosts: access.known_hosts.clone(),
        timeout: access.timeout,
        limit: access.limit,
    }
}
