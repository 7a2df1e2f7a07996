//! A copy of a remote repository, as far as it is needed.
//!
//! # Guarantees
//! - Only what is followed is fetched, and by default without its history.
//! - A commit is followed once all of its files are here and on the disk.
//! - What was read from it once stays readable, whatever happens to the remote: a push by force, a
//!   branch that vanishes or a repository that is emptied fails a fetch and takes nothing away.
//! - A process that dies at any moment leaves a copy that the next one goes on with.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use git2::{AutotagOption, FetchOptions, Oid, RemoteCallbacks, RemoteUpdateFlags};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::advertisement::Head;
use super::copy::{Copy, FOLLOWED, GOOD, INCOMING, is_complete};
use super::fetch_error::FetchError;
use super::location::RemoteUrl;
use super::repository::Repository;
use super::transport::{Line, RemoteSettings};
use crate::run::meter::{Meter, unmetered};
use crate::values::Revision;

/// A login that was refused is not tried again for so long, unless it changes: hosts lock accounts that guess.
const REFUSED: Duration = Duration::from_secs(600);
/// More objects than any values repository has; what they take when they are unpacked is not in the limit of bytes.
const MOST_OBJECTS: usize = 4_000_000;

/// How much of the history is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum History {
    /// The commit alone.
    Newest,
    /// All of it.
    Whole,
}

/// A bare repository that follows a remote one.
pub struct Mirror {
    url: RemoteUrl,
    settings: RemoteSettings,
    runtime: Handle,
    stop: CancellationToken,
    /// Reads; a fetch opens its own, since it takes long.
    repository: Mutex<Repository>,
    fetching: Mutex<Fetching>,
    meter: Arc<dyn Meter>,
}

/// What one fetch at a time has to itself.
struct Fetching {
    copy: Copy,
    /// What is known to be all here.
    checked: Option<Oid>,
    /// A login that was refused, and when.
    refused: Option<(u64, Instant)>,
    /// Whether the history was asked for: it is not packed away then.
    whole: bool,
}

impl Mirror {
    /// Opens the copy in a folder, or begins one there. Nothing is fetched yet.
    ///
    /// # Errors
    /// When the folder can't be read or written, belongs to something else, or another process works with it.
    pub fn open(
        folder: &Path,
        url: RemoteUrl,
        settings: RemoteSettings,
        runtime: Handle,
    ) -> Result<Self, FetchError> {
        let copy = Copy::open(folder)?;
        let repository = Repository::open(folder).map_err(|error| copy.unusable(error))?;
        Ok(Self {
            url,
            settings,
            runtime,
            stop: CancellationToken::new(),
            repository: Mutex::new(repository),
            fetching: Mutex::new(Fetching {
                copy,
                checked: None,
                refused: None,
                whole: false,
            }),
            meter: unmetered(),
        })
    }

    /// Tells calls to a meter.
    #[must_use]
    pub fn metered(self, meter: Arc<dyn Meter>) -> Self {
        Self { meter, ..self }
    }

    /// What it is a copy of.
    #[must_use]
    pub fn url(&self) -> &RemoteUrl {
        &self.url
    }

