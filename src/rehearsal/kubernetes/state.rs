//! What the stand-in holds.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::apply::leaves;
use super::status::Refusal;

/// The field manager of what is put behind the back of the API.
const SOMEBODY: &str = "kubectl-create";

/// The kinds that are modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Namespaces.
    Namespace,
    /// Secrets.
    Secret,
    /// Service accounts.
    ServiceAccount,
}

impl Kind {
    /// The kind of a resource, as paths name it.
    pub(super) fn of(resource: &str) -> Option<Self> {
        [Self::Namespace, Self::Secret, Self::ServiceAccount]
            .into_iter()
            .find(|kind| kind.resource() == resource)
    }

    pub(super) fn resource(self) -> &'static str {
        match self {
            Self::Namespace => "namespaces",
            Self::Secret => "secrets",
            Self::ServiceAccount => "serviceaccounts",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Secret => "Secret",
            Self::ServiceAccount => "ServiceAccount",
        }
    }
}

/// One object, with who owns which of its fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Object {
    pub(super) content: Value,
    /// Field paths by field manager.
    pub(super) owners: BTreeMap<String, BTreeSet<String>>,
}

/// Everything that a stand-in holds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct KubernetesState {
    version: u64,
    /// The oldest version of which a list can still be continued.
    #[serde(default)]
    oldest_list: u64,
    #[serde(with = "entries")]
    pub(super) objects: BTreeMap<(Kind, String, String), Object>,
}

/// JSON has no maps with such keys, so the map is saved as a list.
mod entries {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Kind, Object};

    type Objects = BTreeMap<(Kind, String, String), Object>;

    pub(super) fn serialize<S: Serializer>(objects: &Objects, serializer: S) -> Result<S::Ok, S::Error> {
        objects.iter().collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Objects, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}

impl KubernetesState {
    /// Makes a namespace with its `default` service account, unless it is there.
    pub fn add_namespace(&mut self, name: &str) {
        let key = (Kind::Namespace, String::new(), name.to_owned());
        if self.objects.contains_key(&key) {
            return;
        }
        let content = json!({"metadata": {"name": name}, "status": {"phase": "Active"}});
        self.insert(key, content);
        let key = (Kind::ServiceAccount, name.to_owned(), "default".to_owned());
        self.insert(key, json!({"metadata": {"name": "default", "namespace": name}}));
    }

    /// Deletes a namespace with all that is in it.
    pub fn delete_namespace(&mut self, name: &str) {
        self.objects.retain(|(kind, namespace, object), _| {
            namespace != name && !(*kind == Kind::Namespace && object == name)
        });
    }

    /// Makes or replaces a Secret behind the back of the API. The data is given decoded.
    pub fn put_secret(&mut self, namespace: &str, name: &str, kind: &str, data: &[(&str, &str)]) {
        let data: BTreeMap<&str, String> = data
            .iter()
            .map(|(key, value)| (*key, STANDARD.encode(value)))
            .collect();
        let content = json!({"metadata": {"name": name, "namespace": namespace}, "type": kind, "data": data});
        let key = (Kind::Secret, namespace.to_owned(), name.to_owned());
        let paths = leaves(&content).into_keys().collect();
        self.insert(key.clone(), content);
        if let Some(object) = self.objects.get_mut(&key) {
            object.owners.insert(SOMEBODY.to_owned(), paths);
        }
    }

    /// Makes an end of the continue tokens of lists that are being read, as compaction does after five minutes.
    pub fn expire_lists(&mut self) {
        self.oldest_list = self.version + 1;
        self.version += 1;
    }

    /// Deletes a Secret, when it is there.
    pub fn delete_secret(&mut self, namespace: &str, name: &str) {
        self.version += 1;
        self.objects
            .remove(&(Kind::Secret, namespace.to_owned(), name.to_owned()));
    }

    /// Deletes a service account, when it is there.
    pub fn delete_service_account(&mut self, namespace: &str, name: &str) {
        self.version += 1;
        self.objects
            .remove(&(Kind::ServiceAccount, namespace.to_owned(), name.to_owned()));
    }

    /// A Secret's type.
    #[must_use]
    pub fn secret_type(&self, namespace: &str, name: &str) -> Option<String> {
        Some(
            self.find(Kind::Secret, namespace, name)?["type"]
                .as_str()?
                .to_owned(),
        )
    }

    /// The decoded value of a Secret's key.
    #[must_use]
    pub fn secret_value(&self, namespace: &str, name: &str, key: &str) -> Option<String> {
        let encoded = self.find(Kind::Secret, namespace, name)?["data"][key].as_str()?;
        String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
    }

    /// An annotation or label of an object, `annotations` or `labels` naming which.
    #[must_use]
    pub fn metadata(&self, kind: Kind, namespace: &str, name: &str, part: &str, key: &str) -> Option<String> {
        Some(
            self.find(kind, namespace, name)?["metadata"][part][key]
                .as_str()?
                .to_owned(),
        )
    }

    /// Changes an object behind the back of the API.
    pub fn edit(&mut self, kind: Kind, namespace: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let version = self.next_version();
        if let Some(object) = self
            .objects
            .get_mut(&(kind, namespace.to_owned(), name.to_owned()))
        {
            change(&mut object.content);
            object.content["metadata"]["resourceVersion"] = Value::from(version);
        }
    }

    /// The names in a service account's imagePullSecrets.
    #[must_use]
    pub fn pull_secrets(&self, namespace: &str, service_account: &str) -> Vec<String> {
        self.find(Kind::ServiceAccount, namespace, service_account)
            .and_then(|account| account["imagePullSecrets"].as_array())
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry["name"].as_str()?.to_owned()))
            .collect()
    }

    pub(super) fn find(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Value> {
        Some(
            &self
                .objects
                .get(&(kind, namespace.to_owned(), name.to_owned()))?
                .content,
        )
    }

    pub(super) fn require_namespace(&self, name: &str) -> Result<(), Refusal> {
        match self.find(Kind::Namespace, "", name) {
            Some(_) => Ok(()),
            None => Err(Refusal::not_found("namespaces", name)),
        }
    }

    /// Whether a namespace is being deleted.
    pub(super) fn is_terminating(&self, name: &str) -> bool {
        self.find(Kind::Namespace, "", name)
            .is_some_and(|namespace| namespace["status"]["phase"] == "Terminating")
    }

    pub(super) fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    /// Whether a list that was begun at a version can't be continued any more.
    pub(super) fn is_expired(&self, version: &str) -> bool {
        version
            .parse()
            .is_ok_and(|version: u64| version < self.oldest_list)
    }

    /// The version of the whole, as lists carry it.
    pub(super) fn version(&self) -> String {
        self.version.to_string()
    }

    /// Gives a new object what the server gives it, and keeps it.
    pub(super) fn insert(&mut self, key: (Kind, String, String), mut content: Value) -> Value {
        let version = self.next_version();
        content["apiVersion"] = Value::from("v1");
        content["kind"] = Value::from(key.0.name());
        if key.0 == Kind::Secret && content["type"].is_null() {
            content["type"] = Value::from("Opaque");
        }
        let metadata = &mut content["metadata"];
        metadata["uid"] = Value::from(format!("00000000-0000-4000-8000-{:012x}", self.version));
        metadata["resourceVersion"] = Value::from(version);
        metadata["creationTimestamp"] = Value::from(Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string());
        self.objects.insert(
            key,
            Object {
                content: content.clone(),
                owners: BTreeMap::new(),
            },
        );
        content
    }
}
