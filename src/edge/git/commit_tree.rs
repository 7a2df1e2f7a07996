//! The files of one commit, from the object database.

use std::sync::{Arc, Mutex, PoisonError};

use git2::{ObjectType, Oid};

use crate::snapshot::{Content, ContentId, Entry, EntryKind, Listing, Tree, TreeError};

/// The tree of a commit.
pub struct CommitTree {
    git: Arc<Mutex<git2::Repository>>,
    root: Oid,
}

impl std::fmt::Debug for CommitTree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommitTree")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

impl CommitTree {
    pub(super) fn new(git: Arc<Mutex<git2::Repository>>, root: Oid) -> Self {
        Self { git, root }
    }

    /// The object of an id, of the kind that it has to be, handed to `take` as it lies in memory.
    fn object<T>(
        &self,
        path: &str,
        id: Option<ContentId>,
        kind: ObjectType,
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, TreeError> {
        let failed = |error: git2::Error| TreeError::new(path, error);
        let git = self.git.lock().unwrap_or_else(PoisonError::into_inner);
        let database = git.odb().map_err(failed)?;
        let id = oid(path, id)?;
        let object = database.read(id).map_err(failed)?;
        if object.kind() != kind {
            return Err(TreeError::new(path, format!("the object {id} is no {kind}")));
        }
        Ok(take(object.data()))
    }

    fn size(&self, path: &str, id: Option<ContentId>) -> Result<u64, TreeError> {
        let failed = |error: git2::Error| TreeError::new(path, error);
        let git = self.git.lock().unwrap_or_else(PoisonError::into_inner);
        let (size, _) = git
            .odb()
            .map_err(failed)?
            .read_header(oid(path, id)?)
            .map_err(failed)?;
        Ok(size as u64)
    }
}

fn oid(path: &str, id: Option<ContentId>) -> Result<Oid, TreeError> {
    let id = id.ok_or_else(|| TreeError::new(path, "this is an entry of another tree"))?;
    let (bytes, _) = id.as_bytes().split_at(20);
    Oid::from_bytes(bytes).map_err(|error| TreeError::new(path, error))
}

impl Tree for CommitTree {
    fn root(&self) -> Option<ContentId> {
        Some(ContentId::new(self.root.as_bytes()))
    }

    fn list(&self, path: &str, id: Option<ContentId>) -> Result<Listing, TreeError> {
        self.object(path, id, ObjectType::Tree, listing)?
            .ok_or_else(|| TreeError::new(path, "the tree object is not well formed"))
    }

    fn read(&self, path: &str, id: Option<ContentId>, limit: u64) -> Result<Content, TreeError> {
        let size = self.size(path, id)?;
        if size > limit {
            return Ok(Content::TooLarge(size));
        }
        self.object(path, id, ObjectType::Blob, |data| Content::Bytes(data.to_vec()))
    }

    fn target(&self, path: &str, id: Option<ContentId>) -> Result<Vec<u8>, TreeError> {
        if self.size(path, id)? > MAX_TARGET {
            return Err(TreeError::new(
                path,
                "the target of the symbolic link is too long",
            ));
        }
        self.object(path, id, ObjectType::Blob, <[u8]>::to_vec)
    }
}

/// Linux takes no longer path than this.
const MAX_TARGET: u64 = 4096;

/// The entries of a tree object: `<mode> <name>\0<20 bytes of id>`, one after another.
fn listing(mut bytes: &[u8]) -> Option<Listing> {
    // An entry with a short name has some 36 bytes.
    let mut listing = Listing::with_capacity(bytes.len() / 36 + 1);
    while !bytes.is_empty() {
        // Six digits or five, and a space behind them.
        let space = 5 + usize::from(*bytes.get(5)? != b' ');
        let (mode, rest) = bytes.split_at_checked(space)?;
        let rest = rest.strip_prefix(b" ")?;
        let end = rest.iter().position(|b| *b == 0)?;
        let (name, rest) = rest.split_at_checked(end)?;
        let (id, rest) = rest.get(1..)?.split_at_checked(20)?;
        let kind = match mode {
            b"40000" | b"040000" => EntryKind::Directory,
            b"120000" => EntryKind::Symlink,
            b"160000" => EntryKind::Submodule,
            _ => EntryKind::File,
        };
        listing.push(Entry {
            name,
            kind,
            id: Some(ContentId::new(id)),
        });
        bytes = rest;
    }
    Some(listing)
}
