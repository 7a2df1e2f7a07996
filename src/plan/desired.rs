//! The desired state: what one team, and the platform once, shall have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use crate::values::StorageQuota;
use crate::values::names::{
    GroupName, Namespace, ProjectName, RegistryHost, RobotName, SecretName, ServiceAccountName, TeamId,
};

/// Everything that one team shall have in Harbor and Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredTeam {
    /// The team.
    pub team: TeamId,
    /// The host that image references, and so the Secrets' logins, name.
    pub registry_host: RegistryHost,
    /// The team's Harbor project.
    pub project: DesiredProject,
    /// The groups that shall have a role in the project. Members that it does not name are left alone.
    pub members: Vec<DesiredMember>,
    /// The robots, each with the Secrets that carry its login.
    pub credentials: Vec<DesiredCredential>,
    /// The team's Kubernetes namespace.
    pub namespace: Namespace,
    /// The service accounts that pull with some of those Secrets.
    pub service_accounts: Vec<DesiredServiceAccount>,
}

impl DesiredTeam {
    /// Digest of everything above: equal for two commits that ask for the same.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self)
    }
}

/// A Harbor project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredProject {
    /// The project's name, `team-<id>`.
    pub name: ProjectName,
    /// Metadata that shall hold, such as `public: "false"`. Harbor keeps it as text; keys not named here are left alone.
    pub metadata: BTreeMap<String, String>,
    /// Storage that the project may use. `None` leaves Harbor's own default, and whatever is set there, alone.
    pub storage_quota: Option<StorageQuota>,
}

/// An OIDC group with a role in the team's project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredMember {
    /// The group, as the groups claim of the identity provider spells it.
    pub group: GroupName,
    /// What the group may do.
    pub role: ProjectRole,
}

/// Harbor's project roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectRole {
    /// Role 1.
    ProjectAdmin,
    /// Role 2: push and pull.
    Developer,
    /// Role 3: pull.
    Guest,
    /// Role 4: developer who also scans, deletes and replicates.
    Maintainer,
    /// Role 5: pull, without a view of the project's logs and members.
    LimitedGuest,
}

impl ProjectRole {
    /// Harbor's number for the role. Harbor stores any number on PUT, so it is never taken from elsewhere.
    #[must_use]
    pub fn id(self) -> i64 {
        match self {
            Self::ProjectAdmin => 1,
            Self::Developer => 2,
            Self::Guest => 3,
            Self::Maintainer => 4,
            Self::LimitedGuest => 5,
        }
    }

    /// The role of a number, when Harbor knows it.
    #[must_use]
    pub fn of_id(id: i64) -> Option<Self> {
        [
            Self::ProjectAdmin,
            Self::Developer,
            Self::Guest,
            Self::Maintainer,
            Self::LimitedGuest,
        ]
        .into_iter()
        .find(|role| role.id() == id)
    }

    /// The role as people say it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::ProjectAdmin => "project admin",
            Self::Developer => "developer",
            Self::Guest => "guest",
            Self::Maintainer => "maintainer",
            Self::LimitedGuest => "limited guest",
        }
    }
}

/// A robot and the Secrets that carry its login. A robot without a Secret can't
/// be said here, since nobody would ever know its login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredCredential {
    /// The robot.
    pub robot: DesiredRobot,
    /// At least one Secret in the team's namespace.
    pub secrets: Vec<DesiredSecret>,
}

/// A system-level robot whose permissions cover the team's project alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredRobot {
    /// The name that Harbor stores, without the robot prefix.
    pub name: RobotName,
    /// What it may do in the team's project.
    pub access: BTreeSet<Access>,
    /// How long it lives.
    pub lifetime: RobotLifetime,
}

/// One permission of a robot, written `resource:action`, such as `repository:pull`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Access {
    /// Harbor's resource, such as `repository`.
    pub resource: String,
    /// Harbor's action, such as `pull`.
    pub action: String,
}

impl TryFrom<String> for Access {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(':') {
            Some((resource, action))
                if !resource.is_empty() && !action.is_empty() && !action.contains(':') =>
            {
                Ok(Self {
                    resource: resource.to_owned(),
                    action: action.to_owned(),
                })
            }
            _ => Err(format!(
                "access {text:?} must be written resource:action, such as repository:pull"
            )),
        }
    }
}

impl From<Access> for String {
    fn from(access: Access) -> Self {
        access.to_string()
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource, self.action)
    }
}

/// How long a robot lives from its creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RobotLifetime {
    /// It never expires; Harbor's `-1`.
    Never,
    /// It expires this many days after its creation, at least 1.
    Days(u32),
}

impl RobotLifetime {
    /// Harbor's number of days, `-1` for never.
    #[must_use]
    pub fn as_harbor(self) -> i64 {
        match self {
            Self::Never => -1,
            Self::Days(days) => i64::from(days),
        }
    }
}

/// A Secret that carries the login of one robot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredSecret {
    /// The Secret, in the team's namespace.
    pub name: SecretName,
    /// Its type, and the key that holds the docker configuration.
    pub form: SecretForm,
}

/// The forms in which a docker configuration is kept in a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretForm {
    /// Type `kubernetes.io/dockerconfigjson`, key `.dockerconfigjson`.
    DockerConfigJson,
    /// Type `Opaque`, under a key of its own, such as `config.json`.
    Opaque {
        /// The key of the Secret's data.
        key: String,
    },
}

impl SecretForm {
    /// The Secret's `type`.
    #[must_use]
    pub fn secret_type(&self) -> &'static str {
        match self {
            Self::DockerConfigJson => "kubernetes.io/dockerconfigjson",
            Self::Opaque { .. } => "Opaque",
        }
    }

    /// The key of the Secret's data.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::DockerConfigJson => ".dockerconfigjson",
            Self::Opaque { key } => key,
        }
    }
}

/// A service account that shall pull with some Secrets. Its other entries are left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredServiceAccount {
    /// The service account, in the team's namespace.
    pub name: ServiceAccountName,
    /// The Secrets that must be among its imagePullSecrets.
    pub pull_secrets: Vec<SecretName>,
}

/// What Harbor itself shall be set to, once for the platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DesiredPlatform {
    /// Harbor's configuration keys and their values. Keys that this Harbor does not list are skipped.
    pub configuration: BTreeMap<String, serde_json::Value>,
    /// The robot name prefix; taken over only while Harbor has no robot, since it renames them all.
    pub robot_prefix: Option<String>,
    /// Groups that members of many projects share, made once beforehand
    /// (Harbor answers 500 when several projects name a new group at the same time).
    pub shared_groups: Vec<GroupName>,
}

impl DesiredPlatform {
    /// Digest of everything above.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self)
    }
}

/// SHA-256 of a desired state, 64 hexadecimal digits.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    pub(crate) fn of(value: &impl Serialize) -> Self {
        // A value of these types always serialises: no map has other keys than text.
        let text = serde_json::to_vec(value).unwrap_or_default();
        Self(hex::encode(Sha256::digest(text)))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.get(..12).unwrap_or(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
