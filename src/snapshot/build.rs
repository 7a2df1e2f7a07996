//! Building snapshots, one after another, each at the cost of what changed.

use std::sync::Arc;

use super::files::{DocumentCache, Files};
use super::team_directories::{self, TeamCache};
use super::tree::{EntryKind, Tree, TreeError};
use super::walk::{Lookup, Walk};
use super::{Snapshot, SnapshotError, SnapshotOptions, Teams, shared_files, teams_file};
use crate::values::{Fault, Faults, Layout, Markers, Platform, Revision, Scope};

/// The spec version from which on Otomi has no `secrets.*` files any more.
const FIRST_SEALED_VERSION: u64 = 62;

/// Builds snapshots, and remembers what the last one was read from: a shared document
/// with the same content is not parsed again, nor is a team's directory.
#[derive(Debug, Default)]
pub struct SnapshotBuilder {
    documents: DocumentCache,
    teams: TeamCache,
    options: SnapshotOptions,
}

impl SnapshotBuilder {
    /// A builder that remembers nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a tree into a snapshot.
    ///
    /// # Errors
    /// [`SnapshotError::Refused`] with every fault of the tree when one of them is in what
    /// all teams share, and [`SnapshotError::Unreadable`] when the tree itself cannot be read.
    pub fn build(
        &mut self,
        tree: &dyn Tree,
        revision: Revision,
        options: &SnapshotOptions,
    ) -> Result<Snapshot, SnapshotError> {
        if self.options != *options {
            *self = Self {
                options: options.clone(),
                ..Self::default()
            };
        }
        let mut shared = Faults::new(Scope::Shared);
        let read = self.read(tree, options, &mut shared)?;
        let Some((layout, platform, teams)) = read else {
            return Err(SnapshotError::Refused {
                faults: sorted(shared.list),
            });
        };
        let refused = !shared.list.is_empty();
        let faults = sorted(
            shared
                .list
                .into_iter()
                .chain(teams.held.values().flatten().cloned())
                .collect(),
        );
        if refused {
            return Err(SnapshotError::Refused { faults });
        }
        Ok(Snapshot {
            revision,
            layout,
            platform: Arc::new(platform),
            teams: teams.found,
            held: teams.held,
            faults,
        })
    }

    /// Reads everything; nothing when it is not even known how.
    fn read(
        &mut self,
        tree: &dyn Tree,
        options: &SnapshotOptions,
        shared: &mut Faults,
    ) -> Result<Option<(Layout, Platform, Teams)>, TreeError> {
        let walk = Walk::new(tree);
        let Some(env) = find_env(&walk, &options.root, shared)? else {
            return Ok(None);
        };
        let Some(layout) = find_layout(&walk, &env, options.layout, shared)? else {
            return Ok(None);
        };
        let mut files = Files {
            walk: &walk,
            cache: Some(&mut self.documents),
        };
        let read = shared_files::read(layout, &env, &mut files, options, shared)?;
        self.documents.turn();
        let teams = match &read.teams {
            Some((plain, secrets)) => {
                teams_file::read(plain, secrets, read.platform.cluster.as_deref(), shared)
            }
            None => team_directories::read(&walk, &env, &mut self.teams, shared)?,
        };
        let sealed = read
            .platform
            .spec_version
            .is_some_and(|version| version >= FIRST_SEALED_VERSION);
        let layout = match layout {
            Layout::Dirs if sealed && options.layout.is_none() => Layout::Sealed,
            layout => layout,
        };
        Ok(Some((layout, read.platform, teams)))
    }
}

/// Reads a tree once and says what it is, or everything that is wrong with it.
///
/// # Errors
/// As [`SnapshotBuilder::build`].
pub fn check(
    tree: &dyn Tree,
    revision: Revision,
    options: &SnapshotOptions,
) -> Result<Snapshot, SnapshotError> {
    SnapshotBuilder::new().build(tree, revision, options)
}

fn sorted(mut faults: Vec<Fault>) -> Vec<Fault> {
    faults.sort_unstable();
    faults.dedup();
    faults
}

/// The path of `env/`, which everything is read from.
fn find_env(walk: &Walk<'_>, root: &str, shared: &mut Faults) -> Result<Option<String>, TreeError> {
    let mut parts: Vec<&str> = root
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    if parts.contains(&"..") {
        shared.file(
            root,
            "the folder of the values leads out of the repository",
            "name it from the repository's root",
        );
        return Ok(None);
    }
    parts.push("env");
    let env = parts.join("/");
    let before = shared.list.len();
    match walk.find(&env, shared)? {
        Lookup::Found(found) if found.kind == EntryKind::Directory => return Ok(Some(env)),
        _ if shared.list.len() == before => {
            let hint = "a values repository has one; if it is below another folder, name that folder";
            shared.file(&env, "there is no such directory", hint);
        }
        _ => {}
    }
    Ok(None)
}

/// The layout, as it was forced or as what is there tells.
fn find_layout(
    walk: &Walk<'_>,
    env: &str,
    forced: Option<Layout>,
    shared: &mut Faults,
) -> Result<Option<Layout>, TreeError> {
    if forced.is_some() {
        return Ok(forced);
    }
    let before = shared.list.len();
    let mut has = |path: &str, kind| walk.exists(&format!("{env}/{path}"), kind, shared);
    let (file, directory) = (EntryKind::File, EntryKind::Directory);
    let mut markers = Markers {
        clusters_file: has("clusters.yaml", file)?,
        clouds: has("clouds", directory)?,
        cluster_file: has("cluster.yaml", file)?,
        charts: has("charts", directory)?,
        apps: has("apps", directory)?,
        teams_file: has("teams.yaml", file)?,
        settings_cluster: has("settings/cluster.yaml", file)?,
        sealed_secrets: false,
    };
    let namespaces = format!("{env}/manifests/namespaces");
    if let Lookup::Found(found) = walk.find(&namespaces, shared)?
        && found.kind == EntryKind::Directory
    {
        for entry in walk.list(&found)?.iter() {
            let Ok(name) = std::str::from_utf8(entry.name) else {
                continue;
            };
            let inside = format!("{namespaces}/{name}/sealedsecrets");
            markers.sealed_secrets |= walk.exists(&inside, EntryKind::Directory, shared)?;
        }
    }
    let layout = markers.layout();
    if layout.is_none() && shared.list.len() == before {
        let hint = "known are clusters.yaml, cluster.yaml with charts/, apps/ with teams.yaml, and settings/cluster.yaml";
        shared.file(env, "no layout of Otomi's values is recognised here", hint);
    }
    Ok(layout)
}
