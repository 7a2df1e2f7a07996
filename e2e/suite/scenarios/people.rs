//! What people do with what harborage made: images, and logins through Keycloak.

use std::sync::Arc;

use harborage::rehearsal::harbor::OidcLogin;
use serde_json::{Value, json};

use crate::check::{SECRETS, bytes};
use crate::harborage::file;
use crate::registry::{Registry, image, pull, push, user};
use crate::stage::Stage;
use crate::suite::{Scenario, scenario};

pub(crate) fn all() -> Vec<Scenario> {
    vec![
        scenario!(
            "images are pushed with the push Secret, pulled with the pull Secret, and not pushed with that",
            images
        ),
        scenario!("a member of the team signs in through Keycloak and is a developer of its project", member, needs Harbor),
        scenario!("a user who is made again in Keycloak has another sub, which Harbor refuses", made_again, needs Harbor),
        scenario!("a realm whose host changes has another issuer, which Harbor takes for a stranger's", moved, needs Harbor),
    ]
}

async fn images(stage: Arc<Stage>) {
    let team = stage.team_with_namespace("blue").await;
    let other = stage.team_with_namespace("green").await;
    let values = stage.values(&[&team, &other]);
    // A Harbor that was named has a registry of its own.
    let own = if stage.world.options().harbor.is_none() {
        let certificate = stage.world.token_certificate();
        Some(Registry::start(stage.folder(), &stage.harbor().url, &certificate).await)
    } else {
        None
    };
    let host = own.as_ref().map_or_else(
        || stage.harbor().host().to_owned(),
        |registry| registry.host().to_owned(),
    );
    stage.set_registry_host(&host);
    let mut program = stage.program_for(&values).await;
    program.set("registry-host", &host);
    stage.took(program.apply().await);
    stage.assert_provisioned(&team).await;
    stage.assert_provisioned(&other).await;

    let image = image(stage.folder());
    let name = format!("{host}/team-{team}/hello:1");
    let mut configurations = Vec::new();
    for (secret, kind, key, robot, _) in SECRETS {
        // What a pod mounts.
        let bytes = bytes(&stage, &format!("team-{team}"), secret, kind, key).await;
        let text = String::from_utf8(bytes).unwrap();
        let configuration = file(stage.folder(), &format!("{secret}.json"), &text);
        let expected = format!("otomi-team-{team}-{robot}");
        assert_eq!(user(&configuration, &host).await, expected);
        configurations.push(configuration);
    }
    let [puller, pusher, builder] = &configurations[..] else {
        panic!("three Secrets")
    };
    assert!(
        pull(&name, puller, &stage.folder().join("none")).await.is_err(),
        "there is no image yet"
    );
    assert_refused(push(&image, puller, &name).await);
    push(&image, pusher, &name).await.unwrap();
    pull(&name, puller, &stage.folder().join("pulled")).await.unwrap();
    push(&image, builder, &format!("{host}/team-{team}/in/a/folder:1"))
        .await
        .unwrap();
    // To another team's project none of them leads.
    let others = format!("{host}/team-{other}/hello:1");
    for configuration in [puller, pusher, builder] {
        assert_refused(push(&image, configuration, &others).await);
        let taken = pull(&others, configuration, &stage.folder().join("others")).await;
        assert_refused(taken);
    }
}

/// Fails unless the registry refused for want of rights.
fn assert_refused(result: Result<(), String>) {
    let why = result.unwrap_err();
    assert!(why.contains("denied") || why.contains("unauthorized"), "{why}");
}

/// A team that is provisioned, and claims of a member of its group.
async fn with_member(stage: &Stage) -> (String, String, Value) {
    let keycloak = stage.world.keycloak().await;
    let team = stage.team_with_namespace("blue").await;
    let values = stage.values(&[&team]);
    stage.program_for(&values).await.apply().await;
    let (group, user) = (format!("team-{team}"), format!("user-of-{team}"));
    keycloak.make_group(&group).await;
    keycloak.make_user(&user, &[&group]).await;
    let claims = keycloak.claims(&user).await;
    (team, user, claims)
}

