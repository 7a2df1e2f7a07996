//! The writes, and the trait that the engine knows Kubernetes by.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{Namespace as NamespaceObject, Secret, ServiceAccount};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::client::ClusterClient;
use super::marks::{FIELD_MANAGER, MANAGED_BY, TEAM, annotations, labels};
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
        let mut object = NamespaceObject::default();
        object.metadata.name = Some(namespace.to_string());
        object.metadata.labels = Some(
            labels
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        );
        let api: Api<NamespaceObject> = Api::all(self.client.clone());
        let how = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        self.write(
            &format!("create namespace {namespace}"),
            api.create(&how, &object),
        )
        .await
        .map(drop)
    }

    async fn apply_secret(
        &self,
        namespace: &Namespace,
        secret: &DesiredSecret,
        content: &DockerConfig,
        provenance: &Provenance,
        former: Option<&ObservedSecret>,
    ) -> Result<(), TargetError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace.as_str());
        let kind = secret.form.secret_type();
        if let Some(former) = former.filter(|former| former.secret_type != kind || former.immutable) {
            self.delete_secret(&api, namespace, &secret.name, former).await?;
        }
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
            "data": {secret.form.key(): STANDARD.encode(content.render().expose_secret())},
        });
        self.write(
            &format!("write Secret {} in {namespace}", secret.name),
            api.patch(secret.name.as_str(), &how_to_apply(), &Patch::Apply(object)),
        )
        .await
        .map(drop)
    }

    async fn set_pull_secrets(
        &self,
        namespace: &Namespace,
        service_account: &ServiceAccountName,
        pull_secrets: &[SecretName],
        resource_version: &str,
    ) -> Result<(), TargetError> {
        let api: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace.as_str());
        let references: Vec<_> = pull_secrets.iter().map(|name| json!({"name": name})).collect();
        let object = json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            // With a version an apply neither overwrites a change in between nor creates the object.
            "metadata": {"name": service_account, "namespace": namespace, "resourceVersion": resource_version},
            "imagePullSecrets": references,
        });
        self.write(
            &format!("change service account {service_account} in {namespace}"),
            api.patch(service_account.as_str(), &how_to_apply(), &Patch::Apply(object)),
        )
        .await
        .map(drop)
    }
}

impl ClusterClient {
    /// Deletes a Secret whose type or immutability can't be changed in place, but no other of its name.
    async fn delete_secret(
        &self,
        api: &Api<Secret>,
        namespace: &Namespace,
        name: &SecretName,
        former: &ObservedSecret,
    ) -> Result<(), TargetError> {
        let how = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(former.uid.clone()),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let act = format!("delete Secret {name} in {namespace}, whose type can't be changed in place");
        match self.write(&act, api.delete(name.as_str(), &how)).await {
            Err(error) if error.status == Some(404) => Ok(()),
            result => result.map(drop),
        }
    }
}

/// Ours is the last word on the fields that we send, and we send no others.
fn how_to_apply() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}
