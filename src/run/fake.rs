//! A Harbor and a Kubernetes in memory, and a way to make any call of theirs fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use super::journal::{DaemonRecord, Journal, JournalError};
use super::record::{LaneId, LaneRecord};
use super::target::{Cluster, CreatedRobot, ErrorClass, Extent, Harbor, Provenance, Target, TargetError};
use crate::plan::desired::{
    DesiredMember, DesiredProject, DesiredRobot, DesiredSecret, DesiredTeam, StorageQuota,
};
use crate::plan::docker_config::{DockerConfig, Login};
use crate::plan::observed::{
    ConfigurationItem, LoginProof, ObservedCluster, ObservedHarbor, ObservedMember, ObservedPermission,
    ObservedPlatform, ObservedProject, ObservedQuota, ObservedRobot, ObservedSecret, ObservedServiceAccount,
};
use crate::values::names::{GroupName, Namespace, ProjectName, SecretName, ServiceAccountName, TeamId};

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It succeeds.
    Answered,
    /// It fails before it has an effect.
    Fails(ErrorClass),
    /// It takes effect, but its answer is lost.
    Lost,
}

type Fates = Box<dyn FnMut(usize, &str) -> Fate + Send>;

#[derive(Default)]
struct State {
    calls: Vec<String>,
    fates: Option<Fates>,
    next_id: i64,
    projects: BTreeMap<ProjectName, ObservedProject>,
    members: BTreeMap<ProjectName, Vec<ObservedMember>>,
    robots: BTreeMap<i64, (ObservedRobot, String)>,
    groups: BTreeSet<String>,
    configuration: BTreeMap<String, serde_json::Value>,
    namespaces: BTreeSet<Namespace>,
    secrets: BTreeMap<(Namespace, SecretName), ObservedSecret>,
    service_accounts: BTreeMap<Namespace, ObservedServiceAccount>,
}

/// Both servers.
#[derive(Clone, Default)]
pub(super) struct Fake(Arc<Mutex<State>>);

impl Fake {
    /// Servers that hold nothing but these namespaces, each with its default service account.
    pub(super) fn with_namespaces(teams: &[&str]) -> Self {
        let fake = Self::default();
        fake.lock()
            .configuration
            .insert("robot_name_prefix".to_owned(), "otomi-".into());
        for team in teams {
            fake.add_namespace(team);
        }
        fake
    }

    pub(super) fn add_namespace(&self, team: &str) {
        let namespace = Namespace::new(format!("team-{team}")).unwrap();
        let mut state = self.lock();
        let account = ObservedServiceAccount {
            resource_version: "1".to_owned(),
            pull_secrets: Vec::new(),
        };
        state.service_accounts.insert(namespace.clone(), account);
        state.namespaces.insert(namespace);
    }

    /// Decides the fate of each call from now on, by its number from 0 and its name.
    pub(super) fn decide(&self, fates: impl FnMut(usize, &str) -> Fate + Send + 'static) {
        let mut state = self.lock();
        state.calls.clear();
        state.fates = Some(Box::new(fates));
    }

    /// Lets every call succeed, and forgets the calls so far.
    pub(super) fn calm(&self) {
        let mut state = self.lock();
        state.calls.clear();
        state.fates = None;
    }

    /// The calls since the last decision.
    pub(super) fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    pub(super) fn writes(&self) -> Vec<String> {
        self.calls()
            .into_iter()
            .filter(|call| !call.starts_with("observe") && !call.starts_with("prove"))
            .collect()
    }

    pub(super) fn delete_secret(&self, team: &str, secret: &str) {
        self.lock().secrets.retain(|(namespace, name), _| {
            namespace.as_str() != format!("team-{team}") || name.as_str() != secret
        });
    }

    pub(super) fn delete_robot(&self, full_name: &str) {
        self.lock()
            .robots
            .retain(|_, (robot, _)| robot.full_name != full_name);
    }

    pub(super) fn disable_robot(&self, full_name: &str) {
        let mut state = self.lock();
        state
            .robots
            .values_mut()
            .filter(|(robot, _)| robot.full_name == full_name)
            .for_each(|(robot, _)| {
                robot.disabled = true;
            });
    }

