//! Robot accounts. A robot is stored without the prefix that Harbor's
//! configuration puts before every robot's name: the prefix is applied on read.

use chrono::Duration;
use serde::{Deserialize, Serialize};

use super::{Duplicate, Moment, State, StoredSecret, take};

/// Where a grant holds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Harbor as a whole.
    System,
    /// Every project, those to come included.
    AllProjects,
    /// One project, by number.
    Project(i64),
}

/// One thing that may be done.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Access {
    /// As `repository`.
    pub resource: String,
    /// As `pull`.
    pub action: String,
    /// `allow`, or empty for the same.
    pub effect: String,
}

/// What a robot may do in one scope.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Grant {
    /// Where.
    pub scope: Scope,
    /// What.
    pub access: Vec<Access>,
}

/// A robot account.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Robot {
    /// Its number.
    pub id: i64,
    /// Its name without the prefix; that of a project's robot is `project+name`.
    pub name: String,
    /// The project that it belongs to; 0 for a robot of the system level.
    pub project_id: i64,
    /// What it is for.
    pub description: String,
    /// In days; -1 is for ever.
    pub duration: i64,
    /// In seconds since 1970; -1 is never.
    pub expires_at: i64,
    /// Whether it is switched off.
    pub disabled: bool,
    /// What it may do.
    pub grants: Vec<Grant>,
    /// `local` when a user created it, `robot` when a robot did.
    pub creator_type: String,
    /// The number of that user or robot.
    pub creator_ref: i64,
    /// Its secret.
    pub secret: StoredSecret,
    /// When it was created.
    pub created: Moment,
    /// When it was changed last.
    pub updated: Moment,
}

impl Robot {
    /// Whether it belongs to no project.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.project_id == 0
    }

    /// Whether it can sign in at `now` with the right secret.
    #[must_use]
    pub fn is_alive(&self, now: Moment) -> bool {
        !self.disabled && (self.expires_at == -1 || now.timestamp() < self.expires_at)
    }

    /// Sets the duration; it counts from the robot's creation.
    pub fn set_duration(&mut self, days: i64) {
        self.duration = days;
        self.expires_at = expiry(self.created, days);
    }
}

/// What is asked for when a robot is created. Holds a secret in clear, so it cannot
/// be printed.
pub struct NewRobot {
    /// As in [`Robot::name`].
    pub name: String,
    /// As in [`Robot::project_id`].
    pub project_id: i64,
    /// As in [`Robot::description`].
    pub description: String,
    /// As in [`Robot::duration`].
    pub duration: i64,
    /// As in [`Robot::grants`].
    pub grants: Vec<Grant>,
    /// As in [`Robot::creator_type`].
    pub creator_type: &'static str,
    /// As in [`Robot::creator_ref`].
    pub creator_ref: i64,
    /// The secret in clear.
    pub secret: String,
}

fn expiry(from: Moment, days: i64) -> i64 {
    if days == -1 {
        -1
    } else {
        (from + Duration::days(days)).timestamp()
    }
}

impl State {
    /// Creates a robot.
    ///
    /// # Errors
    /// When its project, or the system, has a robot of this name.
    pub fn insert_robot(&mut self, new: NewRobot, now: Moment) -> Result<i64, Duplicate> {
        let id = self.skip_robot_number();
        let key = (new.project_id, new.name.clone());
        if self.robot_ids.contains_key(&key) {
            return Err(Duplicate);
        }
        let robot = Robot {
            id,
            name: new.name,
            project_id: new.project_id,
            description: new.description,
            duration: new.duration,
            expires_at: expiry(now, new.duration),
            disabled: false,
            grants: new.grants,
            creator_type: new.creator_type.to_owned(),
            creator_ref: new.creator_ref,
            secret: StoredSecret::new(&new.secret),
            created: now,
            updated: now,
        };
        self.robot_ids.insert(key, id);
        self.rows.robots.insert(id, robot);
        Ok(id)
    }

    /// Uses up a number, as an insert does that is rolled back later.
    pub fn skip_robot_number(&mut self) -> i64 {
        take(&mut self.rows.sequences.robot)
    }

    /// Removes a robot.
    pub fn remove_robot(&mut self, id: i64) {
        if let Some(robot) = self.rows.robots.remove(&id) {
            self.robot_ids.remove(&(robot.project_id, robot.name));
        }
    }

    /// The robot of this number.
    #[must_use]
    pub fn robot(&self, id: i64) -> Option<&Robot> {
        self.rows.robots.get(&id)
    }

    /// The robot of this number, to change anything but its name and project.
    pub fn robot_mut(&mut self, id: i64) -> Option<&mut Robot> {
        self.rows.robots.get_mut(&id)
    }

    /// The robots of a project, or of the system level for 0, by name.
    pub fn robots_of(&self, project_id: i64) -> impl Iterator<Item = &Robot> {
        self.robot_ids
            .range((project_id, String::new())..(project_id + 1, String::new()))
            .filter_map(|(_, id)| self.robot(*id))
    }

    /// All robots of all levels.
    pub fn robots(&self) -> impl Iterator<Item = &Robot> {
        self.rows.robots.values()
    }

    /// The robot that is called so on sign-in, prefix included.
    #[must_use]
    pub fn robot_called(&self, login: &str) -> Option<&Robot> {
        let name = login.strip_prefix(self.settings().robot_prefix())?;
        // Only the names of projects' robots have a plus in them.
        let owner = match name.split_once('+') {
            Some((project, _)) => self.project_named(project)?.id,
            None => 0,
        };
        self.robot(*self.robot_ids.get(&(owner, name.to_owned()))?)
    }
}
