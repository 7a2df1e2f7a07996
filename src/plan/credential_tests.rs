//! What becomes of robots that may not sign in, and of logins that several Secrets hold.

use chrono::Duration;
use secrecy::SecretString;

use super::desired::{DesiredTeam, RobotLifetime};
use super::docker_config::{DockerConfig, Login};
use super::model::{World, expiry};
use super::observed::{LoginProof, ObservedRobot, SecretMark};
use super::sample::{HOST, actions, desired, empty_world};
use super::show::{FullPlan, ShowOptions};
use super::step::{Action, Verdict};
use super::{PlanOptions, PlatformPlan, TeamPlan, logins_to_prove, plan_team};
use crate::values::Revision;

/// A team that is as it should be, save for what becomes of its pull robot.
fn world(
    lifetime: RobotLifetime,
    change: impl FnOnce(&mut World, &mut ObservedRobot),
) -> (DesiredTeam, World) {
    let desired = desired(lifetime, None);
    let mut world = empty_world(&desired);
    world.round(&desired, PlanOptions::default());
    let name = "team-demo-pull".parse().unwrap();
    let mut robot = world.robots.remove(&name).unwrap();
    change(&mut world, &mut robot.seen);
    world.robots.insert(name, robot);
    (desired, world)
}

fn of_pull_robot(plan: &TeamPlan) -> (Verdict, &str, Option<&Action>) {
    let step = plan
        .steps
        .iter()
        .find(|step| step.object == "robot team-demo-pull");
    let step = step.unwrap();
    (step.verdict, &step.why, step.action.as_ref())
}

#[test]
fn an_expired_robot_is_revived_where_its_new_lifetime_reaches_past_today() {
    let (desired, mut world) = world(RobotLifetime::Never, |world, robot| {
        robot.duration = 30;
        robot.expires_at = expiry(world.now - Duration::days(40), 30);
    });
    let plan = world.round(&desired, PlanOptions::default());
    let (verdict, why, action) = of_pull_robot(&plan);
    assert_eq!(
        (verdict, why),
        (Verdict::Change, "it has expired, after 30 days, and shall never")
    );
    assert!(matches!(action, Some(Action::UpdateRobot { .. })));
    assert_eq!(actions(&plan).len(), 1, "its credential is not judged yet");
    assert!(!plan.settles());
    assert!(world.round(&desired, PlanOptions::default()).is_converged());
}

#[test]
fn a_robot_whose_time_is_over_is_reported_and_not_trusted() {
    let (desired, mut world) = world(RobotLifetime::Days(30), |_, _| {});
    world.now += Duration::days(29);
    assert!(world.round(&desired, PlanOptions::default()).is_converged());
    world.now += Duration::days(1);
    assert!(logins_to_prove(&desired, &world.observe()).is_empty());
    let plan = world.round(&desired, PlanOptions::default());
    assert!(actions(&plan).is_empty(), "{plan:#?}");
    assert!(plan.settles());
    let (verdict, why, _) = of_pull_robot(&plan);
    assert!(
        verdict == Verdict::Report && why.starts_with("it has expired"),
        "{why}"
    );
}

#[test]
fn a_robot_in_use_is_never_given_a_lifetime_that_ends_it() {
    // Harbor counts from the creation: 30 days end a robot of 40 days at once, and what never
    // expires does not tell its age.
    for (duration, age) in [(-1, 0), (90, 40)] {
        let (desired, mut world) = world(RobotLifetime::Days(30), |world, robot| {
            robot.duration = duration;
            robot.expires_at = expiry(world.now - Duration::days(age), duration);
        });
        let plan = world.round(&desired, PlanOptions::default());
        assert_eq!(of_pull_robot(&plan).0, Verdict::Report);
        assert!(actions(&plan).is_empty(), "{plan:#?}");
    }
    let (desired, mut world) = world(RobotLifetime::Days(30), |world, robot| {
        robot.duration = 90;
        robot.expires_at = expiry(world.now - Duration::days(20), 90);
    });
    let plan = world.round(&desired, PlanOptions::default());
    let (verdict, why, _) = of_pull_robot(&plan);
    assert_eq!(
        (verdict, why),
        (Verdict::Change, "it expires after 90 days, not after 30 days")
    );
}

#[test]
fn a_robot_that_harbor_does_not_let_be_changed_is_reported_when_its_login_is_lost() {
    let (desired, mut world) = world(RobotLifetime::Never, |world, robot| {
        robot.editable = false;
        world.cluster.secrets.clear();
    });
    let plan = world.round(&desired, PlanOptions::default());
    let replaced = |action: &&Action| matches!(action, Action::ReplaceCredential { robot, .. } if robot.as_str() == "team-demo-pull");
    assert!(!actions(&plan).iter().any(replaced), "{plan:#?}");
    let step = plan
        .steps
        .iter()
        .find(|step| step.object == "Secret harbor-pullsecret");
    assert_eq!(step.unwrap().verdict, Verdict::Report);
}

