//! Harbor's JSON, as far as it is read. Fields that are not needed are not named: some hold secrets.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Deserialize;

use crate::plan::desired::Access;
use crate::plan::observed::{ObservedMember, ObservedPermission, ObservedRobot};

#[derive(Deserialize)]
pub(super) struct SystemInformation {
    /// Missing for whoever is not signed in.
    pub(super) harbor_version: Option<String>,
    #[serde(default)]
    pub(super) read_only: bool,
}

#[derive(Deserialize)]
pub(super) struct ConfigurationRow {
    #[serde(default)]
    pub(super) value: serde_json::Value,
    #[serde(default)]
    pub(super) editable: bool,
}

#[derive(Deserialize)]
pub(super) struct ProjectRow {
    pub(super) project_id: i64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) metadata: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
pub(super) struct QuotaRow {
    pub(super) id: i64,
    #[serde(default, rename = "ref")]
    pub(super) reference: QuotaReference,
    #[serde(default)]
    pub(super) hard: BTreeMap<String, i64>,
}

#[derive(Deserialize, Default)]
pub(super) struct QuotaReference {
    pub(super) id: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct MemberRow {
    id: i64,
    #[serde(default)]
    entity_name: String,
    #[serde(default)]
    entity_type: String,
    role_id: i64,
}

impl From<MemberRow> for ObservedMember {
    fn from(row: MemberRow) -> Self {
        Self {
            id: row.id,
            name: row.entity_name,
            is_group: row.entity_type == "g",
            role_id: row.role_id,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct GroupRow {
    pub(super) group_name: String,
    pub(super) group_type: i64,
}

#[derive(Deserialize)]
pub(super) struct RobotRow {
    id: i64,
    pub(super) name: String,
    #[serde(default)]
    level: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    disable: bool,
    #[serde(default)]
    duration: i64,
    #[serde(default)]
    expires_at: i64,
    #[serde(default)]
    editable: bool,
    #[serde(default)]
    permissions: Option<Vec<PermissionRow>>,
}

#[derive(Deserialize)]
struct PermissionRow {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    access: Option<Vec<AccessRow>>,
}

#[derive(Deserialize)]
struct AccessRow {
    #[serde(default)]
    resource: String,
    #[serde(default)]
    action: String,
}

impl RobotRow {
    pub(super) fn is_system_level(&self) -> bool {
        self.level == "system"
    }
}

impl From<RobotRow> for ObservedRobot {
    fn from(row: RobotRow) -> Self {
        let permission = |row: PermissionRow| ObservedPermission {
            kind: row.kind,
            namespace: row.namespace,
            access: row
                .access
                .unwrap_or_default()
                .into_iter()
                .map(|row| Access {
                    resource: row.resource,
                    action: row.action,
                })
                .collect(),
        };
        Self {
            id: row.id,
            full_name: row.name,
            description: row.description,
            disabled: row.disable,
            duration: row.duration,
            expires_at: DateTime::<Utc>::from_timestamp(row.expires_at, 0).filter(|_| row.expires_at > 0),
            editable: row.editable,
            permissions: row
                .permissions
                .unwrap_or_default()
                .into_iter()
                .map(permission)
                .collect(),
        }
    }
}

/// The answer to the creation of a robot: the one time that its secret is told.
#[derive(Deserialize)]
pub(super) struct CreatedRobotRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) secret: SecretString,
}

#[derive(Deserialize)]
pub(super) struct TokenAnswer {
    pub(super) token: SecretString,
}