    /// Otomi's own Secret: no mark of ours.
    pub(super) fn forget_marks(&self) {
        self.lock()
            .secrets
            .values_mut()
            .for_each(|secret| secret.mark = None);
    }

    /// The password that a Secret holds for a host.
    pub(super) fn password(&self, team: &str, secret: &str, host: &str) -> Option<String> {
        let state = self.lock();
        let key = (
            Namespace::new(format!("team-{team}")).ok()?,
            SecretName::new(secret).ok()?,
        );
        let config = state.secrets.get(&key)?.content.as_ref()?.as_ref().ok()?;
        let login = config.login(&crate::values::names::RegistryHost::new(host).ok()?)?;
        Some(login.password.expose_secret().to_owned())
    }

    /// What these servers hold of a team, as text that is equal for equal states. Secrets are told by
    /// whether their login works.
    pub(super) fn state_of(&self, desired: &DesiredTeam) -> String {
        let state = self.lock();
        let project = state
            .projects
            .get(&desired.project.name)
            .map(|project| &project.metadata);
        let members: BTreeMap<_, _> = state
            .members
            .get(&desired.project.name)
            .into_iter()
            .flatten()
            .map(|member| (&member.name, member.role_id))
            .collect();
        let robots: Vec<_> = desired
            .credentials
            .iter()
            .map(|credential| {
                let full_name = format!("otomi-{}", credential.robot.name);
                let robot = state
                    .robots
                    .values()
                    .find(|(robot, _)| robot.full_name == full_name);
                let secrets: Vec<_> = credential
                    .secrets
                    .iter()
                    .map(|secret| {
                        let held = state
                            .secrets
                            .get(&(desired.namespace.clone(), secret.name.clone()));
                        let login = held
                            .and_then(|held| held.content.as_ref()?.as_ref().ok())
                            .and_then(|config| config.login(&desired.registry_host));
                        let works = login.is_some_and(|login| {
                            robot.is_some_and(|(robot, secret)| {
                                robot.full_name == login.username
                                    && secret == login.password.expose_secret()
                                    && !robot.disabled
                            })
                        });
                        (&secret.name, held.map(|held| &held.secret_type), works)
                    })
                    .collect();
                (
                    full_name,
                    robot.map(|(robot, _)| (&robot.permissions, robot.duration)),
                    secrets,
                )
            })
            .collect();
        let accounts = state
            .service_accounts
            .get(&desired.namespace)
            .map(|account| &account.pull_secrets);
        format!("{project:?}\n{members:?}\n{robots:?}\n{accounts:?}")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Counts a call and carries it out as its fate says.
    fn call<T>(
        &self,
        target: Target,
        name: &str,
        effect: impl FnOnce(&mut State) -> Result<T, ErrorClass>,
    ) -> Result<T, TargetError> {
        let mut state = self.lock();
        let number = state.calls.len();
        state.calls.push(name.to_owned());
        let mut fates = state.fates.take();
        let fate = fates.as_mut().map_or(Fate::Answered, |fates| fates(number, name));
        state.fates = fates;
        let error = |class, status| TargetError {
            target,
            act: name.to_owned(),
            class,
            message: format!("{fate:?}"),
            status,
            retry_after: None,
            source: None,
        };
        match fate {
            Fate::Answered => effect(&mut state).map_err(|class| error(class, Some(409))),
            Fate::Fails(class) => Err(error(class, Some(500))),
            Fate::Lost => {
                let _ = effect(&mut state);
                Err(error(ErrorClass::Transient, None))
            }
        }
    }
}

impl State {
    fn id(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }
}

fn permission(project: &ProjectName, robot: &DesiredRobot) -> ObservedPermission {
    ObservedPermission {
        kind: "project".to_owned(),
        namespace: project.to_string(),
        access: robot.access.clone(),
    }
}

#[async_trait]
impl Harbor for Fake {
    async fn observe_platform(&self, groups: &[GroupName]) -> Result<ObservedPlatform, TargetError> {
        self.call(Target::Harbor, "observe platform", |state| {
            let item = |value: &serde_json::Value| ConfigurationItem {
                value: value.clone(),
                editable: true,
            };
            Ok(ObservedPlatform {
                version: "v2.15.2".to_owned(),
                read_only: false,
                configuration: state
                    .configuration
                    .iter()
                    .map(|(key, value)| (key.clone(), item(value)))
                    .collect(),
                groups: groups
                    .iter()
                    .map(ToString::to_string)
                    .filter(|group| state.groups.contains(group))
                    .collect(),
                foreign_groups: BTreeMap::new(),
                has_robots: !state.robots.is_empty(),
            })
        })
    }

