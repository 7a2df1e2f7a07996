//! Checks what `provision-team` works with: names for every team, robots with Secrets, Secrets that pods can pull with.

use std::collections::BTreeSet;

use serde_yaml::Spanned;

use super::check::{CONFIGURE, Faults, named, template};
use super::collision::collision;
use super::desire::{Provision, Robot, TEAM, filled};
use super::wire::{Form, ProvisionParameters, Secret};
use crate::plan::desired::{DesiredSecret, DesiredServiceAccount, RobotLifetime, SecretForm, StorageQuota};
use crate::run::template::Template;
use crate::values::names::{GroupName, NameError, RobotName, SecretName, TeamId};

pub(super) fn provision_parameters(
    parameters: ProvisionParameters,
    shared: Option<&[GroupName]>,
    faults: &mut Faults<'_>,
) -> Provision {
    let mut names = BTreeSet::new();
    let mut robots = Vec::new();
    let mut secrets: Vec<DesiredSecret> = Vec::new();
    for robot in &parameters.robots {
        let template = team_template::<RobotName>(&robot.name, faults);
        match template.as_ref().map(|template| template.placeholders().count()) {
            Some(0) => faults.at(&robot.name, "every team would have the same robot", "put {team} into its name"),
            Some(2..) => faults.at(&robot.name, "the name has {team} more than once", "put it into the name once"),
            _ => {}
        }
        if names.insert(robot.name.value.clone()) {
            apart_from(&robots, &robot.name, template.as_ref(), faults);
        } else {
            faults.at(&robot.name, format!("the robot {:?} comes twice", robot.name.value), "keep one of the two");
        }
        if robot.access.is_empty() {
            faults.at(&robot.name, "the robot may do nothing", "give it access, such as repository:pull");
        }
        if robot.secrets.is_empty() {
            faults.at(&robot.name, "no Secret carries the robot's login", "give secrets: Harbor tells a robot's secret only once");
        }
        let access = robot.access.iter().filter_map(|access| {
            access.value.clone().try_into().map_err(|message: String| faults.at(access, message, "")).ok()
        });
        let access = access.collect();
        let mut own = Vec::new();
        for secret in &robot.secrets {
            let Some(desired) = secret_of(secret, faults) else { continue };
            if secrets.iter().any(|other| other.name == desired.name) {
                faults.at(&secret.name, format!("the Secret {} comes twice", desired.name), "a Secret carries one robot's login");
            }
            secrets.push(desired.clone());
            own.push(desired);
        }
        let lifetime = lifetime(&robot.expires, faults);
        if let (Some(name), Some(lifetime)) = (template, lifetime) {
            robots.push(Robot { name, access, lifetime, secrets: own });
        }
    }
    let mut groups = BTreeSet::new();
    let members = parameters.members.iter().filter_map(|member| {
        if !groups.insert(member.group.value.clone()) {
            faults.at(&member.group, format!("the group {:?} comes twice", member.group.value), "a group has one role");
        }
        let template = team_template::<GroupName>(&member.group, faults)?;
        let fixed = template.placeholders().next().is_none();
        if fixed && shared.is_some_and(|shared| !shared.iter().any(|group| group.as_str() == member.group.value)) {
            // Harbor answers 500 when several projects name a new group at the same time.
            let hint = format!("put it into shared_groups of {CONFIGURE}.yaml, so that it is made once beforehand");
            faults.at(&member.group, format!("every team shares the group {:?}", member.group.value), hint);
        }
        Some((template, member.role))
    });
    let members = members.collect();
    let storage_quota = parameters.project.storage_quota.as_ref().and_then(|quota| {
        StorageQuota::parse(&quota.value).map_err(|hint| faults.at(quota, format!("{:?} is no quota", quota.value), hint)).ok()
    });
    let service_accounts = parameters.service_accounts.iter().filter_map(|account| {
        let name = named(account.name.value.parse(), &account.name, faults)?;
        let pull_secrets = account.pull_secrets.iter().filter_map(|secret| pull_secret(secret, &secrets, faults)).collect();
        Some(DesiredServiceAccount { name, pull_secrets })
    });
    let service_accounts = service_accounts.collect();
    Provision { metadata: parameters.project.metadata, storage_quota, members, robots, service_accounts }
}

/// No two teams may come to the same robot.
fn apart_from(robots: &[Robot], name: &Spanned<String>, template: Option<&Template>, faults: &mut Faults<'_>) {
    let Some(template) = template else { return };
    let collision = robots.iter().find_map(|other| collision(&other.name, template));
    if let Some((one, other)) = collision {
        let shared = filled(template, &other);
        faults.at(
            name,
            format!("the teams {one} and {other} would share the robot {shared}"),
            "join the words with '.' or '_', which no team id has: team-{team}.ci-pull",
        );
    }
}

fn pull_secret(
    secret: &Spanned<String>,
    published: &[DesiredSecret],
    faults: &mut Faults<'_>,
) -> Option<SecretName> {
    match published.iter().find(|other| other.name.as_str() == secret.value) {
        None => {
            faults.at(secret, format!("no robot publishes the Secret {:?}", secret.value), "name one of the robots' Secrets");
            None
        }
        Some(other) if other.form != SecretForm::DockerConfigJson => {
            faults.at(secret, format!("pods can't pull with the Secret {:?}", secret.value), "its form has to be dockerconfigjson");
            None
        }
        Some(other) => Some(other.name.clone()),
    }
}

fn secret_of(secret: &Secret, faults: &mut Faults<'_>) -> Option<DesiredSecret> {
    let form = match (secret.form, &secret.key) {
        (Form::DockerConfigJson, None) => SecretForm::DockerConfigJson,
        (Form::DockerConfigJson, Some(key)) => {
            faults.at(key, "a dockerconfigjson Secret has a key of its own", "take the key out");
            return None;
        }
        (Form::Opaque, Some(key)) if is_data_key(&key.value) => SecretForm::Opaque { key: key.value.clone() },
        (Form::Opaque, Some(key)) => {
            faults.at(key, format!("{:?} is no key of a Secret", key.value), "letters, digits, '-', '_' and '.'");
            return None;
        }
        (Form::Opaque, None) => {
            faults.at(&secret.name, "an opaque Secret needs a key", "give key: config.json");
            return None;
        }
    };
    Some(DesiredSecret { name: named(secret.name.value.parse(), &secret.name, faults)?, form })
}

fn is_data_key(key: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !key.is_empty() && key.len() <= 253 && key != "." && key != ".." && key.chars().all(allowed)
}

fn lifetime(text: &Spanned<String>, faults: &mut Faults<'_>) -> Option<RobotLifetime> {
    let days = text.value.strip_suffix('d').and_then(|days| days.parse().ok()).filter(|days| *days > 0);
    match days {
        _ if text.value == "never" => Some(RobotLifetime::Never),
        Some(days) => Some(RobotLifetime::Days(days)),
        None => {
            faults.at(text, format!("{:?} is no lifetime", text.value), "write never, or days such as 90d");
            None
        }
    }
}

/// A template that makes a good name of the shortest and of the longest team id, and so of all between.
fn team_template<N: std::str::FromStr<Err = NameError>>(text: &Spanned<String>, faults: &mut Faults<'_>) -> Option<Template> {
    let template = template(text, &[TEAM], faults)?;
    for id in ["a".to_owned(), "x".repeat(58)] {
        let Ok(team) = TeamId::new(id) else { continue };
        if let Err(error) = filled(&template, &team).parse::<N>() {
            faults.at(text, format!("for team {team} the {error}"), "");
            return None;
        }
    }
    Some(template)
}
