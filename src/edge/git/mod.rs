//! The values repository as git keeps it, and as a plain directory.
//!
//! Nothing is ever checked out: a commit's files are read from the object database,
//! so that a checkout with edits in it is as good as a bare clone. Everything here
//! blocks; callers put it on a thread that may.

mod commit_tree;
mod repository;
mod working_tree;

#[cfg(test)]
mod tests;

pub use commit_tree::CommitTree;
pub use repository::{GitError, Repository};
pub use working_tree::WorkingTree;
