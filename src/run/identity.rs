//! The identity provider as the service sees it: a trait that its edge implements.

use async_trait::async_trait;

/// The keys of an issuer could not be had. Says nothing of any token.
#[derive(Debug, thiserror::Error)]
#[error("the keys of {issuer} could not be read: {message}")]
pub struct KeySourceError {
    /// Whose keys they are.
    pub issuer: String,
    /// What was answered, or why there is no answer.
    pub message: String,
    /// The error underneath, when it says more.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Where the public keys of an issuer are published.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// Reads the JSON Web Key Set to which the issuer's discovery document leads, as it is. The document's own
    /// issuer is the one that was asked for.
    async fn key_set(&self, issuer: &str) -> Result<Vec<u8>, KeySourceError>;
}
