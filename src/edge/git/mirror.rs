//! A copy of a remote repository, as far as it is needed.
//!
//! # Guarantees
//! - Only what is followed is fetched, and by default without its history.
//! - What was read from it once stays readable, whatever happens to the remote: a push by force, a
//!   branch that vanishes or a repository that is emptied fails a fetch and takes nothing away.
//! - A process that dies at any moment leaves a copy that the next one goes on with.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use git2::{Direction, FetchOptions, Oid, RemoteHead, RemoteUpdateFlags};
use tokio::runtime::Handle;

use super::fetch_error::FetchError;
use super::location::RemoteUrl;
use super::repository::Repository;
use super::transport::{Line, RemoteSettings};
use crate::run::meter::{Meter, unmetered};
use crate::values::Revision;

/// What is followed, in the copy.
const FOLLOWED: &str = "refs/harborage/followed";
/// What was found good last, and is kept though the remote moves on.
const GOOD: &str = "refs/harborage/good";
/// Each fetch leaves a pack; with more than these they are made one.
const PACKS: usize = 50;

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
    folder: PathBuf,
    runtime: Handle,
    /// Reads; a fetch opens its own, since it takes long.
    repository: Mutex<Repository>,
    fetching: Mutex<()>,
    meter: Arc<dyn Meter>,
}

