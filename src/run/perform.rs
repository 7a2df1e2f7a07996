//! Performs the actions of a plan. Decides nothing: what to do was decided by the plan.

use std::sync::Arc;

use super::chance::{Chance, choose_robot_secret};
use super::target::{Cluster, ErrorClass, Harbor, Provenance, Target, TargetError};
use crate::plan::desired::{DesiredCredential, DesiredMember, DesiredSecret, DesiredTeam};
use crate::plan::docker_config::{DockerConfig, Login};
use crate::plan::observed::{ObservedRobot, ObservedTeam, SecretMark};
use crate::plan::step::Action;
use crate::values::Revision;
use crate::values::names::{GroupName, RobotName, SecretName};

/// The digest that a Secret carries while Harbor may not know its login yet. It equals no real
/// digest, so the login is tried before anybody relies on it.
const UNPROVEN: &str = "unproven";

/// What performing an action of a team needs.
pub(super) struct Performer {
    pub(super) harbor: Arc<dyn Harbor>,
    pub(super) cluster: Arc<dyn Cluster>,
    pub(super) chance: Arc<dyn Chance>,
}

/// The team that an action is for, and what the plan was made from.
pub(super) struct Context<'a> {
    pub(super) desired: &'a DesiredTeam,
    pub(super) observed: &'a ObservedTeam,
    pub(super) revision: &'a Revision,
}

impl Performer {
    /// Performs one action.
    ///
    /// # Errors
    /// As the server's call says. After an error the team has to be observed again.
    pub(super) async fn perform(&self, action: &Action, context: &Context<'_>) -> Result<(), TargetError> {
        let desired = context.desired;
        let project = &desired.project.name;
        match action {
            Action::CreateNamespace => {
                self.cluster
                    .create_namespace(&desired.namespace, &desired.team)
                    .await
            }
            Action::CreateProject => self.harbor.create_project(&desired.project).await.map(|_| ()),
            Action::UpdateProject { metadata } => self.harbor.update_project(project, metadata).await,
            Action::SetQuota { quota_id, quota } => self.harbor.set_quota(*quota_id, *quota).await,
            Action::AddMember { group } => {
                self.harbor
                    .add_member(project, wanted_member(desired, group)?)
                    .await
            }
            Action::ChangeRole { group, member_id } => {
                self.harbor
                    .change_role(project, *member_id, wanted_member(desired, group)?)
                    .await
            }
            Action::UpdateRobot { robot, robot_id } => {
                let wanted = wanted_credential(desired, robot)?;
                let held = held_robot(context, robot)?;
                self.harbor
                    .update_robot(
                        project,
                        *robot_id,
                        &held.full_name,
                        &held.description,
                        &wanted.robot,
                    )
                    .await
            }
            Action::IssueCredential { robot } => self.issue(context, robot).await,
            Action::ReplaceCredential { robot, robot_id } => self.replace(context, robot, *robot_id).await,
            Action::PublishCredential {
                robot,
                robot_id,
                source,
                secrets,
            } => {
                let login = observed_login(context, source, &full_name(context, robot)?)?;
                let publication = Publication {
                    robot_id: *robot_id,
                    login: &login,
                    known_to_harbor: true,
                };
                let wanted = wanted_credential(desired, robot)?;
                let chosen = wanted
                    .secrets
                    .iter()
                    .filter(|secret| secrets.contains(&secret.name));
                self.publish(context, &publication, chosen, Former::AsObserved)
                    .await
            }
            Action::SetPullSecrets {
                service_account,
                pull_secrets,
                resource_version,
            } => {
                self.cluster
                    .set_pull_secrets(
                        &desired.namespace,
                        service_account,
                        pull_secrets,
                        resource_version,
                    )
                    .await
            }
            Action::WriteConfiguration { .. } | Action::CreateGroup { .. } => {
                Err(stale(Target::Harbor, "carry out for team", desired.team.as_str()))
            }
        }
    }

    /// Creates the robot and publishes what Harbor answers. If the answer or the write of a Secret is
    /// lost, the robot exists and nobody knows its secret: the next plan replaces it.
    async fn issue(&self, context: &Context<'_>, robot: &RobotName) -> Result<(), TargetError> {
        let wanted = wanted_credential(context.desired, robot)?;
        let created = self
            .harbor
            .create_robot(&context.desired.project.name, &wanted.robot)
            .await?;
        let publication = Publication {
            robot_id: created.id,
            login: &created.login,
            known_to_harbor: true,
        };
        self.publish(context, &publication, wanted.secrets.iter(), Former::AsObserved)
            .await
    }

