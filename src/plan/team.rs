//! The plan of one team: a pure function of what is desired and what was observed.

use serde::Serialize;

use super::credential;
use super::desired::{DesiredServiceAccount, DesiredTeam};
use super::observed::{ObservedCluster, ObservedHarbor, ObservedTeam};
use super::step::{Action, Operation, Step, Verdict};
use crate::values::names::{SecretName, TeamId};

/// What plans may do.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlanOptions {
    /// Create a namespace that is missing. Otherwise it is waited for.
    pub create_namespaces: bool,
}

/// What becomes of every object of one team.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TeamPlan {
    /// The team.
    pub team: TeamId,
    /// A line for each object, in the order in which objects need one another.
    pub steps: Vec<Step>,
    #[serde(skip)]
    settles: bool,
}

impl TeamPlan {
    /// Whether the team is as desired once every action of the plan is done. When not, another
    /// observation and plan have to follow: a disabled robot's login can't be tried, for instance.
    #[must_use]
    pub fn settles(&self) -> bool {
        self.settles
    }

    /// Whether nothing has to be done and nothing is waited for or reported.
    #[must_use]
    pub fn is_converged(&self) -> bool {
        self.steps.iter().all(|step| step.verdict == Verdict::Keep)
    }
}

/// Plans one team.
#[must_use]
pub fn plan_team(desired: &DesiredTeam, observed: &ObservedTeam, options: PlanOptions) -> TeamPlan {
    let mut steps = Vec::new();
    let mut settles = true;
    let secrets_writable = namespace(desired, observed.cluster.as_ref(), options, &mut steps);
    match &observed.harbor {
        None => steps.push(step(
            Operation::EnsureProject,
            format!("project {}", desired.project.name),
            Verdict::Wait,
            "Harbor could not be read",
            None,
        )),
        Some(harbor) => {
            project(desired, harbor, &mut steps);
            members(desired, harbor, &mut steps);
            for wanted in &desired.credentials {
                let (of_this, settled) =
                    credential::steps(desired, wanted, harbor, observed, secrets_writable);
                steps.extend(of_this);
                settles &= settled;
            }
        }
    }
    for wanted in &desired.service_accounts {
        steps.push(service_account(
            desired,
            wanted,
            observed.cluster.as_ref(),
            secrets_writable,
        ));
    }
    TeamPlan {
        team: desired.team.clone(),
        steps,
        settles,
    }
}

/// The namespace's step, and whether Secrets can be written into it after the step is done.
fn namespace(
    desired: &DesiredTeam,
    cluster: Option<&ObservedCluster>,
    options: PlanOptions,
    steps: &mut Vec<Step>,
) -> Result<(), &'static str> {
    let object = format!("namespace {}", desired.namespace);
    let (verdict, why, action, writable) = match cluster {
        None => (
            Verdict::Wait,
            "Kubernetes could not be read",
            None,
            Err("Kubernetes could not be read"),
        ),
        Some(cluster) if cluster.namespace => (Verdict::Keep, "it exists", None, Ok(())),
        Some(_) if options.create_namespaces => (
            Verdict::Create,
            "it does not exist",
            Some(Action::CreateNamespace),
            Ok(()),
        ),
        Some(_) => (
            Verdict::Wait,
            "it does not exist yet",
            None,
            Err("its namespace does not exist yet"),
        ),
    };
    steps.push(step(Operation::EnsureNamespace, object, verdict, why, action));
    writable
}