    async fn observe_teams(
        &self,
        teams: &[Arc<DesiredTeam>],
        robot_prefix: &str,
        _extent: Extent,
    ) -> Result<BTreeMap<TeamId, ObservedHarbor>, TargetError> {
        self.call(Target::Harbor, "observe teams in Harbor", |state| {
            let side = |desired: &DesiredTeam| ObservedHarbor {
                project: state.projects.get(&desired.project.name).cloned(),
                members: state
                    .members
                    .get(&desired.project.name)
                    .cloned()
                    .unwrap_or_default(),
                robots: desired
                    .credentials
                    .iter()
                    .filter_map(|credential| {
                        let full_name = format!("{robot_prefix}{}", credential.robot.name);
                        let (robot, _) = state
                            .robots
                            .values()
                            .find(|(robot, _)| robot.full_name == full_name)?;
                        Some((credential.robot.name.clone(), robot.clone()))
                    })
                    .collect(),
            };
            Ok(teams
                .iter()
                .map(|desired| (desired.team.clone(), side(desired)))
                .collect())
        })
    }

    async fn write_configuration(
        &self,
        changes: &BTreeMap<String, serde_json::Value>,
        _client_secret: Option<&SecretString>,
    ) -> Result<(), TargetError> {
        self.call(Target::Harbor, "write configuration", |state| {
            state.configuration.extend(changes.clone());
            Ok(())
        })
    }

    async fn create_group(&self, group: &GroupName) -> Result<(), TargetError> {
        self.call(Target::Harbor, "create group", |state| {
            if state.groups.insert(group.to_string()) {
                Ok(())
            } else {
                Err(ErrorClass::Conflict)
            }
        })
    }

    async fn create_project(&self, project: &DesiredProject) -> Result<i64, TargetError> {
        self.call(
            Target::Harbor,
            &format!("create project {}", project.name),
            |state| {
                if state.projects.contains_key(&project.name) {
                    return Err(ErrorClass::Conflict);
                }
                let id = state.id();
                let storage = project.storage_quota.map_or(-1, StorageQuota::as_harbor);
                let created = ObservedProject {
                    id,
                    metadata: project.metadata.clone(),
                    quota: Some(ObservedQuota { id, storage }),
                };
                state.projects.insert(project.name.clone(), created);
                Ok(id)
            },
        )
    }

    async fn update_project(
        &self,
        project: &ProjectName,
        metadata: &BTreeMap<String, String>,
    ) -> Result<(), TargetError> {
        self.call(Target::Harbor, &format!("update project {project}"), |state| {
            let held = state.projects.get_mut(project).ok_or(ErrorClass::Rejected)?;
            held.metadata.extend(metadata.clone());
            Ok(())
        })
    }

    async fn set_quota(&self, quota_id: i64, quota: StorageQuota) -> Result<(), TargetError> {
        self.call(Target::Harbor, "set quota", |state| {
            let row = state
                .projects
                .values_mut()
                .filter_map(|project| project.quota.as_mut());
            row.filter(|row| row.id == quota_id)
                .for_each(|row| row.storage = quota.as_harbor());
            Ok(())
        })
    }

    async fn add_member(&self, project: &ProjectName, member: &DesiredMember) -> Result<(), TargetError> {
        self.call(
            Target::Harbor,
            &format!("add member {} to {project}", member.group),
            |state| {
                if !state.projects.contains_key(project) {
                    return Err(ErrorClass::Rejected);
                }
                let id = state.id();
                let members = state.members.entry(project.clone()).or_default();
                if members.iter().any(|held| held.name == member.group.as_str()) {
                    return Err(ErrorClass::Conflict);
                }
                let name = member.group.to_string();
                members.push(ObservedMember {
                    id,
                    name,
                    is_group: true,
                    role_id: member.role.id(),
                });
                Ok(())
            },
        )
    }

