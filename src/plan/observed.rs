//! What the servers hold now, as far as a plan needs to know it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::desired::Access;
use super::docker_config::{DockerConfig, DockerConfigError};
use crate::values::names::{RobotName, SecretName, ServiceAccountName};

/// What both servers hold of one team. A side that could not be read is `None`:
/// what needs it waits, what does not need it goes on.
#[derive(Debug, Clone, Default)]
pub struct ObservedTeam {
    /// When it was observed: a robot whose time is over by then has expired.
    pub at: DateTime<Utc>,
    /// Harbor's side.
    pub harbor: Option<ObservedHarbor>,
    /// Kubernetes' side.
    pub cluster: Option<ObservedCluster>,
    /// Logins that were tried because nothing else tells whether they work.
    pub proofs: BTreeMap<SecretName, LoginProof>,
}

/// Harbor's side of one team.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObservedHarbor {
    /// The project, if there is one.
    pub project: Option<ObservedProject>,
    /// Its members; empty without a project.
    pub members: Vec<ObservedMember>,
    /// System-level robots that the desired state names, by stored name.
    pub robots: BTreeMap<RobotName, ObservedRobot>,
}

/// A Harbor project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedProject {
    /// Harbor's id; a project that was deleted and made again has a new one.
    pub id: i64,
    /// Its metadata, all as text.
    pub metadata: BTreeMap<String, String>,
    /// Its storage quota, where it was asked for.
    pub quota: Option<ObservedQuota>,
}

/// A project's quota row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedQuota {
    /// Harbor's id of the quota.
    pub id: i64,
    /// Bytes, `-1` for no limit.
    pub storage: i64,
}

/// A member of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedMember {
    /// Harbor's id of the membership, not of the user or group.
    pub id: i64,
    /// The group's or user's name.
    pub name: String,
    /// Whether it is a group.
    pub is_group: bool,
    /// Harbor's role number. Harbor stores invalid ones.
    pub role_id: i64,
}

/// A system-level robot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedRobot {
    /// Harbor's id.
    pub id: i64,
    /// The name that it signs in with: robot prefix and stored name.
    pub full_name: String,
    /// What people wrote about it. A PUT clears it unless it is sent again.
    pub description: String,
    /// Whether it is disabled, so that its login is refused.
    pub disabled: bool,
    /// Days from creation, `-1` for never.
    pub duration: i64,
    /// When it expires; `None` for never.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether Harbor lets it be changed; robots of the old kind cannot be.
    pub editable: bool,
    /// Its permissions.
    pub permissions: Vec<ObservedPermission>,
}

/// One entry of a robot's permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedPermission {
    /// `project` or `system`.
    pub kind: String,
    /// A project's name, `*` for all, or `/` for the system.
    pub namespace: String,
    /// What is allowed there.
    pub access: BTreeSet<Access>,
}

/// Kubernetes' side of one team.
#[derive(Debug, Clone, Default)]
pub struct ObservedCluster {
    /// Whether the namespace exists and is not being deleted.
    pub namespace: bool,
    /// The Secrets that exist, of those that the desired state names.
    pub secrets: BTreeMap<SecretName, ObservedSecret>,
    /// The service accounts that exist, of those that the desired state names.
    pub service_accounts: BTreeMap<ServiceAccountName, ObservedServiceAccount>,
}

/// A Secret in the team's namespace.
#[derive(Debug, Clone)]
pub struct ObservedSecret {
    /// The object's uid: what must match when it is deleted to change its type.
    pub uid: String,
    /// The version that was read.
    pub resource_version: String,
    /// Its `type`.
    pub secret_type: String,
    /// Whether its data can't be changed in place.
    pub immutable: bool,
    /// The docker configuration under the desired key; `None` when the key is missing.
    pub content: Option<Result<DockerConfig, DockerConfigError>>,
    /// What harborage wrote on it, when it did.
    pub mark: Option<SecretMark>,
}

/// What harborage writes on a Secret beside its data, as labels and annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretMark {
    /// Harbor's id of the robot whose login this is.
    pub robot_id: i64,
    /// The robot's generation; rotation counts it up.
    pub robot_generation: u32,
    /// Digest of the login that was published (see `DockerConfig::login_digest`):
    /// tells an untouched Secret without a call to Harbor.
    pub login_digest: String,
}

/// A service account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedServiceAccount {
    /// The version that was read: its list of pull Secrets is replaced whole, so a change in between must be noticed.
    pub resource_version: String,
    /// Its imagePullSecrets, in order.
    pub pull_secrets: Vec<SecretName>,
}

/// What became of a login that was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginProof {
    /// Harbor's token names the robot.
    Accepted,
    /// Harbor's token is anonymous or for somebody else.
    Refused,
}

/// What Harbor itself is set to.
#[derive(Debug, Clone, Default)]
pub struct ObservedPlatform {
    /// Its version, as it says it: `v2.15.2-080b0220`.
    pub version: String,
    /// Whether it refuses every write.
    pub read_only: bool,
    /// Its configuration keys. Secrets are never among them.
    pub configuration: BTreeMap<String, ConfigurationItem>,
    /// Of the shared groups that were asked for, those that exist as OIDC groups.
    pub groups: BTreeSet<String>,
    /// Of the shared groups that were asked for, those that exist as a group of another type, with Harbor's number for it.
    pub foreign_groups: BTreeMap<String, i64>,
    /// Whether any system-level robot exists.
    pub has_robots: bool,
}

/// One key of Harbor's configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigurationItem {
    /// Its value.
    pub value: serde_json::Value,
    /// Whether Harbor lets it be changed; not when it comes from `CONFIG_OVERWRITE_JSON`.
    pub editable: bool,
}

impl ObservedPlatform {
    /// The prefix that Harbor puts before a robot's stored name; `robot$` unless configured.
    #[must_use]
    pub fn robot_prefix(&self) -> &str {
        self.configuration
            .get("robot_name_prefix")
            .and_then(|item| item.value.as_str())
            .unwrap_or("robot$")
    }
}