async fn member(stage: Arc<Stage>) {
    let (team, user, claims) = with_member(&stage).await;
    assert_eq!(claims["groups"], json!([format!("team-{team}")]));
    let login = stage.harbor().sign_in(&claims).await;
    let OidcLogin::Through { sid, .. } = login else {
        panic!("{user} is not let in: {login:?}")
    };
    let projects = stage.harbor().get_as(&sid, "/projects").await;
    let names: Vec<&str> = projects
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|project| project["name"].as_str())
        .collect();
    assert!(names.contains(&format!("team-{team}").as_str()), "{projects}");
    let project = stage
        .harbor()
        .get_as(&sid, &format!("/projects/team-{team}"))
        .await;
    assert_eq!(project["current_user_role_id"], 2, "{project}");
}

async fn made_again(stage: Arc<Stage>) {
    let (_, user, claims) = with_member(&stage).await;
    let login = stage.harbor().sign_in(&claims).await;
    assert!(matches!(login, OidcLogin::Through { .. }), "{login:?}");
    let keycloak = stage.world.keycloak().await;
    keycloak.remove_user(&user).await;
    keycloak.make_user(&user, &[]).await;
    let again = keycloak.claims(&user).await;
    assert_ne!(again["sub"], claims["sub"]);
    assert_eq!(again["email"], claims["email"]);
    let login = stage.harbor().sign_in(&again).await;
    assert!(is_conflict(&login), "{login:?}");

    // Why: the same with the tables of a real Harbor, which looks a user up by sub and issuer, and makes one that
    // it does not find.
    let database = stage.world.postgresql().await;
    let text = |claims: &Value, claim: &str| claims[claim].as_str().unwrap().to_owned();
    let identity = |claims: &Value| text(claims, "sub") + &text(claims, "iss");
    let (name, email) = (text(&claims, "preferred_username"), text(&claims, "email"));
    let onboard = |claims: &Value| {
        format!(
            "WITH made AS (INSERT INTO harbor_user (username, email, realname, password, comment) \
             VALUES ('{name}', '{email}', '{name}', 'none', 'Onboarded via OIDC provider') RETURNING user_id) \
             INSERT INTO oidc_user (user_id, secret, subiss, token) \
             SELECT user_id, 'none', '{}', '' FROM made",
            identity(claims)
        )
    };
    let known = |claims: &Value| {
        format!(
            "SELECT username FROM harbor_user JOIN oidc_user USING (user_id) WHERE subiss = '{}'",
            identity(claims)
        )
    };
    database.query(&onboard(&claims)).await;
    assert_eq!(database.query(&known(&claims)).await, [name.as_str()]);
    assert!(database.query(&known(&again)).await.is_empty());
    let refused = database.refuses(&onboard(&again)).await;
    assert!(
        refused.contains("duplicate key value violates unique constraint \"harbor_user_"),
        "{refused}"
    );
}

fn is_conflict(login: &OidcLogin) -> bool {
    matches!(login, OidcLogin::Refused { status: 409, .. })
}

async fn moved(stage: Arc<Stage>) {
    let (_, user, claims) = with_member(&stage).await;
    let login = stage.harbor().sign_in(&claims).await;
    assert!(matches!(login, OidcLogin::Through { .. }), "{login:?}");
    let keycloak = stage.world.keycloak().await;
    keycloak.set_host("https://keycloak.moved.example.com").await;
    let moved = keycloak.claims(&user).await;
    keycloak.set_host("").await;
    assert_eq!(moved["sub"], claims["sub"]);
    assert_ne!(moved["iss"], claims["iss"]);
    let login = stage.harbor().sign_in(&moved).await;
    assert!(is_conflict(&login), "{login:?}");
}
