//! One team's directory, `env/teams/<id>/`.

use std::sync::Arc;

use super::files::{Loaded, load};
use super::tree::{Entry, EntryKind, Listing, TreeError};
use super::walk::{Found, Lookup, Walk};
use crate::values::document::is_secret;
use crate::values::names::TeamId;
use crate::values::{Fault, Faults, Scope, TEAM_KEYS, Team, View};

/// Folders of a team whose files Otomi loads; `sealedsecrets`, `workloadValues`,
/// `agents`, `knowledgebases` and `databases` are not among them.
const LOADED_FOLDERS: [&str; 8] = [
    "backups",
    "builds",
    "codeRepos",
    "netpols",
    "policies",
    "projects",
    "services",
    "workloads",
];

/// What an entry of `env/teams/` turned out to be.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    Team(Arc<Team>),
    Held(Vec<Fault>),
    /// A file, or hidden.
    Nothing,
}

/// An entry that was read.
pub(super) struct Read {
    pub(super) outcome: Outcome,
    /// Whether symbolic links were followed, so that the entry's id does not say all.
    pub(super) linked: bool,
}

/// Reads one entry of `env/teams/`, which is called `teams` and is at `real` once links were followed.
pub(super) fn read_team(
    walk: &Walk<'_>,
    teams: &str,
    real: &str,
    entry: Entry<'_>,
) -> Result<Read, TreeError> {
    if is_hidden(entry.name) || entry.kind == EntryKind::File {
        return Ok(Read {
            outcome: Outcome::Nothing,
            linked: false,
        });
    }
    let name = String::from_utf8_lossy(entry.name);
    let path = format!("{teams}/{name}");
    let mut faults = Faults::new(Scope::Team(name.clone().into_owned()));
    let found = match entry.kind {
        EntryKind::Directory => Found {
            path: format!("{real}/{name}"),
            kind: entry.kind,
            id: entry.id,
            linked: false,
        },
        _ => match walk.find(&path, &mut faults)? {
            Lookup::Found(found) if found.kind == EntryKind::Directory => found,
            Lookup::Found(_) => {
                return Ok(Read {
                    outcome: Outcome::Nothing,
                    linked: true,
                });
            }
            Lookup::Missing => {
                faults.file(&path, "this symbolic link leads to nothing", "");
                return Ok(Read {
                    outcome: Outcome::Held(faults.list),
                    linked: true,
                });
            }
            Lookup::Refused => {
                return Ok(Read {
                    outcome: Outcome::Held(faults.list),
                    linked: true,
                });
            }
        },
    };
    let id = match TeamId::new(&*name) {
        Ok(id) => id,
        Err(error) => {
            let hint = "rename the directory: the team's project, namespace and robots are named after it";
            faults.file(&path, error.to_string(), hint);
            return Ok(Read {
                outcome: Outcome::Held(faults.list),
                linked: false,
            });
        }
    };
    let mut directory = Directory {
        walk,
        path,
        linked: found.linked,
        found,
        faults,
    };
    let team = directory.read(id)?;
    let outcome = match team {
        Some(team) if directory.faults.list.is_empty() => Outcome::Team(Arc::new(team)),
        _ => Outcome::Held(directory.faults.list),
    };
    Ok(Read {
        outcome,
        linked: directory.linked,
    })
}

struct Directory<'w, 't> {
    walk: &'w Walk<'t>,
    /// What it is called, for faults.
    path: String,
    found: Found,
    linked: bool,
    faults: Faults,
}

impl Directory<'_, '_> {
    fn read(&mut self, id: TeamId) -> Result<Option<Team>, TreeError> {
        let listing = self.walk.tree().list(&self.found.path, self.found.id)?;
        let settings = self.load_settings(&listing)?;
        if settings.is_empty() && !self.has_loaded_file(&listing)? {
            // A fault above says more than that nothing is there.
            if self.faults.list.is_empty() {
                let hint = "add a settings.yaml, or remove the directory";
                self.faults
                    .file(&self.path, "this directory has nothing that makes a team", hint);
            }
            return Ok(None);
        }
        let mut view = View::default();
        for document in settings.iter().filter_map(Loaded::document) {
            view = view.under(View::of([document]).map("spec", &mut self.faults));
        }
        Ok(Some(Team::read(id, &view, &mut self.faults)))
    }

    /// Every `*settings.yaml` of a team, those with secrets last, since they lie over the others.
    fn load_settings(&mut self, listing: &Listing) -> Result<Vec<Loaded>, TreeError> {
        let mut files: Vec<(bool, &str, Entry<'_>)> = listing
            .iter()
            .filter(|entry| entry.name.ends_with(b"settings.yaml") && !is_hidden(entry.name))
            .filter_map(|entry| Some((std::str::from_utf8(entry.name).ok()?, entry)))
            .map(|(name, entry)| (is_secret(name), name, entry))
            .collect();
        files.sort_unstable_by_key(|(secret, name, _)| (*secret, *name));
        let mut settings = Vec::with_capacity(files.len());
        for (_, name, entry) in files {
            let file = format!("{}/{name}", self.path);
            if let Some(found) = self.resolve(name, entry)?
                && found.kind == EntryKind::File
            {
                settings.push(load(
                    self.walk,
                    &file,
                    &found,
                    Some(&TEAM_KEYS),
                    &mut self.faults,
                )?);
            }
        }
        Ok(settings)
    }

    /// Whether a directory without settings is a team all the same, by a file of a kind that Otomi loads.
    fn has_loaded_file(&mut self, listing: &Listing) -> Result<bool, TreeError> {
        if listing
            .iter()
            .any(|entry| is_values_file(entry) && entry.name.ends_with(b"apps.yaml"))
        {
            return Ok(true);
        }
        for folder in LOADED_FOLDERS {
            let Some(entry) = listing.get(folder.as_bytes()) else {
                continue;
            };
            if let Some(found) = self.resolve(folder, entry)?
                && found.kind == EntryKind::Directory
                && self
                    .walk
                    .tree()
                    .list(&found.path, found.id)?
                    .iter()
                    .any(is_values_file)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// An entry of this directory, once links were followed.
    fn resolve(&mut self, name: &str, entry: Entry<'_>) -> Result<Option<Found>, TreeError> {
        let path = format!("{}/{name}", self.found.path);
        if matches!(entry.kind, EntryKind::File | EntryKind::Directory) {
            return Ok(Some(Found {
                path,
                kind: entry.kind,
                id: entry.id,
                linked: false,
            }));
        }
        self.linked = true;
        match self.walk.find(&path, &mut self.faults)? {
            Lookup::Found(found) => Ok(Some(found)),
            Lookup::Refused => Ok(None),
            Lookup::Missing => {
                self.faults.file(
                    &format!("{}/{name}", self.path),
                    "this symbolic link leads to nothing",
                    "",
                );
                Ok(None)
            }
        }
    }
}

fn is_values_file(entry: Entry<'_>) -> bool {
    let file = matches!(entry.kind, EntryKind::File | EntryKind::Symlink);
    file && entry.name.ends_with(b".yaml") && !is_hidden(entry.name)
}

fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".")
}
