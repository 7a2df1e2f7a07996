//! The documents that all teams share, parsed once for as long as they stay as they are.

use std::collections::HashMap;
use std::sync::Arc;

use super::tree::{Content, ContentId, EntryKind, TreeError};
use super::walk::{Found, Lookup, Walk};
use crate::values::document::{Document, Parsed};
use crate::values::{Faults, MAX_FILE};

/// What is at the path of a file.
#[derive(Debug, Clone)]
pub(super) enum Loaded {
    Document(Arc<Document>),
    /// Nothing, or something that SOPS encrypted.
    Nothing,
    /// Something that cannot be read as it is; the fault is noted.
    Broken,
}

impl Loaded {
    pub(super) fn document(&self) -> Option<&Document> {
        match self {
            Self::Document(document) => Some(document),
            Self::Nothing | Self::Broken => None,
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken)
    }
}

/// Parsed documents by path and content. Holds those of the last snapshot, and no others.
#[derive(Debug, Default)]
pub(super) struct DocumentCache {
    last: HashMap<(String, ContentId), Loaded>,
    next: HashMap<(String, ContentId), Loaded>,
}

impl DocumentCache {
    /// Drops what the snapshot that was just built did not use.
    pub(super) fn turn(&mut self) {
        self.last = std::mem::take(&mut self.next);
    }
}

/// Reads documents through a walk, and through the cache where there is one.
pub(super) struct Files<'w, 't> {
    pub(super) walk: &'w Walk<'t>,
    pub(super) cache: Option<&'w mut DocumentCache>,
}

impl Files<'_, '_> {
    /// The document at a path.
    pub(super) fn load(&mut self, path: &str, faults: &mut Faults) -> Result<Loaded, TreeError> {
        let found = match self.walk.find(path, faults)? {
            Lookup::Found(found) if found.kind == EntryKind::File => found,
            Lookup::Found(_) => {
                faults.file(path, "this is a directory, and a file is expected here", "");
                return Ok(Loaded::Broken);
            }
            Lookup::Missing => return Ok(Loaded::Nothing),
            Lookup::Refused => return Ok(Loaded::Broken),
        };
        let key = found.id.map(|id| (path.to_owned(), id));
        if let (Some(key), Some(cache)) = (&key, &mut self.cache)
            && let Some(loaded) = cache.last.get(key).or_else(|| cache.next.get(key)).cloned()
        {
            cache.next.insert(key.clone(), loaded.clone());
            return Ok(loaded);
        }
        let loaded = load(self.walk, path, &found, None, faults)?;
        // A broken document is parsed anew each time, so that its fault is noted each time.
        if let (Some(key), Some(cache), false) = (key, &mut self.cache, loaded.is_broken()) {
            cache.next.insert(key, loaded.clone());
        }
        Ok(loaded)
    }
}

/// Reads and parses one file, named in faults by the path that it was looked for at.
/// With `keep`, only those keys below its `spec` matter.
pub(super) fn load(
    walk: &Walk<'_>,
    path: &str,
    found: &Found,
    keep: Option<&[&str]>,
    faults: &mut Faults,
) -> Result<Loaded, TreeError> {
    let bytes = match walk.read(found, MAX_FILE)? {
        Content::Bytes(bytes) => bytes,
        Content::TooLarge(size) => {
            let message = format!("the file has {size} bytes, and at most {MAX_FILE} are read");
            faults.file(path, message, "no values file is that large: is it one?");
            return Ok(Loaded::Broken);
        }
    };
    match Document::parse(path, bytes, &faults.scope, keep) {
        Ok(Parsed::Document(document)) => Ok(Loaded::Document(Arc::new(document))),
        Ok(Parsed::Encrypted) => Ok(Loaded::Nothing),
        Err(fault) => {
            faults.list.push(*fault);
            Ok(Loaded::Broken)
        }
    }
}