    async fn change_role(
        &self,
        project: &ProjectName,
        member_id: i64,
        member: &DesiredMember,
    ) -> Result<(), TargetError> {
        self.call(
            Target::Harbor,
            &format!("change role of {} in {project}", member.group),
            |state| {
                let members = state.members.entry(project.clone()).or_default();
                members
                    .iter_mut()
                    .filter(|held| held.id == member_id)
                    .for_each(|held| held.role_id = member.role.id());
                Ok(())
            },
        )
    }

    async fn create_robot(
        &self,
        project: &ProjectName,
        robot: &DesiredRobot,
    ) -> Result<CreatedRobot, TargetError> {
        self.call(Target::Harbor, &format!("create robot {}", robot.name), |state| {
            let full_name = format!("otomi-{}", robot.name);
            if state.robots.values().any(|(held, _)| held.full_name == full_name) {
                return Err(ErrorClass::Conflict);
            }
            let id = state.id();
            let secret = format!("Secret-of-{id}");
            let created = ObservedRobot {
                id,
                full_name: full_name.clone(),
                description: String::new(),
                disabled: false,
                duration: robot.lifetime.as_harbor(),
                expires_at: None,
                editable: true,
                permissions: vec![permission(project, robot)],
            };
            state.robots.insert(id, (created, secret.clone()));
            let login = Login {
                username: full_name,
                password: SecretString::from(secret),
            };
            Ok(CreatedRobot { id, login })
        })
    }

    async fn update_robot(
        &self,
        project: &ProjectName,
        robot_id: i64,
        _full_name: &str,
        _description: &str,
        robot: &DesiredRobot,
    ) -> Result<(), TargetError> {
        self.call(Target::Harbor, &format!("update robot {}", robot.name), |state| {
            let (held, _) = state.robots.get_mut(&robot_id).ok_or(ErrorClass::Conflict)?;
            held.disabled = false;
            held.duration = robot.lifetime.as_harbor();
            held.permissions = vec![permission(project, robot)];
            Ok(())
        })
    }

    async fn set_robot_secret(&self, robot_id: i64, secret: &SecretString) -> Result<(), TargetError> {
        self.call(Target::Harbor, "set robot secret", |state| {
            let (_, held) = state.robots.get_mut(&robot_id).ok_or(ErrorClass::Conflict)?;
            secret.expose_secret().clone_into(held);
            Ok(())
        })
    }

    async fn prove_login(&self, _project: &ProjectName, login: &Login) -> Result<LoginProof, TargetError> {
        self.call(Target::Harbor, "prove login", |state| {
            let works = state.robots.values().any(|(robot, secret)| {
                robot.full_name == login.username
                    && secret == login.password.expose_secret()
                    && !robot.disabled
            });
            Ok(if works {
                LoginProof::Accepted
            } else {
                LoginProof::Refused
            })
        })
    }
}

#[async_trait]
impl Cluster for Fake {
    async fn observe_teams(
        &self,
        teams: &[Arc<DesiredTeam>],
        _extent: Extent,
    ) -> Result<BTreeMap<TeamId, ObservedCluster>, TargetError> {
        self.call(Target::Kubernetes, "observe teams in Kubernetes", |state| {
            let side = |desired: &DesiredTeam| ObservedCluster {
                namespace: state.namespaces.contains(&desired.namespace),
                secrets: desired
                    .credentials
                    .iter()
                    .flat_map(|credential| &credential.secrets)
                    .filter_map(|secret| {
                        let key = (desired.namespace.clone(), secret.name.clone());
                        Some((secret.name.clone(), state.secrets.get(&key)?.clone()))
                    })
                    .collect(),
                service_accounts: desired
                    .service_accounts
                    .iter()
                    .filter_map(|account| {
                        Some((
                            account.name.clone(),
                            state.service_accounts.get(&desired.namespace)?.clone(),
                        ))
                    })
                    .collect(),
            };
            Ok(teams
                .iter()
                .map(|desired| (desired.team.clone(), side(desired)))
                .collect())
        })
    }

