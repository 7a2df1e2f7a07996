//! The teams of the layouts that give each a directory, `env/teams/<id>/`.
//!
//! With thousands of teams this is where a first snapshot spends its time, so a
//! team whose directory has the content it had is not read again, and many that
//! are read at once are read by two threads.

use std::collections::HashMap;
use std::sync::Arc;

use super::Teams;
use super::files::{Loaded, load};
use super::tree::{ContentId, Entry, EntryKind, Tree, TreeError};
use super::walk::{Found, Lookup, Walk};
use crate::values::document::is_secret;
use crate::values::names::TeamId;
use crate::values::{Fault, Faults, Scope, Team, View};

/// From how many teams on a second thread is worth its start.
const MANY: usize = 64;

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

/// What one directory turned out to be.
#[derive(Debug, Clone)]
enum Outcome {
    Team(Arc<Team>),
    Held(Vec<Fault>),
    /// Not a directory at all.
    Nothing,
}

/// What the directories of the last snapshot turned out to be, by their names.
#[derive(Debug, Default)]
pub(super) struct TeamCache {
    slots: HashMap<Vec<u8>, Slot>,
    turn: u64,
}

#[derive(Debug)]
struct Slot {
    id: Option<ContentId>,
    outcome: Outcome,
    turn: u64,
}

/// Reads the teams below `env/teams/`. Without that directory there are none: git keeps no empty ones.
pub(super) fn read(
    walk: &Walk<'_>,
    env: &str,
    cache: &mut TeamCache,
    shared: &mut Faults,
) -> Result<Teams, TreeError> {
    let path = format!("{env}/teams");
    let mut teams = Teams::default();
    let found = match walk.find(&path, shared)? {
        Lookup::Found(found) if found.entry.kind == EntryKind::Directory => found,
        _ => return Ok(teams),
    };
    let entries = walk.list(&found.path, &found.entry)?;
    walk.forget(&found.path);
    cache.turn += 1;
    let turn = cache.turn;

    let mut unknown = Vec::new();
    for entry in entries
        .iter()
        .filter(|entry| !is_hidden(&entry.name) && entry.kind != EntryKind::File)
    {
        match cache.slots.get_mut(&entry.name) {
            Some(slot) if slot.id.is_some() && slot.id == entry.id => slot.turn = turn,
            _ => unknown.push(entry),
        }
    }
    for (entry, read) in unknown.iter().zip(read_all(walk, &path, &found.path, &unknown)?) {
        // What a link led to may change without the directory changing.
        let id = if read.linked { None } else { entry.id };
        cache.slots.insert(
            entry.name.clone(),
            Slot {
                id,
                outcome: read.outcome,
                turn,
            },
        );
    }
    cache.slots.retain(|_, slot| slot.turn == turn);

    for (name, slot) in &cache.slots {
        match &slot.outcome {
            Outcome::Team(team) => teams.found.push((team.id.clone(), Arc::clone(team))),
            Outcome::Held(faults) => teams.hold(&String::from_utf8_lossy(name), faults.clone()),
            Outcome::Nothing => {}
        }
    }
    Ok(teams)
}

/// One directory that was read.
struct Read {
    outcome: Outcome,
    linked: bool,
}

