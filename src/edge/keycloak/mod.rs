//! The Keycloak edge: the public keys of an issuer, by its discovery document.
//!
//! # Guarantees
//! - An answer is bounded in time and size, and no redirect is followed.
//! - The discovery document is the issuer's own: it names the issuer that was asked for. Of an issuer behind https
//!   no keys are read over http.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use reqwest::header::ACCEPT;
use serde::Deserialize;
use url::Url;

use crate::run::identity::{KeySource, KeySourceError};

/// The largest answer that is read. A realm's keys with their certificates take about 3 kB.
const LARGEST_ANSWER: usize = 256 << 10;
/// How long an answer may take: somebody waits for a download meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client that reads keys.
pub struct IssuerKeys {
    client: reqwest::Client,
}

/// A client that can't be made.
#[derive(Debug, thiserror::Error)]
#[error(
    "failed to set up the client of the identity provider; is its certificate authority PEM (oidc-ca-file)?"
)]
pub struct IssuerKeysError(#[source] reqwest::Error);

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl IssuerKeys {
    /// Makes a client that trusts the system's certificate authorities and those of a PEM file. Nothing is
    /// sent yet.
    ///
    /// # Errors
    /// When the PEM file holds no certificates.
    pub fn new(ca: Option<&[u8]>, timeout: Duration) -> Result<Self, IssuerKeysError> {
        crate::edge::tls::install_crypto_provider();
        let timeout = timeout.min(PATIENCE);
        let mut builder = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("harborage/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = ca {
            let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(IssuerKeysError)?;
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self {
            client: builder.build().map_err(IssuerKeysError)?,
        })
    }

    async fn read(&self, issuer: &str, url: Url) -> Result<Vec<u8>, KeySourceError> {
        let began = Instant::now();
        let path = url.path().to_owned();
        let request = self.client.get(url).header(ACCEPT, "application/json");
        let mut response = request.send().await.map_err(|error| unanswered(issuer, error))?;
        let status = response.status().as_u16();
        tracing::debug!(
            http.method = "GET",
            http.path = path,
            http.status = status,
            duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            "the identity provider answered {status} to GET {path}"
        );
        if status != 200 {
            return Err(strange(issuer, format!("it answered {status} to GET {path}")));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| unanswered(issuer, error))?
        {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(strange(
                    issuer,
                    format!("its answer to GET {path} is larger than {LARGEST_ANSWER} bytes"),
                ));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

#[async_trait]
impl KeySource for IssuerKeys {
    async fn key_set(&self, issuer: &str) -> Result<Vec<u8>, KeySourceError> {
        let address = format!(
            "{}/.well-known/openid-configuration",
            issuer.trim_end_matches('/')
        );
        let address = Url::parse(&address)
            .ok()
            .filter(|url| matches!(url.scheme(), "https" | "http"))
            .ok_or_else(|| strange(issuer, "it is no https or http URL"))?;
        let secure = address.scheme() == "https";
        let document = self.read(issuer, address).await?;
        let discovery: Discovery = serde_json::from_slice(&document)
            .map_err(|_| strange(issuer, "its discovery document has no issuer and jwks_uri"))?;
        if discovery.issuer != issuer {
            let what = format!("its discovery document is that of {:?}", discovery.issuer);
            return Err(strange(issuer, what));
        }
        let keys = Url::parse(&discovery.jwks_uri)
            .ok()
            .filter(|url| url.scheme() == "https" || url.scheme() == "http" && !secure)
            .ok_or_else(|| strange(issuer, "its jwks_uri is no URL that may be read"))?;
        self.read(issuer, keys).await
    }
}

fn unanswered(issuer: &str, error: reqwest::Error) -> KeySourceError {
    let error = error.without_url();
    let message = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the answer was lost"
    };
    KeySourceError {
        source: Some(error.into()),
        ..strange(issuer, message)
    }
}

fn strange(issuer: &str, what: impl Into<String>) -> KeySourceError {
    KeySourceError {
        issuer: issuer.to_owned(),
        message: what.into(),
        source: None,
    }
}
