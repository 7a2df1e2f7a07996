//! From what a repository says, by the parameters of the jobs, to what shall be.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::JobDeclarations;
use crate::plan::desired::{
    Access, DesiredCredential, DesiredMember, DesiredPlatform, DesiredProject, DesiredRobot, DesiredSecret,
    DesiredServiceAccount, DesiredTeam, ProjectRole, RobotLifetime, SecretForm, StorageQuota,
};
use crate::run::template::Template;
use crate::values::names::{GroupName, NameError, RegistryHost, SecretName, TeamId};

/// Parameters of `provision-team`, checked.
#[derive(Debug, Clone)]
pub(super) struct Provision {
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) storage_quota: Option<StorageQuota>,
    pub(super) members: Vec<(Template, ProjectRole)>,
    pub(super) robots: Vec<Robot>,
    pub(super) service_accounts: Vec<DesiredServiceAccount>,
}

#[derive(Debug, Clone)]
pub(super) struct Robot {
    pub(super) name: Template,
    pub(super) access: BTreeSet<Access>,
    pub(super) lifetime: RobotLifetime,
    pub(super) secrets: Vec<DesiredSecret>,
}

/// Parameters of `configure-harbor`, checked.
#[derive(Debug, Clone)]
pub(super) struct Configure {
    pub(super) configuration: BTreeMap<String, Setting>,
    pub(super) robot_prefix: Option<String>,
    pub(super) shared_groups: Vec<GroupName>,
}

/// The value of a configuration key.
#[derive(Debug, Clone)]
pub(super) enum Setting {
    Fixed(Value),
    Filled(Template),
}

/// What the platform's values say to Harbor's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformInputs {
    /// The identity provider's issuer; without one Harbor's OIDC settings are left alone.
    pub issuer: Option<String>,
    /// The OIDC client.
    pub client_id: String,
    /// The claim that becomes the user's name.
    pub user_claim: String,
    /// Whether users are made at their first login.
    pub auto_onboard: bool,
    /// Whether Harbor checks the identity provider's certificate.
    pub verify_certificate: bool,
}

impl PlatformInputs {
    /// The placeholders of `configure-harbor`.
    pub(super) const NAMES: [&str; 5] = [
        "issuer",
        "client_id",
        "user_claim",
        "auto_onboard",
        "verify_certificate",
    ];

    fn value(&self, name: &str) -> Option<Value> {
        Some(match name {
            "issuer" => Value::from(self.issuer.clone()?),
            "client_id" => Value::from(self.client_id.as_str()),
            "user_claim" => Value::from(self.user_claim.as_str()),
            "auto_onboard" => Value::from(self.auto_onboard),
            "verify_certificate" => Value::from(self.verify_certificate),
            _ => return None,
        })
    }
}

/// The placeholder of `provision-team`.
pub(super) const TEAM: &str = "team";

pub(super) fn filled(template: &Template, team: &TeamId) -> String {
    template.fill(|_| team.as_str())
}

impl JobDeclarations {
    /// What a team shall have.
    ///
    /// # Errors
    /// When a name that the job makes of the team's id is none. The job files are checked with the
    /// shortest and the longest id, so this does not happen with a [`TeamId`] between them.
    pub fn provision(
        &self,
        team: &TeamId,
        registry_host: &RegistryHost,
        own_quota: Option<StorageQuota>,
    ) -> Result<DesiredTeam, NameError> {
        let job = &self.provision;
        let members = job.members.iter().map(|(group, role)| {
            Ok(DesiredMember {
                group: GroupName::new(filled(group, team))?,
                role: *role,
            })
        });
        let credentials = job.robots.iter().map(|robot| {
            Ok(DesiredCredential {
                robot: DesiredRobot {
                    name: filled(&robot.name, team).parse()?,
                    access: robot.access.clone(),
                    lifetime: robot.lifetime,
                },
                secrets: robot.secrets.clone(),
            })
        });
        Ok(DesiredTeam {
            team: team.clone(),
            registry_host: registry_host.clone(),
            project: DesiredProject {
                name: team.prefixed().parse()?,
                metadata: job.metadata.clone(),
                storage_quota: own_quota.or(job.storage_quota),
            },
            members: members.collect::<Result<_, NameError>>()?,
            credentials: credentials.collect::<Result<_, NameError>>()?,
            namespace: team.prefixed().parse()?,
            service_accounts: job.service_accounts.clone(),
        })
    }

    /// The Secret with the login that people push with: the first of type dockerconfigjson of the first robot that
    /// may push and has one. Its name is the same for every team.
    #[must_use]
    pub fn push_secret(&self) -> Option<&SecretName> {
        let pushes = |robot: &&Robot| {
            let mut access = robot.access.iter();
            access.any(|access| access.resource == "repository" && access.action == "push")
        };
        let robots = self.provision.robots.iter().filter(pushes);
        let mut secrets = robots.flat_map(|robot| &robot.secrets);
        let secret = secrets.find(|secret| secret.form == SecretForm::DockerConfigJson)?;
        Some(&secret.name)
    }

    /// What Harbor itself shall be set to. Keys whose placeholder has no value are left out, and without an
    /// issuer all that concerns OIDC.
    #[must_use]
    pub fn configure(&self, inputs: &PlatformInputs) -> DesiredPlatform {
        let job = &self.configure;
        let without_issuer = inputs.issuer.is_none();
        let concerns_oidc =
            |key: &str| key == "auth_mode" || key == "primary_auth_mode" || key.starts_with("oidc_");
        let configuration = job
            .configuration
            .iter()
            .filter(|(key, _)| !(without_issuer && concerns_oidc(key)))
            .filter_map(|(key, setting)| Some((key.clone(), setting.value(inputs)?)))
            .collect();
        DesiredPlatform {
            configuration,
            robot_prefix: job.robot_prefix.clone(),
            shared_groups: job.shared_groups.clone(),
        }
    }
}

impl Setting {
    fn value(&self, inputs: &PlatformInputs) -> Option<Value> {
        match self {
            Self::Fixed(value) => Some(value.clone()),
            // A text that is nothing but a placeholder takes its type, a boolean's say.
            Self::Filled(template) => {
                if let Some(name) = template.whole() {
                    return inputs.value(name);
                }
                let texts: BTreeMap<&str, String> = template
                    .placeholders()
                    .map(|name| Some((name, text(&inputs.value(name)?))))
                    .collect::<Option<_>>()?;
                Some(Value::from(
                    template.fill(|name| texts.get(name).map_or("", String::as_str)),
                ))
            }
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
