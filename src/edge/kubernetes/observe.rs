//! The reads: by name for few teams, whole lists by name for many.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use kube::api::ListParams;
use kube::{Api, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use super::client::ClusterClient;
use super::marks;
use crate::plan::desired::{DesiredSecret, DesiredTeam};
use crate::plan::docker_config::DockerConfig;
use crate::plan::observed::{ObservedCluster, ObservedSecret, ObservedServiceAccount};
use crate::run::target::TargetError;
use crate::values::names::{SecretName, TeamId};

/// Objects on a page of a list.
const PAGE: u32 = 500;
/// Teams that are read at once; the budget of reads bounds the calls themselves.
const AT_ONCE: usize = 64;
/// Lists that are begun anew because they went stale while they were read, at most.
const RESTARTS: usize = 3;

impl ClusterClient {
    /// Each team by itself: its namespace, Secrets and service accounts.
    pub(super) async fn teams_one_by_one(
        &self,
        teams: &[Arc<DesiredTeam>],
    ) -> Result<BTreeMap<TeamId, ObservedCluster>, TargetError> {
        stream::iter(teams.to_vec())
            .map(|team| async move { Ok((team.team.clone(), self.team(&team).await?)) })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn team(&self, team: &DesiredTeam) -> Result<ObservedCluster, TargetError> {
        let namespace = team.namespace.as_str();
        let act = format!("tell of namespace {namespace}");
        let found: Option<Namespace> = self
            .read(&act, Api::all(self.client.clone()).get_opt(namespace))
            .await?;
        let mut side = ObservedCluster {
            namespace: found.as_ref().is_some_and(is_there),
            ..ObservedCluster::default()
        };
        if !side.namespace {
            return Ok(side);
        }
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        for wanted in wanted_secrets(team) {
            let act = format!("tell of Secret {} in {namespace}", wanted.name);
            if let Some(secret) = self.read(&act, secrets.get_opt(wanted.name.as_str())).await? {
                side.secrets
                    .insert(wanted.name.clone(), observed_secret(wanted, secret));
            }
        }
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        for wanted in &team.service_accounts {
            let act = format!("tell of service account {} in {namespace}", wanted.name);
            if let Some(account) = self.read(&act, accounts.get_opt(wanted.name.as_str())).await? {
                side.service_accounts
                    .insert(wanted.name.clone(), observed_account(&account));
            }
        }
        Ok(side)
    }

    /// One list for each name that occurs, over all namespaces.
    pub(super) async fn teams_by_lists(
        &self,
        teams: &[Arc<DesiredTeam>],
    ) -> Result<BTreeMap<TeamId, ObservedCluster>, TargetError> {
        let secret_names: BTreeSet<String> = teams
            .iter()
            .flat_map(|team| wanted_secrets(team))
            .map(|secret| secret.name.to_string())
            .collect();
        let account_names: BTreeSet<String> = teams
            .iter()
            .flat_map(|team| &team.service_accounts)
            .map(|account| account.name.to_string())
            .collect();

        let namespaces = self.list::<Namespace>("list namespaces", None);
        let secrets = stream::iter(secret_names)
            .map(|name| self.list::<Secret>("list Secrets", Some(name)))
            .buffer_unordered(AT_ONCE)
            .try_concat();
        let accounts = stream::iter(account_names)
            .map(|name| self.list::<ServiceAccount>("list service accounts", Some(name)))
            .buffer_unordered(AT_ONCE)
            .try_concat();
        let (namespaces, secrets, accounts) = tokio::try_join!(namespaces, secrets, accounts)?;

        let namespaces: BTreeSet<String> = namespaces
            .iter()
            .filter(|namespace| is_there(namespace))
            .map(kube::ResourceExt::name_any)
            .collect();
        let mut secrets = by_place(secrets);
        let mut accounts = by_place(accounts);
        let mut side = |team: &DesiredTeam| {
            let namespace = team.namespace.as_str();
            let place = |name: &str| (namespace.to_owned(), name.to_owned());
            ObservedCluster {
                namespace: namespaces.contains(namespace),
                secrets: wanted_secrets(team)
                    .filter_map(|wanted| {
                        let secret = secrets.remove(&place(wanted.name.as_str()))?;
                        Some((wanted.name.clone(), observed_secret(wanted, secret)))
                    })
                    .collect(),
                service_accounts: team
                    .service_accounts
                    .iter()
                    .filter_map(|wanted| {
                        let account = accounts.remove(&place(wanted.name.as_str()))?;
                        Some((wanted.name.clone(), observed_account(&account)))
                    })
                    .collect(),
            }
        };
        Ok(teams.iter().map(|team| (team.team.clone(), side(team))).collect())
    }

    /// A whole list, page by page. A continue token that went stale (410) begins the list anew.
    async fn list<K>(&self, act: &'static str, name: Option<String>) -> Result<Vec<K>, TargetError>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let api: Api<K> = Api::all(self.client.clone());
        let mut first = ListParams::default().limit(PAGE);
        if let Some(name) = name {
            first = first.fields(&format!("metadata.name={name}"));
        }
        let mut restarts = 0;
        let mut items = Vec::new();
        let mut page = first.clone();
        loop {
            match self.read(act, api.list(&page)).await {
                Ok(list) => {
                    items.extend(list.items);
                    match list.metadata.continue_.filter(|token| !token.is_empty()) {
                        Some(token) => page = first.clone().continue_token(&token),
                        None => return Ok(items),
                    }
                }
                Err(error) if error.status == Some(410) && restarts < RESTARTS => {
                    restarts += 1;
                    items.clear();
                    page = first.clone();
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn wanted_secrets(team: &DesiredTeam) -> impl Iterator<Item = &DesiredSecret> {
    team.credentials.iter().flat_map(|credential| &credential.secrets)
}

/// Whether a namespace can take objects: one that is being deleted can't.
fn is_there(namespace: &Namespace) -> bool {
    let phase = namespace
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    namespace.metadata.deletion_timestamp.is_none() && phase != Some("Terminating")
}

fn by_place<K: Resource>(objects: Vec<K>) -> HashMap<(String, String), K> {
    objects
        .into_iter()
        .map(|object| {
            (
                (object.namespace().unwrap_or_default(), object.name_any()),
                object,
            )
        })
        .collect()
}

fn observed_secret(wanted: &DesiredSecret, secret: Secret) -> ObservedSecret {
    let mark = marks::read(
        secret.metadata.labels.as_ref(),
        secret.metadata.annotations.as_ref(),
    );
    let content = secret.data.and_then(|mut data| data.remove(wanted.form.key()));
    ObservedSecret {
        uid: secret.metadata.uid.unwrap_or_default(),
        resource_version: secret.metadata.resource_version.unwrap_or_default(),
        secret_type: secret.type_.unwrap_or_else(|| "Opaque".to_owned()),
        immutable: secret.immutable.unwrap_or(false),
        content: content.map(|bytes| DockerConfig::parse(&bytes.0)),
        mark,
    }
}

fn observed_account(account: &ServiceAccount) -> ObservedServiceAccount {
    ObservedServiceAccount {
        resource_version: account.metadata.resource_version.clone().unwrap_or_default(),
        pull_secrets: account
            .image_pull_secrets
            .iter()
            .flatten()
            .filter_map(|reference| SecretName::new(reference.name.clone()).ok())
            .collect(),
    }
}
