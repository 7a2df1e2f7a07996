//! Who is a member of which project, and as what.

use serde::{Deserialize, Serialize};

use super::{State, User, take};

/// The roles that exist, by number. A member whose role is not among them is
/// stored, and shown nowhere.
pub const ROLES: [(i64, &str); 5] = [
    (1, "projectAdmin"),
    (2, "developer"),
    (3, "guest"),
    (4, "maintainer"),
    (5, "limitedGuest"),
];

/// What kind of member one is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberKind {
    /// A user.
    User,
    /// A group.
    Group,
}

/// A membership.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: i64,
    /// The project.
    pub project_id: i64,
    /// What the entity is.
    pub kind: MemberKind,
    /// The number of the user or group.
    pub entity_id: i64,
    /// The role, see [`ROLES`].
    pub role: i64,
}

impl Member {
    /// The name of its role, if that exists.
    #[must_use]
    pub fn role_name(&self) -> Option<&'static str> {
        ROLES
            .iter()
            .find(|(id, _)| *id == self.role)
            .map(|(_, name)| *name)
    }
}

impl State {
    /// Makes a membership, in place of one that the same entity has already.
    pub fn insert_member(&mut self, project_id: i64, kind: MemberKind, entity_id: i64, role: i64) -> i64 {
        let former = self
            .members(project_id)
            .find(|member| member.kind == kind && member.entity_id == entity_id)
            .map(|member| member.id);
        if let Some(former) = former {
            self.remove_member(project_id, former);
        }
        let id = take(&mut self.rows.sequences.member);
        self.rows.members.insert(
            id,
            Member {
                id,
                project_id,
                kind,
                entity_id,
                role,
            },
        );
        self.members_of.entry(project_id).or_default().insert(id);
        id
    }

    /// Ends a membership.
    pub fn remove_member(&mut self, project_id: i64, id: i64) {
        let known = self
            .members_of
            .get_mut(&project_id)
            .is_some_and(|members| members.remove(&id));
        if known {
            self.rows.members.remove(&id);
        }
    }

    /// Ends all memberships of a user or group.
    pub(super) fn remove_members(&mut self, kind: MemberKind, entity_id: i64) {
        let members: Vec<(i64, i64)> = self
            .rows
            .members
            .values()
            .filter(|member| member.kind == kind && member.entity_id == entity_id)
            .map(|member| (member.project_id, member.id))
            .collect();
        for (project, member) in members {
            self.remove_member(project, member);
        }
    }

    /// Sets a member's role, whatever the number.
    pub fn set_role(&mut self, project_id: i64, id: i64, role: i64) {
        if let Some(member) = self
            .rows
            .members
            .get_mut(&id)
            .filter(|member| member.project_id == project_id)
        {
            member.role = role;
        }
    }

    /// All memberships of a project by number, those with an unknown role included.
    pub fn members(&self, project_id: i64) -> impl Iterator<Item = &Member> {
        let ids = self.members_of.get(&project_id).into_iter().flatten();
        ids.filter_map(|id| self.rows.members.get(id))
    }

    /// What a member is called.
    #[must_use]
    pub fn member_name(&self, member: &Member) -> Option<&str> {
        match member.kind {
            MemberKind::User => self.user(member.entity_id).map(|user| user.username.as_str()),
            MemberKind::Group => self.group(member.entity_id).map(|group| group.name.as_str()),
        }
    }

    /// The roles that a user has in a project, by itself and by its groups.
    #[must_use]
    pub fn roles_of(&self, user: &User, project_id: i64) -> Vec<i64> {
        let mut roles: Vec<i64> = self
            .members(project_id)
            .filter(|member| member.role_name().is_some())
            .filter(|member| match member.kind {
                MemberKind::User => member.entity_id == user.id,
                MemberKind::Group => user.groups.contains(&member.entity_id),
            })
            .map(|member| member.role)
            .collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }
}
