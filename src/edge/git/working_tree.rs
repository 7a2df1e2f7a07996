//! Files as they lie in a directory, which no commit names.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::snapshot::{
    Content, ContentId, Entry, EntryKind, Listing, Snapshot, SnapshotBuilder, SnapshotError, SnapshotOptions,
    Tree, TreeError,
};
use crate::values::Revision;

/// A directory on this machine. Remembers a digest of all that was read through it, so that the state has a name.
///
/// Decrypted `.dec` files that Otomi's tools may leave beside `secrets.*` files are not
/// used: what a commit would say must not depend on who has the key.
#[derive(Debug)]
pub struct WorkingTree {
    root: PathBuf,
    seen: Mutex<BTreeMap<String, [u8; 32]>>,
}

impl WorkingTree {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            seen: Mutex::default(),
        }
    }

    /// Builds a snapshot of the directory as it is now, named by the digest of what was read.
    ///
    /// # Errors
    /// As [`SnapshotBuilder::build`].
    pub fn snapshot(
        &self,
        builder: &mut SnapshotBuilder,
        options: &SnapshotOptions,
    ) -> Result<Snapshot, SnapshotError> {
        self.seen().clear();
        let mut snapshot = builder.build(self, Revision::working_tree(""), options)?;
        snapshot.revision = self.revision();
        Ok(snapshot)
    }

    /// The name of what was read so far: equal for equal names and contents.
    #[must_use]
    pub fn revision(&self) -> Revision {
        let mut hash = Sha256::new();
        for (path, digest) in self.seen().iter() {
            hash.update(path.as_bytes());
            hash.update([0]);
            hash.update(digest);
        }
        let digest = hash.finalize();
        Revision::working_tree(&hex::encode(digest.get(..20).unwrap_or(&digest)))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, [u8; 32]>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, path: &str, content: &[u8]) {
        self.seen()
            .insert(path.to_owned(), Sha256::digest(content).into());
    }

    /// The path on this machine. No part of a tree's path is `..` or empty, so it stays below the root.
    fn locate(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }
}

impl Tree for WorkingTree {
    fn root(&self) -> Option<ContentId> {
        None
    }

    fn list(&self, path: &str, _: Option<ContentId>) -> Result<Listing, TreeError> {
        let list = || -> std::io::Result<Vec<(Vec<u8>, EntryKind)>> {
            fs::read_dir(self.locate(path))?
                .map(|entry| {
                    let entry = entry?;
                    let kind = entry.file_type()?;
                    let kind = match kind {
                        _ if kind.is_symlink() => EntryKind::Symlink,
                        _ if kind.is_dir() => EntryKind::Directory,
                        _ if kind.is_file() => EntryKind::File,
                        _ => EntryKind::Other,
                    };
                    Ok((entry.file_name().into_vec(), kind))
                })
                .collect()
        };
        let mut entries = list().map_err(|error| TreeError::new(path, error))?;
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        // At the root lie .git and other things that no snapshot depends on.
        if !path.is_empty() {
            let names = entries
                .iter()
                .map(|(name, _)| &**name)
                .collect::<Vec<_>>()
                .join(&0);
            self.note(&format!("{path}/"), &names);
        }
        let mut listing = Listing::with_capacity(entries.len());
        for (name, kind) in &entries {
            listing.push(Entry {
                name,
                kind: *kind,
                id: None,
            });
        }
        Ok(listing)
    }

    fn read(&self, path: &str, _: Option<ContentId>, limit: u64) -> Result<Content, TreeError> {
        let read = || -> std::io::Result<Content> {
            let file = fs::File::open(self.locate(path))?;
            let size = file.metadata()?.len();
            if size > limit {
                return Ok(Content::TooLarge(size));
            }
            // The file may grow while it is read.
            let mut bytes = Vec::new();
            file.take(limit + 1).read_to_end(&mut bytes)?;
            let size = bytes.len() as u64;
            Ok(if size > limit {
                Content::TooLarge(size)
            } else {
                Content::Bytes(bytes)
            })
        };
        let content = read().map_err(|error| TreeError::new(path, error))?;
        if let Content::Bytes(bytes) = &content {
            self.note(path, bytes);
        }
        Ok(content)
    }

    fn target(&self, path: &str, _: Option<ContentId>) -> Result<Vec<u8>, TreeError> {
        let target = fs::read_link(self.locate(path)).map_err(|error| TreeError::new(path, error))?;
        let target = target.into_os_string().into_vec();
        self.note(path, &target);
        Ok(target)
    }
}
