//! A tree in memory, for tests and for programs that make values.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::tree::{Content, ContentId, Entry, EntryKind, Listing, Tree, TreeError};

/// A tree of files in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryTree {
    files: BTreeMap<String, Leaf>,
}

#[derive(Debug, Clone)]
enum Leaf {
    File(Vec<u8>),
    Link(Vec<u8>),
    Submodule,
}

impl MemoryTree {
    /// A tree without files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file or replaces it.
    #[must_use]
    pub fn with(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.write(path, content);
        self
    }

    /// Adds a file or replaces it.
    pub fn write(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        self.files.insert(path.to_owned(), Leaf::File(content.into()));
    }

    /// Removes a file, or a directory with all that is in it.
    pub fn remove(&mut self, path: &str) {
        let below = format!("{path}/");
        self.files
            .retain(|file, _| file != path && !file.starts_with(&below));
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn with_link(mut self, path: &str, target: &str) -> Self {
        self.files.insert(path.to_owned(), Leaf::Link(target.into()));
        self
    }

    /// Adds a submodule.
    #[must_use]
    pub fn with_submodule(mut self, path: &str) -> Self {
        self.files.insert(path.to_owned(), Leaf::Submodule);
        self
    }

    fn below<'a>(&'a self, directory: &str) -> impl Iterator<Item = (&'a str, &'a Leaf)> {
        let prefix = if directory.is_empty() {
            String::new()
        } else {
            format!("{directory}/")
        };
        self.files
            .iter()
            .filter_map(move |(path, leaf)| Some((path.strip_prefix(&prefix)?, leaf)))
    }

    /// A digest as a git tree has it: of every path below and all content.
    fn directory_id(&self, directory: &str) -> ContentId {
        let mut hash = Sha256::new();
        for (path, leaf) in self.below(directory) {
            let (kind, content): (u8, &[u8]) = match leaf {
                Leaf::File(content) => (0, content),
                Leaf::Link(target) => (1, target),
                Leaf::Submodule => (2, &[]),
            };
            hash.update(path.as_bytes());
            hash.update([0, kind]);
            hash.update(Sha256::digest(content));
        }
        ContentId::new(&hash.finalize())
    }
}

impl Tree for MemoryTree {
    fn root(&self) -> Option<ContentId> {
        None
    }

    fn list(&self, path: &str, _: Option<ContentId>) -> Result<Listing, TreeError> {
        let mut listing = Listing::default();
        let mut directories = BTreeSet::new();
        for (name, leaf) in self.below(path) {
            if let Some((directory, _)) = name.split_once('/') {
                directories.insert(directory);
                continue;
            }
            let (kind, id) = match leaf {
                Leaf::File(content) => (EntryKind::File, Some(ContentId::new(&Sha256::digest(content)))),
                Leaf::Link(target) => (EntryKind::Symlink, Some(ContentId::new(&Sha256::digest(target)))),
                Leaf::Submodule => (EntryKind::Submodule, None),
            };
            listing.push(Entry {
                name: name.as_bytes(),
                kind,
                id,
            });
        }
        for name in directories {
            let whole = if path.is_empty() {
                name.to_owned()
            } else {
                format!("{path}/{name}")
            };
            let id = Some(self.directory_id(&whole));
            listing.push(Entry {
                name: name.as_bytes(),
                kind: EntryKind::Directory,
                id,
            });
        }
        Ok(listing)
    }

    fn read(&self, path: &str, _: Option<ContentId>, limit: u64) -> Result<Content, TreeError> {
        match self.files.get(path) {
            Some(Leaf::File(content)) if content.len() as u64 > limit => {
                Ok(Content::TooLarge(content.len() as u64))
            }
            Some(Leaf::File(content)) => Ok(Content::Bytes(content.clone())),
            _ => Err(TreeError::new(path, "there is no such file")),
        }
    }

    fn target(&self, path: &str, _: Option<ContentId>) -> Result<Vec<u8>, TreeError> {
        match self.files.get(path) {
            Some(Leaf::Link(target)) => Ok(target.clone()),
            _ => Err(TreeError::new(path, "there is no such symbolic link")),
        }
    }
}
