//! The two servers as the engine sees them: traits that the edges implement.
//!
//! # Protocol
//! *Flow.* The engine observes, plans, and performs the plan's actions one by one
//! through these calls. After any failure it observes again before it acts again.
//!
//! *Guarantees of an implementation.* A write is sent at most once a call. An answer
//! that was lost, or any 5xx to a write, is an error of class
//! [`ErrorClass::Transient`]: whether it took effect is for the next observation to
//! tell. An object that exists already is [`ErrorClass::Conflict`].
//!
//! *Assumptions.* Calls may come from many tasks at once; an implementation holds
//! its own budget of calls in flight. Dropping a future may leave a write done or not done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{SecretSlice, SecretString};

use crate::plan::desired::{
    DesiredMember, DesiredProject, DesiredRobot, DesiredSecret, DesiredTeam, StorageQuota,
};
use crate::plan::docker_config::{DockerConfig, Login};
use crate::plan::observed::{
    LoginProof, ObservedCluster, ObservedHarbor, ObservedPlatform, ObservedSecret, SecretMark,
};
use crate::values::Revision;
use crate::values::names::{GroupName, Namespace, ProjectName, SecretName, ServiceAccountName, TeamId};

/// A server that harborage keeps in agreement with the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// Harbor's API and its token service.
    Harbor,
    /// The Kubernetes API server.
    Kubernetes,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Harbor => "Harbor",
            Self::Kubernetes => "Kubernetes",
        })
    }
}

/// What follows from an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorClass {
    /// Passes by itself: retried with jitter. Includes answers that were lost and read-only mode.
    Transient,
    /// The request will never be accepted as it is: the lane parks until a new commit.
    Rejected,
    /// The object is not in the state that the plan saw: observed again at once.
    Conflict,
    /// The server does not let us in, or not do this: everything for this target waits.
    Auth,
}

impl std::fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Transient => "transient",
            Self::Rejected => "rejected",
            Self::Conflict => "conflict",
            Self::Auth => "auth",
        })
    }
}

/// A call that failed: the act and its object, the class, and what the server said. Never holds a secret.
#[derive(Debug, thiserror::Error)]
#[error("{target} did not {act}: {message}")]
pub struct TargetError {
    /// The server.
    pub target: Target,
    /// The act and its object, as an infinitive: `create project team-demo`.
    pub act: String,
    /// What follows.
    pub class: ErrorClass,
    /// What the server said, or why there is no answer.
    pub message: String,
    /// The HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// How long the server asks us to wait.
    pub retry_after: Option<Duration>,
    /// The error underneath, when it says more.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A robot that was just created.
#[derive(Debug)]
pub struct CreatedRobot {
    /// Harbor's id of it.
    pub id: i64,
    /// The login that it signs in with; Harbor tells the secret this once.
    pub login: Login,
}

/// How much of a server an observation reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The wanted teams only, each by itself: for a few teams.
    Single,
    /// Whole lists, page by page: for many teams.
    Lists,
}

/// Harbor, as the engine uses it.
#[async_trait]
pub trait Harbor: Send + Sync {
    /// Reads version, read-only mode, configuration, and which of the named groups exist.
    async fn observe_platform(&self, groups: &[GroupName]) -> Result<ObservedPlatform, TargetError>;

    /// Reads what Harbor holds of these teams. A team that Harbor has nothing of is there, empty.
    /// Quotas are read only for teams that declare one. The prefix is the one that
    /// [`ObservedPlatform::robot_prefix`] told.
    async fn observe_teams(
        &self,
        teams: &[Arc<DesiredTeam>],
        robot_prefix: &str,
        extent: Extent,
    ) -> Result<BTreeMap<TeamId, ObservedHarbor>, TargetError>;

    /// Writes these configuration keys, and the OIDC client secret when one is given.
    async fn write_configuration(
        &self,
        changes: &BTreeMap<String, serde_json::Value>,
        client_secret: Option<&SecretString>,
    ) -> Result<(), TargetError>;

