//! A Harbor and a Kubernetes small enough to be drawn at random, for the tests of convergence.
//!
//! It answers as the real servers were seen to answer, as far as one team is concerned, and performs
//! actions write by write, so that a test can let the lights go out between any two of them.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};
use secrecy::{ExposeSecret as _, SecretString};

use super::desired::{DesiredCredential, DesiredMember, DesiredSecret, DesiredTeam, StorageQuota};
use super::docker_config::{DockerConfig, Login};
use super::observed::{
    LoginProof, ObservedCluster, ObservedHarbor, ObservedMember, ObservedPermission, ObservedProject,
    ObservedQuota, ObservedRobot, ObservedSecret, ObservedServiceAccount, ObservedTeam, SecretMark,
};
use super::step::Action;
use super::{PlanOptions, TeamPlan, logins_to_prove, plan_team};
use crate::values::names::{RobotName, SecretName};

/// The power failed before this write.
#[derive(Debug)]
pub(super) struct Outage;

/// Everything that the servers hold of one team.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) now: DateTime<Utc>,
    pub(super) robot_prefix: &'static str,
    pub(super) project: Option<ObservedProject>,
    pub(super) members: Vec<ObservedMember>,
    pub(super) robots: BTreeMap<RobotName, ModelRobot>,
    pub(super) cluster: ObservedCluster,
    /// Writes that are let through before the next outage; `None` for as many as come.
    pub(super) fuel: Option<usize>,
    /// Writes that were made.
    pub(super) writes: usize,
    pub(super) last_id: i64,
}

/// A robot as Harbor keeps it: with what it never tells.
#[derive(Debug, Clone)]
pub(super) struct ModelRobot {
    pub(super) seen: ObservedRobot,
    pub(super) secret: String,
    pub(super) created: DateTime<Utc>,
}

impl World {
    pub(super) fn observe(&self) -> ObservedTeam {
        ObservedTeam {
            at: self.now,
            harbor: Some(ObservedHarbor {
                project: self.project.clone(),
                // Harbor's list leaves out a member whose stored role it does not know.
                members: self
                    .members
                    .iter()
                    .filter(|member| (1..=5).contains(&member.role_id))
                    .cloned()
                    .collect(),
                robots: self
                    .robots
                    .iter()
                    .map(|(name, robot)| (name.clone(), robot.seen.clone()))
                    .collect(),
            }),
            cluster: Some(if self.cluster.namespace {
                self.cluster.clone()
            } else {
                ObservedCluster::default()
            }),
            proofs: BTreeMap::new(),
        }
    }

    pub(super) fn prove(&self, login: &Login) -> LoginProof {
        let known = self.robots.values().any(|robot| {
            robot.seen.full_name == login.username
                && robot.secret == login.password.expose_secret()
                && !robot.seen.disabled
                && robot.seen.expires_at.is_none_or(|end| end > self.now)
        });
        if known {
            LoginProof::Accepted
        } else {
            LoginProof::Refused
        }
    }

    /// One round of the engine: observe, prove, plan, perform.
    pub(super) fn round(&mut self, desired: &DesiredTeam, options: PlanOptions) -> TeamPlan {
        let mut observed = self.observe();
        for wanted in logins_to_prove(desired, &observed) {
            let proof = self.prove(&wanted.login);
            observed.proofs.insert(wanted.secret, proof);
        }
        let plan = plan_team(desired, &observed, options);
        for action in plan.steps.iter().filter_map(|step| step.action.as_ref()) {
            if self.perform(desired, &observed, action).is_err() {
                break;
            }
        }
        plan
    }

    fn write(&mut self) -> Result<(), Outage> {
        if self.fuel == Some(0) {
            return Err(Outage);
        }
        self.fuel = self.fuel.map(|fuel| fuel - 1);
        self.writes += 1;
        Ok(())
    }

    fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    fn perform(
        &mut self,
        desired: &DesiredTeam,
        observed: &ObservedTeam,
        action: &Action,
    ) -> Result<(), Outage> {
        match action {
            Action::CreateNamespace => {
                self.write()?;
                self.cluster.namespace = true;
            }
            Action::CreateProject => {
                self.write()?;
                assert!(self.project.is_none(), "a project is made twice");
                let (id, quota_id) = (self.next_id(), self.next_id());
                let storage = desired.project.storage_quota.map_or(-1, StorageQuota::as_harbor);
                self.project = Some(ObservedProject {
                    id,
                    metadata: desired.project.metadata.clone(),
                    quota: Some(ObservedQuota {
                        id: quota_id,
                        storage,
                    }),
                });
            }
            Action::UpdateProject { metadata } => {
                self.write()?;
                self.project.as_mut().unwrap().metadata.extend(metadata.clone());
            }
            Action::SetQuota { quota_id, quota } => {
                self.write()?;
                let row = self.project.as_mut().unwrap().quota.as_mut().unwrap();
                assert_eq!(row.id, *quota_id);
                row.storage = quota.as_harbor();
            }
            Action::AddMember { group } => {
                self.write()?;
                let wanted = member(desired, group.as_str());
                let id = self.next_id();
                // Adding a member whose stored role Harbor does not know repairs it.
                self.members
                    .retain(|held| !(held.is_group && held.name == group.as_str()));
                self.members.push(ObservedMember {
                    id,
                    name: group.to_string(),
                    is_group: true,
                    role_id: wanted.role.id(),
                });
            }
            Action::ChangeRole { group, member_id } => {
                self.write()?;
                let held = self.members.iter_mut().find(|held| held.id == *member_id);
                held.unwrap().role_id = member(desired, group.as_str()).role.id();
            }
            Action::UpdateRobot { robot, robot_id } => self.update_robot(desired, robot, *robot_id)?,
            Action::IssueCredential { robot } => self.issue(desired, observed, robot)?,
            Action::ReplaceCredential { robot, robot_id } => {
                self.replace(desired, observed, robot, *robot_id)?;
            }
            Action::PublishCredential {
                robot,
                robot_id,
                source,
                secrets,
            } => {
                let held = &observed.cluster.as_ref().unwrap().secrets[source];
                let config = held.content.as_ref().unwrap().as_ref().unwrap();
                let username = &self.robots[robot].seen.full_name;
                let login = config.login_of(&desired.registry_host, username).unwrap();
                for secret in &credential(desired, robot).secrets {
                    if secrets.contains(&secret.name) {
                        self.apply(desired, observed, secret, *robot_id, &login, true)?;
                    }
                }
            }
            Action::SetPullSecrets {
                service_account,
                pull_secrets,
                ..
            } => {
                self.write()?;
                let account = self.cluster.service_accounts.get_mut(service_account).unwrap();
                account.pull_secrets.clone_from(pull_secrets);
            }
            Action::WriteConfiguration { .. } | Action::CreateGroup { .. } => {
                unreachable!("the platform's")
            }
        }
        Ok(())
    }

    fn update_robot(&mut self, desired: &DesiredTeam, name: &RobotName, id: i64) -> Result<(), Outage> {
        self.write()?;
        let wanted = &credential(desired, name).robot;
        let robot = self.robots.get_mut(name).unwrap();
        assert!(robot.seen.id == id && robot.seen.editable);
        robot.seen.disabled = false;
        robot.seen.duration = wanted.lifetime.as_harbor();
        robot.seen.expires_at = expiry(robot.created, robot.seen.duration);
        robot.seen.permissions = permissions(desired, name);
        Ok(())
    }

    fn issue(
        &mut self,
        desired: &DesiredTeam,
        observed: &ObservedTeam,
        name: &RobotName,
    ) -> Result<(), Outage> {
        self.write()?;
        assert!(!self.robots.contains_key(name), "a robot is made twice");
        let id = self.next_id();
        let robot = self.robot(desired, name, id, &format!("Made-By-Harbor-{id}"));
        let login = Login {
            username: robot.seen.full_name.clone(),
            password: SecretString::from(robot.secret.as_str()),
        };
        self.robots.insert(name.clone(), robot);
        for secret in &credential(desired, name).secrets {
            self.apply(desired, observed, secret, id, &login, true)?;
        }
        Ok(())
    }

