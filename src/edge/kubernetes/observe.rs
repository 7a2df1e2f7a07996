//! The reads: by name for few teams, whole lists by name for many.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use futures::future::try_join_all;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use kube::core::params::ListParams;
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use super::client::ClusterClient;
use super::marks;
use crate::plan::desired::{DesiredSecret, DesiredServiceAccount, DesiredTeam};
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
        let found = self
            .get::<Namespace>(&format!("tell of namespace {namespace}"), None, namespace)
            .await?;
        if !found.as_ref().is_some_and(is_there) {
            return Ok(ObservedCluster::default());
        }
        let secrets = try_join_all(wanted_secrets(team).map(|wanted| async move {
            let act = format!("tell of Secret {} in {namespace}", wanted.name);
            let found = self
                .get::<Secret>(&act, Some(namespace), wanted.name.as_str())
                .await?;
            Ok(found.map(|secret| (wanted.name.clone(), observed_secret(wanted, secret))))
        }));
        let accounts = try_join_all(team.service_accounts.iter().map(|wanted| async move {
            let act = format!("tell of service account {} in {namespace}", wanted.name);
            let found = self
                .get::<ServiceAccount>(&act, Some(namespace), wanted.name.as_str())
                .await?;
            Ok(found.map(|account| (wanted.name.clone(), observed_account(&account))))
        }));
        let (secrets, accounts) = tokio::try_join!(secrets, accounts)?;
        Ok(ObservedCluster {
            namespace: true,
            secrets: secrets.into_iter().flatten().collect(),
            service_accounts: accounts.into_iter().flatten().collect(),
        })
    }

    /// One list for each name that occurs, over all namespaces. Of what a list holds, only what the
    /// teams want is kept, page by page.
    pub(super) async fn teams_by_lists(
        &self,
        teams: &[Arc<DesiredTeam>],
    ) -> Result<BTreeMap<TeamId, ObservedCluster>, TargetError> {
        let wanted = Wanted::of(teams);
        let namespaces = self.list("list namespaces", None, |namespace: Namespace| {
            is_there(&namespace).then(|| namespace.name_any())
        });
        // The names are those of a job file: few, whatever the number of teams.
        let secrets = try_join_all(
            wanted
                .secret_names
                .iter()
                .map(|name| self.list("list Secrets", Some(name), |secret| wanted.secret(secret))),
        );
        let accounts = try_join_all(wanted.account_names.iter().map(|name| {
            self.list("list service accounts", Some(name), |account| {
                wanted.account(&account)
            })
        }));
        let (namespaces, secrets, accounts) = tokio::try_join!(namespaces, secrets, accounts)?;

        let namespaces: BTreeSet<String> = namespaces.into_iter().collect();
        let mut sides: BTreeMap<TeamId, ObservedCluster> = teams
            .iter()
            .map(|team| {
                let namespace = namespaces.contains(team.namespace.as_str());
                (
                    team.team.clone(),
                    ObservedCluster {
                        namespace,
                        ..ObservedCluster::default()
                    },
                )
            })
            .collect();
        // What a namespace still holds that is being deleted is as good as gone.
        for (team, wanted, secret) in secrets.into_iter().flatten() {
            if let Some(side) = sides.get_mut(&team.team).filter(|side| side.namespace) {
                side.secrets.insert(wanted.name.clone(), secret);
            }
        }
        for (team, wanted, account) in accounts.into_iter().flatten() {
            if let Some(side) = sides.get_mut(&team.team).filter(|side| side.namespace) {
                side.service_accounts.insert(wanted.name.clone(), account);
            }
        }
        Ok(sides)
    }

    /// A whole list, page by page. A continue token that went stale (410) begins the list anew.
    async fn list<K, T>(
        &self,
        act: &'static str,
        name: Option<&str>,
        keep: impl Fn(K) -> Option<T>,
    ) -> Result<Vec<T>, TargetError>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let mut first = ListParams::default().limit(PAGE);
        if let Some(name) = name {
            first = first.fields(&format!("metadata.name={name}"));
        }
        let mut restarts = 0;
        let mut kept = Vec::new();
        let mut which = first.clone();
        loop {
            match self.page(act, &which).await {
                Ok(page) => {
                    kept.extend(page.items.into_iter().filter_map(&keep));
                    match page.metadata.next.filter(|token| !token.is_empty()) {
                        Some(token) => which = first.clone().continue_token(&token),
                        None => return Ok(kept),
                    }
                }
                Err(error) if error.status == Some(410) && restarts < RESTARTS => {
                    restarts += 1;
                    kept.clear();
                    which = first.clone();
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// What a set of teams wants to know.
struct Wanted<'a> {
    teams: HashMap<&'a str, &'a DesiredTeam>,
    secret_names: BTreeSet<&'a str>,
    account_names: BTreeSet<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(teams: &'a [Arc<DesiredTeam>]) -> Self {
        let accounts = teams.iter().flat_map(|team| &team.service_accounts);
        Self {
            teams: teams
                .iter()
                .map(|team| (team.namespace.as_str(), &**team))
                .collect(),
            secret_names: teams
                .iter()
                .flat_map(|team| wanted_secrets(team))
                .map(|secret| secret.name.as_str())
                .collect(),
            account_names: accounts.map(|account| account.name.as_str()).collect(),
        }
    }

    fn team<K: Resource>(&self, object: &K) -> Option<&'a DesiredTeam> {
        self.teams.get(object.meta().namespace.as_deref()?).copied()
    }

    fn secret(&self, secret: Secret) -> Option<(&'a DesiredTeam, &'a DesiredSecret, ObservedSecret)> {
        let team = self.team(&secret)?;
        let wanted = wanted_secrets(team)
            .find(|wanted| Some(wanted.name.as_str()) == secret.metadata.name.as_deref())?;
        Some((team, wanted, observed_secret(wanted, secret)))
    }

    fn account(
        &self,
        account: &ServiceAccount,
    ) -> Option<(&'a DesiredTeam, &'a DesiredServiceAccount, ObservedServiceAccount)> {
        let team = self.team(account)?;
        let name = account.metadata.name.as_deref()?;
        let wanted = team
            .service_accounts
            .iter()
            .find(|wanted| wanted.name.as_str() == name)?;
        Some((team, wanted, observed_account(account)))
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
