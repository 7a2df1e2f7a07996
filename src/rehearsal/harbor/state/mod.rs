//! What a Harbor holds, and the rules of its database: unique names, numbers that
//! are never given out twice, rows that go when their project goes.
//!
//! Pure: time and secrets are handed in, and nothing here knows HTTP.

mod groups;
mod members;
mod projects;
mod robots;
mod secret;
mod settings;
mod users;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use groups::Group;
pub use members::{Member, MemberKind, ROLES};
pub use projects::{Project, Quota, Repository};
pub use robots::{Access, Grant, NewRobot, Robot, Scope};
pub use secret::{StoredSecret, generate_secret, is_acceptable};
pub use settings::{SETTINGS, Setting, SettingKind, Settings};
pub use users::{OidcIdentity, User};

/// A moment, as Harbor stores it.
pub type Moment = DateTime<Utc>;

/// A row that the database refuses because another one is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duplicate;

/// The next number of each table. A number is used up even by an insert that
/// fails, as with a database's sequences.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Sequences {
    project: i64,
    allowlist: i64,
    member: i64,
    robot: i64,
    user: i64,
    group: i64,
    quota: i64,
    identity: i64,
    repository: i64,
}

fn take(counter: &mut i64) -> i64 {
    let number = *counter;
    *counter += 1;
    number
}

/// All of a Harbor's rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Rows", into = "Rows")]
pub struct State {
    rows: Rows,
    project_ids: BTreeMap<String, i64>,
    robot_ids: BTreeMap<(i64, String), i64>,
    group_ids: BTreeMap<String, i64>,
    members_of: BTreeMap<i64, BTreeSet<i64>>,
}

/// What is saved; the indexes are made anew.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Rows {
    sequences: Sequences,
    settings: Settings,
    projects: BTreeMap<i64, Project>,
    quotas: BTreeMap<i64, Quota>,
    members: BTreeMap<i64, Member>,
    robots: BTreeMap<i64, Robot>,
    users: BTreeMap<i64, User>,
    groups: BTreeMap<i64, Group>,
}

impl From<Rows> for State {
    fn from(rows: Rows) -> Self {
        let mut state = Self {
            project_ids: rows
                .projects
                .values()
                .map(|project| (project.name.clone(), project.id))
                .collect(),
            robot_ids: rows
                .robots
                .values()
                .map(|robot| ((robot.project_id, robot.name.clone()), robot.id))
                .collect(),
            group_ids: rows
                .groups
                .values()
                .map(|group| (group.name.clone(), group.id))
                .collect(),
            members_of: BTreeMap::new(),
            rows,
        };
        for member in state.rows.members.values() {
            state
                .members_of
                .entry(member.project_id)
                .or_default()
                .insert(member.id);
        }
        state
    }
}

impl From<State> for Rows {
    fn from(state: State) -> Self {
        state.rows
    }
}

impl State {
    /// A Harbor as it is after its first start: the user `admin` and the public
    /// project `library`.
    #[must_use]
    pub fn empty(admin_password: &str, now: Moment) -> Self {
        let rows = Rows {
            // Number 2 of the users is a deleted row that every Harbor is born with.
            sequences: Sequences {
                project: 1,
                allowlist: 1,
                member: 1,
                robot: 1,
                user: 3,
                group: 1,
                quota: 1,
                identity: 1,
                repository: 1,
            },
            settings: Settings::default(),
            projects: BTreeMap::new(),
            quotas: BTreeMap::new(),
            members: BTreeMap::new(),
            robots: BTreeMap::new(),
            users: BTreeMap::from([(1, User::admin(admin_password, now))]),
            groups: BTreeMap::new(),
        };
        let mut state = Self::from(rows);
        let public = BTreeMap::from([("public".to_owned(), "true".to_owned())]);
        // The first project cannot be there already.
        state.insert_project("library", 1, public, -1, now).ok();
        state
    }

    /// Harbor's own configuration.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.rows.settings
    }

    /// Harbor's own configuration, to change it.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.rows.settings
    }
}
