//! The teams of the layouts that give each a directory, `env/teams/<id>/`.
//!
//! With thousands of teams this is where a snapshot spends its time. A team whose
//! directory has the content that it had is not read again, so what a commit costs
//! follows what it changed, but for one listing of all teams.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use super::Teams;
use super::tree::{Entry, EntryKind, Listing, TreeError};
use super::walk::{Lookup, Walk};
use crate::snapshot::team_directory::{Outcome, Read, read_team};
use crate::values::Faults;
use crate::values::Team;
use crate::values::names::TeamId;

/// What the directories of the last snapshot turned out to be.
#[derive(Debug, Default)]
pub(super) struct TeamCache {
    listing: Option<Rc<Listing>>,
    /// One for each entry of the listing.
    outcomes: Vec<Known>,
    /// The teams among them, kept so that a new map is a copy and not sorted anew.
    teams: BTreeMap<TeamId, Arc<Team>>,
}

/// What one entry turned out to be.
#[derive(Debug, Clone)]
struct Known {
    outcome: Outcome,
    /// Whether that can have changed with the entry's id staying the same.
    linked: bool,
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
    let mut reads: Vec<Option<Read>> = Vec::with_capacity(listing.len());
    let mut reused: Vec<Option<usize>> = Vec::with_capacity(listing.len());
    let mut last = LastListing::new(cache);
    for entry in listing.iter() {
        let known = last.position(entry);
        reads.push(match known {
            Some(_) => None,
            None => Some(read_team(walk, &path, &found.path, entry)?),
        });
        reused.push(known);
    }
    Ok(cache.update(listing, reads, &reused))
}

/// The listing of the last snapshot, gone through beside a new one that is nearly the same.
struct LastListing<'a> {
    outcomes: &'a [Known],
    entries: Vec<Entry<'a>>,
    next: usize,
    by_name: Option<HashMap<&'a [u8], usize>>,
}

impl<'a> LastListing<'a> {
    fn new(cache: &'a TeamCache) -> Self {
        let entries = cache
            .listing
            .as_deref()
            .map(|listing| listing.iter().collect())
            .unwrap_or_default();
        Self {
            outcomes: &cache.outcomes,
            entries,
            next: 0,
            by_name: None,
        }
    }

    /// Where the same entry was, when what it turned out to be still holds.
    fn position(&mut self, entry: Entry<'_>) -> Option<usize> {
        let entries = &self.entries;
        let same_place = entries.get(self.next).is_some_and(|last| last.name == entry.name);
        let position = if same_place {
            self.next
        } else {
            // Something was added or removed here.
            let all = || {
                entries
                    .iter()
                    .enumerate()
                    .map(|(position, entry)| (entry.name, position))
                    .collect()
            };
            *self.by_name.get_or_insert_with(all).get(entry.name)?
        };
        self.next = position + 1;
        let same = entry.id.is_some() && *entries.get(position)? == entry;
        (same && !self.outcomes.get(position)?.linked).then_some(position)
    }
}

impl TeamCache {
    /// Takes over what was read, forgets what is gone, and gathers all of it.
    fn update(&mut self, listing: Rc<Listing>, reads: Vec<Option<Read>>, reused: &[Option<usize>]) -> Teams {
        let mut old: Vec<Option<Known>> = std::mem::take(&mut self.outcomes).into_iter().map(Some).collect();
        let mut fresh = Vec::new();
        for (read, position) in reads.into_iter().zip(reused) {
            let kept = position
                .and_then(|position| old.get_mut(position))
                .and_then(Option::take);
            let known = match (read, kept) {
                (Some(Read { outcome, linked }), _) => {
                    if let Outcome::Team(team) = &outcome {
                        fresh.push(Arc::clone(team));
                    }
                    Known { outcome, linked }
                }
                (None, Some(known)) => known,
                (None, None) => continue,
            };
            self.outcomes.push(known);
        }
        for known in old.into_iter().flatten() {
            if let Outcome::Team(team) = known.outcome {
                self.teams.remove(&team.id);
            }
        }
        self.teams
            .extend(fresh.into_iter().map(|team| (team.id.clone(), team)));
        let mut teams = Teams {
            found: self.teams.clone(),
            ..Teams::default()
        };
        for (entry, known) in listing.iter().zip(&self.outcomes) {
            if let Outcome::Held(faults) = &known.outcome {
                teams.hold(&String::from_utf8_lossy(entry.name), faults.clone());
            }
        }
        self.listing = Some(listing);
        teams
    }
}
