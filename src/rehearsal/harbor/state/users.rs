//! Users.

use serde::{Deserialize, Serialize};

use super::{Duplicate, Moment, State, StoredSecret, take};

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

    /// Sets the password of the administrator that Harbor is born with.
    pub fn set_admin_password(&mut self, password: &str) {
        if let Some(admin) = self.rows.users.get_mut(&1) {
            admin.password = Some(StoredSecret::new(password));
        }
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
        let groups = claim.iter().map(|name| self.onboard_group(name)).collect();
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
}
