//! The Harbor edge: sign-in, paging, and the calls that harborage makes.
//!
//! [`HarborClient`] implements [`crate::run::target::Harbor`]. Every call goes through [`transport`],
//! which holds the budgets and turns answers into errors; who we are is [`session`]'s affair.

mod act;
mod answer;
mod failure;
mod observe;
#[cfg(test)]
mod script;
mod session;
#[cfg(test)]
mod tests;
mod token;
mod transport;
mod version;
mod wire;

use std::time::Duration;

use secrecy::SecretString;

pub use transport::HarborClient;

/// How Harbor is reached.
#[derive(Debug, Clone)]
pub struct HarborSettings {
    /// Base URL, such as `http://harbor-core.harbor`; `/api/v2.0` at its end is taken off.
    pub url: String,
    /// The administrator. Robots can't set other robots' secrets.
    pub username: String,
    /// Its password.
    pub password: SecretString,
    /// PEM of a certificate authority to trust beside the system's.
    pub ca: Option<Vec<u8>>,
    /// Writes in flight at most: each holds a database connection, and Harbor's pool can deadlock.
    pub writes: usize,
    /// Reads in flight at most.
    pub reads: usize,
    /// How long one call may take.
    pub timeout: Duration,
    /// How long a refused sign-in waits before it is tried once more: Harbor refuses even the right password for
    /// 1.5 s after anybody's wrong one.
    pub lockout: Duration,
}

impl HarborSettings {
    /// The wait that outlasts Harbor's lock of a principal.
    pub const LOCKOUT: Duration = Duration::from_secs(2);
}
