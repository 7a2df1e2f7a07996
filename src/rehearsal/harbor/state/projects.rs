//! Projects and their quotas.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Duplicate, MemberKind, Moment, State, take};

/// A project.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Project {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The user who created it.
    pub owner_id: i64,
    /// The number of its CVE allowlist, which every project gets.
    pub allowlist_id: i64,
    /// Its metadata; `public` is always among them.
    pub metadata: BTreeMap<String, String>,
    /// The repositories that it holds; with any it cannot be deleted.
    pub repositories: Vec<Repository>,
    /// When it was created.
    pub created: Moment,
    /// When it was changed last.
    pub updated: Moment,
}

impl Project {
    /// Whether everybody may read it.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.metadata.get("public").is_some_and(|value| value == "true")
    }
}

/// A repository of images.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Repository {
    /// Its number.
    pub id: i64,
    /// Its name, the project's included.
    pub name: String,
    /// The project that holds it.
    pub project_id: i64,
    /// When something was pushed to it first.
    pub created: Moment,
}

/// The storage quota of a project.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Quota {
    /// Its number.
    pub id: i64,
    /// The project that it limits.
    pub project_id: i64,
    /// The limit in bytes; -1 is none.
    pub storage: i64,
    /// When it was created.
    pub created: Moment,
    /// When it was changed last.
    pub updated: Moment,
}

impl State {
    /// Creates a project, its quota and its first member, the owner as project admin.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn insert_project(
        &mut self,
        name: &str,
        owner_id: i64,
        metadata: BTreeMap<String, String>,
        storage: i64,
        now: Moment,
    ) -> Result<i64, Duplicate> {
        let id = take(&mut self.rows.sequences.project);
        if self.project_ids.contains_key(name) {
            return Err(Duplicate);
        }
        let allowlist_id = take(&mut self.rows.sequences.allowlist);
        let project = Project {
            id,
            name: name.to_owned(),
            owner_id,
            allowlist_id,
            metadata,
            repositories: Vec::new(),
            created: now,
            updated: now,
        };
        self.project_ids.insert(project.name.clone(), id);
        self.rows.projects.insert(id, project);
        self.insert_member(id, MemberKind::User, owner_id, 1);
        let quota_id = take(&mut self.rows.sequences.quota);
        let quota = Quota {
            id: quota_id,
            project_id: id,
            storage,
            created: now,
            updated: now,
        };
        self.rows.quotas.insert(quota_id, quota);
        Ok(id)
    }

    /// Makes a repository, as the first push to it does, and returns its number; none
    /// if there is no such project.
    pub fn insert_repository(&mut self, project_id: i64, name: &str, now: Moment) -> Option<i64> {
        let project = self.rows.projects.get_mut(&project_id)?;
        let id = take(&mut self.rows.sequences.repository);
        project.repositories.push(Repository {
            id,
            name: format!("{}/{name}", project.name),
            project_id,
            created: now,
        });
        Some(id)
    }

    /// Removes a project with all that belongs to it.
    pub fn remove_project(&mut self, id: i64) {
        let Some(project) = self.rows.projects.remove(&id) else {
            return;
        };
        self.project_ids.remove(&project.name);
        for member in self.members_of.remove(&id).unwrap_or_default() {
            self.rows.members.remove(&member);
        }
        self.rows.quotas.retain(|_, quota| quota.project_id != id);
        let robots: Vec<i64> = self.robots_of(id).map(|robot| robot.id).collect();
        for robot in robots {
            self.remove_robot(robot);
        }
    }

    /// The project of this number.
    #[must_use]
    pub fn project(&self, id: i64) -> Option<&Project> {
        self.rows.projects.get(&id)
    }

    /// The project of this number, to change it.
    pub fn project_mut(&mut self, id: i64) -> Option<&mut Project> {
        self.rows.projects.get_mut(&id)
    }

    /// The project of this name.
    #[must_use]
    pub fn project_named(&self, name: &str) -> Option<&Project> {
        self.project_ids.get(name).and_then(|id| self.project(*id))
    }

    /// All projects by name.
    pub fn projects(&self) -> impl Iterator<Item = &Project> {
        self.project_ids.values().filter_map(|id| self.project(*id))
    }

    /// All quotas, the newest first.
    pub fn quotas(&self) -> impl Iterator<Item = &Quota> {
        self.rows.quotas.values().rev()
    }

    /// The quota of this number.
    #[must_use]
    pub fn quota(&self, id: i64) -> Option<&Quota> {
        self.rows.quotas.get(&id)
    }

    /// The quota of this number, to change it.
    pub fn quota_mut(&mut self, id: i64) -> Option<&mut Quota> {
        self.rows.quotas.get_mut(&id)
    }
}
