//! The team that the tests of plans use, and the servers before anything was done for it.

use std::collections::BTreeMap;

use chrono::{DateTime, Duration, Utc};

use super::TeamPlan;
use super::desired::{
    Access, DesiredCredential, DesiredMember, DesiredProject, DesiredRobot, DesiredSecret,
    DesiredServiceAccount, DesiredTeam, ProjectRole, RobotLifetime, SecretForm, StorageQuota,
};
use super::model::World;
use super::observed::ObservedCluster;
use super::step::Action;

pub(super) const HOST: &str = "harbor.example.com";

/// A robot's suffix and its Secrets: name, and the key of an opaque one.
type Sample = (&'static str, &'static [(&'static str, Option<&'static str>)]);

const ROBOTS: [Sample; 3] = [
    (
        "pull",
        &[("harbor-pullsecret", None), ("copy", Some("config.json"))],
    ),
    ("push", &[("harbor-pushsecret", None)]),
    ("builds", &[("harbor-pushsecret-builds", Some("config.json"))]),
];

/// A team with three robots, one of them with two Secrets.
pub(super) fn desired(lifetime: RobotLifetime, storage_quota: Option<StorageQuota>) -> DesiredTeam {
    let access = |suffix: &str| match suffix {
        "pull" => vec!["repository:pull"],
        _ => vec!["repository:pull", "repository:push"],
    };
    let credential = |(suffix, secrets): Sample| DesiredCredential {
        robot: DesiredRobot {
            name: format!("team-demo-{suffix}").parse().unwrap(),
            access: access(suffix)
                .into_iter()
                .map(|text| Access::try_from(text.to_owned()).unwrap())
                .collect(),
            lifetime,
        },
        secrets: secrets
            .iter()
            .map(|(name, key)| DesiredSecret {
                name: name.parse().unwrap(),
                form: key.map_or(SecretForm::DockerConfigJson, |key| SecretForm::Opaque {
                    key: key.to_owned(),
                }),
            })
            .collect(),
    };
    let member = |group: &str, role| DesiredMember {
        group: group.parse().unwrap(),
        role,
    };
    DesiredTeam {
        team: "demo".parse().unwrap(),
        registry_host: HOST.parse().unwrap(),
        project: DesiredProject {
            name: "team-demo".parse().unwrap(),
            metadata: BTreeMap::from([("public".to_owned(), "false".to_owned())]),
            storage_quota,
        },
        members: vec![
            member("team-demo", ProjectRole::Developer),
            member("all-teams-admin", ProjectRole::ProjectAdmin),
        ],
        credentials: ROBOTS.into_iter().map(credential).collect(),
        namespace: "team-demo".parse().unwrap(),
        service_accounts: vec![DesiredServiceAccount {
            name: "default".parse().unwrap(),
            pull_secrets: vec!["harbor-pullsecret".parse().unwrap()],
        }],
    }
}

/// Both servers with nothing of the team but its namespace and service account.
pub(super) fn empty_world(desired: &DesiredTeam) -> World {
    let mut world = World {
        now: DateTime::<Utc>::UNIX_EPOCH + Duration::days(20_000),
        robot_prefix: "otomi-",
        project: None,
        members: Vec::new(),
        robots: BTreeMap::new(),
        cluster: ObservedCluster {
            namespace: true,
            ..ObservedCluster::default()
        },
        fuel: None,
        writes: 0,
        last_id: 100,
    };
    world.service_account(desired, &["foreign".parse().unwrap()]);
    world
}

pub(super) fn actions(plan: &TeamPlan) -> Vec<&Action> {
    plan.steps
        .iter()
        .filter_map(|step| step.action.as_ref())
        .collect()
}