fn project(desired: &DesiredTeam, harbor: &ObservedHarbor, steps: &mut Vec<Step>) {
    let object = format!("project {}", desired.project.name);
    let Some(held) = &harbor.project else {
        let action = Some(Action::CreateProject);
        steps.push(step(
            Operation::EnsureProject,
            object,
            Verdict::Create,
            "it does not exist",
            action,
        ));
        return;
    };
    let differing: std::collections::BTreeMap<_, _> = desired
        .project
        .metadata
        .iter()
        .filter(|(key, value)| held.metadata.get(*key) != Some(*value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    steps.push(if differing.is_empty() {
        step(
            Operation::EnsureProject,
            object.clone(),
            Verdict::Keep,
            "it is as declared",
            None,
        )
    } else {
        let why = differing
            .iter()
            .map(|(key, value)| match held.metadata.get(key) {
                Some(other) => format!("its {key} is {other}, not {value}"),
                None => format!("its {key} is not set to {value}"),
            })
            .collect::<Vec<_>>()
            .join(", ");
        let action = Some(Action::UpdateProject { metadata: differing });
        step(
            Operation::EnsureProject,
            object.clone(),
            Verdict::Change,
            &why,
            action,
        )
    });
    let Some(quota) = desired.project.storage_quota else {
        return;
    };
    let object = format!("quota of {object}");
    steps.push(match &held.quota {
        Some(row) if row.storage == quota.as_harbor() => step(
            Operation::EnsureQuota,
            object,
            Verdict::Keep,
            "it is as declared",
            None,
        ),
        Some(row) => {
            let why = format!("it is {}, not {}", bytes(row.storage), bytes(quota.as_harbor()));
            let action = Some(Action::SetQuota {
                quota_id: row.id,
                quota,
            });
            step(Operation::EnsureQuota, object, Verdict::Change, &why, action)
        }
        None => step(
            Operation::EnsureQuota,
            object,
            Verdict::Report,
            "Harbor keeps no quota for the project",
            None,
        ),
    });
}

fn bytes(storage: i64) -> String {
    if storage < 0 {
        "unlimited".to_owned()
    } else {
        format!("{storage} bytes")
    }
}

fn members(desired: &DesiredTeam, harbor: &ObservedHarbor, steps: &mut Vec<Step>) {
    for member in &desired.members {
        let object = format!("member {}", member.group);
        // A member whose stored role Harbor does not know is missing from its list; adding it again repairs it.
        let held = harbor
            .members
            .iter()
            .find(|held| held.is_group && held.name == member.group.as_str());
        steps.push(match held {
            None => {
                let why = format!("it is not in the project; it becomes {}", member.role.label());
                let action = Some(Action::AddMember {
                    group: member.group.clone(),
                });
                step(Operation::EnsureMembers, object, Verdict::Create, &why, action)
            }
            Some(held) if held.role_id == member.role.id() => step(
                Operation::EnsureMembers,
                object,
                Verdict::Keep,
                "its role is as declared",
                None,
            ),
            Some(held) => {
                let why = format!("its role is {}, not {}", role(held.role_id), member.role.label());
                let action = Some(Action::ChangeRole {
                    group: member.group.clone(),
                    member_id: held.id,
                });
                step(Operation::EnsureMembers, object, Verdict::Change, &why, action)
            }
        });
    }
}

fn role(id: i64) -> String {
    super::desired::ProjectRole::of_id(id)
        .map_or_else(|| format!("number {id}"), |role| role.label().to_owned())
}

/// Every pod pulls with what its service account names: it has to name the declared Secrets, and none that
/// carries another of the team's logins, as that for pushing. What others put there stays.
fn service_account(
    desired: &DesiredTeam,
    wanted: &DesiredServiceAccount,
    cluster: Option<&ObservedCluster>,
    secrets_writable: Result<(), &str>,
) -> Step {
    let object = format!("service account {}", wanted.name);
    let step =
        |verdict, why: &str, action| step(Operation::EnsureServiceAccounts, object, verdict, why, action);
    let held = match (
        secrets_writable,
        cluster.and_then(|side| side.service_accounts.get(&wanted.name)),
    ) {
        (Err(why), _) => return step(Verdict::Wait, why, None),
        (Ok(()), None) => return step(Verdict::Wait, "it does not exist yet", None),
        (Ok(()), Some(held)) => held,
    };
    let lacking: Vec<&SecretName> = wanted
        .pull_secrets
        .iter()
        .filter(|secret| !held.pull_secrets.contains(secret))
        .collect();
    let of_team = |secret: &&SecretName| {
        let mut secrets = desired
            .credentials
            .iter()
            .flat_map(|credential| &credential.secrets);
        secrets.any(|own| own.name == **secret)
    };
    let (surplus, kept): (Vec<&SecretName>, Vec<&SecretName>) = held
        .pull_secrets
        .iter()
        .partition(|secret| of_team(secret) && !wanted.pull_secrets.contains(secret));
    let reasons = [
        ("it does not pull with", &lacking),
        ("every pod can use", &surplus),
    ];
    let reasons: Vec<String> = reasons
        .iter()
        .filter(|(_, secrets)| !secrets.is_empty())
        .map(|(what, secrets)| format!("{what} {}", listed(secrets)))
        .collect();
    if reasons.is_empty() {
        return step(Verdict::Keep, "it pulls with the declared Secrets", None);
    }
    let action = Action::SetPullSecrets {
        service_account: wanted.name.clone(),
        pull_secrets: kept.into_iter().chain(lacking).cloned().collect(),
        resource_version: held.resource_version.clone(),
    };
    step(Verdict::Change, &reasons.join(", and "), Some(action))
}

fn listed(names: &[&SecretName]) -> String {
    let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    names.join(", ")
}

fn step(operation: Operation, object: String, verdict: Verdict, why: &str, action: Option<Action>) -> Step {
    Step {
        operation,
        object,
        verdict,
        why: why.to_owned(),
        action,
    }
}
