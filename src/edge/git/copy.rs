//! The folder of a copy: begun, locked, tidied, checked, packed.
//!
//! # Guarantees
//! - Only a folder that harborage made is ever changed, and a damaged one is moved aside, not deleted.
//! - One process at a time works with a folder.
//! - What a process left behind that was killed is taken away at the next start.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid, TreeWalkMode, TreeWalkResult};

use super::fetch_error::{Cause, FetchError};

/// What is followed.
pub(super) const FOLLOWED: &str = "refs/harborage/followed";
/// What was found good last, and is kept though the remote moves on.
pub(super) const GOOD: &str = "refs/harborage/good";
/// What was fetched and is not looked at yet.
pub(super) const INCOMING: &str = "refs/harborage/incoming";
/// Says in its configuration that a repository is a copy of ours.
const MARK: &str = "harborage.copy";
/// Each fetch leaves a pack; with more than these they are made one.
const PACKS: usize = 50;

/// A bare repository that one process works with.
pub(super) struct Copy {
    folder: PathBuf,
    _lock: File,
}

impl Copy {
    /// Opens the copy in a folder, or begins one there.
    pub(super) fn open(folder: &Path) -> Result<Self, FetchError> {
        let failed = |error: io::Error| unusable(folder, error);
        if let Some(parent) = folder.parent() {
            make_folder(parent).map_err(failed)?;
        }
        let lock = File::create(folder.with_extension("lock")).map_err(failed)?;
        lock.try_lock().map_err(|_| FetchError::Taken {
            folder: folder.to_owned(),
        })?;
        let copy = Self {
            folder: folder.to_owned(),
            _lock: lock,
        };
        copy.prepare()?;
        Ok(copy)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn git(&self) -> Result<git2::Repository, FetchError> {
        git2::Repository::open_bare(&self.folder).map_err(|error| self.unusable(error))
    }

    pub(super) fn unusable(&self, source: impl Into<Cause>) -> FetchError {
        unusable(&self.folder, source)
    }

    fn prepare(&self) -> Result<(), FetchError> {
        let failed = |error: io::Error| self.unusable(error);
        let is_new = !self.folder.exists() || is_empty(&self.folder).map_err(failed)?;
        if !is_new {
            let config = std::fs::read_to_string(self.folder.join("config")).unwrap_or_default();
            if !config.contains("[harborage]") {
                return Err(FetchError::NotOurs {
                    folder: self.folder.clone(),
                });
            }
            tidy(&self.folder).map_err(failed)?;
            match self.git().and_then(|git| self.forget_the_incomplete(&git)) {
                Ok(()) => return Ok(()),
                Err(error) => self.move_aside(&error).map_err(failed)?,
            }
        }
        // The values may hold secrets.
        make_folder(&self.folder).map_err(failed)?;
        let git = git2::Repository::init_bare(&self.folder).map_err(|error| self.unusable(error))?;
        git.config()
            .and_then(|mut config| config.set_bool(MARK, true))
            .map_err(|error| self.unusable(error))
    }

    /// A power cut may have left a reference whose objects are not all there. It would be offered to the remote as
    /// something that we have.
    fn forget_the_incomplete(&self, git: &git2::Repository) -> Result<(), FetchError> {
        for name in [FOLLOWED, GOOD, INCOMING] {
            let Ok(mut reference) = git.find_reference(name) else {
                continue;
            };
            if reference.target().is_none_or(|id| !is_complete(git, id)) {
                reference.delete().map_err(|error| self.unusable(error))?;
            }
        }
        Ok(())
    }

    fn move_aside(&self, why: &FetchError) -> io::Result<()> {
        let now = chrono::Utc::now().format("%Y%m%dT%H%M%S");
        let aside = self.folder.with_extension(format!("damaged-{now}"));
        tracing::warn!(
            copy.moved_to = %aside.display(),
            "the copy of the repository is damaged and is fetched anew; the damaged one is kept: {}",
            crate::run::chain(why)
        );
        std::fs::rename(&self.folder, aside)
    }

    /// Points a reference at a commit, where it is not there yet.
    pub(super) fn point(&self, git: &git2::Repository, name: &str, id: Oid) -> Result<(), FetchError> {
        if git.refname_to_id(name).ok() == Some(id) {
            return Ok(());
        }
        git.reference(name, id, true, "followed")
            .map(drop)
            .map_err(|error| self.unusable(error))
    }

    /// Makes sure that what was fetched is on the disk before a reference says so.
    pub(super) fn sync(&self) -> io::Result<()> {
        let folder = self.folder.join("objects/pack");
        for path in files(&folder, "pack")?.into_iter().chain(files(&folder, "idx")?) {
            File::open(path)?.sync_all()?;
        }
        let shallow = self.folder.join("shallow");
        if shallow.exists() {
            File::open(shallow)?.sync_all()?;
        }
        File::open(folder)?.sync_all()
    }

    /// Makes one pack of many, with what is still needed; answers whether it did. The old ones go when the new one
    /// is there.
    pub(super) fn pack(&self, git: &git2::Repository) -> Result<bool, Cause> {
        let folder = self.folder.join("objects/pack");
        let packs = files(&folder, "pack")?;
        if packs.len() <= PACKS {
            return Ok(false);
        }
        let needed: Vec<Oid> = [FOLLOWED, GOOD]
            .iter()
            .filter_map(|name| git.refname_to_id(name).ok())
            .collect();
        let mut builder = git.packbuilder()?;
        for id in &needed {
            builder.insert_commit(*id)?;
        }
        builder.write(&folder, 0)?;
        let written = format!("pack-{}.pack", builder.name()?.unwrap_or_default());
        self.sync()?;
        for pack in packs.iter().filter(|pack| !pack.ends_with(&written)) {
            for extension in ["pack", "idx", "rev"] {
                // A file that stays takes space until the next time.
                let _ = std::fs::remove_file(pack.with_extension(extension));
            }
        }
        // Commits that are gone would be told to the remote for ever.
        let shallow = std::fs::read_to_string(self.folder.join("shallow")).unwrap_or_default();
        let kept: Vec<&str> = shallow
            .split_inclusive('\n')
            .filter(|line| needed.iter().any(|id| id.to_string() == line.trim_end()))
            .collect();
        let draft = self.folder.join("shallow.new");
        std::fs::write(&draft, kept.concat())?;
        std::fs::rename(draft, self.folder.join("shallow"))?;
        Ok(true)
    }
}

/// Whether all that a commit needs is there: its parents, unless its history ends with it, and every file.
pub(super) fn is_complete(git: &git2::Repository, commit: Oid) -> bool {
    let check = || -> Result<bool, git2::Error> {
        let objects = git.odb()?;
        let commit = git.find_commit(commit)?;
        let shallow = std::fs::read_to_string(git.path().join("shallow")).unwrap_or_default();
        let ends_here = shallow.lines().any(|line| line == commit.id().to_string());
        let mut complete = ends_here || commit.parent_ids().all(|parent| objects.exists(parent));
        commit.tree()?.walk(TreeWalkMode::PreOrder, |_, entry| {
            // The commit of a submodule is elsewhere.
            complete &= entry.kind() == Some(ObjectType::Commit) || objects.exists(entry.id());
            if complete {
                TreeWalkResult::Ok
            } else {
                TreeWalkResult::Abort
            }
        })?;
        Ok(complete)
    };
    check().unwrap_or(false)
}

fn unusable(folder: &Path, source: impl Into<Cause>) -> FetchError {
    FetchError::Copy {
        folder: folder.to_owned(),
        source: source.into(),
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    Ok(std::fs::read_dir(folder)?.next().is_none())
}

/// The files of a folder with an extension; none where there is no folder.
fn files(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    Ok(files)
}

/// Takes away what a process that was killed left: locks of files, packs that are not whole.
fn tidy(folder: &Path) -> io::Result<()> {
    for place in ["", "refs/harborage"] {
        for lock in files(&folder.join(place), "lock")? {
            std::fs::remove_file(lock)?;
        }
    }
    let packs = folder.join("objects/pack");
    for index in files(&packs, "idx")? {
        if !index.with_extension("pack").exists() {
            std::fs::remove_file(index)?;
        }
    }
    if packs.exists() {
        for entry in std::fs::read_dir(packs)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with("pack_git2_") {
                std::fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}
