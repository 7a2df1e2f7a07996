//! Users and groups.

use serde::{Deserialize, Serialize};

use super::{Duplicate, MemberKind, Moment, State, StoredSecret, take};

/// A user.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct User {
    /// Its number; 1 is the administrator that Harbor is born with.
    pub id: i64,
    /// The name to sign in with.
    pub username: String,
    /// The address; the administrator has none.
    pub email: Option<String>,
    /// The name in real life.
    pub realname: String,
    /// A comment.
    pub comment: String,
    /// Whether the user administers all of Harbor.
    pub sysadmin: bool,
    /// The password, for those who have one here.
    pub password: Option<StoredSecret>,
    /// The identity, for those who came by OIDC.
    pub identity: Option<OidcIdentity>,
    /// The groups that the last OIDC login named, by number.
    pub groups: Vec<i64>,
    /// Deleted users stay as rows, renamed so that their name is free.
    pub deleted: bool,
    /// When the row was made.
    pub created: Moment,
    /// When it was changed last.
    pub updated: Moment,
}

/// What ties a user to the identity provider.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct OidcIdentity {
    /// The number of the row.
    pub id: i64,
    /// Subject and issuer, one after the other with nothing between.
    pub subiss: String,
    /// The secret for command line clients. Harbor shows it in clear, so it is kept
    /// so; the values of a rehearsal are nobody's.
    pub secret: String,
    /// When the row was made.
    pub created: Moment,
    /// When it was changed last.
    pub updated: Moment,
}

impl std::fmt::Debug for OidcIdentity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("OidcIdentity")
            .field("id", &self.id)
            .field("subiss", &self.subiss)
            .finish_non_exhaustive()
    }
}

impl User {
    /// The administrator that Harbor is born with.
    pub(super) fn admin(password: &str, now: Moment) -> Self {
        Self {
            id: 1,
            username: "admin".to_owned(),
            email: None,
            realname: "system admin".to_owned(),
            comment: "admin user".to_owned(),
            sysadmin: true,
            password: Some(StoredSecret::new(password)),
            identity: None,
            groups: Vec::new(),
            deleted: false,
            created: now,
            updated: now,
        }
    }
}

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
    /// Creates a user from what `make` returns for the new number.
    ///
    /// # Errors
    /// When the name or the address is taken.
    pub fn insert_user(&mut self, make: impl FnOnce(i64) -> User) -> Result<i64, Duplicate> {
        let id = take(&mut self.rows.sequences.user);
        let user = make(id);
        let taken = self.rows.users.values().any(|other| {
            other.username == user.username || (user.email.is_some() && other.email == user.email)
        });
        if taken {
            return Err(Duplicate);
        }
        self.rows.users.insert(id, user);
        Ok(id)
    }

    /// Does what a first OIDC login does: makes the user and its identity, and a
    /// group for every name in the claim. A later login of the same identity only
    /// renews the groups.
    ///
    /// # Errors
    /// When the name or the address belongs to somebody else, which is how a user
    /// who was made anew at the provider is locked out.
    pub fn onboard(
        &mut self,
        username: &str,
        email: &str,
        subiss: &str,
        claim: &[String],
        secret: &str,
        now: Moment,
    ) -> Result<i64, Duplicate> {
        let known = self
            .rows
            .users
            .values()
            .find(|user| {
                user.identity
                    .as_ref()
                    .is_some_and(|identity| identity.subiss == subiss)
            })
            .map(|user| user.id);
        let id = match known {
            Some(id) => id,
            None => self.insert_user(|id| User {
                id,
                username: username.to_owned(),
                email: Some(email.to_owned()),
                realname: username.to_owned(),
                comment: "Onboarded via OIDC provider".to_owned(),
                sysadmin: false,
                password: None,
                identity: None,
                groups: Vec::new(),
                deleted: false,
                created: now,
                updated: now,
            })?,
        };
        let groups = claim.iter().map(|name| self.onboard_group(name, 3)).collect();
        let identity_number = &mut self.rows.sequences.identity;
        if let Some(user) = self.rows.users.get_mut(&id) {
            user.groups = groups;
            match &mut user.identity {
                Some(identity) => identity.updated = now,
                None => {
                    user.identity = Some(OidcIdentity {
                        id: take(identity_number),
                        subiss: subiss.to_owned(),
                        secret: secret.to_owned(),
                        created: now,
                        updated: now,
                    });
                }
            }
        }
        Ok(id)
    }

    /// Deletes a user: the row stays under another name, the identity goes.
    pub fn remove_user(&mut self, id: i64, now: Moment) {
        if let Some(user) = self.rows.users.get_mut(&id) {
            user.username = format!("{}#{id}", user.username);
            user.email = user.email.as_ref().map(|email| format!("{email}#{id}"));
            user.deleted = true;
            user.identity = None;
            user.updated = now;
        }
    }

    /// The user of this number, unless deleted.
    #[must_use]
    pub fn user(&self, id: i64) -> Option<&User> {
        self.rows.users.get(&id).filter(|user| !user.deleted)
    }

    /// The user of this number, to change it.
    pub fn user_mut(&mut self, id: i64) -> Option<&mut User> {
        self.rows.users.get_mut(&id).filter(|user| !user.deleted)
    }

    /// The user of this name.
    #[must_use]
    pub fn user_named(&self, username: &str) -> Option<&User> {
        self.users().find(|user| user.username == username)
    }

    /// All users that are not deleted, the administrator included, by number.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.rows.users.values().filter(|user| !user.deleted)
    }

    /// Creates a group.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn insert_group(&mut self, name: &str, kind: i64, ldap_dn: &str) -> Result<i64, Duplicate> {
        let id = self.skip_group_number();
        if self.group_named(name).is_some() {
            return Err(Duplicate);
        }
        let group = Group {
            id,
            name: name.to_owned(),
            kind,
            ldap_dn: ldap_dn.to_owned(),
        };
        self.rows.groups.insert(id, group);
        Ok(id)
    }

    /// The number of the group of this name, which is created when it is not there.
    fn onboard_group(&mut self, name: &str, kind: i64) -> i64 {
        if let Some(group) = self.group_named(name) {
            return group.id;
        }
        let id = self.skip_group_number();
        self.rows.groups.insert(
            id,
            Group {
                id,
                name: name.to_owned(),
                kind,
                ldap_dn: String::new(),
            },
        );
        id
    }

    /// Uses up a number, as an insert does that is rolled back later.
    pub fn skip_group_number(&mut self) -> i64 {
        take(&mut self.rows.sequences.group)
    }

    /// Removes a group and its memberships.
    pub fn remove_group(&mut self, id: i64) {
        self.rows.groups.remove(&id);
        let members: Vec<(i64, i64)> = self
            .rows
            .members
            .values()
            .filter(|member| member.kind == MemberKind::Group && member.entity_id == id)
            .map(|member| (member.project_id, member.id))
            .collect();
        for (project, member) in members {
            self.remove_member(project, member);
        }
    }

    /// The group of this number.
    #[must_use]
    pub fn group(&self, id: i64) -> Option<&Group> {
        self.rows.groups.get(&id)
    }

    /// The group of this number, to change it.
    pub fn group_mut(&mut self, id: i64) -> Option<&mut Group> {
        self.rows.groups.get_mut(&id)
    }

    /// The group of this name.
    #[must_use]
    pub fn group_named(&self, name: &str) -> Option<&Group> {
        self.groups().find(|group| group.name == name)
    }

    /// All groups by number.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.rows.groups.values()
    }
}
