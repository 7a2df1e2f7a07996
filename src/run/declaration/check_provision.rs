//! Checks what a team is given: the parameters of `provision-team`.

use std::collections::BTreeSet;

use serde_yaml::Spanned;

use super::check::{Faults, named, team_template};
use super::desire::{Provision, Robot, TEAM};
use super::wire::{self, Form, ProvisionParameters};
use crate::plan::desired::{
    Access, DesiredSecret, DesiredServiceAccount, ProjectRole, RobotLifetime, SecretForm, StorageQuota,
};
use crate::run::template::Template;
use crate::values::names::{GroupName, RobotName, SecretName};

/// Checks the parameters of `provision-team`.
pub(super) fn provision_parameters(parameters: ProvisionParameters, faults: &mut Faults<'_>) -> Provision {
    let robots = robots(&parameters.robots, faults);
    let published: Vec<DesiredSecret> = robots.iter().flat_map(|robot| robot.secrets.clone()).collect();
    let storage_quota = parameters.project.storage_quota.as_ref().and_then(|quota| {
        let wrong = |hint| faults.at(quota, format!("{:?} is no quota", quota.value), hint);
        StorageQuota::parse(&quota.value).map_err(wrong).ok()
    });
    Provision {
        metadata: parameters.project.metadata,
        storage_quota,
        members: members(&parameters.members, faults),
        service_accounts: service_accounts(&parameters.service_accounts, &published, faults),
        robots,
    }
}

fn robots(declared: &[wire::Robot], faults: &mut Faults<'_>) -> Vec<Robot> {
    let mut names = BTreeSet::new();
    let mut taken: BTreeSet<SecretName> = BTreeSet::new();
    let mut robots = Vec::new();
    for robot in declared {
        if !names.insert(&robot.name.value) {
            let message = format!("the robot {:?} comes twice", robot.name.value);
            faults.at(&robot.name, message, "keep one of the two");
        }
        let name = team_template::<RobotName>(&robot.name, faults);
        if name
            .as_ref()
            .is_some_and(|name| !name.placeholders().any(|name| name == TEAM))
        {
            faults.at(
                &robot.name,
                "every team would have the same robot",
                "put {team} into its name",
            );
        }
        let secrets = secrets(robot, &mut taken, faults);
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
    robots
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

fn members(declared: &[wire::Member], faults: &mut Faults<'_>) -> Vec<(Template, ProjectRole)> {
    let mut groups = BTreeSet::new();
    let mut members = Vec::new();
    for member in declared {
        if !groups.insert(&member.group.value) {
            let message = format!("the group {:?} comes twice", member.group.value);
            faults.at(&member.group, message, "a group has one role");
        }
        members.extend(team_template::<GroupName>(&member.group, faults).map(|group| (group, member.role)));
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