/// `path` is what `env/teams` is called, `real` where it is once links were followed.
fn read_all(walk: &Walk<'_>, path: &str, real: &str, entries: &[&Entry]) -> Result<Vec<Read>, TreeError> {
    let each = |walk: &Walk<'_>, entries: &[&Entry]| -> Result<Vec<Read>, TreeError> {
        entries
            .iter()
            .map(|entry| read_one(walk, path, real, entry))
            .collect()
    };
    let fork = if entries.len() < MANY {
        None
    } else {
        walk.tree().fork()
    };
    let Some(fork) = fork else {
        return each(walk, entries);
    };
    let (near, far) = entries.split_at(entries.len() / 2);
    std::thread::scope(|scope| {
        let other = scope.spawn(move || {
            let fork: Box<dyn Tree + Send> = fork;
            each(&Walk::new(&*fork), far)
        });
        let mut reads = each(walk, near);
        match other.join() {
            Ok(rest) => {
                let rest = rest?;
                if let Ok(reads) = &mut reads {
                    reads.extend(rest);
                }
                reads
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Reads one entry of `env/teams/`.
fn read_one(walk: &Walk<'_>, teams: &str, real: &str, entry: &Entry) -> Result<Read, TreeError> {
    let name = String::from_utf8_lossy(&entry.name);
    let path = format!("{teams}/{name}");
    let mut faults = Faults::new(Scope::Team(name.clone().into_owned()));
    let found = match entry.kind {
        EntryKind::Directory => Found {
            path: path.clone(),
            entry: entry.clone(),
            linked: false,
        },
        _ => match walk.find(&path, &mut faults)? {
            Lookup::Found(found) if found.entry.kind == EntryKind::Directory => found,
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
    let mut linked = found.linked;
    let team = read_directory(walk, id, &path, &found, &mut linked, &mut faults)?;
    let outcome = match team {
        Some(team) if faults.list.is_empty() => Outcome::Team(Arc::new(team)),
        _ => Outcome::Held(faults.list),
    };
    Ok(Read { outcome, linked })
}

fn read_directory(
    walk: &Walk<'_>,
    id: TeamId,
    path: &str,
    found: &Found,
    linked: &mut bool,
    faults: &mut Faults,
) -> Result<Option<Team>, TreeError> {
    let entries = walk.tree().list(&found.path, &found.entry)?;
    let settings = load_settings(walk, path, found, &entries, linked, faults)?;
    if settings.is_empty() && !has_loaded_file(walk, found, &entries, linked, faults)? {
        // A fault above says more than that nothing is there.
        if faults.list.is_empty() {
            faults.file(
                path,
                "this directory has nothing that makes a team",
                "add a settings.yaml, or remove it",
            );
        }
        return Ok(None);
    }
    let mut view = View::default();
    for document in settings.iter().filter_map(Loaded::document) {
        view = view.under(View::of([document]).map("spec", faults));
    }
    Ok(Some(Team::read(id, &view, faults)))
}

/// Every `*settings.yaml` of a team, those with secrets last, since they lie over the others.
fn load_settings(
    walk: &Walk<'_>,
    path: &str,
    found: &Found,
    entries: &[Entry],
    linked: &mut bool,
    faults: &mut Faults,
) -> Result<Vec<Loaded>, TreeError> {
    let mut files: Vec<(bool, &str, &Entry)> = entries
        .iter()
        .filter_map(|entry| Some((std::str::from_utf8(&entry.name).ok()?, entry)))
        .filter(|(name, _)| name.ends_with("settings.yaml") && !name.starts_with('.'))
        .map(|(name, entry)| (is_secret(name), name, entry))
        .collect();
    files.sort_unstable_by_key(|(secret, name, _)| (*secret, *name));
    let mut settings = Vec::with_capacity(files.len());
    for (_, name, entry) in files {
        let file = format!("{path}/{name}");
        match entry.kind {
            EntryKind::File => {
                let found = Found {
                    path: format!("{}/{name}", found.path),
                    entry: entry.clone(),
                    linked: false,
                };
                settings.push(load(walk, &file, &found, faults)?);
            }
            EntryKind::Directory => {}
            _ => {
                *linked = true;
                match walk.find(&format!("{}/{name}", found.path), faults)? {
                    Lookup::Found(found) if found.entry.kind == EntryKind::File => {
                        settings.push(load(walk, &file, &found, faults)?);
                    }
                    Lookup::Missing => faults.file(&file, "this symbolic link leads to nothing", ""),
                    Lookup::Found(_) | Lookup::Refused => {}
                }
            }
        }
    }
    Ok(settings)
}

/// Whether a directory without settings is a team all the same, by a file of a kind that Otomi loads.
fn has_loaded_file(
    walk: &Walk<'_>,
    found: &Found,
    entries: &[Entry],
    linked: &mut bool,
    faults: &mut Faults,
) -> Result<bool, TreeError> {
    if entries
        .iter()
        .any(|entry| is_values_file(entry) && entry.name.ends_with(b"apps.yaml"))
    {
        return Ok(true);
    }
    for folder in LOADED_FOLDERS {
        let Some(entry) = entries.iter().find(|entry| entry.name == folder.as_bytes()) else {
            continue;
        };
        let inside = format!("{}/{folder}", found.path);
        let files = match entry.kind {
            EntryKind::Directory => walk.tree().list(&inside, entry)?,
            EntryKind::File => continue,
            _ => {
                *linked = true;
                match walk.find(&inside, faults)? {
                    Lookup::Found(found) if found.entry.kind == EntryKind::Directory => {
                        walk.tree().list(&found.path, &found.entry)?
                    }
                    _ => continue,
                }
            }
        };
        if files.iter().any(is_values_file) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_values_file(entry: &Entry) -> bool {
    let file = matches!(entry.kind, EntryKind::File | EntryKind::Symlink);
    file && entry.name.ends_with(b".yaml") && !is_hidden(&entry.name)
}

fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b".")
}
