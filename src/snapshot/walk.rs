//! Finding paths in a tree: symbolic links are followed inside it and never out of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::tree::{Content, ContentId, EntryKind, Listing, Tree, TreeError};
use crate::values::Faults;

/// How many symbolic links one path may lead through.
const MAX_LINKS: usize = 4;

/// A tree with the directories that were listed so far.
pub(super) struct Walk<'t> {
    tree: &'t dyn Tree,
    listed: RefCell<HashMap<String, Arc<Listing>>>,
}

/// Something that exists, and its path once links were followed.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) path: String,
    pub(super) kind: EntryKind,
    pub(super) id: Option<ContentId>,
    /// Whether a link led here, so that what is found is not part of the directory it was looked for in.
    pub(super) linked: bool,
}

/// What came of looking for a path.
pub(super) enum Lookup {
    Found(Found),
    Missing,
    /// It leads somewhere that may not be read; the fault is noted.
    Refused,
}

impl<'t> Walk<'t> {
    pub(super) fn new(tree: &'t dyn Tree) -> Self {
        Self {
            tree,
            listed: RefCell::default(),
        }
    }

    pub(super) fn tree(&self) -> &'t dyn Tree {
        self.tree
    }

    /// Looks for a path from the root of the tree.
    pub(super) fn find(&self, path: &str, faults: &mut Faults) -> Result<Lookup, TreeError> {
        let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut done: Vec<String> = Vec::new();
        let mut at = self.root(false);
        let mut links = 0;
        while let Some(name) = todo.pop() {
            match &*name {
                "" | "." => continue,
                ".." => {
                    if done.pop().is_none() {
                        faults.file(
                            path,
                            "a symbolic link on this path leads out of the repository",
                            LINK_HINT,
                        );
                        return Ok(Lookup::Refused);
                    }
                    // The entry of the parent is found again from the root.
                    todo.extend(std::mem::take(&mut done).into_iter().rev());
                    at = self.root(at.linked);
                    continue;
                }
                _ => {}
            }
            if at.kind != EntryKind::Directory {
                return Ok(Lookup::Missing);
            }
            let entries = self.list(&at)?;
            let Some(entry) = entries.get(name.as_bytes()) else {
                return Ok(Lookup::Missing);
            };
            let here = if at.path.is_empty() {
                name.clone()
            } else {
                format!("{}/{name}", at.path)
            };
            match entry.kind {
                EntryKind::Symlink => {
                    links += 1;
                    let target = self.tree.target(&here, entry.id)?;
                    let Some(target) = inside(&target, links, path, &here, faults) else {
                        return Ok(Lookup::Refused);
                    };
                    todo.extend(target.split('/').rev().map(str::to_owned));
                    at.linked = true;
                }
                EntryKind::Submodule | EntryKind::Other => {
                    let what = if entry.kind == EntryKind::Submodule {
                        "a submodule"
                    } else {
                        "no file or directory"
                    };
                    faults.file(
                        &here,
                        format!("this is {what}, so its content is not in this repository"),
                        "",
                    );
                    return Ok(Lookup::Refused);
                }
                EntryKind::File | EntryKind::Directory => {
                    done.push(name);
                    at = Found {
                        path: here,
                        kind: entry.kind,
                        id: entry.id,
                        linked: at.linked,
                    };
                }
            }
        }
        Ok(Lookup::Found(at))
    }

    /// Whether a path exists, as a file or a directory.
    pub(super) fn exists(&self, path: &str, kind: EntryKind, faults: &mut Faults) -> Result<bool, TreeError> {
        Ok(match self.find(path, faults)? {
            Lookup::Found(found) => found.kind == kind,
            Lookup::Missing | Lookup::Refused => false,
        })
    }

    fn root(&self, linked: bool) -> Found {
        Found {
            path: String::new(),
            kind: EntryKind::Directory,
            id: self.tree.root(),
            linked,
        }
    }

    /// Lists a directory, once for the life of this walk.
    pub(super) fn list(&self, directory: &Found) -> Result<Arc<Listing>, TreeError> {
        if let Some(entries) = self.listed.borrow().get(&directory.path) {
            return Ok(Arc::clone(entries));
        }
        let entries = Arc::new(self.tree.list(&directory.path, directory.id)?);
        self.listed
            .borrow_mut()
            .insert(directory.path.clone(), Arc::clone(&entries));
        Ok(entries)
    }

    /// The bytes of a file that [`Walk::find`] found.
    pub(super) fn read(&self, found: &Found, limit: u64) -> Result<Content, TreeError> {
        self.tree.read(&found.path, found.id, limit)
    }
}

const LINK_HINT: &str = "links must be relative and stay inside the repository";

/// The target of a link, unless it leads out of the tree or is one too many.
fn inside(target: &[u8], links: usize, path: &str, link: &str, faults: &mut Faults) -> Option<String> {
    let Ok(target) = std::str::from_utf8(target) else {
        faults.file(link, "the target of this symbolic link is not UTF-8", LINK_HINT);
        return None;
    };
    if target.starts_with('/') {
        faults.file(link, "this symbolic link is absolute", LINK_HINT);
        return None;
    }
    if links > MAX_LINKS {
        faults.file(
            path,
            format!("this path leads through more than {MAX_LINKS} symbolic links"),
            LINK_HINT,
        );
        return None;
    }
    Some(target.to_owned())
}
