//! The Harbor client against the stand-in.

use std::collections::BTreeMap;
use std::sync::Arc;

use harborage::edge::harbor::{HarborClient, HarborSettings};
use harborage::plan::desired::{
    Access, DesiredMember, DesiredProject, DesiredRobot, DesiredTeam, ProjectRole, RobotLifetime,
    StorageQuota,
};
use harborage::plan::docker_config::Login;
use harborage::plan::observed::LoginProof;
use harborage::rehearsal::Failure;
use harborage::rehearsal::harbor::HarborStandIn;
use harborage::run::target::{CreatedRobot, ErrorClass, Extent, Harbor as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::declared::team;
use super::support::Stage;

fn robot(name: &str, access: &[&str]) -> DesiredRobot {
    DesiredRobot {
        name: name.parse().unwrap(),
        access: access
            .iter()
            .map(|access| Access::try_from((*access).to_owned()).unwrap())
            .collect(),
        lifetime: RobotLifetime::Never,
    }
}

fn project(name: &str) -> DesiredProject {
    DesiredProject {
        name: name.parse().unwrap(),
        metadata: BTreeMap::from([("public".to_owned(), "false".to_owned())]),
        storage_quota: None,
    }
}

/// Puts Harbor into OIDC mode, as groups need it.
async fn switch_to_oidc(client: &HarborClient) {
    let changes = [
        ("auth_mode", "oidc_auth"),
        ("oidc_name", "otomi"),
        ("oidc_endpoint", "https://keycloak.example.com/realms/otomi"),
        ("oidc_client_id", "otomi"),
        ("oidc_scope", "openid"),
    ];
    let changes = changes.map(|(key, value)| (key.to_owned(), json!(value))).into();
    client
        .write_configuration(&changes, Some(&SecretString::from("a client secret")))
        .await
        .unwrap();
}

async fn provisioned(stage: &Stage, client: &HarborClient, desired: &DesiredTeam) -> Vec<CreatedRobot> {
    switch_to_oidc(client).await;
    client.create_project(&desired.project).await.unwrap();
    for member in &desired.members {
        client.add_member(&desired.project.name, member).await.unwrap();
    }
    let mut robots = Vec::new();
    for credential in &desired.credentials {
        robots.push(
            client
                .create_robot(&desired.project.name, &credential.robot)
                .await
                .unwrap(),
        );
    }
    stage.harbor.reset_counts();
    robots
}

#[tokio::test]
async fn one_sign_in_serves_every_call() {
    let stage = Stage::empty().await;
    let client = Arc::new(stage.harbor_client());
    let calls: Vec<_> = (0..20)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { client.create_project(&project(&format!("p{number}"))).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let counts = stage.harbor.counts();
    assert_eq!(counts.sign_ins, 1);
    assert_eq!(counts.of("POST", "/api/v2.0/projects"), 20);
    assert!(
        counts.peak_writes <= 4,
        "{} writes were in flight",
        counts.peak_writes
    );
}

#[tokio::test]
async fn a_session_that_ended_is_renewed_once_for_all() {
    let stage = Stage::empty().await;
    let client = stage.harbor_client();
    client.create_project(&project("one")).await.unwrap();
    stage.harbor.end_sessions();
    stage.harbor.reset_counts();
    let (two, three) = (project("two"), project("three"));
    let (second, third) = tokio::join!(client.create_project(&two), client.create_project(&three));
    second.unwrap();
    third.unwrap();
    assert_eq!(stage.harbor.counts().sign_ins, 1);
}

#[tokio::test]
async fn a_harbor_that_was_away_is_found_again_where_it_was() {
    let stage = Stage::empty().await;
    let client = stage.harbor_client();
    client.create_project(&project("one")).await.unwrap();
    let options = stage.harbor.stop().await;
    let away = client.create_project(&project("two")).await.unwrap_err();
    assert_eq!((away.class, away.status), (ErrorClass::Transient, None));
    let harbor = HarborStandIn::start(options).await.unwrap();
    client.create_project(&project("two")).await.unwrap();
    let counts = harbor.counts();
    assert_eq!((counts.sign_ins, counts.of("POST", "/api/v2.0/projects")), (1, 2));
    assert!(harbor.look(|state| state.project_named("one").is_some()));
}

#[tokio::test]
async fn a_wrong_password_is_tried_twice_and_then_kept_away() {
    let stage = Stage::empty().await;
    let settings = HarborSettings {
        password: SecretString::from("wrong"),
        ..stage.harbor_settings()
    };
    let client = HarborClient::new(settings).unwrap();
    for _ in 0..5 {
        let error = client.create_project(&project("one")).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Auth);
        assert!(
            error.retry_after.is_some_and(|wait| wait.as_secs() > 20),
            "{error:?}"
        );
        assert!(error.to_string().contains("password of admin"), "{error}");
        assert!(!format!("{error:?}").contains("wrong"));
    }
    assert_eq!(stage.harbor.counts().of("POST", "/c/login"), 2);
    assert_eq!(stage.harbor.counts().of("POST", "/api/v2.0/projects"), 0);
}

#[tokio::test]
async fn a_harbor_too_busy_to_sign_us_in_is_asked_again() {
    let stage = Stage::empty().await;
    let client = stage.harbor_client();
    stage
        .harbor
        .inject(|call| (call.path == "/c/login").then_some(Failure::TooMany));
    let error = client.create_project(&project("one")).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    stage.harbor.clear_injections();
    client.create_project(&project("one")).await.unwrap();
}

#[tokio::test]
async fn lists_are_read_to_their_end_whatever_their_length() {
    for robots in [99_usize, 100, 101, 250] {
        let stage = Stage::empty().await;
        let client = stage.harbor_client();
        client.create_project(&project("team-x")).await.unwrap();
        for number in 0..robots {
            client
                .create_robot(
                    &"team-x".parse().unwrap(),
                    &robot(&format!("r{number}"), &["repository:pull"]),
                )
                .await
                .unwrap();
        }
        // The oldest robot is on the last page: Harbor lists the newest first.
        let mut desired = team("x");
        desired.credentials.truncate(1);
        desired.credentials[0].robot.name = "r0".parse().unwrap();
        let prefix = client
            .observe_platform(&[])
            .await
            .unwrap()
            .robot_prefix()
            .to_owned();
        stage.harbor.reset_counts();
        let sides = client
            .observe_teams(&[Arc::new(desired.clone())], &prefix, Extent::Lists)
            .await
            .unwrap();
        assert_eq!(sides[&desired.team].robots.len(), 1, "with {robots} robots");
        let pages = u64::try_from(robots / 100 + 1).unwrap();
        assert_eq!(stage.harbor.counts().of("GET", "/api/v2.0/robots"), pages);
    }
}

#[tokio::test]
async fn single_reads_and_lists_see_the_same() {
    let stage = Stage::empty().await;
    let client = stage.harbor_client();
    let mut desired = team("demo");
    desired.project.storage_quota = Some(StorageQuota::Bytes(1 << 30));
    provisioned(&stage, &client, &desired).await;
    // Names that a fuzzy filter finds as well.
    let near = team("demo-2");
    client.create_project(&near.project).await.unwrap();
    client
        .create_robot(&near.project.name, &near.credentials[0].robot)
        .await
        .unwrap();

    let teams = [Arc::new(desired.clone()), Arc::new(team("absent"))];
    let by_lists = client
        .observe_teams(&teams, "robot$", Extent::Lists)
        .await
        .unwrap();
    let one_by_one = client
        .observe_teams(&teams, "robot$", Extent::Single)
        .await
        .unwrap();
    assert_eq!(by_lists, one_by_one);
    let side = &by_lists[&desired.team];
    let held = side.project.as_ref().unwrap();
    assert_eq!(held.metadata["public"], "false");
    assert_eq!(held.quota.as_ref().unwrap().storage, 1 << 30);
    assert_eq!(side.robots.len(), 3);
    let members: Vec<_> = side
        .members
        .iter()
        .filter(|member| member.is_group)
        .map(|m| (m.name.as_str(), m.role_id))
        .collect();
    assert!(
        members.contains(&("team-demo", 2)) && members.contains(&("all-teams-admin", 1)),
        "{members:?}"
    );
    assert_eq!(by_lists[&"absent".parse().unwrap()].project, None);
}

#[tokio::test]
async fn a_project_whose_name_is_all_digits_is_found_by_name() {
    let stage = Stage::empty().await;
    let client = stage.harbor_client();
    let mut desired = team("x");
    desired.project = project("12345");
    client.create_project(&desired.project).await.unwrap();
    let sides = client
        .observe_teams(&[Arc::new(desired.clone())], "robot$", Extent::Single)
        .await
        .unwrap();
    assert!(sides[&desired.team].project.is_some());
}

#[tokio::test]
async fn a_login_is_proven_by_the_tokens_subject() {
    let stage = Stage::empty().await;
    let client = stage.harbor_client();
    let robots = provisioned(&stage, &client, &team("demo")).await;
    let project = "team-demo".parse().unwrap();
    let right = &robots[0].login;
    assert_eq!(
        client.prove_login(&project, right).await.unwrap(),
        LoginProof::Accepted
    );
    let wrong = Login {
        password: SecretString::from("Wrong1234"),
        ..right.clone()
    };
    assert_eq!(
        client.prove_login(&project, &wrong).await.unwrap(),
        LoginProof::Refused
    );
    // A wrong robot login has no bearing on the administrator.
    client.observe_platform(&[]).await.unwrap();
    stage
        .harbor
        .alter(|state| state.robot_mut(robots[0].id).unwrap().disabled = true);
    assert_eq!(
        client.prove_login(&project, right).await.unwrap(),
        LoginProof::Refused
    );
}

#[tokio::test]
async fn a_chosen_secret_is_the_robots_from_then_on() {
    let stage = Stage::empty().await;
    let client = stage.harbor_client();
    let robots = provisioned(&stage, &client, &team("demo")).await;
    let chosen = SecretString::from("Chosen-by-us-1");
    client.set_robot_secret(robots[1].id, &chosen).await.unwrap();
    let login = &robots[1].login;
    assert!(
        stage
            .harbor
            .authenticates(&login.username, chosen.expose_secret())
    );
    assert!(
        !stage
            .harbor
            .authenticates(&login.username, login.password.expose_secret())
    );
}

#[tokio::test]
async fn a_changed_robot_keeps_its_secret_and_its_description() {
    let stage = Stage::empty().await;
    let client = stage.harbor_client();
    let robots = provisioned(&stage, &client, &team("demo")).await;
    let id = robots[0].id;
    stage.harbor.alter(|state| {
        let held = state.robot_mut(id).unwrap();
        held.disabled = true;
        held.description = "made by a person".to_owned();
    });
    let desired = &team("demo").credentials[1].robot;
    let renamed = DesiredRobot {
        name: "team-demo-pull".parse().unwrap(),
        ..desired.clone()
    };
    let login = &robots[0].login;
    client
        .update_robot(
            &"team-demo".parse().unwrap(),
            id,
            &login.username,
            "made by a person",
            &renamed,
        )
        .await
        .unwrap();
    assert!(
        stage
            .harbor
            .authenticates(&login.username, login.password.expose_secret())
    );
    stage.harbor.look(|state| {
        let held = state.robot(id).unwrap();
        assert_eq!(held.description, "made by a person");
        assert_eq!(held.grants[0].access.len(), 2);
    });
}

#[tokio::test]
async fn what_exists_is_a_conflict_and_what_is_wrong_is_rejected() {
    let stage = Stage::empty().await;
    let client = stage.harbor_client();
    client.create_project(&project("team-demo")).await.unwrap();
    let again = client.create_project(&project("team-demo")).await.unwrap_err();
    assert_eq!(again.class, ErrorClass::Conflict);

    let name = "team-demo".parse().unwrap();
    let member = DesiredMember {
        group: "team-demo".parse().unwrap(),
        role: ProjectRole::Developer,
    };
    let early = client.add_member(&name, &member).await.unwrap_err();
    assert_eq!(early.class, ErrorClass::Rejected);
    assert!(early.to_string().contains("OIDC mode"), "{early}");

    let unknown = client
        .create_robot(&name, &robot("r", &["banana:pull"]))
        .await
        .unwrap_err();
    assert_eq!(unknown.class, ErrorClass::Rejected);
    assert!(unknown.to_string().contains("banana:pull"), "{unknown}");
}

#[tokio::test]
async fn read_only_mode_is_noticed_before_writing() {
    let stage = Stage::empty().await;
    let client = stage.harbor_client();
    stage
        .harbor
        .alter(|state| state.settings_mut().set("read_only", json!(true)));
    assert!(client.observe_platform(&[]).await.unwrap().read_only);
    stage.harbor.reset_counts();
    let error = client.create_project(&project("one")).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.to_string().contains("read-only"), "{error}");
    assert_eq!(stage.harbor.counts().writes, 0);
    stage
        .harbor
        .alter(|state| state.settings_mut().set("read_only", json!(false)));
    client.create_project(&project("one")).await.unwrap();
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_sent_once() {
    for failure in [
        Failure::ErrorAfter,
        Failure::CutAfter,
        Failure::Hang,
        Failure::Unavailable,
        Failure::TooMany,
    ] {
        let stage = Stage::empty().await;
        let client = stage.harbor_client();
        client.observe_platform(&[]).await.unwrap();
        stage.harbor.inject(move |call| {
            (call.method == "POST" && call.path.ends_with("/projects")).then_some(failure)
        });
        let error = client.create_project(&project("one")).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient, "{failure:?}: {error}");
        assert_eq!(
            stage.harbor.counts().of("POST", "/api/v2.0/projects"),
            1,
            "{failure:?}"
        );
        let exists = stage.harbor.look(|state| state.project_named("one").is_some());
        assert_eq!(exists, failure.takes_effect(), "{failure:?}");
        assert_eq!(error.retry_after.is_some(), failure == Failure::TooMany);
    }
}

