//! What a robot can be granted at all.

use serde_json::{Value, json};

/// Grants in one project: each resource with its actions.
pub(super) const PROJECT: &[(&str, &[&str])] = &[
    ("log", &["list"]),
    ("project", &["read", "delete", "update"]),
    ("metadata", &["read", "create", "delete", "list", "update"]),
    (
        "repository",
        &["read", "update", "delete", "list", "pull", "push"],
    ),
    ("artifact", &["read", "create", "list", "delete"]),
    ("scan", &["create", "read", "stop"]),
    ("sbom", &["create", "stop", "read"]),
    ("tag", &["create", "list", "delete"]),
    ("accessory", &["list"]),
    ("artifact-addition", &["read"]),
    ("artifact-label", &["create", "delete"]),
    ("scanner", &["create", "read"]),
    ("preheat-policy", &["read", "create", "delete", "list", "update"]),
    ("immutable-tag", &["create", "delete", "list", "update"]),
    (
        "notification-policy",
        &["read", "create", "delete", "list", "update"],
    ),
    ("tag-retention", &["read", "create", "delete", "list", "update"]),
    ("label", &["read", "create", "delete", "list", "update"]),
    ("quota", &["read"]),
    ("robot", &["create", "read", "list", "delete"]),
    ("export-cve", &["create", "read"]),
    ("member", &["create", "read", "update", "list", "delete"]),
];

/// Grants in Harbor as a whole.
pub(super) const SYSTEM: &[(&str, &[&str])] = &[
    ("audit-log", &["list"]),
    (
        "preheat-instance",
        &["read", "create", "delete", "list", "update"],
    ),
    ("project", &["list", "create"]),
    (
        "replication-policy",
        &["read", "create", "delete", "list", "update"],
    ),
    ("replication", &["read", "create", "list"]),
    ("replication-adapter", &["list"]),
    ("registry", &["read", "create", "delete", "list", "update"]),
    ("scan-all", &["read", "update", "stop", "create"]),
    ("system-volumes", &["read"]),
    (
        "garbage-collection",
        &["read", "create", "list", "update", "stop"],
    ),
    ("purge-audit", &["read", "create", "list", "update", "stop"]),
    ("jobservice-monitor", &["list", "stop"]),
    ("scanner", &["read", "create", "delete", "list", "update"]),
    ("label", &["read", "create", "delete", "update"]),
    ("security-hub", &["read", "list"]),
    ("catalog", &["read"]),
    ("quota", &["read", "list"]),
    ("robot", &["create", "read", "list", "delete"]),
    ("user", &["create", "read", "update", "list", "delete"]),
    ("ldap-user", &["create", "list"]),
    // Listed apart, after the others, by Harbor too.
    ("quota", &["update"]),
    ("user-group", &["create", "read", "update", "list", "delete"]),
];

/// Whether a catalogue has a resource and action.
pub(super) fn contains(catalogue: &[(&str, &[&str])], resource: &str, action: &str) -> bool {
    catalogue
        .iter()
        .any(|(name, actions)| *name == resource && actions.contains(&action))
}

/// A catalogue as the API lists it.
pub(super) fn listed(catalogue: &[(&str, &[&str])]) -> Value {
    let pairs = catalogue.iter().flat_map(|(resource, actions)| {
        actions
            .iter()
            .map(move |action| json!({"resource": resource, "action": action}))
    });
    pairs.collect()
}
