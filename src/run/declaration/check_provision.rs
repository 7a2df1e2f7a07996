//! Checks what a team is given: the parameters of `provision-team`.

use std::collections::BTreeSet;

use serde_yaml::Spanned;

use super::check::{CONFIGURE, Faults, named, team_template};
use super::collision::collision;
use super::desire::{Provision, Robot, filled};
use super::wire::{self, Form, ProvisionParameters};
use crate::plan::desired::{
    Access, DesiredSecret, DesiredServiceAccount, ProjectRole, RobotLifetime, SecretForm, StorageQuota,
};
use crate::run::template::Template;
use crate::values::names::{GroupName, RobotName, SecretName};

/// Checks the parameters of `provision-team`. `shared` are the groups that `configure-harbor` makes, where
/// its file could be read.
pub(super) fn provision_parameters(
    parameters: ProvisionParameters,
    shared: Option<&[GroupName]>,
    faults: &mut Faults<'_>,
) -> Provision {
    let (robots, published) = robots(&parameters.robots, faults);
    let storage_quota = parameters.project.storage_quota.as_ref().and_then(|quota| {
        let wrong = |hint| faults.at(quota, format!("{:?} is no quota", quota.value), hint);
        StorageQuota::parse(&quota.value).map_err(wrong).ok()
    });
    Provision {
        metadata: parameters.project.metadata,
        storage_quota,
        members: members(&parameters.members, shared, faults),
        service_accounts: service_accounts(&parameters.service_accounts, &published, faults),
        robots,
    }
}

/// The robots, and the Secrets of all that are declared, so that one fault is not followed by others.
fn robots(declared: &[wire::Robot], faults: &mut Faults<'_>) -> (Vec<Robot>, Vec<DesiredSecret>) {
    let mut names = BTreeSet::new();
    let mut taken: BTreeSet<SecretName> = BTreeSet::new();
    let (mut robots, mut published) = (Vec::new(), Vec::new());
    for robot in declared {
        let name = team_template::<RobotName>(&robot.name, faults);
        if !names.insert(&robot.name.value) {
            let message = format!("the robot {:?} comes twice", robot.name.value);
            faults.at(&robot.name, message, "keep one of the two");
        } else if let Some(name) = &name {
            of_one_team(name, &robot.name, &robots, faults);
        }
        let secrets = secrets(robot, &mut taken, faults);
        published.extend(secrets.iter().cloned());
        let access = access(robot, faults);
        if let (Some(name), Some(lifetime)) = (name, lifetime(&robot.expires, faults)) {
            robots.push(Robot {
                name,
                access,
                lifetime,
                secrets,
            });
        }
    }
    (robots, published)
}

/// Robots are of system level: no two teams may come to the same name.
fn of_one_team(name: &Template, place: &Spanned<String>, others: &[Robot], faults: &mut Faults<'_>) {
    match name.placeholders().count() {
        0 => faults.at(
            place,
            "every team would have the same robot",
            "put {team} into its name",
        ),
        1 => {
            let collision = others.iter().find_map(|other| collision(&other.name, name));
            if let Some((one, other)) = collision {
                let robot = filled(name, &other);
                let message = format!("the teams {one} and {other} would share the robot {robot}");
                let hint = "join the words with '.' or '_', which no team id has: team-{team}.ci-pull";
                faults.at(place, message, hint);
            }
        }
        _ => faults.at(
            place,
            "the name has {team} more than once",
            "put it into the name once",
        ),
    }
}

fn access(robot: &wire::Robot, faults: &mut Faults<'_>) -> BTreeSet<Access> {
    if robot.access.is_empty() {
        faults.at(
            &robot.name,
            "the robot may do nothing",
            "give it access, such as repository:pull",
        );
    }
    let checked = robot.access.iter().filter_map(|access| {
        let wrong = |message: String| faults.at(access, message, "");
        access.value.clone().try_into().map_err(wrong).ok()
    });
    checked.collect()
}

fn secrets(
    robot: &wire::Robot,
    taken: &mut BTreeSet<SecretName>,
    faults: &mut Faults<'_>,
) -> Vec<DesiredSecret> {
    if robot.secrets.is_empty() {
        let hint = "give secrets: Harbor tells a robot's secret only once";
        faults.at(&robot.name, "no Secret carries the robot's login", hint);
    }
    let mut secrets = Vec::new();
    for secret in &robot.secrets {
        let Some(desired) = secret_of(secret, faults) else {
            continue;
        };
        if !taken.insert(desired.name.clone()) {
            let message = format!("the Secret {} comes twice", desired.name);
            faults.at(&secret.name, message, "a Secret carries one robot's login");
        }
        secrets.push(desired);
    }
    secrets
}

