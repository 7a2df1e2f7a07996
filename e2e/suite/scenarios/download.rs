//! A team's push login, downloaded with tokens of a real Keycloak and pushed with.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::keycloak::Keycloak;
use crate::process::free_port;
use crate::registry::{Registry, image, push};
use crate::stage::Stage;
use crate::suite::{Scenario, scenario};

pub(crate) fn all() -> Vec<Scenario> {
    vec![scenario!(
        "a member downloads the push login with a token of Keycloak and pushes with it, and nobody else does",
        download,
        needs Harbor
    )]
}

/// What the daemon answers somebody of whom Keycloak has this token.
async fn ask(base: &str, team: &str, token: Option<&str>) -> Response {
    let request = reqwest::Client::new().get(format!("{base}/v1/teams/{team}/docker-config"));
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    request.send().await.unwrap()
}

async fn status(base: &str, team: &str, token: &str) -> u16 {
    ask(base, team, Some(token)).await.status().as_u16()
}

async fn user(keycloak: &Keycloak, name: &str, group: &str) {
    keycloak.make_group(group).await;
    keycloak.make_user(name, &[group]).await;
}

async fn download(stage: Arc<Stage>) {
    let keycloak = stage.world.keycloak().await;
    let open = stage.team_with_namespace("open").await;
    let closed = stage.team_with_namespace("closed").await;
    let mut values = stage.values(&[&open, &closed]);
    values.downloads.push(open.clone());
    let commit = values.commit("members of one team may download");
    let (member, other) = (format!("member-{open}"), format!("other-{open}"));
    let admin = format!("admin-{open}");
    user(keycloak, &member, &format!("team-{open}")).await;
    user(keycloak, &other, &format!("team-{closed}")).await;
    user(keycloak, &admin, "platform-admin").await;

    let certificate = stage.world.token_certificate();
    let registry = Registry::start(stage.folder(), &stage.harbor().url, &certificate).await;
    stage.set_registry_host(registry.host());
    let mut program = stage.program_for(&values).await;
    let address = format!("127.0.0.1:{}", free_port());
    program.set("registry-host", registry.host());
    program.set("listen", &address);
    program.set("oidc-issuer", keycloak.issuer());
    program.set("oidc-audience", "otomi");
    let base = format!("http://{address}");
    let daemon = program.start();
    stage.took(program.until_ready(&commit).await);

    // What a member gets is what the Secret holds, and it can push.
    let token = keycloak.token_of(&member, "access_token").await;
    let answer = ask(&base, &open, Some(&token)).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let disposition = format!("attachment; filename=docker-team-{open}.json");
    assert_eq!(answer.headers()["content-disposition"], disposition.as_str());
    let body = answer.bytes().await.unwrap();
    let secrets = stage.kubernetes().secrets(&format!("team-{open}"));
    let held = secrets.get("harbor-pushsecret").await.unwrap().data.unwrap();
    assert!(
        body == held[".dockerconfigjson"].0,
        "other bytes than the Secret's"
    );
    let file = stage.folder().join("docker-config.json");
    std::fs::write(&file, &body).unwrap();
    let name = format!("{}/team-{open}/hello:1", registry.host());
    push(&image(stage.folder()), &file, &name).await.unwrap();

    // Nobody else gets it.
    let anonymous = ask(&base, &open, None).await;
    assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(anonymous.headers()["www-authenticate"], "Bearer");
    for kind in ["id_token", "refresh_token"] {
        let token = keycloak.token_of(&member, kind).await;
        assert_eq!(status(&base, &open, &token).await, 401, "{kind}");
    }
    assert_eq!(status(&base, &open, &token[..token.len() - 8]).await, 401);
    let others = keycloak.token_of(&other, "access_token").await;
    for team in [&*open, &*closed, "no-team"] {
        assert_eq!(status(&base, team, &others).await, 403, "{team}");
    }
    let admins = keycloak.token_of(&admin, "access_token").await;
    for (team, expected) in [(&*open, 200), (&*closed, 200), ("no-team", 404)] {
        assert_eq!(status(&base, team, &admins).await, expected, "{team}");
    }

    // A key that Keycloak makes is good, and so is the one before. The issuer is asked only every ten seconds.
    tokio::time::sleep(Duration::from_secs(10)).await;
    keycloak.rotate_key().await;
    let newer = keycloak.token_of(&member, "access_token").await;
    assert_ne!(
        newer.split('.').next(),
        token.split('.').next(),
        "Keycloak signs with another key"
    );
    assert_eq!(status(&base, &open, &newer).await, 200);
    assert_eq!(status(&base, &open, &admins).await, 200);

    // Each download is in the record, and no login is in the log.
    let record = std::fs::read_to_string(program.state().join("downloads.jsonl")).unwrap();
    let users: Vec<String> = record
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["username"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(users, [&*member, &*admin, &*admin, &*member, &*admin]);
    let configuration: Value = serde_json::from_slice(&body).unwrap();
    let login = &configuration["auths"][registry.host()];
    for secret in [&login["password"], &login["auth"]] {
        assert!(!program.logged().contains(secret.as_str().unwrap()));
    }
    assert!(!program.logged().contains(&token));

    // Once the flag is off, members get nothing.
    values.downloads.clear();
    let commit = values.commit("nobody may download");
    stage.took(program.until_ready(&commit).await);
    assert_eq!(status(&base, &open, &newer).await, 403);
    daemon.stop().await;
}