    /// Makes an OIDC user group.
    async fn create_group(&self, group: &GroupName) -> Result<(), TargetError>;

    /// Creates a project with its metadata and quota. Answers Harbor's id of it.
    async fn create_project(&self, project: &DesiredProject) -> Result<i64, TargetError>;

    /// Sets these metadata keys of a project.
    async fn update_project(
        &self,
        project: &ProjectName,
        metadata: &BTreeMap<String, String>,
    ) -> Result<(), TargetError>;

    /// Sets the storage limit of a quota row.
    async fn set_quota(&self, quota_id: i64, quota: StorageQuota) -> Result<(), TargetError>;

    /// Gives an OIDC group its role in a project.
    async fn add_member(&self, project: &ProjectName, member: &DesiredMember) -> Result<(), TargetError>;

    /// Changes the role of a membership.
    async fn change_role(
        &self,
        project: &ProjectName,
        member_id: i64,
        member: &DesiredMember,
    ) -> Result<(), TargetError>;

    /// Creates a system-level robot whose permissions cover this project.
    async fn create_robot(
        &self,
        project: &ProjectName,
        robot: &DesiredRobot,
    ) -> Result<CreatedRobot, TargetError>;

    /// Sets a robot's permissions and lifetime and enables it; keeps its description and its secret.
    async fn update_robot(
        &self,
        project: &ProjectName,
        robot_id: i64,
        full_name: &str,
        description: &str,
        robot: &DesiredRobot,
    ) -> Result<(), TargetError>;

    /// Sets a robot's secret to one that we chose.
    async fn set_robot_secret(&self, robot_id: i64, secret: &SecretString) -> Result<(), TargetError>;

    /// Tries a login at the token service. A wrong login answers 200 with an anonymous
    /// token there, so the answer is read from the token's claims.
    async fn prove_login(&self, project: &ProjectName, login: &Login) -> Result<LoginProof, TargetError>;
}

/// Where the write of a Secret comes from: kept on it as labels and annotations.
#[derive(Debug, Clone)]
pub struct Provenance {
    /// The team.
    pub team: TeamId,
    /// The commit that asked for it.
    pub revision: Revision,
    /// The robot whose login it is, and the digest of that login.
    pub mark: SecretMark,
}

/// Kubernetes, as the engine uses it.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// Reads what Kubernetes holds of these teams. A team without a namespace is there, with `namespace: false`.
    async fn observe_teams(
        &self,
        teams: &[Arc<DesiredTeam>],
        extent: Extent,
    ) -> Result<BTreeMap<TeamId, ObservedCluster>, TargetError>;

    /// Creates a namespace.
    async fn create_namespace(&self, namespace: &Namespace, team: &TeamId) -> Result<(), TargetError>;

    /// Writes a Secret by server-side apply. Where `former` has another type or is immutable
    /// it is deleted first, by its uid, since neither can be changed in place.
    async fn apply_secret(
        &self,
        namespace: &Namespace,
        secret: &DesiredSecret,
        content: &DockerConfig,
        provenance: &Provenance,
        former: Option<&ObservedSecret>,
    ) -> Result<(), TargetError>;

    /// Sets a service account's imagePullSecrets to this list. The list is replaced whole (it is atomic
    /// to server-side apply), so a version other than the one that was read is a conflict.
    async fn set_pull_secrets(
        &self,
        namespace: &Namespace,
        service_account: &ServiceAccountName,
        pull_secrets: &[SecretName],
        resource_version: &str,
    ) -> Result<(), TargetError>;
}

/// Kubernetes, as the download of push logins uses it.
#[async_trait]
pub trait PushLogins: Send + Sync {
    /// Reads the docker configuration of a Secret of type `kubernetes.io/dockerconfigjson`, byte by byte as it is.
    /// `None` where there is no such Secret, or it holds no docker configuration.
    async fn docker_config(
        &self,
        namespace: &Namespace,
        secret: &SecretName,
    ) -> Result<Option<SecretSlice<u8>>, TargetError>;
}
