//! Which state of the repository something was asked for by.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A commit of the values repository, or the digest of a tree that is not committed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(String);

impl Revision {
    /// A commit, by its full hexadecimal id.
    #[must_use]
    pub fn commit(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// A working tree that no commit names, by the hexadecimal digest of what was read.
    #[must_use]
    pub fn working_tree(digest: &str) -> Self {
        Self(format!("tree:{digest}"))
    }

    /// The revision as it is recorded: a full commit id, or `tree:<digest>`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first characters, as people say a commit.
    #[must_use]
    pub fn short(&self) -> &str {
        let length = if self.0.starts_with("tree:") { 15 } else { 10 };
        self.0.get(..length).unwrap_or(&self.0)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
