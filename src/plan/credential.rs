//! What becomes of a robot and of the Secrets that carry its login.
//!
//! The Secrets are the only place where a robot's secret is kept. So a robot whose login no Secret
//! holds any more gets a new one, and a login that works is never replaced.

use super::desired::{DesiredCredential, DesiredSecret, DesiredTeam};
use super::docker_config::Login;
use super::observed::{LoginProof, ObservedHarbor, ObservedRobot, ObservedSecret, ObservedTeam};
use super::robot::repair_robot;
use super::step::{Action, Operation, Step, Verdict};
use crate::values::names::{RegistryHost, SecretName};

/// A login whose working nothing else tells.
#[derive(Debug, Clone)]
pub struct LoginToProve {
    /// The Secret that holds it.
    pub secret: SecretName,
    /// The login. It names one of the team's robots: a foreign user's is never tried.
    pub login: Login,
}

/// How a Secret stands, seen from its robot.
enum Standing<'a> {
    /// It is not there.
    Missing,
    /// What it holds can't be the robot's login, for this reason.
    Useless(&'static str),
    /// It holds a login of the robot, as harborage published it.
    Published(&'a ObservedSecret),
    /// It holds a login of the robot that Harbor took just now.
    Accepted(&'a ObservedSecret),
    /// It holds a login of the robot that Harbor refused just now.
    Refused,
    /// It holds a login of the robot that has not been tried.
    Untried,
}

/// The logins that have to be tried before the team can be planned.
///
/// A login is tried only when it names the robot itself, under whichever registry, and only when
/// no Secret of the robot is as harborage published it. A disabled robot's can't be tried.
#[must_use]
pub fn logins_to_prove(desired: &DesiredTeam, observed: &ObservedTeam) -> Vec<LoginToProve> {
    let (Some(harbor), Some(cluster)) = (&observed.harbor, &observed.cluster) else {
        return Vec::new();
    };
    let mut logins = Vec::new();
    for credential in &desired.credentials {
        let Some(robot) = harbor
            .robots
            .get(&credential.robot.name)
            .filter(|robot| !robot.disabled)
        else {
            continue;
        };
        let standings: Vec<_> = credential
            .secrets
            .iter()
            .map(|secret| standing(desired, secret, robot, observed))
            .collect();
        if standings
            .iter()
            .any(|standing| matches!(standing, Standing::Published(_)))
        {
            continue;
        }
        for (secret, standing) in credential.secrets.iter().zip(&standings) {
            if let (Standing::Untried, Some(held)) = (standing, cluster.secrets.get(&secret.name))
                && let Some(login) = login_of(&desired.registry_host, held, robot)
            {
                logins.push(LoginToProve {
                    secret: secret.name.clone(),
                    login,
                });
            }
        }
    }
    logins
}

/// The steps of one credential. The flag tells whether another plan has to follow these steps.
pub(super) fn steps(
    desired: &DesiredTeam,
    credential: &DesiredCredential,
    harbor: &ObservedHarbor,
    observed: &ObservedTeam,
    secrets_writable: Result<(), &str>,
) -> (Vec<Step>, bool) {
    let name = &credential.robot.name;
    let Some(robot) = harbor.robots.get(name) else {
        let step = match secrets_writable {
            Ok(()) => step(
                format!("robot {name}"),
                Verdict::Create,
                "it does not exist",
                Some(Action::IssueCredential { robot: name.clone() }),
            ),
            // A robot whose secret could not be written down would be of no use.
            Err(why) => step(format!("robot {name}"), Verdict::Wait, why, None),
        };
        let secrets = credential.secrets.iter().map(|secret| {
            let held = observed
                .cluster
                .as_ref()
                .is_some_and(|side| side.secrets.contains_key(&secret.name));
            let verdict = match (secrets_writable, held) {
                (Err(_), _) => Verdict::Wait,
                (Ok(()), true) => Verdict::Change,
                (Ok(()), false) => Verdict::Create,
            };
            self::step(
                format!("Secret {}", secret.name),
                verdict,
                "it gets the new robot's login",
                None,
            )
        });
        return (std::iter::once(step).chain(secrets).collect(), true);
    };

    let mut steps = Vec::new();
    let repair = repair_robot(desired, credential, robot);
    let disabled = robot.disabled;
    let changes = repair.action.is_some();
    steps.push(repair);
    if disabled {
        // Whether a Secret's login works can only be told once the robot is enabled.
        return (steps, !changes);
    }
    match secrets_writable {
        Err(why) => steps.extend(
            credential
                .secrets
                .iter()
                .map(|secret| step(format!("Secret {}", secret.name), Verdict::Wait, why, None)),
        ),
        Ok(()) => steps.extend(secret_steps(desired, credential, robot, observed)),
    }
    (steps, true)
}

/// What becomes of the Secrets of a robot that exists and is enabled.
fn secret_steps(
    desired: &DesiredTeam,
    credential: &DesiredCredential,
    robot: &ObservedRobot,
    observed: &ObservedTeam,
) -> Vec<Step> {
    let standings: Vec<_> = credential
        .secrets
        .iter()
        .map(|secret| (secret, standing(desired, secret, robot, observed)))
        .collect();
    let source = standings
        .iter()
        .find(|(_, standing)| matches!(standing, Standing::Published(_)))
        .or_else(|| {
            standings
                .iter()
                .find(|(_, standing)| matches!(standing, Standing::Accepted(_)))
        })
        .map(|(secret, _)| secret.name.clone());
    match source {
        Some(source) => publish_steps(desired, credential, robot, &standings, &source),
        None if standings
            .iter()
            .any(|(_, standing)| matches!(standing, Standing::Untried)) =>
        {
            standings
                .iter()
                .map(|(secret, _)| {
                    step(
                        format!("Secret {}", secret.name),
                        Verdict::Wait,
                        "its login could not be tried",
                        None,
                    )
                })
                .collect()
        }
        None => replace_steps(credential, robot, &standings),
    }
}

/// A login works: the Secrets that lack it, or that are not marked, are written; the credential stays.
fn publish_steps(
    desired: &DesiredTeam,
    credential: &DesiredCredential,
    robot: &ObservedRobot,
    standings: &[(&DesiredSecret, Standing<'_>)],
    source: &SecretName,
) -> Vec<Step> {
    standings
        .iter()
        .map(|(secret, standing)| {
            let (verdict, why) = match standing {
                Standing::Published(held) => match form_fault(desired, secret, held, robot) {
                    None => (Verdict::Keep, "its login is as published".to_owned()),
                    Some(fault) => (Verdict::Change, fault),
                },
                Standing::Accepted(held) => match form_fault(desired, secret, held, robot) {
                    None => (
                        Verdict::Adopt,
                        "its login works; it is marked, the credential stays".to_owned(),
                    ),
                    Some(fault) => (Verdict::Change, format!("{fault}; the credential stays")),
                },
                Standing::Missing => (Verdict::Create, "it does not exist".to_owned()),
                Standing::Useless(fault) => (Verdict::Change, (*fault).to_owned()),
                Standing::Refused => (Verdict::Change, "Harbor refuses its login".to_owned()),
                Standing::Untried => (Verdict::Change, "its login is not the published one".to_owned()),
            };
            let action = (verdict != Verdict::Keep).then(|| Action::PublishCredential {
                robot: credential.robot.name.clone(),
                robot_id: robot.id,
                source: source.clone(),
                secrets: vec![secret.name.clone()],
            });
            step(format!("Secret {}", secret.name), verdict, &why, action)
        })
        .collect()
}

/// No Secret holds a login that works: the robot gets a new secret, which goes to all of them.
fn replace_steps(
    credential: &DesiredCredential,
    robot: &ObservedRobot,
    standings: &[(&DesiredSecret, Standing<'_>)],
) -> Vec<Step> {
    let mut action = Some(Action::ReplaceCredential {
        robot: credential.robot.name.clone(),
        robot_id: robot.id,
    });
    standings
        .iter()
        .map(|(secret, standing)| {
            let (verdict, why) = match standing {
                Standing::Missing => (Verdict::Create, "it does not exist"),
                Standing::Useless(fault) => (Verdict::Change, *fault),
                _ => (Verdict::Change, "Harbor refuses its login"),
            };
            let why = format!("{why}; robot {} gets a new secret", credential.robot.name);
            step(format!("Secret {}", secret.name), verdict, &why, action.take())
        })
        .collect()
}

fn standing<'a>(
    desired: &DesiredTeam,
    secret: &DesiredSecret,
    robot: &ObservedRobot,
    observed: &'a ObservedTeam,
) -> Standing<'a> {
    let held = observed
        .cluster
        .as_ref()
        .and_then(|side| side.secrets.get(&secret.name));
    let Some(held) = held else {
        return Standing::Missing;
    };
    let config = match &held.content {
        None => return Standing::Useless("it lacks the key of the docker configuration"),
        Some(Err(_)) => return Standing::Useless("its docker configuration can't be read"),
        Some(Ok(config)) => config,
    };
    if login_of(&desired.registry_host, held, robot).is_none() {
        return match config.login(&desired.registry_host) {
            None => Standing::Useless("it holds no login for the registry"),
            Some(_) => Standing::Useless("its login is another user's"),
        };
    }
    let published = held.mark.as_ref().is_some_and(|mark| {
        mark.robot_id == robot.id
            && config
                .login(&desired.registry_host)
                .is_some_and(|login| login.username == robot.full_name)
            && config.login_digest(&desired.registry_host).as_ref() == Some(&mark.login_digest)
    });
    match observed.proofs.get(&secret.name) {
        _ if published => Standing::Published(held),
        Some(LoginProof::Accepted) => Standing::Accepted(held),
        Some(LoginProof::Refused) => Standing::Refused,
        None => Standing::Untried,
    }
}

/// The robot's login in a Secret: under the registry, or under a former host of the platform.
fn login_of(host: &RegistryHost, held: &ObservedSecret, robot: &ObservedRobot) -> Option<Login> {
    let config = held.content.as_ref()?.as_ref().ok()?;
    let current = config
        .login(host)
        .filter(|login| login.username == robot.full_name);
    current.or_else(|| config.login_of(&robot.full_name))
}

/// What is wrong with a Secret beside its login.
fn form_fault(
    desired: &DesiredTeam,
    secret: &DesiredSecret,
    held: &ObservedSecret,
    robot: &ObservedRobot,
) -> Option<String> {
    if held.secret_type != secret.form.secret_type() {
        return Some(format!(
            "its type is {}, not {}",
            held.secret_type,
            secret.form.secret_type()
        ));
    }
    let config = held.content.as_ref()?.as_ref().ok()?;
    let host = &desired.registry_host;
    if config
        .login(host)
        .is_none_or(|login| login.username != robot.full_name)
    {
        return Some(format!("its login is not for {host}"));
    }
    config
        .has_former_host(host, &robot.full_name)
        .then(|| "it also names a former registry host".to_owned())
}

fn step(object: String, verdict: Verdict, why: &str, action: Option<Action>) -> Step {
    Step {
        operation: Operation::EnsureCredentials,
        object,
        verdict,
        why: why.to_owned(),
        action,
    }
}
