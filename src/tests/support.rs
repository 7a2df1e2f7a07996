//! Both stand-ins with clients of them, as the tests use them.

use std::time::Duration;

use harborage::edge::harbor::{HarborClient, HarborSettings};
use harborage::edge::kubernetes::{ClusterClient, ClusterSettings};
use harborage::rehearsal::harbor::{HarborOptions, HarborStandIn};
use harborage::rehearsal::kubernetes::{KubernetesOptions, KubernetesStandIn};
use secrecy::SecretString;

/// How long a call may take before the tests' clients give up. Only calls that are made to hang reach it.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A Harbor and a Kubernetes.
pub(crate) struct Stage {
    pub(crate) harbor: HarborStandIn,
    pub(crate) kubernetes: KubernetesStandIn,
}

impl Stage {
    /// Both servers, empty.
    pub(crate) async fn empty() -> Self {
        let options = HarborOptions {
            penalty: Duration::ZERO,
            ..HarborOptions::default()
        };
        Self {
            harbor: HarborStandIn::start(options).await.unwrap(),
            kubernetes: KubernetesStandIn::start(KubernetesOptions::default())
                .await
                .unwrap(),
        }
    }

    /// Both servers, with these teams' namespaces.
    pub(crate) async fn with_namespaces(teams: &[&str]) -> Self {
        let stage = Self::empty().await;
        for team in teams {
            stage.kubernetes.add_namespace(&format!("team-{team}"));
        }
        stage
    }

    pub(crate) fn harbor_settings(&self) -> HarborSettings {
        HarborSettings {
            url: self.harbor.base_url(),
            username: "admin".to_owned(),
            password: self.harbor.admin_password().clone(),
            ca: None,
            writes: 4,
            reads: 16,
            timeout: TIMEOUT,
            lockout: Duration::from_millis(1),
        }
    }

    pub(crate) fn harbor_client(&self) -> HarborClient {
        HarborClient::new(self.harbor_settings()).unwrap()
    }

    pub(crate) async fn cluster_client(&self) -> ClusterClient {
        ClusterClient::new(ClusterSettings {
            kubeconfig: None,
            context: None,
            url: Some(self.kubernetes.base_url()),
            token: Some(SecretString::from("a token")),
            ca: None,
            writes: 16,
            reads: 16,
            timeout: TIMEOUT,
        })
        .await
        .unwrap()
    }
}
