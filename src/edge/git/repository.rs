//! Finding a repository, and commits in it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use git2::{ErrorCode, Oid, Sort};

use super::commit_tree::CommitTree;
use super::working_tree::WorkingTree;
use crate::values::Revision;

/// Why git could not answer.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The path does not exist or cannot be entered.
    #[error("opening {path:?}")]
    Path {
        /// The path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// There is something at the path that git does not take for a repository.
    #[error("opening the git repository {path:?}")]
    Open {
        /// The path.
        path: PathBuf,
        /// What git said.
        #[source]
        source: git2::Error,
    },
    /// The path is a directory that is no repository, so it has no commits.
    #[error("{path:?} is no git repository, so it has no commits; it can only be read as it is")]
    NoRepository {
        /// The path.
        path: PathBuf,
    },
    /// The repository has no commit yet.
    #[error("the git repository {path:?} has no commit yet")]
    Empty {
        /// The path.
        path: PathBuf,
    },
    /// No branch, tag or commit has that name.
    #[error("the git repository {path:?} has no branch, tag or commit {name:?}")]
    NoSuchReference {
        /// The path.
        path: PathBuf,
        /// The name that was asked for.
        name: String,
    },
    /// A range that is not two names with `..` between them.
    #[error("the range {range:?} must be written FROM..TO")]
    BadRange {
        /// The text.
        range: String,
    },
    /// Reading objects or references failed.
    #[error("reading the git repository {path:?}")]
    Read {
        /// The path.
        path: PathBuf,
        /// What git said.
        #[source]
        source: git2::Error,
    },
}

/// A values repository on this machine: a bare clone, a checkout, a linked worktree, or a plain directory.
#[derive(Clone)]
pub struct Repository {
    path: PathBuf,
    git: Option<Git>,
}

/// One handle for all: it finds new commits by itself, and opening one costs more than reading a commit.
#[derive(Clone)]
struct Git {
    directory: PathBuf,
    handle: Arc<Mutex<git2::Repository>>,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository")
            .field("path", &self.path)
            .field("git", &self.git_directory())
            .finish()
    }
}

impl Repository {
    /// Finds the repository at a path. Does not look in the directories above it.
    ///
    /// A repository of another user opens too. libgit2 refuses those when it looks for a
    /// repository, since git might then run hooks and programs that its configuration
    /// names; nothing here runs any, so the git directory is opened as it is.
    ///
    /// # Errors
    /// The path does not exist, or is a git directory that git cannot open.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, GitError> {
        // git itself does not hash what it reads either, and 20,000 small objects are read
        // five times faster; zlib's checksum still finds what a disk did to them.
        static PLAIN_READS: std::sync::Once = std::sync::Once::new();
        PLAIN_READS.call_once(|| git2::opts::strict_hash_verification(false));
        let path = path.as_ref().to_owned();
        let failed = |source| GitError::Path {
            path: path.clone(),
            source,
        };
        let metadata = std::fs::metadata(&path).map_err(failed)?;
        if !metadata.is_dir() {
            return Err(failed(std::io::ErrorKind::NotADirectory.into()));
        }
        let git = match find_git_directory(&path).map_err(failed)? {
            None => None,
            Some(directory) => {
                let open = git2::Repository::open_bare(&directory);
                let handle = open.map_err(|source| GitError::Open {
                    path: path.clone(),
                    source,
                })?;
                Some(Git {
                    directory,
                    handle: Arc::new(Mutex::new(handle)),
                })
            }
        };
        Ok(Self { path, git })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory with `HEAD`; none in a plain directory.
    #[must_use]
    pub fn git_directory(&self) -> Option<&Path> {
        self.git.as_ref().map(|git| &*git.directory)
    }

    /// The directory with the branches, tags and objects: [`Repository::git_directory`], but for a linked
    /// worktree, which has its own `HEAD` and shares the rest with the checkout that it is linked to.
    #[must_use]
    pub fn common_directory(&self) -> Option<PathBuf> {
        self.handle().ok().map(|git| git.commondir().to_owned())
    }

    /// Whether it has commits to read.
    #[must_use]
    pub fn is_git(&self) -> bool {
        self.git.is_some()
    }

    /// The commit that a branch, a tag or a full commit id names; without a name, `HEAD`'s.
    ///
    /// # Errors
    /// There is no such name, there is no commit yet, or this is a plain directory.
    pub fn head(&self, reference: Option<&str>) -> Result<Revision, GitError> {
        let git = self.handle()?;
        let commit = self.resolve(&git, reference.unwrap_or("HEAD"))?;
        Ok(Revision::commit(commit.to_string()))
    }

