//! The Kubernetes edge: Secrets, service accounts and namespaces.
//!
//! [`ClusterClient`] implements [`crate::run::target::Cluster`]. Everything is written by server-side apply
//! with the field manager `harborage`; whole lists are read by name (`metadata.name=…`), which a role can
//! allow for those names alone.

mod act;
mod client;
mod connect;
mod failure;
mod marks;
mod observe;
mod push_login;
mod redact;
mod rights;

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

pub use client::ClusterClient;
pub use connect::ConnectError;
pub use marks::{COMMIT, FIELD_MANAGER, LOGIN_DIGEST, MANAGED_BY, ROBOT_GENERATION, ROBOT_ID, TEAM};
pub use rights::Right;

/// How Kubernetes is reached.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// A kubeconfig file; without it and without a URL: in-cluster, `$KUBECONFIG` or `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// Its context; its current one otherwise.
    pub context: Option<String>,
    /// The API server's URL, instead of a kubeconfig file.
    pub url: Option<String>,
    /// The bearer token for that URL.
    pub token: Option<SecretString>,
    /// PEM of that URL's certificate authority.
    pub ca: Option<Vec<u8>>,
    /// Writes in flight at most.
    pub writes: usize,
    /// Reads in flight at most.
    pub reads: usize,
    /// How long one call may take.
    pub timeout: Duration,
}
