//! Server-side apply, as far as the modelled kinds need it.
//!
//! Each leaf that an apply sends belongs to its field manager from then on. A leaf that another manager owns
//! with another value is a conflict, unless forced; a leaf that the manager sent before and no longer
//! sends is removed when nobody else owns it. A service account's imagePullSecrets are one leaf: the API
//! declares that list atomic.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::state::{Kind, KubernetesState, Object};
use super::status::Refusal;

/// An apply, as it was asked for.
pub(super) struct Apply<'a> {
    pub(super) kind: Kind,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) manager: &'a str,
    pub(super) force: bool,
    pub(super) sent: Value,
}

/// A field path, segments joined by a character that no name holds.
type Path = String;
const JOINT: char = '\u{1f}';

impl KubernetesState {
    /// Applies. Answers the object, and whether it was created.
    pub(super) fn apply(&mut self, apply: &Apply<'_>) -> Result<(Value, bool), Refusal> {
        self.require_namespace(apply.namespace)?;
        check_sent(apply)?;
        let key = (apply.kind, apply.namespace.to_owned(), apply.name.to_owned());
        let sent_version = apply.sent["metadata"]["resourceVersion"]
            .as_str()
            .map(str::to_owned);
        let sent_uid = apply.sent["metadata"]["uid"].as_str().map(str::to_owned);
        let leaves = leaves(&apply.sent);
        let paths: BTreeSet<Path> = leaves.keys().cloned().collect();

        let Some(held) = self.objects.get(&key).cloned() else {
            // A version alone does not keep an object from being created; a uid does.
            if let Some(uid) = sent_uid {
                return Err(Refusal::new(
                    409,
                    format!(
                        "Operation cannot be fulfilled on {} \"{}\": uid mismatch: the provided object specified uid {uid}, and no existing object was found",
                        apply.kind.resource(),
                        apply.name,
                    ),
                ));
            }
            if self.is_terminating(apply.namespace) {
                return Err(Refusal::terminating(
                    apply.kind.resource(),
                    apply.name,
                    apply.namespace,
                ));
            }
            let mut content = Value::Object(Map::new());
            for (path, value) in leaves {
                put(&mut content, &path, value);
            }
            content["metadata"]["name"] = Value::from(apply.name);
            content["metadata"]["namespace"] = Value::from(apply.namespace);
            check_secret(apply.kind, None, &content)?;
            let content = self.insert(key.clone(), content);
            if let Some(object) = self.objects.get_mut(&key) {
                object.owners.insert(apply.manager.to_owned(), paths);
            }
            return Ok((content, true));
        };

        let version = held.content["metadata"]["resourceVersion"].as_str();
        if sent_version.is_some_and(|sent| Some(sent.as_str()) != version) {
            return Err(Refusal::new(
                409,
                format!(
                    "Operation cannot be fulfilled on {} \"{}\": the object has been modified; please apply your changes to the latest version and try again",
                    apply.kind.resource(),
                    apply.name,
                ),
            ));
        }
        if sent_uid.is_some_and(|sent| held.content["metadata"]["uid"] != sent.as_str()) {
            return Err(Refusal::new(
                422,
                format!(
                    "{} \"{}\" is invalid: metadata.uid: Invalid value: field is immutable",
                    apply.kind.name(),
                    apply.name,
                ),
            ));
        }
        let mut object = held.clone();
        for (path, value) in &leaves {
            if get(&object.content, path) != Some(value) {
                object.take_over(path, apply)?;
            }
            put(&mut object.content, path, value.clone());
        }
        let former = object
            .owners
            .insert(apply.manager.to_owned(), paths.clone())
            .unwrap_or_default();
        for gone in former.difference(&paths) {
            if !object.owners.values().any(|owned| owned.contains(gone)) {
                remove(&mut object.content, gone);
            }
        }
        check_secret(apply.kind, Some(&held.content), &object.content)?;
        // An apply that changes nothing, and no owner, leaves the version as it is.
        if object.content != held.content || object.owners != held.owners {
            object.content["metadata"]["resourceVersion"] = Value::from(self.next_version());
        }
        let content = object.content.clone();
        self.objects.insert(key, object);
        Ok((content, false))
    }
}

