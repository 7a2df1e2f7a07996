//! One commit, one desired state, with every fault.
//!
//! A tree is read into a [`Snapshot`]: the platform, the teams, and what is wrong. A
//! fault in what all teams share refuses the snapshot. A fault in one team holds that
//! team: it is in no list of teams, and in no list of removed ones either.

mod build;
mod files;
mod memory;
mod render;
mod shared_files;
mod team_directories;
mod team_directory;
mod teams;
mod teams_file;
mod tree;
mod walk;

#[cfg(test)]
mod cache_tests;
#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod layout_tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::values::names::RegistryHost;
use crate::values::{Fault, Layout, Platform, Revision};

pub use build::{SnapshotBuilder, check};
pub use memory::MemoryTree;
pub use render::render;
pub use teams::{Iter, TeamMap};
pub use tree::{Content, ContentId, Entry, EntryKind, Listing, Tree, TreeError};

/// Everything that one state of the values repository says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Which state it was.
    pub revision: Revision,
    /// How the repository is laid out.
    pub layout: Layout,
    /// What all teams share.
    pub platform: Arc<Platform>,
    /// The teams.
    pub teams: TeamMap,
    /// Teams that the repository names and that cannot be read, by the name that it
    /// gives them. They keep their last good state; above all, they are not removed.
    pub held: BTreeMap<String, Vec<Fault>>,
    /// Every fault, sorted.
    pub faults: Vec<Fault>,
}

/// How a tree is to be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SnapshotOptions {
    /// The layout; told by what is there when not given.
    pub layout: Option<Layout>,
    /// The folder that `env/` is in, from the root of the repository.
    pub root: String,
    /// The cluster, `<cloud>/<name>`, of a repository that has several.
    pub cluster: Option<String>,
    /// The registry's host, instead of `harbor.<domainSuffix>`.
    pub registry_host: Option<RegistryHost>,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// What all teams share is at fault. Nothing may be concluded from it, least of all that teams are gone.
    #[error("the values repository has {} in what all teams share", count(faults))]
    Refused {
        /// Every fault, those of teams among them, sorted.
        faults: Vec<Fault>,
    },
    /// The tree could not be read.
    #[error("the values repository cannot be read")]
    Unreadable(#[from] TreeError),
}

fn count(faults: &[Fault]) -> String {
    match faults
        .iter()
        .filter(|fault| fault.scope == crate::values::Scope::Shared)
        .count()
    {
        1 => "a fault".to_owned(),
        n => format!("{n} faults"),
    }
}

/// The teams of a tree while they are gathered.
#[derive(Debug, Default)]
struct Teams {
    found: TeamMap,
    held: BTreeMap<String, Vec<Fault>>,
}

impl Teams {
    fn hold(&mut self, name: &str, faults: Vec<Fault>) {
        let held = self.held.entry(name.to_owned()).or_default();
        held.extend(faults);
        // A value of a wrong type is met by everything that looks below it.
        held.sort_unstable();
        held.dedup();
    }
}