    async fn create_namespace(&self, namespace: &Namespace, _team: &TeamId) -> Result<(), TargetError> {
        self.call(
            Target::Kubernetes,
            &format!("create namespace {namespace}"),
            |state| {
                if state.namespaces.insert(namespace.clone()) {
                    Ok(())
                } else {
                    Err(ErrorClass::Conflict)
                }
            },
        )
    }

    async fn apply_secret(
        &self,
        namespace: &Namespace,
        secret: &DesiredSecret,
        content: &DockerConfig,
        provenance: &Provenance,
        former: Option<&ObservedSecret>,
    ) -> Result<(), TargetError> {
        self.call(
            Target::Kubernetes,
            &format!("apply Secret {} in {namespace}", secret.name),
            |state| {
                if !state.namespaces.contains(namespace) {
                    return Err(ErrorClass::Transient);
                }
                let uid = state.id().to_string();
                let key = (namespace.clone(), secret.name.clone());
                let replaced = former.is_some_and(|former| former.secret_type != secret.form.secret_type());
                if !replaced
                    && state
                        .secrets
                        .get(&key)
                        .is_some_and(|held| held.secret_type != secret.form.secret_type())
                {
                    return Err(ErrorClass::Rejected);
                }
                let applied = ObservedSecret {
                    uid,
                    resource_version: "1".to_owned(),
                    secret_type: secret.form.secret_type().to_owned(),
                    immutable: false,
                    content: Some(Ok(content.clone())),
                    mark: Some(provenance.mark.clone()),
                };
                state.secrets.insert(key, applied);
                Ok(())
            },
        )
    }

    async fn set_pull_secrets(
        &self,
        namespace: &Namespace,
        _service_account: &ServiceAccountName,
        pull_secrets: &[SecretName],
        resource_version: &str,
    ) -> Result<(), TargetError> {
        self.call(
            Target::Kubernetes,
            &format!("set pull Secrets in {namespace}"),
            |state| {
                let held = state
                    .service_accounts
                    .get_mut(namespace)
                    .ok_or(ErrorClass::Conflict)?;
                if held.resource_version != resource_version {
                    return Err(ErrorClass::Conflict);
                }
                held.pull_secrets = pull_secrets.to_vec();
                held.resource_version.push('1');
                Ok(())
            },
        )
    }
}

/// A journal in memory that outlives the engine, and that can stop as a killed process stops.
#[derive(Clone, Default)]
pub(super) struct Notebook(Arc<Mutex<NotebookState>>);

#[derive(Clone, Default)]
struct NotebookState {
    daemon: DaemonRecord,
    lanes: BTreeMap<LaneId, LaneRecord>,
    dead: bool,
    writes: usize,
}

impl Notebook {
    /// From now on nothing is written any more.
    pub(super) fn die(&self) {
        self.0.lock().unwrap().dead = true;
    }

    /// What a new process finds.
    pub(super) fn reopened(&self) -> Self {
        let state = self.0.lock().unwrap().clone();
        Self(Arc::new(Mutex::new(NotebookState {
            dead: false,
            writes: 0,
            ..state
        })))
    }

    pub(super) fn writes(&self) -> usize {
        self.0.lock().unwrap().writes
    }

    fn write(&self, change: impl FnOnce(&mut NotebookState)) -> Result<(), JournalError> {
        let mut state = self.0.lock().unwrap();
        if state.dead {
            return Err(JournalError {
                act: "write".to_owned(),
                source: "the process is dead".into(),
            });
        }
        state.writes += 1;
        change(&mut state);
        Ok(())
    }
}

#[async_trait]
impl Journal for Notebook {
    async fn load(&self) -> Result<(DaemonRecord, Vec<LaneRecord>), JournalError> {
        let state = self.0.lock().unwrap();
        Ok((state.daemon.clone(), state.lanes.values().cloned().collect()))
    }

    async fn put_lane(&self, record: &LaneRecord) -> Result<(), JournalError> {
        self.write(|state| drop(state.lanes.insert(record.lane.clone(), record.clone())))
    }

    async fn remove_lane(&self, lane: &LaneId) -> Result<(), JournalError> {
        self.write(|state| drop(state.lanes.remove(lane)))
    }

    async fn put_daemon(&self, record: &DaemonRecord) -> Result<(), JournalError> {
        self.write(|state| state.daemon = record.clone())
    }
}
