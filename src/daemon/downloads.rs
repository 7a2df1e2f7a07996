//! The download of push logins, put together: over HTTP, and from a terminal.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use secrecy::SecretSlice;

use super::connect;
use super::source::{Source, SourceError};
use super::world::SystemClock;
use crate::edge::keycloak::{IssuerKeys, IssuerKeysError};
use crate::edge::kubernetes::ConnectError;
use crate::run::target::{PushLogins, TargetError};
use crate::serve::download::{self, DownloadLog, DownloadParts, Identity, SnapshotSource, Standing};
use crate::serve::token::KeyCache;
use crate::settings::{DownloadSettings, KubernetesAccess};
use crate::values::names::{Namespace, TeamId};

/// A login that an operator does not get.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The repository can't be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Kubernetes can't be set up.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Kubernetes did not answer.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The repository names no such team.
    #[error("the repository has no team {0:?}; `harborage check` lists its teams")]
    Unknown(String),
    /// The team's members may not download it.
    #[error(
        "the settings of team {0} do not let its members download this; an administrator adds --as-admin"
    )]
    SwitchedOff(TeamId),
    /// The team's settings can't be read.
    #[error("the settings of team {0} have a fault; an administrator adds --as-admin")]
    Held(TeamId),
    /// The jobs make no such Secret.
    #[error("the jobs give teams no Secret of form dockerconfigjson with the login of a robot that may push")]
    NoSecret,
    /// There is none yet.
    #[error("team {team} has no push login yet: there is no Secret {secret} with a docker configuration")]
    NotProvisioned {
        /// The team.
        team: TeamId,
        /// The Secret, as `namespace/name`.
        secret: String,
    },
}

/// Serves downloads from what a daemon knows and works with. Downloads are recorded in the state folder.
///
/// # Errors
/// When the issuer's certificate authorities can't be used.
pub fn router(
    source: &Source,
    snapshot: SnapshotSource,
    logins: Arc<dyn PushLogins>,
    settings: &DownloadSettings,
    state: &Path,
) -> Result<Router, IssuerKeysError> {
    let keys = Arc::new(IssuerKeys::new(settings.ca.as_deref(), settings.timeout)?);
    let clock = Arc::new(SystemClock);
    Ok(download::router(DownloadParts {
        snapshot,
        identity: Identity {
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
            id_tokens: settings.id_tokens,
        },
        keys: KeyCache::new(keys, clock.clone()),
        logins,
        secret: source.push_secret(),
        log: DownloadLog::in_folder(state),
        clock,
    }))
}

/// Reads a team's push login with the operator's own access to Kubernetes.
///
/// # Errors
/// When there is none, when the team's settings do not allow it and `as_admin` does not say otherwise, or when
/// the repository or Kubernetes can't be read.
pub async fn push_login(
    source: &Source,
    kubernetes: &KubernetesAccess,
    team: &str,
    as_admin: bool,
) -> Result<SecretSlice<u8>, LoginError> {
    let snapshot = source.read_head().await?.snapshot;
    let standing = Standing::of(&snapshot, team);
    let unknown = || LoginError::Unknown(team.to_owned());
    let id = TeamId::new(team).map_err(|_| unknown())?;
    match standing {
        Standing::Unknown => return Err(unknown()),
        Standing::There { download: false } if !as_admin => return Err(LoginError::SwitchedOff(id)),
        Standing::Held if !as_admin => return Err(LoginError::Held(id)),
        Standing::There { .. } | Standing::Held => {}
    }
    let namespace = Namespace::new(id.prefixed()).map_err(|_| unknown())?;
    let secret = source.push_secret().ok_or(LoginError::NoSecret)?;
    let cluster = connect::cluster(kubernetes).await?;
    let login = cluster.docker_config(&namespace, &secret).await?;
    login.ok_or_else(|| LoginError::NotProvisioned {
        team: id,
        secret: format!("{namespace}/{secret}"),
    })
}
