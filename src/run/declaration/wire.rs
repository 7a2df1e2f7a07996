//! Job files as they are written. What they say is checked in [`super::check`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_yaml::Spanned;

use crate::plan::desired::ProjectRole;
use crate::plan::step::Operation;

/// A job that carries out steps.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JobFile<P> {
    /// The job's name; that of the file.
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
    /// What it is for, in a sentence.
    pub(super) description: String,
    /// What one run of it is about.
    #[schemars(with = "Scope")]
    pub(super) scope: Spanned<Scope>,
    /// When it runs.
    pub(super) triggers: Triggers,
    /// When a failed run is repeated.
    #[serde(default)]
    pub(super) retry: Retry,
    /// How long one step may take, such as `1m`.
    #[schemars(with = "String")]
    pub(super) timeout: Spanned<String>,
    /// What is done, in this order.
    pub(super) steps: Vec<Step>,
    /// What the steps work with.
    pub(super) parameters: P,
}

/// A job that repairs what others made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RepairFile {
    /// The job's name; that of the file.
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
    /// What it is for, in a sentence.
    pub(super) description: String,
    /// When it runs.
    pub(super) triggers: Triggers,
    /// The jobs whose steps it carries out where something drifted.
    #[schemars(with = "Vec<String>")]
    pub(super) repairs: Vec<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Scope {
    /// Once.
    Platform,
    /// For each team.
    Team,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Triggers {
    /// When a commit changes what the job works on.
    #[serde(default)]
    pub(super) commit: bool,
    /// At these times, in UTC: five fields as in a crontab, or six with seconds first, or `@hourly` and the like.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) schedule: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retry {
    /// The longest wait after the first failure; the wait itself is random below it.
    #[schemars(with = "String")]
    pub(super) first: Spanned<String>,
    /// What the longest wait is multiplied with after each further failure, at least 1.
    #[schemars(with = "f64", range(min = 1.0))]
    pub(super) factor: Spanned<f64>,
    /// The longest wait at all.
    #[schemars(with = "String")]
    pub(super) max: Spanned<String>,
    /// Attempts before the lane parks, at least 1.
    #[schemars(with = "u32", range(min = 1))]
    pub(super) attempts: Spanned<u32>,
}

impl Default for Retry {
    fn default() -> Self {
        let unknown = serde_yaml::Location::UNKNOWN;
        let text = |text: &str| Spanned::new(text.to_owned(), unknown, unknown);
        Self {
            first: text("1s"),
            factor: Spanned::new(2.0, unknown, unknown),
            max: text("5m"),
            attempts: Spanned::new(10, unknown, unknown),
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    /// The operation, written in Rust.
    #[schemars(with = "Operation")]
    pub(super) operation: Spanned<Operation>,
    /// The operations that must have succeeded before.
    #[serde(default)]
    #[schemars(with = "Vec<Operation>")]
    pub(super) needs: Vec<Spanned<Operation>>,
}

/// What `provision-team` works with.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProvisionParameters {
    /// The team's Harbor project.
    pub(super) project: Project,
    /// The groups that have a role in it.
    pub(super) members: Vec<Member>,
    /// The robots, each with the Secrets that carry its login.
    pub(super) robots: Vec<Robot>,
    /// The service accounts that pull with some of those Secrets.
    #[serde(default)]
    pub(super) service_accounts: Vec<ServiceAccount>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Project {
    /// Metadata that shall hold, all of it text.
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
    /// The storage that a team may use, such as `100Gi`, or `unlimited`; a team's own goes before it.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) storage_quota: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Member {
    /// The group, with `{team}` for the team's id.
    #[schemars(with = "String")]
    pub(super) group: Spanned<String>,
    /// Its role.
    pub(super) role: ProjectRole,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Robot {
    /// The robot's name without prefix, with `{team}` for the team's id.
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
    /// What it may do in the team's project, such as `repository:pull`.
    #[schemars(with = "Vec<String>")]
    pub(super) access: Vec<Spanned<String>>,
    /// `never`, or a number of days such as `90d`.
    #[schemars(with = "String")]
    pub(super) expires: Spanned<String>,
    /// The Secrets in the team's namespace that carry its login; at least one.
    pub(super) secrets: Vec<Secret>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Secret {
    /// The Secret's name.
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
    /// Its form.
    pub(super) form: Form,
    /// The key, for an opaque Secret.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) key: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    /// Type `kubernetes.io/dockerconfigjson`, which pods can pull with.
    DockerConfigJson,
    /// Type `Opaque`, under a key of its own.
    Opaque,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceAccount {
    /// The service account's name.
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
    /// The Secrets that must be among its imagePullSecrets.
    #[schemars(with = "Vec<String>")]
    pub(super) pull_secrets: Vec<Spanned<String>>,
}

/// What `configure-harbor` works with.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigureParameters {
    /// Harbor's configuration keys. A text in braces stands for a value of the platform: `{issuer}`, `{client_id}`,
    /// `{user_claim}`, `{auto_onboard}`, `{verify_certificate}`.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub(super) configuration: BTreeMap<String, Spanned<serde_json::Value>>,
    /// The robot name prefix; taken over only while Harbor has no robot.
    #[serde(default)]
    pub(super) robot_name_prefix: Option<String>,
    /// Groups with a role in many projects, made beforehand.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(super) shared_groups: Vec<Spanned<String>>,
}

/// Every kind of job file, for the schema.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "read by the schema alone")]
pub(super) enum AnyJobFile {
    /// `configure-harbor.yaml`
    Configure(JobFile<ConfigureParameters>),
    /// `provision-team.yaml`
    Provision(JobFile<ProvisionParameters>),
    /// `repair-drift.yaml`
    Repair(RepairFile),
}
