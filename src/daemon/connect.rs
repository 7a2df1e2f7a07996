//! The servers, from settings.

use std::sync::Arc;

use crate::edge::harbor::{HarborClient, HarborSettings};
use crate::edge::kubernetes::ConnectError;
use crate::edge::kubernetes::{ClusterClient, ClusterSettings};
use crate::run::meter::Meter;
use crate::run::target::{Cluster, Harbor, PushLogins, TargetError};
use crate::settings::{HarborAccess, KubernetesAccess};

/// Both servers, ready to be asked. Nothing has been sent to them yet.
pub struct Servers {
    /// Harbor.
    pub harbor: Arc<dyn Harbor>,
    /// Kubernetes.
    pub cluster: Arc<dyn Cluster>,
    /// Kubernetes, for the download of push logins.
    pub logins: Arc<dyn PushLogins>,
}

/// A server that can't be set up to be talked to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectServersError {
    /// Harbor.
    #[error(transparent)]
    Harbor(#[from] TargetError),
    /// Kubernetes.
    #[error(transparent)]
    Kubernetes(#[from] ConnectError),
}

/// Makes clients of both servers, which tell their calls to a meter.
///
/// # Errors
/// When the settings do not lead to servers.
pub async fn connect(
    harbor: &HarborAccess,
    kubernetes: &KubernetesAccess,
    meter: &Arc<dyn Meter>,
) -> Result<Servers, ConnectServersError> {
    let harbor = self::harbor(harbor)?;
    let cluster = Arc::new(cluster(kubernetes).await?.metered(meter.clone()));
    Ok(Servers {
        harbor: Arc::new(harbor.metered(meter.clone())),
        logins: cluster.clone(),
        cluster,
    })
}

/// Makes a client of Harbor alone.
pub(super) fn harbor(access: &HarborAccess) -> Result<HarborClient, TargetError> {
    HarborClient::new(HarborSettings {
        url: access.url.clone(),
        username: access.username.clone(),
        password: access.password.clone(),
        ca: access.ca.clone(),
        writes: access.writes,
        reads: access.reads,
        timeout: access.timeout,
        lockout: HarborSettings::LOCKOUT,
    })
}

/// Makes a client of Kubernetes alone.
pub(super) async fn cluster(kubernetes: &KubernetesAccess) -> Result<ClusterClient, ConnectError> {
    ClusterClient::new(ClusterSettings {
        kubeconfig: kubernetes.kubeconfig.clone(),
        context: kubernetes.context.clone(),
        url: kubernetes.url.clone(),
        token: kubernetes.token.clone(),
        ca: kubernetes.ca.clone(),
        writes: kubernetes.writes,
        reads: kubernetes.reads,
        timeout: kubernetes.timeout,
    })
    .await
}
