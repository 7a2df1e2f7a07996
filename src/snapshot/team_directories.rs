//! The teams of the layouts that give each a directory, `env/teams/<id>/`.
//!
//! With thousands of teams this is where a snapshot spends its time. A team whose
//! directory has the content that it had is not read again, so what a commit costs
//! follows what it changed, but for one listing of all teams.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::team_directory::{Outcome, Read, read_team};
use super::tree::{Entry, EntryKind, Listing, TreeError};
use super::walk::{Lookup, Walk};
use super::{TeamMap, Teams};
use crate::values::{Fault, Faults};

/// What the directories of the last snapshot turned out to be.
#[derive(Debug, Default)]
pub(super) struct TeamCache {
    listing: Arc<Listing>,
    /// Those that are teams.
    teams: TeamMap,
    /// Those that are none, or may have changed with their ids staying the same.
    others: HashMap<Vec<u8>, Other>,
}

#[derive(Debug)]
enum Other {
    Held(Vec<Fault>),
    Nothing,
    /// Something that symbolic links led to, to be read again each time.
    Linked,
}

/// Reads the teams below `env/teams/`. Without that directory there are none: git keeps no empty ones.
pub(super) fn read(
    walk: &Walk<'_>,
    env: &str,
    cache: &mut TeamCache,
    shared: &mut Faults,
) -> Result<Teams, TreeError> {
    let path = format!("{env}/teams");
    let found = match walk.find(&path, shared)? {
        Lookup::Found(found) if found.kind == EntryKind::Directory => found,
        _ => {
            *cache = TeamCache::default();
            return Ok(Teams::default());
        }
    };
    let listing = walk.list(&found)?;
    // Taken out, so that a tree that cannot be read leaves a cache that knows nothing rather than half.
    let mut next = std::mem::take(cache);
    let last = Arc::clone(&next.listing);
    let changes = Changes::between(&last, &listing, &next.others);
    for name in changes.gone {
        next.forget(name);
    }
    let mut held = Vec::new();
    for entry in changes.unknown {
        next.forget(entry.name);
        let Read { outcome, linked } = read_team(walk, &path, &found.path, entry)?;
        let other = match outcome {
            Outcome::Team(team) => {
                next.teams.insert(team);
                None
            }
            // What is linked is said now and read again next time.
            Outcome::Held(faults) if linked => {
                held.push((entry.name, faults));
                None
            }
            Outcome::Held(faults) => Some(Other::Held(faults)),
            Outcome::Nothing => Some(Other::Nothing),
        };
        if let Some(other) = if linked { Some(Other::Linked) } else { other } {
            next.others.insert(entry.name.to_vec(), other);
        }
    }
    let mut teams = Teams {
        found: next.teams.clone(),
        ..Teams::default()
    };
    for (name, faults) in held {
        teams.hold(&String::from_utf8_lossy(name), faults);
    }
    for (name, other) in &next.others {
        if let Other::Held(faults) = other {
            teams.hold(&String::from_utf8_lossy(name), faults.clone());
        }
    }
    next.listing = Arc::clone(&listing);
    *cache = next;
    Ok(teams)
}

impl TeamCache {
    fn forget(&mut self, name: &[u8]) {
        self.others.remove(name);
        if let Some(id) = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()) {
            self.teams.remove(&id);
        }
    }
}

/// What has to be done to get from one listing to another.
struct Changes<'a> {
    /// Names that are there no longer.
    gone: Vec<&'a [u8]>,
    /// Entries to read.
    unknown: Vec<Entry<'a>>,
}

impl<'a> Changes<'a> {
    fn between(old: &'a Listing, new: &'a Listing, others: &HashMap<Vec<u8>, Other>) -> Self {
        // A commit changes few teams, often one: nothing is done for those on both sides of the changes.
        let (start, end) = new.common_ends(old);
        let middle =
            |listing: &'a Listing| (start..listing.len() - end).filter_map(|position| listing.nth(position));
        let mut last: HashMap<&[u8], Entry<'_>> = middle(old).map(|entry| (entry.name, entry)).collect();
        let mut unknown = Vec::new();
        for entry in middle(new) {
            match last.remove(entry.name) {
                Some(same) if same == entry && entry.id.is_some() => {}
                _ => unknown.push(entry),
            }
        }
        let read: HashSet<&[u8]> = unknown.iter().map(|entry| entry.name).collect();
        let linked = others
            .iter()
            .filter(|(name, other)| matches!(other, Other::Linked) && !read.contains(&***name));
        let linked: Vec<Entry<'a>> = linked.filter_map(|(name, _)| new.get(name)).collect();
        unknown.extend(linked);
        Self {
            gone: last.into_keys().collect(),
            unknown,
        }
    }
}
