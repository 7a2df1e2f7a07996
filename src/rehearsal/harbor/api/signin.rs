//! Finding out who asks: robots first, then users by name and password, then the
//! session; and the lock that a wrong password puts on a name.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::access::Principal;
use crate::rehearsal::{
    Request,
    harbor::state::{Moment, Robot, State, User},
};

/// A sign-in, and how long it takes Harbor to say so.
pub(super) struct SignIn {
    pub(super) principal: Principal,
    pub(super) delay: Duration,
}

impl SignIn {
    pub(super) fn at_once(principal: Principal) -> Self {
        Self {
            principal,
            delay: Duration::ZERO,
        }
    }
}

/// Names that are locked, each with the end of its lock.
///
/// A lock holds for the name, not for who asks: while it lasts the right password
/// is refused too, and at once.
#[derive(Default)]
pub(super) struct Locks(HashMap<String, Instant>);

impl Locks {
    fn is_locked(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|end| Instant::now() < *end)
    }

    fn lock(&mut self, name: &str, duration: Duration) {
        let now = Instant::now();
        self.0.retain(|_, end| now < *end);
        self.0.insert(name.to_owned(), now + duration);
    }

    /// Checks a user's password. In OIDC mode only the administrator has one.
    pub(super) fn check_user(
        &mut self,
        state: &State,
        name: &str,
        password: &str,
        penalty: Duration,
    ) -> (Option<User>, Duration) {
        let called = |user: &&User| user.username == name || user.email.as_deref() == Some(name);
        let user = state.users().find(called);
        if state.settings().is_oidc() && user.is_none_or(|user| user.id != 1) {
            return (None, Duration::ZERO);
        }
        if self.is_locked(name) {
            return (None, Duration::ZERO);
        }
        let right = |user: &&User| {
            user.password
                .as_ref()
                .is_some_and(|stored| stored.matches(password))
        };
        if let Some(user) = user.filter(right) {
            return (Some(user.clone()), Duration::ZERO);
        }
        self.lock(name, penalty);
        (None, penalty)
    }

    /// Finds out who asks by the `Authorization` header.
    pub(super) fn sign_in(
        &mut self,
        state: &State,
        request: &Request,
        path: &str,
        penalty: Duration,
        now: Moment,
    ) -> Option<SignIn> {
        let (name, password) = basic(request.header("authorization")?)?;
        if is_for_command_line(&request.method, path)
            && let Some(user) = command_line_user(state, &name, &password)
        {
            return Some(SignIn::at_once(Principal::User(user)));
        }
        let right = |robot: &&Robot| robot.is_alive(now) && robot.secret.matches(&password);
        let robot = state.robot_called(&name).filter(right);
        if let Some(robot) = robot {
            return Some(SignIn::at_once(Principal::Robot(robot.clone(), name)));
        }
        let (user, delay) = self.check_user(state, &name, &password, penalty);
        Some(SignIn {
            principal: user.map_or(Principal::Anonymous, Principal::User),
            delay,
        })
    }
}

/// Whether a path is one of the few where that secret is looked at.
fn is_for_command_line(method: &str, path: &str) -> bool {
    let is_registry = path == "/service/token" || path.starts_with("/v2");
    let is_listing = path.starts_with("/api/v2.0/projects/") && path.ends_with("/repositories");
    is_registry
        || match method {
            "GET" => {
                is_listing
                    || matches!(
                        path,
                        "/api/v2.0/projects" | "/api/v2.0/systeminfo" | "/api/version"
                    )
            }
            "POST" => path == "/api/v2.0/projects",
            _ => false,
        }
}

/// An OIDC user who shows the secret for command line clients.
fn command_line_user(state: &State, name: &str, password: &str) -> Option<User> {
    if !state.settings().is_oidc() {
        return None;
    }
    let user = state.user_named(name)?;
    let identity = user.identity.as_ref()?;
    (identity.secret == password).then(|| user.clone())
}

/// Name and password of a Basic header.
fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}