impl Object {
    /// Takes a leaf from the managers that own it, where that is forced.
    fn take_over(&mut self, path: &str, apply: &Apply<'_>) -> Result<(), Refusal> {
        for (manager, owned) in &mut self.owners {
            if manager != apply.manager && owned.contains(path) {
                if !apply.force {
                    return Err(Refusal::new(
                        409,
                        format!(
                            "Apply failed with 1 conflict: conflict with \"{manager}\": .{}",
                            path.replace(JOINT, "."),
                        ),
                    ));
                }
                owned.remove(path);
            }
        }
        Ok(())
    }
}

/// What the server checks of the sent object itself.
fn check_sent(apply: &Apply<'_>) -> Result<(), Refusal> {
    let sent = &apply.sent;
    if !sent.is_object() {
        return Err(Refusal::new(400, "the body is not an object"));
    }
    if sent["kind"] != apply.kind.name() || sent["apiVersion"] != "v1" {
        return Err(Refusal::new(
            400,
            "the object's kind and apiVersion are not the path's",
        ));
    }
    let names = |key: &str, wanted: &str| sent["metadata"].get(key).is_none_or(|value| value == wanted);
    if !names("name", apply.name) || !names("namespace", apply.namespace) {
        return Err(Refusal::new(
            400,
            "the object's name and namespace are not the path's",
        ));
    }
    Ok(())
}

/// What the server checks of a Secret as it would become.
fn check_secret(kind: Kind, former: Option<&Value>, content: &Value) -> Result<(), Refusal> {
    if kind != Kind::Secret {
        return Ok(());
    }
    let name = content["metadata"]["name"].as_str().unwrap_or_default();
    let invalid = |what: &str| Err(Refusal::new(422, format!("Secret \"{name}\" is invalid: {what}")));
    if let Some(former) = former {
        if former["type"] != content["type"] && !(content["type"].is_null() && former["type"] == "Opaque") {
            return invalid("type: Invalid value: field is immutable");
        }
        if former["immutable"] == true && (former["data"] != content["data"] || content["immutable"] != true)
        {
            return invalid("data: Forbidden: field is immutable when `immutable` is set");
        }
    }
    if content["type"] == "kubernetes.io/dockerconfigjson" {
        use base64::Engine as _;
        let decoded = content["data"][".dockerconfigjson"]
            .as_str()
            .and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
        let Some(decoded) = decoded else {
            return invalid("data[.dockerconfigjson]: Required value");
        };
        if serde_json::from_slice::<Value>(&decoded).is_err() {
            return invalid(
                "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\": not JSON",
            );
        }
    }
    Ok(())
}

/// The leaves that an apply is about. What names the object is none of them.
pub(super) fn leaves(sent: &Value) -> BTreeMap<Path, Value> {
    fn collect(value: &Value, path: &str, found: &mut BTreeMap<Path, Value>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    let path = if path.is_empty() {
                        key.clone()
                    } else {
                        format!("{path}{JOINT}{key}")
                    };
                    collect(value, &path, found);
                }
            }
            Value::Null => {}
            leaf => drop(found.insert(path.to_owned(), leaf.clone())),
        }
    }
    let mut found = BTreeMap::new();
    collect(sent, "", &mut found);
    found.retain(|path, _| {
        let mut segments = path.split(JOINT);
        match (segments.next(), segments.next()) {
            (Some("apiVersion" | "kind"), _) => false,
            (Some("metadata"), Some(part)) => matches!(part, "labels" | "annotations"),
            _ => true,
        }
    });
    found
}

fn get<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split(JOINT)
        .try_fold(object, |value, segment| value.get(segment))
}

fn put(object: &mut Value, path: &str, leaf: Value) {
    let target = path
        .split(JOINT)
        .fold(object, |value, segment| &mut value[segment]);
    *target = leaf;
}

fn remove(object: &mut Value, path: &str) {
    let (parent, leaf) = path.rsplit_once(JOINT).unwrap_or(("", path));
    let parent = if parent.is_empty() {
        Some(object)
    } else {
        parent
            .split(JOINT)
            .try_fold(object, |value, segment| value.get_mut(segment))
    };
    if let Some(fields) = parent.and_then(Value::as_object_mut) {
        fields.remove(leaf);
    }
}
