//! What the API server lets us do, asked of itself.

use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use kube::Resource as _;
use kube::api::PostParams;
use kube::core::Request;
use serde_json::json;

use super::client::ClusterClient;
use crate::run::target::TargetError;

/// Something that a role can allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// Such as `get`.
    pub verb: &'static str,
    /// Such as `secrets`.
    pub resource: &'static str,
    /// The one object; all of them, where none is named.
    pub name: Option<String>,
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        match &self.name {
            Some(name) => write!(f, " called {name}"),
            None => Ok(()),
        }
    }
}

impl ClusterClient {
    /// Whether we have a right in every namespace. Asking changes nothing.
    ///
    /// # Errors
    /// When the API server does not answer.
    pub async fn has(&self, right: &Right) -> Result<bool, TargetError> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"verb": right.verb, "resource": right.resource, "name": right.name}},
        });
        let request = Request::new(SelfSubjectAccessReview::url_path(&(), None))
            .create(&PostParams::default(), review.to_string().into_bytes());
        let act = format!("say whether we may {right}");
        let answer: SelfSubjectAccessReview = self.call(&self.reads, &act, request).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}