    /// What was fetched so far.
    #[must_use]
    pub fn repository(&self) -> Repository {
        self.repository
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Ends the fetch that is under way, and refuses those to come. Blocks until it has ended.
    pub fn close(&self) {
        self.stop.cancel();
        drop(self.fetching.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Fetches the commit that a branch, a tag or a full commit id names at the remote; without a name,
    /// its default branch's. Blocks; must not be called from a thread of the runtime's own.
    ///
    /// # Errors
    /// When the remote can't be asked, does not have it, or has nothing.
    pub fn fetch(&self, reference: Option<&str>, history: History) -> Result<Revision, FetchError> {
        let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        let line = Line::new(&self.url, &self.settings, &self.runtime, &self.stop, &self.meter)?;
        let login = line.login();
        if fetching
            .refused
            .is_some_and(|(refused, at)| Some(refused) == login && at.elapsed() < REFUSED)
        {
            return Err(FetchError::LoginRefused);
        }
        let fetched = self.fetch_over(&line, &mut fetching, reference, history);
        fetching.refused = match (&fetched, login) {
            (Err(FetchError::LoginRefused), Some(login)) => Some((login, Instant::now())),
            _ => None,
        };
        Ok(Revision::commit(fetched?.to_string()))
    }

    fn fetch_over(
        &self,
        line: &Arc<Line>,
        fetching: &mut Fetching,
        reference: Option<&str>,
        history: History,
    ) -> Result<Oid, FetchError> {
        let copy = &fetching.copy;
        let git = copy.git()?;
        let mut remote = git
            .remote_anonymous(Line::URL)
            .map_err(|error| copy.unusable(error))?;
        let heads = line.advertised(&mut remote)?;
        let wanted = wanted(&heads, reference)?;
        fetching.whole |= history == History::Whole;
        let peeled = wanted.id.and_then(|id| commit_of(&git, id));
        let is_here = |commit: &Oid| fetching.checked == Some(*commit) || is_complete(&git, *commit);
        let known = peeled.filter(|commit| history == History::Newest && is_here(commit));
        let commit = if let Some(commit) = known {
            commit
        } else {
            let downloading = line.talk(|| download(&git, &mut remote, &wanted.name, history));
            downloading.map_err(|error| match error {
                FetchError::Protocol(source) if wanted.is_unadvertised => FetchError::ById { source },
                error => error,
            })?;
            copy.sync().map_err(|error| copy.unusable(error))?;
            let incoming = git
                .refname_to_id(INCOMING)
                .ok()
                .and_then(|id| commit_of(&git, id));
            let commit = incoming.ok_or_else(|| FetchError::NoSuchReference {
                name: wanted.name.clone(),
            })?;
            if !is_complete(&git, commit) {
                if let Ok(mut incoming) = git.find_reference(INCOMING) {
                    incoming.delete().map_err(|error| copy.unusable(error))?;
                }
                return Err(FetchError::Incomplete);
            }
            commit
        };
        // The remote is told that it was all; whether it heard that does not matter.
        let _ = remote.disconnect();
        copy.point(&git, FOLLOWED, commit)?;
        if git.head().ok().and_then(|head| head.target()) != Some(commit) {
            git.set_head_detached(commit)
                .map_err(|error| copy.unusable(error))?;
        }
        fetching.checked = Some(commit);
        self.pack(fetching, &git);
        Ok(commit)
    }

    /// Keeps a commit whatever the remote does, in place of the one that was kept before.
    ///
    /// # Errors
    /// When the copy can't be written.
    pub fn keep(&self, revision: &Revision) -> Result<(), FetchError> {
        let fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        let copy = &fetching.copy;
        let id = Oid::from_str(revision.as_str()).map_err(|error| copy.unusable(error))?;
        copy.point(&copy.git()?, GOOD, id)
    }

    /// Packs what has become many packs. That it can't be done harms nobody now.
    fn pack(&self, fetching: &Fetching, git: &git2::Repository) {
        if fetching.whole {
            return;
        }
        let folder = fetching.copy.folder();
        let packed = fetching.copy.pack(git).and_then(|packed| {
            if packed {
                let opened = Repository::open(folder)?;
                *self.repository.lock().unwrap_or_else(PoisonError::into_inner) = opened;
            }
            Ok(())
        });
        if let Err(error) = packed {
            tracing::warn!("the copy in {} can't be made smaller: {error}", folder.display());
        }
    }
}

fn commit_of(git: &git2::Repository, id: Oid) -> Option<Oid> {
    let object = git.find_object(id, None).ok()?;
    Some(object.peel_to_commit().ok()?.id())
}

/// Brings what the remote calls `name`; with the whole history also every branch and tag, since a range may name
/// them.
fn download(
    git: &git2::Repository,
    remote: &mut git2::Remote<'_>,
    name: &str,
    history: History,
) -> Result<(), git2::Error> {
    let mut refspecs = vec![format!("+{name}:{INCOMING}")];
    let mut callbacks = RemoteCallbacks::new();
    callbacks.transfer_progress(|progress| progress.total_objects() <= MOST_OBJECTS);
    let mut options = FetchOptions::new();
    options
        .update_fetchhead(false)
        .download_tags(AutotagOption::None)
        .remote_callbacks(callbacks);
    match history {
        History::Newest => {
            options.depth(1);
        }
        History::Whole => {
            refspecs.extend(["heads", "tags"].map(|kind| format!("+refs/{kind}/*:refs/{kind}/*")));
            options.depth(if git.is_shallow() { UNSHALLOW } else { 0 });
        }
    }
    remote.download(&refspecs, Some(&mut options))?;
    remote.update_tips(None, RemoteUpdateFlags::empty(), AutotagOption::None, None)
}

/// libgit2's depth for all that is missing.
const UNSHALLOW: i32 = i32::MAX;

/// What is asked for, as the remote calls it.
struct Wanted {
    name: String,
    /// What it is now; a tag's own id where it has one.
    id: Option<Oid>,
    /// A commit's id that no reference has, which only some hosts give.
    is_unadvertised: bool,
}

/// Finds a name as git does: as it is, then among the tags, then among the branches.
fn wanted(heads: &[Head], reference: Option<&str>) -> Result<Wanted, FetchError> {
    let by = |is: &dyn Fn(&Head) -> bool| {
        heads.iter().find(|head| is(head)).map(|head| Wanted {
            name: head.name.clone(),
            id: Some(head.id),
            is_unadvertised: false,
        })
    };
    if heads.is_empty() {
        return Err(FetchError::Empty);
    }
    let Some(name) = reference else {
        return by(&|head| head.name == "HEAD").ok_or(FetchError::NoDefaultBranch);
    };
    if name.len() == 40
        && let Ok(id) = Oid::from_str(name)
    {
        return Ok(by(&|head| head.id == id).unwrap_or_else(|| Wanted {
            name: name.to_owned(),
            id: Some(id),
            is_unadvertised: true,
        }));
    }
    ["", "refs/", "refs/tags/", "refs/heads/"]
        .iter()
        .find_map(|prefix| by(&|head| head.name == format!("{prefix}{name}")))
        .ok_or_else(|| FetchError::NoSuchReference {
            name: name.to_owned(),
        })
}
