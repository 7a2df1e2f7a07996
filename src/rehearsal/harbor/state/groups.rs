//! User groups.

use serde::{Deserialize, Serialize};

use super::{Duplicate, MemberKind, State, take};

/// The kind of groups that an identity provider names.
const OIDC: i64 = 3;

/// A user group.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Group {
    /// Its number.
    pub id: i64,
    /// Its name, told apart by case and unique over all kinds.
    pub name: String,
    /// 1 LDAP, 2 HTTP, 3 OIDC.
    pub kind: i64,
    /// The distinguished name of an LDAP group.
    pub ldap_dn: String,
}

impl State {
    /// Creates a group.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn insert_group(&mut self, name: &str, kind: i64, ldap_dn: &str) -> Result<i64, Duplicate> {
        let id = self.skip_group_number();
        if self.group_ids.contains_key(name) {
            return Err(Duplicate);
        }
        let group = Group {
            id,
            name: name.to_owned(),
            kind,
            ldap_dn: ldap_dn.to_owned(),
        };
        self.group_ids.insert(group.name.clone(), id);
        self.rows.groups.insert(id, group);
        Ok(id)
    }

    /// The numbers of the groups that a login names, which are created when they are
    /// not there. A name that a group of another kind has is passed over.
    pub fn onboard_groups(&mut self, names: &[String]) -> Vec<i64> {
        let mut ids = Vec::new();
        for name in names {
            match self.group_named(name).filter(|group| group.kind == OIDC) {
                Some(group) => ids.push(group.id),
                None => ids.extend(self.insert_group(name, OIDC, "")),
            }
        }
        ids
    }

    /// Uses up a number, as an insert does that is rolled back later.
    pub fn skip_group_number(&mut self) -> i64 {
        take(&mut self.rows.sequences.group)
    }

    /// Gives a group another name.
    ///
    /// # Errors
    /// When another group has it.
    pub fn rename_group(&mut self, id: i64, name: &str) -> Result<(), Duplicate> {
        if self.group_ids.get(name).is_some_and(|other| *other != id) {
            return Err(Duplicate);
        }
        if let Some(group) = self.rows.groups.get_mut(&id) {
            self.group_ids.remove(&group.name);
            name.clone_into(&mut group.name);
            self.group_ids.insert(group.name.clone(), id);
        }
        Ok(())
    }

    /// Removes a group and its memberships.
    pub fn remove_group(&mut self, id: i64) {
        if let Some(group) = self.rows.groups.remove(&id) {
            self.group_ids.remove(&group.name);
        }
        self.remove_members(MemberKind::Group, id);
    }

    /// The group of this number.
    #[must_use]
    pub fn group(&self, id: i64) -> Option<&Group> {
        self.rows.groups.get(&id)
    }

    /// The group of this name.
    #[must_use]
    pub fn group_named(&self, name: &str) -> Option<&Group> {
        self.group_ids.get(name).and_then(|id| self.group(*id))
    }

    /// All groups by number.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.rows.groups.values()
    }
}
