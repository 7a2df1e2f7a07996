//! Draws at random what the servers may hold of a team.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Duration;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::desired::{Access, DesiredSecret, DesiredTeam, RobotLifetime, StorageQuota};
use super::docker_config::DockerConfig;
use super::model::{World, expiry};
use super::observed::{
    ObservedMember, ObservedPermission, ObservedProject, ObservedQuota, ObservedSecret, SecretMark,
};
use super::sample::{HOST, desired, empty_world};

/// Sorts before the host: who looks through the logins in their order meets the former one first.
const FORMER_HOST: &str = "former.example.com";
pub(super) const FOREIGN_AUTH: &str = "c29tZWJvZHk6Zm9yZWlnbg==";
#[derive(Debug, Clone)]
struct DrawnRobot {
    disabled: bool,
    duration: i64,
    age: i64,
    editable: bool,
    permissions: Vec<(&'static str, &'static str, Vec<&'static str>)>,
}

#[derive(Debug, Clone, Copy)]
enum DrawnLogin {
    Nothing,
    Working,
    Stale,
    OtherUser,
}

#[derive(Debug, Clone)]
enum DrawnContent {
    KeyMissing,
    Text(&'static str),
    Logins { current: DrawnLogin, former: DrawnLogin },
}

#[derive(Debug, Clone, Copy)]
enum DrawnMark {
    Nothing,
    Unproven,
    FormerRobot,
    Published,
}

#[derive(Debug, Clone)]
struct DrawnSecret {
    form_is_right: bool,
    immutable: bool,
    content: DrawnContent,
    mark: DrawnMark,
}

/// What is drawn of the desired state and of the servers.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    lifetime: RobotLifetime,
    quota: Option<StorageQuota>,
    project: Option<(&'static str, i64)>,
    members: Vec<(&'static str, bool, i64)>,
    robots: Vec<Option<DrawnRobot>>,
    secrets: Vec<Option<DrawnSecret>>,
    pull_secrets: Vec<&'static str>,
    namespace: bool,
}

fn robot() -> impl Strategy<Value = DrawnRobot> {
    let right = ("project", "team-demo", vec!["repository:pull"]);
    let permissions = prop_oneof![
        Just(vec![right.clone()]),
        Just(vec![(
            "project",
            "team-demo",
            vec!["repository:pull", "repository:push"]
        )]),
        Just(vec![("project", "*", vec!["repository:pull"])]),
        Just(vec![right, ("system", "/", vec!["catalog:read"])]),
        Just(Vec::new()),
    ];
    (
        any::<bool>(),
        prop_oneof![Just(-1), Just(30), Just(90)],
        prop_oneof![Just(0), Just(40), Just(100)],
        prop::bool::weighted(0.8),
        permissions,
    )
        .prop_map(|(disabled, duration, age, editable, permissions)| DrawnRobot {
            disabled,
            duration,
            age,
            editable,
            permissions,
        })
}

fn secret() -> impl Strategy<Value = DrawnSecret> {
    let login = || {
        prop_oneof![
            2 => Just(DrawnLogin::Nothing),
            3 => Just(DrawnLogin::Working),
            1 => Just(DrawnLogin::Stale),
            1 => Just(DrawnLogin::OtherUser),
        ]
    };
    let content = prop_oneof![
        1 => Just(DrawnContent::KeyMissing),
        1 => prop::sample::select(vec!["", "no json", "[]", r#"{"auths":[]}"#]).prop_map(DrawnContent::Text),
        6 => (login(), login()).prop_map(|(current, former)| DrawnContent::Logins { current, former }),
    ];
    let mark = prop::sample::select(vec![
        DrawnMark::Nothing,
        DrawnMark::Unproven,
        DrawnMark::FormerRobot,
        DrawnMark::Published,
    ]);
    (
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.2),
        content,
        mark,
    )
        .prop_map(|(form_is_right, immutable, content, mark)| DrawnSecret {
            form_is_right,
            immutable,
            content,
            mark,
        })
}

pub(super) fn drawn() -> impl Strategy<Value = Drawn> {
    let member = (
        prop::sample::select(vec!["team-demo", "Team-Demo", "all-teams-admin", "guests"]),
        any::<bool>(),
        prop::sample::select(vec![1, 2, 3, 5, 99]),
    );
    (
        prop_oneof![Just(RobotLifetime::Never), Just(RobotLifetime::Days(60))],
        prop::option::of(Just(StorageQuota::Bytes(5_000))),
        prop::option::of((
            prop::sample::select(vec!["true", "false"]),
            prop::sample::select(vec![-1, 5_000]),
        )),
        prop::collection::vec(member, 0..5),
        prop::collection::vec(prop::option::of(robot()), 3),
        prop::collection::vec(prop::option::weighted(0.7, secret()), 4),
        prop::sample::subsequence(vec!["foreign", "harbor-pullsecret", "another"], 0..=3),
        prop::bool::weighted(0.8),
    )
        .prop_map(
            |(lifetime, quota, project, members, robots, secrets, pull_secrets, namespace)| Drawn {
                lifetime,
                quota,
                project,
                members,
                robots,
                secrets,
                pull_secrets,
                namespace,
            },
        )
}

impl Drawn {
    pub(super) fn desired(&self) -> DesiredTeam {
        desired(self.lifetime, self.quota)
    }

    pub(super) fn world(&self, desired: &DesiredTeam) -> World {
        let mut world = empty_world(desired);
        world.cluster.namespace = self.namespace;
        world.project = self.project.map(|(public, storage)| ObservedProject {
            id: 1,
            metadata: BTreeMap::from([
                ("public".to_owned(), public.to_owned()),
                ("auto_scan".to_owned(), "true".to_owned()),
            ]),
            quota: Some(ObservedQuota { id: 2, storage }),
        });
        for (id, (name, is_group, role_id)) in (10..).zip(&self.members) {
            let is_same = |held: &ObservedMember| held.name == *name && held.is_group == *is_group;
            if world.project.is_some() && !world.members.iter().any(is_same) {
                world.members.push(ObservedMember {
                    id,
                    name: (*name).to_owned(),
                    is_group: *is_group,
                    role_id: *role_id,
                });
            }
        }
        for ((id, drawn), credential) in (30..).zip(&self.robots).zip(&desired.credentials) {
            let name = &credential.robot.name;
            let Some(drawn) = drawn else { continue };
            let mut robot = world.robot(desired, name, id, &format!("Original-1-{name}"));
            robot.created = world.now - Duration::days(drawn.age);
            robot.seen.disabled = drawn.disabled;
            robot.seen.duration = drawn.duration;
            robot.seen.expires_at = expiry(robot.created, drawn.duration);
            robot.seen.editable = drawn.editable;
            robot.seen.permissions = drawn
                .permissions
                .iter()
                .map(|(kind, namespace, access)| ObservedPermission {
                    kind: (*kind).to_owned(),
                    namespace: (*namespace).to_owned(),
                    access: access
                        .iter()
                        .map(|text| Access::try_from((*text).to_owned()).unwrap())
                        .collect(),
                })
                .collect();
            world.robots.insert(name.clone(), robot);
        }
        let wanted = desired.credentials.iter().flat_map(|credential| {
            let robot = &credential.robot.name;
            credential.secrets.iter().map(move |secret| (robot, secret))
        });
        for ((robot, wanted), drawn) in wanted.zip(&self.secrets) {
            if let (Some(drawn), true) = (drawn, self.namespace) {
                let held = drawn.held(
                    desired,
                    robot.as_str(),
                    wanted,
                    world.robots.get(robot).map(|robot| robot.seen.id),
                );
                world.cluster.secrets.insert(wanted.name.clone(), held);
            }
        }
        let listed: Vec<_> = self
            .pull_secrets
            .iter()
            .map(|name| name.parse().unwrap())
            .collect();
        world.service_account(desired, &listed);
        world
    }
}

impl DrawnSecret {
    fn held(
        &self,
        desired: &DesiredTeam,
        robot: &str,
        wanted: &DesiredSecret,
        robot_id: Option<i64>,
    ) -> ObservedSecret {
        let content = match &self.content {
            DrawnContent::KeyMissing => None,
            DrawnContent::Text(text) => Some(DockerConfig::parse(text.as_bytes())),
            DrawnContent::Logins { current, former } => {
                let mut auths = json!({"docker.io": {"auth": FOREIGN_AUTH}});
                for (host, login) in [(HOST, current), (FORMER_HOST, former)] {
                    if let Some(entry) = entry(*login, robot) {
                        auths[host] = entry;
                    }
                }
                Some(DockerConfig::parse(
                    json!({"auths": auths}).to_string().as_bytes(),
                ))
            }
        };
        let digest = || {
            content
                .as_ref()?
                .as_ref()
                .ok()?
                .login_digest(&desired.registry_host)
        };
        // Only a login that harborage published bears its digest.
        let working = matches!(
            self.content,
            DrawnContent::Logins {
                current: DrawnLogin::Working,
                ..
            }
        );
        let mark = |robot_id, login_digest: String| SecretMark {
            robot_id,
            robot_generation: 1,
            login_digest,
        };
        let mark = match self.mark {
            DrawnMark::Unproven => Some(mark(robot_id.unwrap_or(8), "unproven".to_owned())),
            DrawnMark::FormerRobot => Some(mark(8, digest().unwrap_or_default())),
            DrawnMark::Published if working => robot_id.map(|id| mark(id, digest().unwrap())),
            DrawnMark::Nothing | DrawnMark::Published => None,
        };
        let secret_type = if self.form_is_right {
            wanted.form.secret_type()
        } else {
            "Foreign"
        };
        ObservedSecret {
            uid: "uid".to_owned(),
            resource_version: "1".to_owned(),
            secret_type: secret_type.to_owned(),
            immutable: self.immutable,
            content,
            mark,
        }
    }
}

fn entry(login: DrawnLogin, robot: &str) -> Option<Value> {
    let (username, password) = match login {
        DrawnLogin::Nothing => return None,
        DrawnLogin::Working => (format!("otomi-{robot}"), format!("Original-1-{robot}")),
        DrawnLogin::Stale => (format!("otomi-{robot}"), "Stale-1".to_owned()),
        DrawnLogin::OtherUser => ("somebody".to_owned(), format!("Original-1-{robot}")),
    };
    Some(json!({"auth": STANDARD.encode(format!("{username}:{password}"))}))
}
