//! Users.

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
    /// Whether one of these was the administrators'.
    #[serde(default)]
    pub admin_by_group: bool,
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
            admin_by_group: false,
            deleted: false,
            created: now,
            updated: now,
        }
    }

    /// Whether the user administers all of Harbor, for whatever reason.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.sysadmin || self.admin_by_group
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

    /// Ties a user to an identity.
    ///
    /// # Errors
    /// When somebody has the identity already, be it a deleted user.
    pub fn insert_identity(
        &mut self,
        user: i64,
        subiss: &str,
        secret: String,
        now: Moment,
    ) -> Result<(), Duplicate> {
        let id = take(&mut self.rows.sequences.identity);
        let has_it = |user: &User| user.identity.as_ref().is_some_and(|held| held.subiss == subiss);
        if self.rows.users.values().any(has_it) {
            return Err(Duplicate);
        }
        if let Some(user) = self.rows.users.get_mut(&user) {
            user.identity = Some(OidcIdentity {
                id,
                subiss: subiss.to_owned(),
                secret,
                created: now,
                updated: now,
            });
        }
        Ok(())
    }

    /// The user of this identity, unless deleted.
    #[must_use]
    pub fn user_of_identity(&self, subiss: &str) -> Option<&User> {
        self.users().find(|user| {
            user.identity
                .as_ref()
                .is_some_and(|identity| identity.subiss == subiss)
        })
    }

    /// Deletes a user: the row stays under another name, the memberships go, and the
    /// identity too, but only where users come by OIDC.
    pub fn remove_user(&mut self, id: i64, now: Moment) {
        let is_oidc = self.settings().is_oidc();
        if let Some(user) = self.rows.users.get_mut(&id) {
            user.username = format!("{}#{id}", user.username);
            user.email = user.email.as_ref().map(|email| format!("{email}#{id}"));
            user.deleted = true;
            user.updated = now;
            if is_oidc {
                user.identity = None;
            }
        }
        self.remove_members(MemberKind::User, id);
    }

    /// Takes a user back who was just made, as a transaction does that is rolled back.
    pub fn discard_user(&mut self, id: i64) {
        self.rows.users.remove(&id);
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
