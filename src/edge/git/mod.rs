//! The values repository as git keeps it, and as a plain directory.
//!
//! Nothing is ever checked out: a commit's files are read from the object database,
//! so that a checkout with edits in it is as good as a bare clone. A remote repository
//! is fetched into a bare one first. Everything here blocks; callers put it on a thread
//! that may.

mod advertisement;
mod commit_tree;
mod copy;
mod fetch_error;
mod location;
mod mirror;
mod repository;
mod transport;
mod working_tree;

#[cfg(test)]
mod tests;

pub use commit_tree::CommitTree;
pub use fetch_error::FetchError;
pub use location::{Location, LocationError, RemoteUrl};
pub use mirror::{History, Mirror};
pub use repository::{GitError, Repository};
pub use transport::{RemoteSettings, Secret};
pub use working_tree::WorkingTree;
