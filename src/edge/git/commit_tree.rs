//! The files of one commit, from the object database.

use git2::{ObjectType, Oid};

use crate::snapshot::{Content, ContentId, Entry, EntryKind, Tree, TreeError};

/// The tree of a commit. Objects are read as they are stored, without a copy in libgit2's own cache.
pub struct CommitTree {
    git: git2::Repository,
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
    pub(super) fn new(git: git2::Repository, root: Oid) -> Self {
        Self { git, root }
    }

    /// The object that an entry names, of the kind that it has to be.
    fn object(&self, path: &str, entry: &Entry, kind: ObjectType, limit: u64) -> Result<Content, TreeError> {
        let failed = |error: git2::Error| TreeError::new(path, error);
        let database = self.git.odb().map_err(failed)?;
        let id = oid(entry)
            .ok_or_else(|| TreeError::new(path, "the entry is of another tree"))?
            .map_err(failed)?;
        let (size, _) = database.read_header(id).map_err(failed)?;
        if size as u64 > limit {
            return Ok(Content::TooLarge(size as u64));
        }
        let object = database.read(id).map_err(failed)?;
        if object.kind() != kind {
            return Err(TreeError::new(path, format!("the object {id} is no {kind}")));
        }
        Ok(Content::Bytes(object.data().to_vec()))
    }
}

fn oid(entry: &Entry) -> Option<Result<Oid, git2::Error>> {
    let id = entry.id?;
    Some(Oid::from_bytes(id.as_bytes().get(..20)?))
}

impl Tree for CommitTree {
    fn root(&self) -> Entry {
        Entry {
            name: Vec::new(),
            kind: EntryKind::Directory,
            id: Some(ContentId::new(self.root.as_bytes())),
        }
    }

    fn list(&self, path: &str, directory: &Entry) -> Result<Vec<Entry>, TreeError> {
        match self.object(path, directory, ObjectType::Tree, u64::MAX)? {
            Content::Bytes(bytes) => {
                entries(&bytes).ok_or_else(|| TreeError::new(path, "the tree object is not well formed"))
            }
            Content::TooLarge(_) => Err(TreeError::new(path, "the tree object is too large")),
        }
    }

    fn read(&self, path: &str, file: &Entry, limit: u64) -> Result<Content, TreeError> {
        self.object(path, file, ObjectType::Blob, limit)
    }

    fn target(&self, path: &str, link: &Entry) -> Result<Vec<u8>, TreeError> {
        match self.object(path, link, ObjectType::Blob, MAX_TARGET)? {
            Content::Bytes(target) => Ok(target),
            Content::TooLarge(_) => Err(TreeError::new(
                path,
                "the target of the symbolic link is too long",
            )),
        }
    }

    fn fork(&self) -> Option<Box<dyn Tree + Send>> {
        let git = git2::Repository::open_bare(self.git.path()).ok()?;
        Some(Box::new(Self::new(git, self.root)))
    }
}

/// Linux takes no longer path than this.
const MAX_TARGET: u64 = 4096;

/// The entries of a tree object: `<mode> <name>\0<20 bytes of id>`, one after another.
fn entries(mut bytes: &[u8]) -> Option<Vec<Entry>> {
    // An entry with a short name has some 40 bytes.
    let mut entries = Vec::with_capacity(bytes.len() / 40);
    while !bytes.is_empty() {
        let space = bytes.iter().position(|b| *b == b' ')?;
        let (mode, rest) = bytes.split_at_checked(space)?;
        let rest = rest.get(1..)?;
        let end = rest.iter().position(|b| *b == 0)?;
        let (name, rest) = rest.split_at_checked(end)?;
        let (id, rest) = rest.get(1..)?.split_at_checked(20)?;
        let kind = match mode {
            b"40000" | b"040000" => EntryKind::Directory,
            b"120000" => EntryKind::Symlink,
            b"160000" => EntryKind::Submodule,
            _ => EntryKind::File,
        };
        entries.push(Entry {
            name: name.to_vec(),
            kind,
            id: Some(ContentId::new(id)),
        });
        bytes = rest;
    }
    Some(entries)
}