    fn replace(
        &mut self,
        desired: &DesiredTeam,
        observed: &ObservedTeam,
        name: &RobotName,
        id: i64,
    ) -> Result<(), Outage> {
        let chosen = format!("Chosen-By-Us-{}", self.next_id());
        let login = Login {
            username: self.robots[name].seen.full_name.clone(),
            password: SecretString::from(chosen.as_str()),
        };
        for secret in &credential(desired, name).secrets {
            self.apply(desired, observed, secret, id, &login, false)?;
        }
        self.write()?;
        let robot = self.robots.get_mut(name).unwrap();
        assert!(robot.seen.id == id && robot.seen.editable);
        robot.secret = chosen;
        for secret in &credential(desired, name).secrets {
            self.apply(desired, observed, secret, id, &login, true)?;
        }
        Ok(())
    }

    fn apply(
        &mut self,
        desired: &DesiredTeam,
        observed: &ObservedTeam,
        secret: &DesiredSecret,
        robot_id: i64,
        login: &Login,
        known_to_harbor: bool,
    ) -> Result<(), Outage> {
        let held = observed
            .cluster
            .as_ref()
            .and_then(|side| side.secrets.get(&secret.name));
        let content = held
            .and_then(|held| held.content.as_ref()?.as_ref().ok().cloned())
            .unwrap_or_else(DockerConfig::empty)
            .with_login(&desired.registry_host, login);
        self.write()?;
        assert!(
            self.cluster.namespace,
            "a Secret is written without its namespace"
        );
        let digest = content.login_digest(&desired.registry_host).unwrap();
        let written = ObservedSecret {
            uid: "uid".to_owned(),
            resource_version: self.next_id().to_string(),
            secret_type: secret.form.secret_type().to_owned(),
            immutable: false,
            content: Some(Ok(content)),
            mark: Some(SecretMark {
                robot_id,
                robot_generation: 1,
                login_digest: if known_to_harbor {
                    digest
                } else {
                    "unproven".to_owned()
                },
            }),
        };
        self.cluster.secrets.insert(secret.name.clone(), written);
        Ok(())
    }

    /// A robot that is as declared.
    pub(super) fn robot(&self, desired: &DesiredTeam, name: &RobotName, id: i64, secret: &str) -> ModelRobot {
        let duration = credential(desired, name).robot.lifetime.as_harbor();
        ModelRobot {
            seen: ObservedRobot {
                id,
                full_name: format!("{}{name}", self.robot_prefix),
                description: String::new(),
                disabled: false,
                duration,
                expires_at: expiry(self.now, duration),
                editable: true,
                permissions: permissions(desired, name),
            },
            secret: secret.to_owned(),
            created: self.now,
        }
    }

    /// The login that a Secret holds for the registry.
    pub(super) fn login(&self, desired: &DesiredTeam, secret: &SecretName) -> Option<Login> {
        let held = self.cluster.secrets.get(secret)?;
        held.content
            .as_ref()?
            .as_ref()
            .ok()?
            .login(&desired.registry_host)
    }

    pub(super) fn service_account(&mut self, desired: &DesiredTeam, pull_secrets: &[SecretName]) {
        for wanted in &desired.service_accounts {
            let account = ObservedServiceAccount {
                resource_version: "1".to_owned(),
                pull_secrets: pull_secrets.to_vec(),
            };
            self.cluster.service_accounts.insert(wanted.name.clone(), account);
        }
    }
}

pub(super) fn expiry(created: DateTime<Utc>, days: i64) -> Option<DateTime<Utc>> {
    (days >= 0).then(|| created + Duration::days(days))
}

fn permissions(desired: &DesiredTeam, name: &RobotName) -> Vec<ObservedPermission> {
    vec![ObservedPermission {
        kind: "project".to_owned(),
        namespace: desired.project.name.to_string(),
        access: credential(desired, name).robot.access.clone(),
    }]
}

fn credential<'a>(desired: &'a DesiredTeam, name: &RobotName) -> &'a DesiredCredential {
    let mut all = desired.credentials.iter();
    all.find(|credential| credential.robot.name == *name).unwrap()
}

fn member<'a>(desired: &'a DesiredTeam, group: &str) -> &'a DesiredMember {
    let mut all = desired.members.iter();
    all.find(|member| member.group.as_str() == group).unwrap()
}
