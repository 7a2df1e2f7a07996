//! A client of the API server, with its budgets.

use std::future::Future;
use std::time::Duration;

use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::sync::Semaphore;

use super::ClusterSettings;
use super::failure::{failed, timed_out};
use crate::run::target::TargetError;

/// Kubernetes can't be set up to be talked to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The kubeconfig file, or its context, can't be used.
    #[error("failed to read the kubeconfig file {path}")]
    Kubeconfig {
        /// The file.
        path: String,
        /// What is wrong.
        #[source]
        source: kube::config::KubeconfigError,
    },
    /// Nothing says where Kubernetes is.
    #[error("failed to find out where Kubernetes is; give --kubeconfig or --kubernetes-url")]
    Infer(#[source] kube::config::InferConfigError),
    /// The URL is none.
    #[error("failed to understand the Kubernetes URL {url:?} (kubernetes-url)")]
    Url {
        /// What was given.
        url: String,
    },
    /// The certificate authority can't be read.
    #[error(
        "failed to read the Kubernetes certificate authority: it is no PEM certificate (kubernetes-ca-file)"
    )]
    Authority,
    /// The client can't be made.
    #[error("failed to set up the Kubernetes client")]
    Client(#[source] kube::Error),
}

/// A Kubernetes API server that is talked to.
pub struct ClusterClient {
    pub(super) client: Client,
    writes: Semaphore,
    reads: Semaphore,
    timeout: Duration,
}

impl ClusterClient {
    /// Makes a client. Nothing is sent yet.
    ///
    /// # Errors
    /// When the settings do not lead to an API server.
    pub async fn new(settings: ClusterSettings) -> Result<Self, ConnectError> {
        crate::edge::tls::install_crypto_provider();
        let mut config = config(&settings).await?;
        config.connect_timeout = Some(settings.timeout.min(Duration::from_secs(10)));
        config.read_timeout = Some(settings.timeout);
        config.write_timeout = Some(settings.timeout);
        // What failed is observed before it is tried again, which is the engine's affair.
        config.default_retry = false;
        Ok(Self {
            client: Client::try_from(config).map_err(ConnectError::Client)?,
            writes: Semaphore::new(settings.writes.max(1)),
            reads: Semaphore::new(settings.reads.max(1)),
            timeout: settings.timeout,
        })
    }

    /// A read within its budget and time.
    pub(super) async fn read<T>(
        &self,
        act: &str,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, TargetError> {
        self.within(&self.reads, act, call).await
    }

    /// A write within its budget and time.
    pub(super) async fn write<T>(
        &self,
        act: &str,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, TargetError> {
        self.within(&self.writes, act, call).await
    }

    async fn within<T>(
        &self,
        budget: &Semaphore,
        act: &str,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, TargetError> {
        // The semaphores are never closed; a call outside its budget would still be right.
        let _permit = budget.acquire().await.ok();
        match tokio::time::timeout(self.timeout, call).await {
            Ok(result) => result.map_err(|error| failed(act, error)),
            Err(_) => Err(timed_out(act, self.timeout)),
        }
    }
}

async fn config(settings: &ClusterSettings) -> Result<Config, ConnectError> {
    if let Some(url) = &settings.url {
        let mut config = Config::new(url.parse().map_err(|_| ConnectError::Url { url: url.clone() })?);
        config.auth_info = AuthInfo {
            token: settings.token.clone(),
            ..AuthInfo::default()
        };
        if let Some(pem) = &settings.ca {
            let der: Vec<Vec<u8>> = certificates(pem);
            if der.is_empty() {
                return Err(ConnectError::Authority);
            }
            config.root_cert = Some(der);
        }
        return Ok(config);
    }
    let options = KubeConfigOptions {
        context: settings.context.clone(),
        ..KubeConfigOptions::default()
    };
    match &settings.kubeconfig {
        Some(path) => {
            let named = |source| ConnectError::Kubeconfig {
                path: path.display().to_string(),
                source,
            };
            let file = Kubeconfig::read_from(path).map_err(named)?;
            Config::from_custom_kubeconfig(file, &options)
                .await
                .map_err(named)
        }
        None if settings.context.is_some() => {
            Config::from_kubeconfig(&options)
                .await
                .map_err(|source| ConnectError::Kubeconfig {
                    path: "of $KUBECONFIG or ~/.kube/config".to_owned(),
                    source,
                })
        }
        None => Config::infer().await.map_err(ConnectError::Infer),
    }
}

/// The certificates of a PEM file, as DER.
fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    CertificateDer::pem_slice_iter(pem)
        .filter_map(|certificate| Some(certificate.ok()?.as_ref().to_vec()))
        .collect()
}
