//! The teams of a snapshot, as a map that is cheap to copy and to change in few places.
//!
//! A daemon holds the last snapshot while it builds the next one, which mostly has the
//! same teams. They are kept in sorted runs that both snapshots share, so that one
//! changed team of 10,000 costs one run.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::values::Team;
use crate::values::names::TeamId;

/// Teams in one run. The square root of 10,000, so that runs are as many as they are long.
const RUN: usize = 100;

type Run = Arc<Vec<Arc<Team>>>;

/// Teams by their ids, in the order of the ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TeamMap {
    /// Sorted, and none empty.
    runs: Vec<Run>,
}

impl TeamMap {
    /// How many teams there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.iter().map(|run| run.len()).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The team of an id.
    #[must_use]
    pub fn get(&self, id: &TeamId) -> Option<&Arc<Team>> {
        let run = self.runs.get(self.run_of(id))?;
        run.get(run.binary_search_by(|team| team.id.cmp(id)).ok()?)
    }

    /// Whether there is a team of an id.
    #[must_use]
    pub fn contains_key(&self, id: &TeamId) -> bool {
        self.get(id).is_some()
    }

    /// The ids, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &TeamId> {
        self.values().map(|team| &team.id)
    }

    /// The teams, sorted by their ids.
    pub fn values(&self) -> impl Iterator<Item = &Arc<Team>> {
        self.runs.iter().flat_map(|run| run.iter())
    }

    /// Ids and teams, sorted by the ids.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            runs: self.runs.iter(),
            run: [].iter(),
        }
    }

    /// Adds a team, or replaces the one of the same id.
    pub fn insert(&mut self, team: Arc<Team>) {
        let index = self.run_of(&team.id);
        let Some(run) = self.runs.get_mut(index) else {
            self.runs.push(Arc::new(vec![team]));
            return;
        };
        let teams = Arc::make_mut(run);
        match teams.binary_search_by(|other| other.id.cmp(&team.id)) {
            Ok(at) => {
                if let Some(other) = teams.get_mut(at) {
                    *other = team;
                }
            }
            Err(at) => teams.insert(at, team),
        }
        if teams.len() > 2 * RUN {
            let rest = teams.split_off(RUN);
            self.runs.insert(index + 1, Arc::new(rest));
        }
    }

    /// Removes the team of an id, when there is one.
    pub fn remove(&mut self, id: &TeamId) {
        let index = self.run_of(id);
        let Some(run) = self.runs.get_mut(index) else {
            return;
        };
        if let Ok(at) = run.binary_search_by(|team| team.id.cmp(id)) {
            let teams = Arc::make_mut(run);
            teams.remove(at);
            if teams.is_empty() {
                self.runs.remove(index);
            }
        }
    }

    /// The run that has a team of this id, or should: the last one that does not begin behind it.
    fn run_of(&self, id: &TeamId) -> usize {
        let begins_before = |run: &Run| run.first().is_some_and(|team| team.id <= *id);
        self.runs.partition_point(begins_before).saturating_sub(1)
    }
}

/// Ids and teams of a [`TeamMap`], sorted by the ids.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    runs: std::slice::Iter<'a, Run>,
    run: std::slice::Iter<'a, Arc<Team>>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a TeamId, &'a Arc<Team>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(team) = self.run.next() {
                return Some((&team.id, team));
            }
            self.run = self.runs.next()?.iter();
        }
    }
}

impl<'a> IntoIterator for &'a TeamMap {
    type Item = (&'a TeamId, &'a Arc<Team>);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl FromIterator<Arc<Team>> for TeamMap {
    fn from_iter<I: IntoIterator<Item = Arc<Team>>>(teams: I) -> Self {
        let mut map = Self::default();
        teams.into_iter().for_each(|team| map.insert(team));
        map
    }
}

impl Serialize for TeamMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn team(n: u16, mapping: u8) -> Arc<Team> {
        Arc::new(Team {
            id: TeamId::new(format!("t{n}")).unwrap(),
            docker_login_download: false,
            storage_quota: None,
            group_mapping: Some(mapping.to_string()),
        })
    }

    proptest! {
        #[test]
        fn a_team_map_is_the_sorted_map_that_it_stands_for(edits in proptest::collection::vec((0..500u16, any::<u8>(), 0..4u8), 0..1500)) {
            let mut map = TeamMap::default();
            let mut sorted = BTreeMap::new();
            let mut before = None;
            for (n, mapping, what) in edits {
                let team = team(n, mapping);
                match what {
                    0 => {
                        map.remove(&team.id);
                        sorted.remove(&team.id);
                    }
                    1 => before = Some((map.clone(), sorted.clone())),
                    _ => {
                        sorted.insert(team.id.clone(), Arc::clone(&team));
                        map.insert(team);
                    }
                }
            }
            for (map, sorted) in before.into_iter().chain([(map, sorted)]) {
                prop_assert!(map.iter().eq(sorted.iter()));
                prop_assert!(map.keys().eq(sorted.keys()) && map.values().eq(sorted.values()));
                prop_assert_eq!((map.len(), map.is_empty()), (sorted.len(), sorted.is_empty()));
                for n in 0..500 {
                    let id = TeamId::new(format!("t{n}")).unwrap();
                    prop_assert_eq!(map.get(&id), sorted.get(&id));
                }
            }
        }
    }
}