impl Mirror {
    /// Opens the copy in a folder, or begins one there. Nothing is fetched yet.
    ///
    /// # Errors
    /// When the folder can't be read or written.
    pub fn open(
        folder: &Path,
        url: RemoteUrl,
        settings: RemoteSettings,
        runtime: Handle,
    ) -> Result<Self, FetchError> {
        let repository = prepare(folder)?;
        Ok(Self {
            url,
            settings,
            folder: folder.to_owned(),
            runtime,
            repository: Mutex::new(repository),
            fetching: Mutex::default(),
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

    /// Fetches the commit that a branch, a tag or a full commit id names at the remote; without a name,
    /// its default branch's. Blocks; must not be called from a thread of the runtime's own.
    ///
    /// # Errors
    /// When the remote can't be asked, does not have it, or has nothing.
    pub fn fetch(&self, reference: Option<&str>, history: History) -> Result<Revision, FetchError> {
        let _one_at_a_time = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        let git = git2::Repository::open_bare(&self.folder).map_err(|error| self.unusable(error))?;
        let line = Line::new(&self.url, &self.settings, &self.runtime, &self.meter)?;
        let mut remote = git
            .remote_anonymous(self.url.url().as_str())
            .map_err(|error| self.unusable(error))?;
        line.talk(|| remote.connect(Direction::Fetch))?;
        let wanted = {
            let heads = remote.list().map_err(FetchError::Protocol)?;
            wanted(heads, reference)?
        };
        let is_there = |id: Oid| {
            git.find_object(id, None)
                .and_then(|object| object.peel_to_tree())
                .is_ok()
        };
        let known = wanted.id.filter(|id| history == History::Newest && is_there(*id));
        if known.is_none() {
            line.talk(|| download(&git, &mut remote, &wanted.name, history))?;
        }
        // The remote is told that it was all; whether it heard that does not matter.
        let _ = remote.disconnect();
        let fetched = known.map_or_else(|| git.refname_to_id(FOLLOWED), Ok);
        let commit = fetched
            .and_then(|id| git.find_object(id, None))
            .and_then(|object| object.peel_to_commit())
            .map_err(|_| FetchError::NoSuchReference { name: wanted.name })?;
        keep(&git, FOLLOWED, commit.id())
            .and_then(|()| git.set_head_detached(commit.id()))
            .map_err(|error| self.unusable(error))?;
        self.pack(&git)?;
        Ok(Revision::commit(commit.id().to_string()))
    }

    /// Keeps a commit whatever the remote does, in place of the one that was kept before.
    ///
    /// # Errors
    /// When the copy can't be written.
    pub fn keep(&self, revision: &Revision) -> Result<(), FetchError> {
        let git = git2::Repository::open_bare(&self.folder).map_err(|error| self.unusable(error))?;
        Oid::from_str(revision.as_str())
            .and_then(|id| keep(&git, GOOD, id))
            .map_err(|error| self.unusable(error))
    }

    /// Makes one pack of many, with what is still needed. The old ones go when the new one is there.
    fn pack(&self, git: &git2::Repository) -> Result<(), FetchError> {
        let folder = self.folder.join("objects/pack");
        let packs = packs(&folder).map_err(|error| self.unusable(error))?;
        if packs.len() <= PACKS || !git.is_shallow() {
            return Ok(());
        }
        let written = pack_needed(git, &folder).map_err(|error| self.unusable(error))?;
        for pack in packs.iter().filter(|pack| **pack != written) {
            for extension in ["pack", "idx", "rev"] {
                // A file that stays takes space until the next time.
                let _ = std::fs::remove_file(pack.with_extension(extension));
            }
        }
        let opened = Repository::open(&self.folder).map_err(|error| self.unusable(error))?;
        *self.repository.lock().unwrap_or_else(PoisonError::into_inner) = opened;
        Ok(())
    }

    fn unusable(&self, source: impl Into<super::fetch_error::Cause>) -> FetchError {
        unusable(&self.folder, source)
    }
}

/// Brings what the remote calls `name`, as the reference that is followed; with the whole history also every
/// branch and tag, since a range may name them.
fn download(
    git: &git2::Repository,
    remote: &mut git2::Remote<'_>,
    name: &str,
    history: History,
) -> Result<(), git2::Error> {
    let mut refspecs = vec![format!("+{name}:{FOLLOWED}")];
    let mut options = FetchOptions::new();
    options
        .update_fetchhead(false)
        .download_tags(git2::AutotagOption::None);
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
    remote.update_tips(None, RemoteUpdateFlags::empty(), git2::AutotagOption::None, None)
}

/// libgit2's depth for all that is missing.
const UNSHALLOW: i32 = i32::MAX;

fn unusable(folder: &Path, source: impl Into<super::fetch_error::Cause>) -> FetchError {
    FetchError::Copy {
        folder: folder.to_owned(),
        source: source.into(),
    }
}

/// A copy that git can open; one that it can't is begun anew, since all of it can be fetched again.
fn prepare(folder: &Path) -> Result<Repository, FetchError> {
    let begin = || -> Result<Repository, FetchError> {
        // The values may hold secrets.
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder);
        made.map_err(|error| unusable(folder, error))?;
        git2::Repository::init_bare(folder).map_err(|error| unusable(folder, error))?;
        Repository::open(folder).map_err(|error| unusable(folder, error))
    };
    if !folder.exists() {
        return begin();
    }
    match Repository::open(folder) {
        Ok(repository) if repository.is_git() => Ok(repository),
        other => {
            let why = other.map_or_else(
                |error| error.to_string(),
                |_| "it is no git repository".to_owned(),
            );
            tracing::warn!("the copy in {} is fetched anew: {why}", folder.display());
            std::fs::remove_dir_all(folder).map_err(|error| unusable(folder, error))?;
            begin()
        }
    }
}

/// What is asked for, as the remote calls it.
struct Wanted {
    name: String,
    /// What it is now; a tag's own id where it has one.
    id: Option<Oid>,
}

/// Finds a name as git does: as it is, then among the tags, then among the branches.
fn wanted(heads: &[RemoteHead<'_>], reference: Option<&str>) -> Result<Wanted, FetchError> {
    let find = |name: &str| {
        heads.iter().find(|head| head.name() == name).map(|head| Wanted {
            name: name.to_owned(),
            id: Some(head.oid()),
        })
    };
    if heads.is_empty() {
        return Err(FetchError::Empty);
    }
    let Some(name) = reference else {
        return find("HEAD").ok_or(FetchError::NoDefaultBranch);
    };
    if name.len() == 40
        && let Ok(id) = Oid::from_str(name)
    {
        return Ok(Wanted {
            name: name.to_owned(),
            id: Some(id),
        });
    }
    ["", "refs/", "refs/tags/", "refs/heads/"]
        .iter()
        .find_map(|prefix| find(&format!("{prefix}{name}")))
        .ok_or_else(|| FetchError::NoSuchReference {
            name: name.to_owned(),
        })
}

fn keep(git: &git2::Repository, name: &str, id: Oid) -> Result<(), git2::Error> {
    git.reference(name, id, true, "followed").map(drop)
}

fn packs(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut packs = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "pack") {
            packs.push(path);
        }
    }
    Ok(packs)
}

/// Writes a pack with what is followed and what is kept; answers where.
fn pack_needed(git: &git2::Repository, folder: &Path) -> Result<PathBuf, git2::Error> {
    let mut builder = git.packbuilder()?;
    for name in [FOLLOWED, GOOD] {
        if let Ok(id) = git.refname_to_id(name) {
            builder.insert_commit(id)?;
        }
    }
    builder.write(folder, 0)?;
    let name = builder.name()?.unwrap_or_default().to_owned();
    Ok(folder.join(format!("pack-{name}.pack")))
}
