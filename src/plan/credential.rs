//! What becomes of a robot and of the Secrets that carry its login.
//!
//! The Secrets are the only place where a robot's secret is kept. So a robot whose login no Secret
//! holds any more gets a new one, and a login that works is never replaced.

use secrecy::ExposeSecret as _;

use super::desired::{DesiredCredential, DesiredSecret, DesiredTeam};
use super::docker_config::Login;
use super::observed::{LoginProof, ObservedHarbor, ObservedRobot, ObservedSecret, ObservedTeam};
use super::robot::{self, LoginUse};
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
    Untried(Login),
}

/// The logins that have to be tried before the team can be planned.
///
/// A login is tried only when it names the robot itself, under whichever registry, and only when
/// no Secret of the robot is as harborage published it. The same login in several Secrets is tried
/// once: a refusal costs Harbor 1.5 seconds, and locks the robot out for as long. The login of a robot
/// that is disabled or expired can't be tried.
#[must_use]
pub fn logins_to_prove(desired: &DesiredTeam, observed: &ObservedTeam) -> Vec<LoginToProve> {
    let Some(harbor) = &observed.harbor else {
        return Vec::new();
    };
    let mut wanted: Vec<LoginToProve> = Vec::new();
    for credential in &desired.credentials {
        let robot = harbor.robots.get(&credential.robot.name);
        let Some(robot) = robot.filter(|robot| robot::may_sign_in(robot, observed.at)) else {
            continue;
        };
        let standings = standings(desired, credential, robot, observed);
        if standings
            .iter()
            .any(|(_, standing)| matches!(standing, Standing::Published(_)))
        {
            continue;
        }
        let mut of_robot: Vec<LoginToProve> = Vec::new();
        for (secret, standing) in standings {
            if let Standing::Untried(login) = standing
                && !of_robot.iter().any(|other| same_password(&other.login, &login))
            {
                of_robot.push(LoginToProve {
                    secret: secret.name.clone(),
                    login,
                });
            }
        }
        wanted.extend(of_robot);
    }
    wanted
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

    let repair = robot::repair(desired, credential, robot, observed.at);
    let mut steps = vec![step(
        format!("robot {name}"),
        repair.verdict,
        &repair.why,
        repair.action,
    )];
    match (repair.login, secrets_writable) {
        // Whether a Secret's login works can only be told once the robot may sign in.
        (LoginUse::AfterRepair, _) => return (steps, false),
        (LoginUse::Never, _) => {}
        (LoginUse::Now, Err(why)) => steps.extend(
            credential
                .secrets
                .iter()
                .map(|secret| step(format!("Secret {}", secret.name), Verdict::Wait, why, None)),
        ),
        (LoginUse::Now, Ok(())) => steps.extend(secret_steps(desired, credential, robot, observed)),
    }
    (steps, true)
}

/// What becomes of the Secrets of a robot that may sign in.
fn secret_steps(
    desired: &DesiredTeam,
    credential: &DesiredCredential,
    robot: &ObservedRobot,
    observed: &ObservedTeam,
) -> Vec<Step> {
    let standings = standings(desired, credential, robot, observed);
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
            .any(|(_, standing)| matches!(standing, Standing::Untried(_))) =>
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
                Standing::Untried(_) => (Verdict::Change, "its login is not the published one".to_owned()),
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
    if !robot.editable {
        let why = "no Secret holds a login of its robot that works, and Harbor does not let a robot of the old \
                   kind be changed; delete it, and it is made anew";
        let report =
            |secret: &DesiredSecret| step(format!("Secret {}", secret.name), Verdict::Report, why, None);
        return standings.iter().map(|(secret, _)| report(secret)).collect();
    }
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

/// How each Secret of a robot stands. What was found out about a login holds for every Secret that holds it.
fn standings<'a>(
    desired: &DesiredTeam,
    credential: &'a DesiredCredential,
    robot: &ObservedRobot,
    observed: &'a ObservedTeam,
) -> Vec<(&'a DesiredSecret, Standing<'a>)> {
    let held = |secret: &DesiredSecret| observed.cluster.as_ref()?.secrets.get(&secret.name);
    let login = |secret: &DesiredSecret| login_of(&desired.registry_host, held(secret)?, robot);
    let known: Vec<(Login, LoginProof)> = credential
        .secrets
        .iter()
        .filter_map(|secret| {
            let proof = observed.proofs.get(&secret.name).copied();
            let published = || is_published(desired, held(secret)?, robot).then_some(LoginProof::Accepted);
            Some((login(secret)?, proof.or_else(published)?))
        })
        .collect();
    let standing = |secret| {
        let Some(held) = held(secret) else {
            return Standing::Missing;
        };
        let Some(login) = login_of(&desired.registry_host, held, robot) else {
            return Standing::Useless(useless(desired, held));
        };
        let known = known.iter().find(|(other, _)| same_password(other, &login));
        match known.map(|(_, proof)| *proof) {
            None => Standing::Untried(login),
            Some(LoginProof::Refused) => Standing::Refused,
            Some(LoginProof::Accepted) if is_published(desired, held, robot) => Standing::Published(held),
            Some(LoginProof::Accepted) => Standing::Accepted(held),
        }
    };
    credential
        .secrets
        .iter()
        .map(|secret| (secret, standing(secret)))
        .collect()
}

/// Why a Secret holds no login of its robot.
fn useless(desired: &DesiredTeam, held: &ObservedSecret) -> &'static str {
    match &held.content {
        None => "it lacks the key of the docker configuration",
        Some(Err(_)) => "its docker configuration can't be read",
        Some(Ok(config)) if config.login(&desired.registry_host).is_some() => "its login is another user's",
        Some(Ok(_)) => "it holds no login for the registry",
    }
}

/// Whether a Secret holds this robot's login as harborage published it.
fn is_published(desired: &DesiredTeam, held: &ObservedSecret, robot: &ObservedRobot) -> bool {
    let host = &desired.registry_host;
    let (Some(mark), Some(Ok(config))) = (&held.mark, &held.content) else {
        return false;
    };
    mark.robot_id == robot.id
        && config
            .login(host)
            .is_some_and(|login| login.username == robot.full_name)
        && config.login_digest(host).as_ref() == Some(&mark.login_digest)
}

fn same_password(one: &Login, other: &Login) -> bool {
    one.password.expose_secret() == other.password.expose_secret()
}

/// The robot's login in a Secret: under the registry, or under a former host of the platform.
fn login_of(host: &RegistryHost, held: &ObservedSecret, robot: &ObservedRobot) -> Option<Login> {
    held.content
        .as_ref()?
        .as_ref()
        .ok()?
        .login_of(host, &robot.full_name)
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