#[tokio::test]
async fn an_expired_session_never_makes_a_platform_look_empty() {
    let stage = Stage::empty().await;
    let client = stage.harbor_client();
    let desired = team("demo");
    provisioned(&stage, &client, &desired).await;
    stage.harbor.end_sessions();
    let sides = client
        .observe_teams(&[Arc::new(desired.clone())], "robot$", Extent::Lists)
        .await
        .unwrap();
    assert!(sides[&desired.team].project.is_some());
    stage.harbor.end_sessions();
    let sides = client
        .observe_teams(&[Arc::new(desired.clone())], "robot$", Extent::Single)
        .await
        .unwrap();
    assert!(sides[&desired.team].project.is_some());
}

#[tokio::test]
async fn no_error_holds_a_secret() {
    let stage = Stage::empty().await;
    let client = stage.harbor_client();
    provisioned(&stage, &client, &team("demo")).await;
    stage
        .harbor
        .inject(|call| (call.kind == harborage::rehearsal::CallKind::Write).then_some(Failure::ErrorAfter));
    let secret = SecretString::from("Marker-Secret-1");
    let admin = stage.harbor.admin_password().expose_secret().to_owned();
    let errors = [
        client.set_robot_secret(1, &secret).await.unwrap_err(),
        client
            .write_configuration(&BTreeMap::new(), Some(&secret))
            .await
            .unwrap_err(),
        client
            .create_robot(&"team-demo".parse().unwrap(), &robot("r", &["repository:pull"]))
            .await
            .unwrap_err(),
    ];
    for error in errors {
        let text = format!("{error} {error:?}");
        assert!(
            !text.contains("Marker-Secret") && !text.contains(&admin),
            "{text}"
        );
    }
}

#[test]
fn a_url_that_is_none_is_a_clear_error() {
    for url in ["", "harbor", "ftp://harbor", "http://"] {
        let settings = HarborSettings {
            url: url.to_owned(),
            username: "admin".to_owned(),
            password: SecretString::from("x"),
            ca: None,
            writes: 1,
            reads: 1,
            timeout: std::time::Duration::from_secs(1),
            lockout: HarborSettings::LOCKOUT,
        };
        let error = HarborClient::new(settings).err().unwrap();
        assert!(error.to_string().contains("harbor-url"), "{url:?}: {error}");
    }
}
