//! Logins through an identity provider that is not there: the claims are handed in.

use serde_json::Value;

use super::{
    HarborStandIn,
    api::oidc::{self, Step},
};

/// What Harbor makes of a login through the identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OidcLogin {
    /// The user is signed in.
    Through {
        /// The number of the user.
        user: i64,
        /// The value of the browser's `sid` cookie.
        sid: String,
    },
    /// The user is new here and has to choose a name, see
    /// [`HarborStandIn::onboard_through_oidc`].
    Choose {
        /// The name that is proposed.
        username: String,
    },
    /// It is refused: with 409 to somebody whose name or address another identity
    /// has, as after the provider made all its users anew.
    Refused {
        /// The status.
        status: u16,
        /// What the answer says.
        message: String,
    },
}

impl HarborStandIn {
    /// Does what the callback does when the provider sends a user's browser back.
    /// `claims` are those of the ID token and of the provider's user info, as one
    /// object: `sub`, `iss`, `email`, and those that Harbor is configured to read.
    #[must_use]
    pub fn log_in_through_oidc(&self, claims: &Value) -> OidcLogin {
        let now = self.now();
        let step = oidc::log_in(&mut self.service.world().state, claims, now);
        match step {
            Ok(Step::Through(user)) => self.through(user),
            Ok(Step::Choose(username)) => OidcLogin::Choose { username },
            Err(refusal) => refusal.into(),
        }
    }

    /// Does what the page does on which a new user chooses a name.
    #[must_use]
    pub fn onboard_through_oidc(&self, claims: &Value, username: &str) -> OidcLogin {
        let now = self.now();
        let onboarded = oidc::onboard(&mut self.service.world().state, claims, username, now);
        match onboarded {
            Ok(user) => self.through(user),
            Err(refusal) => refusal.into(),
        }
    }

    fn through(&self, user: i64) -> OidcLogin {
        OidcLogin::Through {
            user,
            sid: self.open_session(user),
        }
    }
}

impl From<super::api::Refusal> for OidcLogin {
    fn from(refusal: super::api::Refusal) -> Self {
        Self::Refused {
            status: refusal.status(),
            message: refusal.message().to_owned(),
        }
    }
}
