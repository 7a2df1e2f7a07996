//! What people do with what harborage made: images, and logins through Keycloak.

use std::sync::Arc;

use harborage::rehearsal::harbor::OidcLogin;
use serde_json::{Value, json};

use crate::check::{SECRETS, held};
use crate::registry::{Registry, configuration, image, pull, push};
use crate::stage::Stage;
use crate::suite::{Scenario, scenario};

pub(crate) fn all() -> Vec<Scenario> {
    vec![
        scenario!(
            "images are pushed with the push Secret, pulled with the pull Secret, and not pushed with that",
            images
        ),
        scenario!("a member of the team signs in through Keycloak and is a developer of its project", member, breaks Harbor),
        scenario!("a user who is made again in Keycloak has another sub, which Harbor refuses", made_again, breaks Harbor),
        scenario!("a realm whose host changes has another issuer, which Harbor takes for a stranger's", moved, breaks Harbor Keycloak),
    ]
}

async fn images(stage: Arc<Stage>) {
    let team = stage.team_with_namespace("blue").await;
    let values = stage.values(&[&team]);
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

    let image = image(stage.folder());
    let name = format!("{host}/team-{team}/hello:1");
    let mut configurations = Vec::new();
    for (secret, kind, key, ..) in SECRETS {
        let (user, password) = held(&stage, &format!("team-{team}"), secret, kind, key).await;
        configurations.push(configuration(stage.folder(), &host, &user, &password));
    }
    let [puller, pusher, builder] = &configurations[..] else {
        panic!("three Secrets")
    };
    assert!(
        pull(&name, puller, &stage.folder().join("none")).is_err(),
        "there is no image yet"
    );
    let refused = push(&image, puller, &name).unwrap_err();
    assert!(
        refused.contains("denied") || refused.contains("unauthorized"),
        "{refused}"
    );
    push(&image, pusher, &name).unwrap();
    pull(&name, puller, &stage.folder().join("pulled")).unwrap();
    push(&image, builder, &format!("{host}/team-{team}/built:1")).unwrap();
    // Nobody else's.
    let refused = push(&image, pusher, &format!("{host}/team-other/hello:1")).unwrap_err();
    assert!(
        refused.contains("denied") || refused.contains("unauthorized"),
        "{refused}"
    );
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

    // What Harbor's database holds then is what its own tables allow.
    let database = stage.world.postgresql().await;
    let (name, email) = (
        claims["preferred_username"].as_str().unwrap(),
        claims["email"].as_str().unwrap(),
    );
    let insert = format!(
        "INSERT INTO harbor_user (username, email, password, realname) VALUES ('{name}', '{email}', '', '')"
    );
    assert_eq!(
        database.query(&format!("{insert} RETURNING username")),
        [name, "INSERT 0 1"]
    );
    let refused = database.refuses(&insert);
    assert!(refused.contains("duplicate key value"), "{refused}");
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
