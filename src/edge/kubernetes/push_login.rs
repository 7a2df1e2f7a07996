//! The read for a download: one Secret, of which nothing is parsed.

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Secret;
use secrecy::SecretSlice;

use super::client::ClusterClient;
use crate::plan::desired::SecretForm;
use crate::run::target::{PushLogins, TargetError};
use crate::values::names::{Namespace, SecretName};

#[async_trait]
impl PushLogins for ClusterClient {
    async fn docker_config(
        &self,
        namespace: &Namespace,
        secret: &SecretName,
    ) -> Result<Option<SecretSlice<u8>>, TargetError> {
        const FORM: SecretForm = SecretForm::DockerConfigJson;
        let act = format!("tell of Secret {secret} in {namespace}");
        let found = self
            .get::<Secret>(&act, Some(namespace.as_str()), secret.as_str())
            .await?;
        let content = found
            .filter(|secret| secret.type_.as_deref() == Some(FORM.secret_type()))
            .and_then(|secret| secret.data?.remove(FORM.key()));
        Ok(content.map(|bytes| bytes.0.into()))
    }
}