fn members(
    declared: &[wire::Member],
    shared: Option<&[GroupName]>,
    faults: &mut Faults<'_>,
) -> Vec<(Template, ProjectRole)> {
    let mut groups = BTreeSet::new();
    let mut members = Vec::new();
    for member in declared {
        if !groups.insert(&member.group.value) {
            let message = format!("the group {:?} comes twice", member.group.value);
            faults.at(&member.group, message, "a group has one role");
        }
        let Some(group) = team_template::<GroupName>(&member.group, faults) else {
            continue;
        };
        let made = |shared: &[GroupName]| shared.iter().any(|made| made.as_str() == member.group.value);
        if group.placeholders().next().is_none() && !shared.is_none_or(made) {
            // Harbor answers 500 when several projects name a new group at the same time.
            let message = format!("every team shares the group {:?}", member.group.value);
            let hint = format!("put it into shared_groups of {CONFIGURE}.yaml: it is made once, beforehand");
            faults.at(&member.group, message, hint);
        }
        members.push((group, member.role));
    }
    members
}

fn service_accounts(
    declared: &[wire::ServiceAccount],
    published: &[DesiredSecret],
    faults: &mut Faults<'_>,
) -> Vec<DesiredServiceAccount> {
    let mut accounts = Vec::new();
    for account in declared {
        let pull_secrets: Vec<_> = account
            .pull_secrets
            .iter()
            .filter_map(|secret| pull_secret(secret, published, faults))
            .collect();
        let name = named(account.name.value.parse(), &account.name, faults);
        accounts.extend(name.map(|name| DesiredServiceAccount { name, pull_secrets }));
    }
    accounts
}

fn pull_secret(
    secret: &Spanned<String>,
    published: &[DesiredSecret],
    faults: &mut Faults<'_>,
) -> Option<SecretName> {
    match published.iter().find(|other| other.name.as_str() == secret.value) {
        None => {
            faults.at(
                secret,
                format!("no robot publishes the Secret {:?}", secret.value),
                "name one of the robots' Secrets",
            );
            None
        }
        Some(other) if other.form != SecretForm::DockerConfigJson => {
            faults.at(
                secret,
                format!("pods can't pull with the Secret {:?}", secret.value),
                "its form has to be dockerconfigjson",
            );
            None
        }
        Some(other) => Some(other.name.clone()),
    }
}

fn secret_of(secret: &wire::Secret, faults: &mut Faults<'_>) -> Option<DesiredSecret> {
    let form = match (secret.form, &secret.key) {
        (Form::DockerConfigJson, None) => SecretForm::DockerConfigJson,
        (Form::DockerConfigJson, Some(key)) => {
            faults.at(
                key,
                "a dockerconfigjson Secret has a key of its own",
                "take the key out",
            );
            return None;
        }
        (Form::Opaque, Some(key)) if is_data_key(&key.value) => SecretForm::Opaque {
            key: key.value.clone(),
        },
        (Form::Opaque, Some(key)) => {
            faults.at(
                key,
                format!("{:?} is no key of a Secret", key.value),
                "letters, digits, '-', '_' and '.'",
            );
            return None;
        }
        (Form::Opaque, None) => {
            faults.at(
                &secret.name,
                "an opaque Secret needs a key",
                "give key: config.json",
            );
            return None;
        }
    };
    Some(DesiredSecret {
        name: named(secret.name.value.parse(), &secret.name, faults)?,
        form,
    })
}

fn is_data_key(key: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !key.is_empty() && key.len() <= 253 && key != "." && key != ".." && key.chars().all(allowed)
}

fn lifetime(text: &Spanned<String>, faults: &mut Faults<'_>) -> Option<RobotLifetime> {
    let days = text
        .value
        .strip_suffix('d')
        .and_then(|days| days.parse().ok())
        .filter(|days| *days > 0);
    match days {
        _ if text.value == "never" => Some(RobotLifetime::Never),
        Some(days) => Some(RobotLifetime::Days(days)),
        None => {
            faults.at(
                text,
                format!("{:?} is no lifetime", text.value),
                "write never, or days such as 90d",
            );
            None
        }
    }
}
