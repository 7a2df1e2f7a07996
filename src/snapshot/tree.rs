//! What a snapshot is read from: a tree of files, of a commit or of a directory.

use std::fmt;

/// A tree of files that does not change while it is read, or says so by an error.
///
/// Paths are `/`-separated, relative to the tree's root, without `.` and `..`; the root is `""`.
/// Each method gets the id that a listing gave for its path as well, so that an
/// implementation goes by whichever of the two it knows faster.
pub trait Tree {
    /// The id of the root directory, where it has one.
    fn root(&self) -> Option<ContentId>;

    /// What a directory holds, in any order.
    ///
    /// # Errors
    /// The directory cannot be read. A directory that is not there is never asked for.
    fn list(&self, path: &str, id: Option<ContentId>) -> Result<Listing, TreeError>;

    /// The bytes of a file, unless it has more than `limit` of them.
    ///
    /// # Errors
    /// The file cannot be read.
    fn read(&self, path: &str, id: Option<ContentId>, limit: u64) -> Result<Content, TreeError>;

    /// Where a symbolic link points, as it is written in the link.
    ///
    /// # Errors
    /// The link cannot be read.
    fn target(&self, path: &str, id: Option<ContentId>) -> Result<Vec<u8>, TreeError>;
}

/// One entry of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name: bytes, since neither git nor Linux promises text.
    pub name: &'a [u8],
    /// What it is.
    pub kind: EntryKind,
    /// What it holds, when the tree knows that without reading: equal ids, equal content.
    pub id: Option<ContentId>,
}

/// What a directory holds, in little memory: a directory may have 10,000 teams.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    names: Vec<u8>,
    entries: Vec<Listed>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    name_end: usize,
    kind: EntryKind,
    id: Option<ContentId>,
}

impl Listing {
    /// A listing with room for so many entries.
    #[must_use]
    pub fn with_capacity(entries: usize) -> Self {
        Self {
            names: Vec::with_capacity(entries * 12),
            entries: Vec::with_capacity(entries),
        }
    }

    /// Adds an entry.
    pub fn push(&mut self, entry: Entry<'_>) {
        self.names.extend_from_slice(entry.name);
        self.entries.push(Listed {
            name_end: self.names.len(),
            kind: entry.kind,
            id: entry.id,
        });
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut start = 0;
        self.entries.iter().map(move |listed| {
            let name = self.names.get(start..listed.name_end).unwrap_or_default();
            start = listed.name_end;
            Entry {
                name,
                kind: listed.kind,
                id: listed.id,
            }
        })
    }

    /// How many entries this and another listing have in common at the beginning, and how many at
    /// the end behind those: the same names with the same known content.
    #[must_use]
    pub(super) fn common_ends(&self, other: &Self) -> (usize, usize) {
        let equal = |(a, b): &(&Listed, &Listed)| a == b && a.id.is_some();
        let mut start = self.entries.iter().zip(&other.entries).take_while(equal).count();
        // Ends of names were equal so far; the names themselves are compared in one go.
        let names = self
            .names
            .iter()
            .zip(&other.names)
            .take_while(|(a, b)| a == b)
            .count();
        while start > 0
            && self
                .entries
                .get(start - 1)
                .is_some_and(|listed| listed.name_end > names)
        {
            start -= 1;
        }
        let most = self.len().min(other.len()) - start;
        let equal = |back: &usize| {
            let (a, b) = (self.nth_from_end(*back), other.nth_from_end(*back));
            a.is_some() && a == b && a.is_some_and(|entry| entry.id.is_some())
        };
        (start, (0..most).take_while(equal).count())
    }

    fn nth_from_end(&self, back: usize) -> Option<Entry<'_>> {
        self.nth(self.len().checked_sub(back + 1)?)
    }

    /// The entry at a position.
    pub(super) fn nth(&self, position: usize) -> Option<Entry<'_>> {
        let listed = self.entries.get(position)?;
        let start = position
            .checked_sub(1)
            .and_then(|before| self.entries.get(before))
            .map_or(0, |e| e.name_end);
        let name = self.names.get(start..listed.name_end)?;
        Some(Entry {
            name,
            kind: listed.kind,
            id: listed.id,
        })
    }

    /// The entry of a name.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<Entry<'_>> {
        self.iter().find(|entry| entry.name == name)
    }
}

/// What an entry of a directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file, executable or not.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Another repository, whose content is not in this one.
    Submodule,
    /// A socket, pipe or device.
    Other,
}

/// The name that content has by what it is, such as git's object id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId([u8; 32]);

impl ContentId {
    /// Takes the digest of at most 32 bytes; what is longer is cut.
    #[must_use]
    pub fn new(digest: &[u8]) -> Self {
        let mut id = [0; 32];
        let length = digest.len().min(id.len());
        if let (Some(to), Some(from)) = (id.get_mut(..length), digest.get(..length)) {
            to.copy_from_slice(from);
        }
        Self(id)
    }

    /// The digest, with zeros behind a shorter one.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The content of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// All of it.
    Bytes(Vec<u8>),
    /// It has this many bytes, more than were wanted; none was read.
    TooLarge(u64),
}

/// A tree that cannot be read: a missing object, an I/O error. Says nothing about what the repository means.
#[derive(Debug, thiserror::Error)]
#[error("reading {path:?} of the values repository")]
pub struct TreeError {
    /// The path that was being read.
    pub path: String,
    /// What went wrong.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl TreeError {
    /// Names the path at which an error happened.
    pub fn new(path: impl Into<String>, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            path: path.into(),
            source: source.into(),
        }
    }
}
