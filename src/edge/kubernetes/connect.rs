//! From settings to the address of an API server and who we are there.

use kube::Config;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};

use super::ClusterSettings;

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

/// The URL when one is given, else the kubeconfig file, else whatever is inferred.
pub(super) async fn config(settings: &ClusterSettings) -> Result<Config, ConnectError> {
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