    /// Chooses a secret, writes it down, and only then sets it in Harbor: whatever is lost in between,
    /// the Secrets hold either the robot's secret or one that is marked as unproven.
    async fn replace(
        &self,
        context: &Context<'_>,
        robot: &RobotName,
        robot_id: i64,
    ) -> Result<(), TargetError> {
        let wanted = wanted_credential(context.desired, robot)?;
        let username = full_name(context, robot)?;
        let login = Login {
            username,
            password: choose_robot_secret(self.chance.as_ref()),
        };
        let chosen = Publication {
            robot_id,
            login: &login,
            known_to_harbor: false,
        };
        self.publish(context, &chosen, wanted.secrets.iter(), Former::AsObserved)
            .await?;
        self.harbor.set_robot_secret(robot_id, &login.password).await?;
        let known = Publication {
            known_to_harbor: true,
            ..chosen
        };
        self.publish(context, &known, wanted.secrets.iter(), Former::Replaced)
            .await
    }

    /// Writes a login to Secrets of its robot, keeping the entries of other registries.
    async fn publish<'a>(
        &self,
        context: &Context<'_>,
        publication: &Publication<'_>,
        secrets: impl Iterator<Item = &'a DesiredSecret>,
        standing: Former,
    ) -> Result<(), TargetError> {
        let desired = context.desired;
        for secret in secrets {
            let former = context
                .observed
                .cluster
                .as_ref()
                .and_then(|side| side.secrets.get(&secret.name));
            let merged = former
                .and_then(|held| held.content.as_ref()?.as_ref().ok().cloned())
                .unwrap_or_else(DockerConfig::empty)
                .with_login(&desired.registry_host, publication.login);
            let digest = merged
                .login_digest(&desired.registry_host)
                .filter(|_| publication.known_to_harbor);
            let provenance = Provenance {
                team: desired.team.clone(),
                revision: context.revision.clone(),
                mark: SecretMark {
                    robot_id: publication.robot_id,
                    robot_generation: 1,
                    login_digest: digest.unwrap_or_else(|| UNPROVEN.to_owned()),
                },
            };
            let former = former.filter(|_| standing == Former::AsObserved);
            self.cluster
                .apply_secret(&desired.namespace, secret, &merged, &provenance, former)
                .await?;
        }
        Ok(())
    }
}

/// A login that is written to Secrets.
#[derive(Clone, Copy)]
struct Publication<'a> {
    robot_id: i64,
    login: &'a Login,
    /// Whether Harbor takes it already.
    known_to_harbor: bool,
}

/// What stands where a Secret is written.
#[derive(Clone, Copy, PartialEq)]
enum Former {
    /// What was observed, or nothing.
    AsObserved,
    /// What was written a moment ago in this action.
    Replaced,
}

fn wanted_credential<'a>(
    desired: &'a DesiredTeam,
    robot: &RobotName,
) -> Result<&'a DesiredCredential, TargetError> {
    desired
        .credentials
        .iter()
        .find(|credential| credential.robot.name == *robot)
        .ok_or_else(|| stale(Target::Harbor, "find the declaration of robot", robot.as_str()))
}

fn wanted_member<'a>(desired: &'a DesiredTeam, group: &GroupName) -> Result<&'a DesiredMember, TargetError> {
    desired
        .members
        .iter()
        .find(|member| member.group == *group)
        .ok_or_else(|| stale(Target::Harbor, "find the declaration of member", group.as_str()))
}

fn held_robot<'a>(context: &'a Context<'_>, robot: &RobotName) -> Result<&'a ObservedRobot, TargetError> {
    context
        .observed
        .harbor
        .as_ref()
        .and_then(|side| side.robots.get(robot))
        .ok_or_else(|| stale(Target::Harbor, "find the observed robot", robot.as_str()))
}

fn full_name(context: &Context<'_>, robot: &RobotName) -> Result<String, TargetError> {
    held_robot(context, robot).map(|held| held.full_name.clone())
}

/// The login of a robot that a Secret was seen to hold.
fn observed_login(context: &Context<'_>, source: &SecretName, username: &str) -> Result<Login, TargetError> {
    context
        .observed
        .cluster
        .as_ref()
        .and_then(|side| side.secrets.get(source)?.content.as_ref()?.as_ref().ok())
        .and_then(|config| config.login_of(&context.desired.registry_host, username))
        .ok_or_else(|| stale(Target::Kubernetes, "find the login in Secret", source.as_str()))
}

/// An action that does not fit what was observed: both are made anew.
fn stale(target: Target, act: &str, object: &str) -> TargetError {
    TargetError {
        target,
        act: format!("{act} {object}"),
        class: ErrorClass::Conflict,
        message: "the plan and the observation it was made from disagree".to_owned(),
        status: None,
        retry_after: None,
        source: None,
    }
}
