//! The writes, and the trait that the engine knows Kubernetes by.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{Namespace as NamespaceObject, Secret, ServiceAccount};
use kube::core::params::{DeleteParams, Preconditions};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::client::ClusterClient;
use super::failure::changed;
use super::marks::{MANAGED_BY, TEAM, annotations, labels};
use super::redact::without_quotes;
use crate::plan::desired::{DesiredSecret, DesiredTeam};
use crate::plan::docker_config::DockerConfig;
use crate::plan::observed::{ObservedCluster, ObservedSecret};
use crate::run::target::{Cluster, Extent, Provenance, TargetError};
use crate::values::names::{Namespace, SecretName, ServiceAccountName, TeamId};

#[async_trait]
impl Cluster for ClusterClient {
    async fn observe_teams(
        &self,
        teams: &[Arc<DesiredTeam>],
        extent: Extent,
    ) -> Result<BTreeMap<TeamId, ObservedCluster>, TargetError> {
        match extent {
            Extent::Single => self.teams_one_by_one(teams).await,
            Extent::Lists => self.teams_by_lists(teams).await,
        }
    }

    async fn create_namespace(&self, namespace: &Namespace, team: &TeamId) -> Result<(), TargetError> {
        // The labels that the platform gives its teams' namespaces, and ours.
        let labels = BTreeMap::from([
            ("name", namespace.as_str()),
            ("otomi.io/team", team.as_str()),
            ("type", "team"),
            MANAGED_BY,
            (TEAM, team.as_str()),
        ]);
        let object = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": labels},
        });
        self.create::<NamespaceObject>(&format!("create namespace {namespace}"), &object)
            .await
    }

    async fn apply_secret(
        &self,
        namespace: &Namespace,
        secret: &DesiredSecret,
        content: &DockerConfig,
        provenance: &Provenance,
        former: Option<&ObservedSecret>,
    ) -> Result<(), TargetError> {
        let kind = secret.form.secret_type();
        if let Some(former) = former.filter(|former| former.secret_type != kind || former.immutable) {
            self.delete_secret(namespace, &secret.name, former).await?;
        }
        let content = content.render();
        let object = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": secret.name,
                "namespace": namespace,
                "labels": labels(provenance),
                "annotations": annotations(provenance),
            },
            "type": kind,
            "data": {secret.form.key(): STANDARD.encode(content.expose_secret())},
        });
        let act = format!("write Secret {} in {namespace}", secret.name);
        self.apply::<Secret>(&act, namespace.as_str(), secret.name.as_str(), &object)
            .await
            .map_err(|error| without_quotes(error, &content))
    }

    async fn set_pull_secrets(
        &self,
        namespace: &Namespace,
        service_account: &ServiceAccountName,
        pull_secrets: &[SecretName],
        resource_version: &str,
    ) -> Result<(), TargetError> {
        let act = format!("change service account {service_account} in {namespace}");
        let (namespace, name) = (namespace.as_str(), service_account.as_str());
        let Some(held) = self.get::<ServiceAccount>(&act, Some(namespace), name).await? else {
            return Err(changed(&act, "it is gone"));
        };
        if held.metadata.resource_version.as_deref() != Some(resource_version) {
            return Err(changed(&act, "it has changed since it was read"));
        }
        let references: Vec<_> = pull_secrets.iter().map(|name| json!({"name": name})).collect();
        let object = json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {
                "name": name,
                "namespace": namespace,
                // With a version an apply does not overwrite a change in between, but it does create an object
                // that is gone meanwhile. With a uid it does not: the API server refuses to create one that has it.
                "resourceVersion": resource_version,
                "uid": held.metadata.uid,
            },
            "imagePullSecrets": references,
        });
        self.apply::<ServiceAccount>(&act, namespace, name, &object).await
    }
}

impl ClusterClient {
    /// Deletes a Secret whose type or immutability can't be changed in place, but none that is not
    /// as it was seen: somebody may have put a login into it since.
    async fn delete_secret(
        &self,
        namespace: &Namespace,
        name: &SecretName,
        former: &ObservedSecret,
    ) -> Result<(), TargetError> {
        let how = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(former.uid.clone()),
                resource_version: Some(former.resource_version.clone()),
            }),
            ..DeleteParams::default()
        };
        let act = format!("delete Secret {name} in {namespace}, which can't be changed in place");
        self.delete::<Secret>(&act, namespace.as_str(), name.as_str(), &how)
            .await
    }
}
