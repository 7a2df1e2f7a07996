//! The operations that a job can name, and the steps that a plan is made of.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::desired::StorageQuota;
use crate::values::names::{GroupName, RobotName, SecretName, ServiceAccountName};

/// An operation written in Rust that a job file names as a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Harbor's own configuration is as the platform's values ask.
    EnsureConfiguration,
    /// The groups that many projects share exist.
    EnsureSharedGroups,
    /// The team's namespace exists: waited for, or created where that is allowed.
    EnsureNamespace,
    /// The team's project exists, with its metadata.
    EnsureProject,
    /// The project's storage quota is the declared one.
    EnsureQuota,
    /// The groups have their roles in the project.
    EnsureMembers,
    /// The robots exist with their permissions, and the Secrets carry logins that work.
    EnsureCredentials,
    /// The service accounts pull with the team's Secrets.
    EnsureServiceAccounts,
}

impl Operation {
    /// Every operation, in the order in which they make sense.
    pub const ALL: [Self; 8] = [
        Self::EnsureConfiguration,
        Self::EnsureSharedGroups,
        Self::EnsureNamespace,
        Self::EnsureProject,
        Self::EnsureQuota,
        Self::EnsureMembers,
        Self::EnsureCredentials,
        Self::EnsureServiceAccounts,
    ];

    /// The name that job files use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EnsureConfiguration => "ensure-configuration",
            Self::EnsureSharedGroups => "ensure-shared-groups",
            Self::EnsureNamespace => "ensure-namespace",
            Self::EnsureProject => "ensure-project",
            Self::EnsureQuota => "ensure-quota",
            Self::EnsureMembers => "ensure-members",
            Self::EnsureCredentials => "ensure-credentials",
            Self::EnsureServiceAccounts => "ensure-service-accounts",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One line of a plan: an object, what is to become of it, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The operation that this step is part of.
    pub operation: Operation,
    /// The object, as people say it: `project team-demo`, `robot team-demo-pull`, `Secret harbor-pullsecret`.
    pub object: String,
    /// What becomes of the object.
    pub verdict: Verdict,
    /// Why, as the end of a sentence: `it does not exist`, `its role is guest, not developer`. Never holds a secret.
    pub why: String,
    /// What is done about it; `None` when nothing has to be, or nothing can be yet, or when another step's
    /// action does it along: the Secrets of a robot are written when it gets its login.
    pub action: Option<Action>,
}

/// What becomes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is right as it is.
    Keep,
    /// It does not exist and is created.
    Create,
    /// It exists and is changed.
    Change,
    /// Somebody else made it, it is right, and from now on it is looked after.
    Adopt,
    /// It can't be done before something outside harborage happens, such as a namespace that appears.
    Wait,
    /// It differs and harborage may not change it; a person has to.
    Report,
}

/// What is done for a step. Names objects; holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
pub enum Action {
    /// Write these keys to Harbor's configuration, and no others.
    WriteConfiguration {
        /// The keys that differ, with their new values.
        changes: BTreeMap<String, serde_json::Value>,
        /// Whether the OIDC client secret goes along, since the client differs. It can't be read back, so it never differs by itself.
        with_client_secret: bool,
    },
    /// Make an OIDC user group.
    CreateGroup {
        /// The group.
        group: GroupName,
    },
    /// Create the team's namespace.
    CreateNamespace,
    /// Create the team's project, with its metadata and quota.
    CreateProject,
    /// Set these metadata keys of the project.
    UpdateProject {
        /// The keys that differ, with their new values.
        metadata: BTreeMap<String, String>,
    },
    /// Set the project's storage quota.
    SetQuota {
        /// Harbor's id of the quota row.
        quota_id: i64,
        /// The new limit.
        quota: StorageQuota,
    },
    /// Give a group its role.
    AddMember {
        /// The group; its role is in the desired state.
        group: GroupName,
    },
    /// Change a group's role.
    ChangeRole {
        /// The group; its role is in the desired state.
        group: GroupName,
        /// Harbor's id of the membership.
        member_id: i64,
    },
    /// Set a robot's permissions, lifetime and enabled flag. Its secret stays.
    UpdateRobot {
        /// The robot.
        robot: RobotName,
        /// Harbor's id of it.
        robot_id: i64,
    },
    /// Create a robot and write the secret that Harbor answers with to its Secrets at once.
    IssueCredential {
        /// The robot.
        robot: RobotName,
    },
    /// Choose a new secret for a robot that exists, write it to the robot's Secrets, then set it in Harbor.
    ReplaceCredential {
        /// The robot.
        robot: RobotName,
        /// Harbor's id of it.
        robot_id: i64,
    },
    /// Write a login that is known to work to Secrets that lack it. The credential does not change.
    PublishCredential {
        /// The robot.
        robot: RobotName,
        /// Harbor's id of it.
        robot_id: i64,
        /// The Secret whose login works.
        source: SecretName,
        /// The Secrets that are written; may include the source, to mark it or to clean it.
        secrets: Vec<SecretName>,
    },
    /// Give a service account these imagePullSecrets, those of others among them.
    SetPullSecrets {
        /// The service account.
        service_account: ServiceAccountName,
        /// The whole list after the change.
        pull_secrets: Vec<SecretName>,
        /// The version that the list was read at.
        resource_version: String,
    },
}