#[test]
fn a_login_in_two_secrets_is_tried_once_and_both_are_adopted() {
    let (desired, mut world) = world(RobotLifetime::Never, |world, _| {
        world
            .cluster
            .secrets
            .values_mut()
            .for_each(|held| held.mark = None);
    });
    let mut observed = world.observe();
    let logins = logins_to_prove(&desired, &observed);
    assert_eq!(logins.len(), 3, "four Secrets, three logins: {logins:?}");
    for wanted in &logins {
        observed
            .proofs
            .insert(wanted.secret.clone(), LoginProof::Accepted);
    }
    let plan = plan_team(&desired, &observed, PlanOptions::default());
    let adopted = plan
        .steps
        .iter()
        .filter(|step| step.verdict == Verdict::Adopt)
        .count();
    assert_eq!((adopted, actions(&plan).len()), (4, 4));
    world.round(&desired, PlanOptions::default());
    assert!(world.round(&desired, PlanOptions::default()).is_converged());
}

#[test]
fn a_refusal_outweighs_the_mark_of_what_was_published() {
    let (desired, world) = world(RobotLifetime::Never, |_, _| {});
    let mut observed = world.observe();
    for secret in ["harbor-pullsecret", "copy"] {
        observed
            .proofs
            .insert(secret.parse().unwrap(), LoginProof::Refused);
    }
    let plan = plan_team(&desired, &observed, PlanOptions::default());
    assert!(
        matches!(actions(&plan).as_slice(), [Action::ReplaceCredential { .. }]),
        "{plan:#?}"
    );
}

#[test]
fn the_login_for_the_host_goes_before_one_under_a_former_host() {
    let host = HOST.parse().unwrap();
    let held = r#"{"auths":{"a.example.com":{"username":"robot","password":"former"},
        "harbor.example.com":{"username":"robot","password":"present"},"z.example.com":{"username":"other","password":"z"}}}"#;
    let config = DockerConfig::parse(held.as_bytes()).unwrap();
    let password = |username| {
        let login = config.login_of(&host, username);
        login.map(|login| secrecy::ExposeSecret::expose_secret(&login.password).to_owned())
    };
    assert_eq!(password("robot").as_deref(), Some("present"));
    assert_eq!(password("other").as_deref(), Some("z"));
    assert_eq!(password("nobody"), None);
}

#[test]
fn a_docker_configuration_is_read_as_docker_writes_it_and_refused_without_a_word_of_it() {
    let host = HOST.parse().unwrap();
    for registry in [
        HOST,
        "https://harbor.example.com",
        "http://harbor.example.com/v2/",
    ] {
        let text = format!(r#"{{"auths":{{"{registry}":{{"username":"robot","password":"Marker-1"}}}}}}"#);
        let config = DockerConfig::parse(text.as_bytes()).unwrap();
        assert!(config.login(&host).is_some(), "{registry}");
        let login = Login {
            username: "robot".to_owned(),
            password: SecretString::from("Marker-2"),
        };
        let rendered = config.with_login(&host, &login).render();
        let rendered = secrecy::ExposeSecret::expose_secret(&rendered);
        assert!(
            !rendered.contains("Marker-1") && rendered.matches(HOST).count() == 1,
            "{rendered}"
        );
    }
    for other in [
        "harbor.example.com.evil.net",
        "https://harbor.example.com:8443",
        "sub.harbor.example.com",
    ] {
        let text = format!(r#"{{"auths":{{"{other}":{{"username":"robot","password":"x"}}}}}}"#);
        assert!(
            DockerConfig::parse(text.as_bytes())
                .unwrap()
                .login(&host)
                .is_none(),
            "{other}"
        );
    }
    for broken in [
        "",
        "Marker-1",
        "[\"Marker-1\"]",
        r#"{"auths":"Marker-1"}"#,
        "\u{0}",
    ] {
        let error = DockerConfig::parse(broken.as_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("Marker"), "{error}");
    }
    // A registry's key may hold a password too.
    let keyed =
        DockerConfig::parse(br#"{"auths":{"https://u:Marker-1@host":{"auth":"Marker-2"}},"x":"Marker-3"}"#);
    assert!(!format!("{keyed:?}").contains("Marker"), "{keyed:?}");
}

#[test]
fn a_digest_tells_host_user_and_password_apart() {
    let digest = |host: &str, username: &str, password: &str| {
        let (host, login) = (
            host.parse().unwrap(),
            Login {
                username: username.to_owned(),
                password: SecretString::from(password),
            },
        );
        DockerConfig::empty()
            .with_login(&host, &login)
            .login_digest(&host)
            .unwrap()
    };
    let all = [
        digest("a.b", "user", "word"),
        digest("a.c", "user", "word"),
        digest("a.b", "userw", "ord"),
        digest("a.b", "user", "words"),
    ];
    assert!((1..all.len()).all(|i| !all[..i].contains(&all[i])), "{all:?}");
    assert_eq!(all[0], digest("a.b", "user", "word"));
    assert_eq!(DockerConfig::empty().login_digest(&HOST.parse().unwrap()), None);
}

#[test]
fn what_the_servers_hold_can_not_command_a_terminal() {
    let (desired, mut world) = world(RobotLifetime::Never, |world, robot| {
        robot.permissions[0].namespace = "\u{1b}[2J\nteam".to_owned();
        world
            .cluster
            .secrets
            .values_mut()
            .for_each(|held| held.mark = None::<SecretMark>);
    });
    let plan = world.round(&desired, PlanOptions::default());
    let full = FullPlan::new(
        Revision::commit("c1"),
        PlatformPlan { steps: Vec::new() },
        vec![plan],
    );
    let text = full.text(ShowOptions::default());
    assert!(
        !text.contains('\u{1b}') && text.contains("\\u{1b}[2J\\nteam"),
        "{text}"
    );
}
