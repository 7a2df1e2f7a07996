//! Notices that a local repository may have changed, as a poke that says nothing more.
//!
//! Git replaces its files by renaming, and may pack its refs, so folders are watched, not files:
//! the git folder itself (HEAD, packed-refs) and everything below `refs/`, never `objects/`.
//! Network and overlay file systems report nothing; the poll remains for those.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// What can't be watched.
#[derive(Debug, thiserror::Error)]
#[error("failed to watch {}", path.display())]
pub struct WatchError {
    /// The folder.
    pub path: PathBuf,
    /// What notify said.
    #[source]
    pub source: notify::Error,
}

/// What is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// A git folder: its refs.
    GitFolder,
    /// A plain folder: every file in it.
    Folder,
}

/// Pokes for as long as it is kept.
#[derive(Debug)]
pub struct Watch {
    _watcher: RecommendedWatcher,
}

/// Starts watching. Every event, an overflow and an error of the watcher poke alike: what is true is
/// read from the repository afterwards.
///
/// # Errors
/// When the folder can't be watched, for want of inotify watches for instance: poll then.
pub fn watch(path: &Path, watched: Watched, poke: Arc<Notify>) -> Result<Watch, WatchError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| WatchError { path, source }
    };
    let mut kernel = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the repository opens and closes files; only changes matter.
        if event.is_ok_and(|event| event.kind.is_access()) {
            return;
        }
        poke.notify_one();
    })
    .map_err(failed(path))?;
    match watched {
        Watched::Folder => kernel
            .watch(path, RecursiveMode::Recursive)
            .map_err(failed(path))?,
        Watched::GitFolder => {
            kernel
                .watch(path, RecursiveMode::NonRecursive)
                .map_err(failed(path))?;
            let refs = path.join("refs");
            // A linked worktree's own folder has none.
            if refs.is_dir() {
                kernel
                    .watch(&refs, RecursiveMode::Recursive)
                    .map_err(failed(&refs))?;
            }
        }
    }
    Ok(Watch { _watcher: kernel })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_new_ref_pokes() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("refs/heads")).unwrap();
        let poke = Arc::new(Notify::new());
        let _watch = watch(folder.path(), Watched::GitFolder, poke.clone()).unwrap();
        std::fs::write(folder.path().join("refs/heads/main"), "0".repeat(40)).unwrap();
        poke.notified().await;
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let error = watch(&missing, Watched::Folder, Arc::default()).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }
}
