//! A Harbor that answers as version 2.15 was measured to, over HTTP on loopback.
//!
//! # Guarantees
//! - What it models it answers as Harbor does: status, headers, body, error codes
//!   and messages, and what the database would not let happen.
//! - What it does not model (images, replication, scanners, LDAP, the log of what was
//!   done, the browser's part of an OIDC login) it answers with 501. What such a login
//!   leads to is modelled, see [`OidcLogin`].
//! - A secret is never shown but where Harbor shows it.
//!
//! # Caveats
//! - Requests are handled one at a time, each as one transaction. Harbor's races
//!   between two of them do not happen here; the weather is for that.
//! - A request line longer than 64 kB is refused by the HTTP library before it is
//!   seen here.

mod api;
mod login;
mod signing;
pub mod state;

use std::{
    collections::BTreeMap,
    ops::Deref,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::Utc;
use secrecy::{ExposeSecret, SecretString};

use self::api::{Environment, Service};
pub use self::login::OidcLogin;
pub use self::signing::{SigningKey, SigningKeyError};
use self::state::{Moment, Robot, State, generate_secret};
use super::{ServeError, ServerHandle, Weather, serve};

/// How long Harbor lets a wrong password wait, and locks its name.
pub const PENALTY: Duration = Duration::from_millis(1500);

/// How a stand-in starts.
#[derive(Debug)]
pub struct HarborOptions {
    /// What it holds; none for a Harbor after its first start.
    pub state: Option<State>,
    /// The port that it listens on; none for a free one.
    pub port: Option<u16>,
    /// How far its clock is ahead.
    pub ahead: Duration,
    /// The administrator's password, also of a saved state.
    pub admin_password: SecretString,
    /// The URL that it believes to be reached by; none for its own address.
    pub external_url: Option<String>,
    /// The issuers of identity providers that answer when Harbor pings them.
    pub issuers: Vec<String>,
    /// How long a wrong password waits, and locks its name.
    pub penalty: Duration,
    /// What signs the registry's tokens; none for something that only it can check.
    pub signing_key: Option<SigningKey>,
    /// How its calls fare.
    pub weather: Weather,
}

impl Default for HarborOptions {
    fn default() -> Self {
        Self {
            state: None,
            port: None,
            ahead: Duration::ZERO,
            admin_password: SecretString::from(generate_secret()),
            external_url: None,
            issuers: Vec::new(),
            penalty: PENALTY,
            signing_key: None,
            weather: Weather::default(),
        }
    }
}

/// Why a saved state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SavedStateError {
    /// The file could not be read or written.
    #[error("could not access the saved Harbor {path}")]
    File {
        /// Which file.
        path: String,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// The file does not hold a saved state.
    #[error("{path} does not hold a saved Harbor")]
    Content {
        /// Which file.
        path: String,
        /// What went wrong.
        #[source]
        source: serde_json::Error,
    },
}

/// A running stand-in; it stops when this is dropped. Counters, weather and
/// injections are those of its [`ServerHandle`].
pub struct HarborStandIn {
    server: ServerHandle,
    service: Arc<Service>,
    admin_password: SecretString,
    /// How far the stand-in's clock is ahead, in milliseconds.
    ahead: Arc<AtomicI64>,
}

impl Deref for HarborStandIn {
    type Target = ServerHandle;

    fn deref(&self) -> &ServerHandle {
        &self.server
    }
}

impl HarborStandIn {
    /// Starts a stand-in on 127.0.0.1.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub async fn start(options: HarborOptions) -> Result<Self, ServeError> {
        let ahead = Arc::new(AtomicI64::new(milliseconds(options.ahead)));
        let offset = Arc::clone(&ahead);
        let clock =
            move || -> Moment { Utc::now() + chrono::Duration::milliseconds(offset.load(Ordering::Relaxed)) };
        let password = options.admin_password.expose_secret();
        let state = match options.state {
            None => State::empty(password, clock()),
            Some(mut state) => {
                state.set_admin_password(password);
                state
            }
        };
        let environment = Environment {
            external_url: String::new(),
            issuers: options.issuers,
            penalty: options.penalty,
            signing_key: options.signing_key,
            ailments: BTreeMap::new(),
        };
        let service = Arc::new(Service::new(state, environment, Box::new(clock)));
        let server = serve(Arc::clone(&service) as Arc<_>, options.weather, options.port).await?;
        service.environment().external_url = options.external_url.unwrap_or_else(|| server.base_url());
        Ok(Self {
            server,
            service,
            admin_password: options.admin_password,
            ahead,
        })
    }

    /// Stops it, see [`ServerHandle::stop`]. Returns what starts it again as it was,
    /// on the same address, but well, and without its sessions, counters,
    /// injections and observer.
    pub async fn stop(self) -> HarborOptions {
        let (weather, port) = (self.server.weather(), Some(self.server.address().port()));
        self.server.stop().await;
        let environment = self.service.environment().clone();
        let ahead = u64::try_from(self.ahead.load(Ordering::Relaxed)).unwrap_or_default();
        HarborOptions {
            state: Some(self.service.world().state.clone()),
            port,
            ahead: Duration::from_millis(ahead),
            admin_password: self.admin_password,
            external_url: Some(environment.external_url),
            issuers: environment.issuers,
            penalty: environment.penalty,
            signing_key: environment.signing_key,
            weather,
        }
    }

    /// The password of `admin`, as it was given at the start.
    #[must_use]
    pub fn admin_password(&self) -> &SecretString {
        &self.admin_password
    }

    /// All that it holds, as it is now.
    #[must_use]
    pub fn snapshot(&self) -> State {
        self.service.world().state.clone()
    }

    /// Looks at what it holds, without a copy.
    pub fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.service.world().state)
    }

    /// Changes what it holds behind the back of its API, as an operator with SQL does.
    pub fn alter<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.service.world().state)
    }

    /// Whether a robot could sign in now by this name, prefix included, and secret.
    #[must_use]
    pub fn authenticates(&self, login: &str, secret: &str) -> bool {
        let now = self.service.now();
        let right = |robot: &Robot| robot.is_alive(now) && robot.secret.matches(secret);
        self.look(|state| state.robot_called(login).is_some_and(right))
    }

    /// Moves the stand-in's clock forward.
    pub fn advance(&self, time: Duration) {
        self.ahead.fetch_add(milliseconds(time), Ordering::Relaxed);
    }

    /// The time by the stand-in's clock.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.service.now()
    }

    /// Changes how long a wrong password waits, and locks its name.
    pub fn set_penalty(&self, penalty: Duration) {
        self.service.environment().penalty = penalty;
    }

    /// Makes a component, as `redis`, unwell with this error, or well again without
    /// one. Only `/health` tells of it.
    pub fn set_health(&self, component: &str, error: Option<&str>) {
        let ailments = &mut self.service.environment().ailments;
        match error {
            Some(error) => ailments.insert(component.to_owned(), error.to_owned()),
            None => ailments.remove(component),
        };
    }

    /// Ends all sessions, as a restart of Harbor may.
    pub fn end_sessions(&self) {
        self.service.end_sessions();
    }

    /// Opens a browser's session for a user without asking for a password, and
    /// returns its `sid` cookie: what a login through the identity provider leads to.
    #[must_use]
    pub fn open_session(&self, user: i64) -> String {
        self.service.open_session(user)
    }

    /// Writes what it holds to a file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), SavedStateError> {
        let shown = path.display().to_string();
        let text = serde_json::to_vec(&self.snapshot()).map_err(|source| SavedStateError::Content {
            path: shown.clone(),
            source,
        })?;
        std::fs::write(path, text).map_err(|source| SavedStateError::File { path: shown, source })
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Reads what [`HarborStandIn::save`] wrote.
///
/// # Errors
/// When the file cannot be read or holds something else.
pub fn load(path: &Path) -> Result<State, SavedStateError> {
    let shown = path.display().to_string();
    let text = std::fs::read(path).map_err(|source| SavedStateError::File {
        path: shown.clone(),
        source,
    })?;
    serde_json::from_slice(&text).map_err(|source| SavedStateError::Content { path: shown, source })
}

#[cfg(test)]
mod tests;