    /// The files of a commit.
    ///
    /// # Errors
    /// The revision is no commit of this repository.
    pub fn tree_at(&self, commit: &Revision) -> Result<CommitTree, GitError> {
        let git = self.handle()?;
        let id = self.resolve(&git, commit.as_str())?;
        let tree = git
            .find_commit(id)
            .map_err(|source| self.read_error(source))?
            .tree_id();
        drop(git);
        let handle = self.git.as_ref().map(|git| Arc::clone(&git.handle));
        handle
            .map(|git| CommitTree::new(git, tree))
            .ok_or_else(|| GitError::NoRepository {
                path: self.path.clone(),
            })
    }

    /// When a commit was made, by its own word; `None` where that can't be read.
    #[must_use]
    pub fn committed(&self, commit: &Revision) -> Option<DateTime<Utc>> {
        let git = self.handle().ok()?;
        let id = Oid::from_str(commit.as_str()).ok()?;
        DateTime::from_timestamp(git.find_commit(id).ok()?.time().seconds(), 0)
    }

    /// The files as they lie in the directory, committed or not. A bare clone has none.
    #[must_use]
    pub fn working_tree(&self) -> WorkingTree {
        WorkingTree::new(&self.path)
    }

    /// The commits of `FROM..TO` on the first-parent line, the oldest first; `FROM` itself is not among them.
    ///
    /// # Errors
    /// The range is not written so, or names what is not there.
    pub fn commits(&self, range: &str) -> Result<Vec<Revision>, GitError> {
        let bad = || GitError::BadRange {
            range: range.to_owned(),
        };
        let (from, to) = range.split_once("..").ok_or_else(bad)?;
        if to.starts_with('.') {
            return Err(bad());
        }
        let name = |name: &'static str, text: &str| {
            if text.is_empty() {
                name.to_owned()
            } else {
                text.to_owned()
            }
        };
        let git = self.handle()?;
        let from = self.resolve(&git, &name("HEAD", from))?;
        let to = self.resolve(&git, &name("HEAD", to))?;
        let walk = || -> Result<Vec<Revision>, git2::Error> {
            let mut walk = git.revwalk()?;
            walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
            walk.simplify_first_parent()?;
            walk.push(to)?;
            walk.hide(from)?;
            walk.map(|id| Ok(Revision::commit(id?.to_string()))).collect()
        };
        walk().map_err(|source| self.read_error(source))
    }

    fn handle(&self) -> Result<MutexGuard<'_, git2::Repository>, GitError> {
        let git = self.git.as_ref().ok_or_else(|| GitError::NoRepository {
            path: self.path.clone(),
        })?;
        Ok(git.handle.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A full id, a branch, a remote branch or a tag, as git itself tries them.
    fn resolve(&self, git: &git2::Repository, name: &str) -> Result<Oid, GitError> {
        let id = if name.len() == 40 {
            Oid::from_str(name).ok()
        } else {
            None
        };
        if name.is_empty() {
            return Err(GitError::NoSuchReference {
                path: self.path.clone(),
                name: String::new(),
            });
        }
        let found = match id {
            Some(id) => git
                .find_object(id, None)
                .and_then(|object| object.peel_to_commit()),
            None => git
                .resolve_reference_from_short_name(name)
                .and_then(|reference| reference.peel_to_commit()),
        };
        found
            .map(|commit| commit.id())
            .map_err(|source| self.unresolved(git, name, source))
    }

    fn unresolved(&self, git: &git2::Repository, name: &str, source: git2::Error) -> GitError {
        let path = self.path.clone();
        match source.code() {
            ErrorCode::UnbornBranch => GitError::Empty { path },
            _ if git.is_empty().unwrap_or(false) => GitError::Empty { path },
            ErrorCode::NotFound | ErrorCode::InvalidSpec | ErrorCode::Peel => GitError::NoSuchReference {
                path,
                name: name.to_owned(),
            },
            _ => self.read_error(source),
        }
    }

    fn read_error(&self, source: git2::Error) -> GitError {
        GitError::Read {
            path: self.path.clone(),
            source,
        }
    }
}

/// `.git` as a directory, `.git` as a file that names one (a linked worktree), or the path itself (a bare clone).
fn find_git_directory(path: &Path) -> std::io::Result<Option<PathBuf>> {
    let dot_git = path.join(".git");
    match std::fs::metadata(&dot_git) {
        Ok(metadata) if metadata.is_dir() => return Ok(Some(dot_git)),
        Ok(_) => {
            let text = std::fs::read_to_string(&dot_git)?;
            let Some(target) = text.trim_end().strip_prefix("gitdir:") else {
                return Err(std::io::Error::new(
                    std::io::ErrorKind::InvalidData,
                    "its .git file names no git directory",
                ));
            };
            return Ok(Some(path.join(target.trim_start())));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let bare = path.join("HEAD").is_file() && path.join("objects").is_dir() && path.join("refs").is_dir();
    Ok(bare.then(|| path.to_owned()))
}
