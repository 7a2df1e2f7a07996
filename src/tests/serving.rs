//! What a running daemon serves: webhooks, health and metrics.

use std::process::Stdio;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use super::binary::{Folder, harborage};
use super::daemon::{ready, until, until_status_is_ready, until_told};
use super::git_server::{GitServer, Manners};
use super::repository::ValuesRepository;
use super::support::Stage;

/// A port of the loopback address that nobody listens on now.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// Delivers a push as Gitea does, signed with a secret. Answers the status.
async fn push(port: u16, url: &str, commit: &str, secret: &str) -> u16 {
    let body = json!({
        "ref": "refs/heads/main", "before": "0".repeat(40), "after": commit,
        "repository": {"full_name": "otomi/values", "clone_url": url, "html_url": url, "default_branch": "main"},
    })
    .to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let request = reqwest::Client::new()
        .post(format!("http://127.0.0.1:{port}/hooks"))
        .header("content-type", "application/json")
        .header("x-gitea-event", "push")
        .header("x-gitea-delivery", commit)
        .header("x-gitea-signature", signature)
        .body(body);
    request.send().await.unwrap().status().as_u16()
}

async fn get(port: u16, path: &str) -> (u16, String) {
    try_get(port, path).await.unwrap()
}

async fn try_get(port: u16, path: &str) -> Option<(u16, String)> {
    let url = format!("http://127.0.0.1:{port}{path}");
    let answer = reqwest::get(url).await.ok()?;
    Some((answer.status().as_u16(), answer.text().await.ok()?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_is_poked_by_webhooks_and_tells_what_it_missed_and_how_it_is() {
    harborage::edge::tls::install_crypto_provider();
    let repository = ValuesRepository::with_teams(&["blue"]);
    let host = GitServer::serve(repository.path()).await;
    let stage = Stage::with_namespaces(&["blue", "green", "red"]).await;
    let folder = Folder::new(&stage);
    let secrets = folder.path().join("hook-secrets");
    std::fs::write(&secrets, "old-secret\nnew-secret\n").unwrap();
    let (public, private) = (free_port(), free_port());
    let start = |poll: &str| {
        let mut program = harborage("run", host.url(), &stage, &folder);
        program
            .args(["--poll", poll, "--listen", &format!("127.0.0.1:{public}")])
            .args(["--metrics-listen", &format!("127.0.0.1:{private}")])
            .arg("--webhook-secret-file")
            .arg(&secrets)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        program.spawn().unwrap()
    };
    let mut child = start("1h");
    until(&stage, "the first team is ready", || ready(&stage, "blue")).await;
    until_status_is_ready(&folder).await;
    assert_eq!(get(private, "/livez").await.0, 200);
    assert_eq!(get(private, "/readyz").await.0, 200);
    assert_eq!(
        get(public, "/metrics").await.0,
        404,
        "numbers are not for everybody"
    );

    repository.write_team("green");
    let commit = repository.commit("green comes");
    assert_eq!(push(public, &host.url(), &commit, "forged").await, 401);
    assert_eq!(push(public, &host.url(), &commit, "new-secret").await, 202);
    until(&stage, "the hook was followed", || ready(&stage, "green")).await;
    until_status_is_ready(&folder).await;
    assert_eq!(
        push(public, &host.url(), &commit, "old-secret").await,
        202,
        "a repeat"
    );
    let (_, text) = get(private, "/metrics").await;
    for series in [
        "harborage_hook_deliveries_total{host=\"gitea\",outcome=\"accepted\"} 1",
        "harborage_hook_deliveries_total{host=\"gitea\",outcome=\"repeated\"} 1",
        "harborage_hook_deliveries_total{host=\"gitea\",outcome=\"refused\"} 1",
        "harborage_missed_hooks_total 0",
        "harborage_lanes{job_name=\"provision-team\",state=\"done\"} 2",
    ] {
        assert!(text.contains(series), "no {series} in\n{text}");
    }
    // Neither depends on Harbor or the git host.
    host.behave(Manners {
        status: Some(503),
        ..Manners::default()
    });
    assert_eq!(get(private, "/readyz").await.0, 200);
    host.behave(Manners::default());
    child.kill().await.unwrap();

    // A commit that no hook tells of is found by the poll, and counted.
    let child = start("100ms");
    // The first commit of a start is told by nobody.
    while !matches!(try_get(private, "/readyz").await, Some((200, _))) {
        tokio::task::yield_now().await;
    }
    repository.write_team("red");
    repository.commit("red comes");
    until(&stage, "the poll found it", || ready(&stage, "red")).await;
    until_told(&folder, "1 commits came without a webhook").await;
    assert_eq!(
        push(public, &host.url(), &commit, "new-secret").await,
        202,
        "a delivery is remembered across a restart"
    );
    let (_, text) = get(private, "/metrics").await;
    assert!(text.contains("harborage_missed_hooks_total 1"), "{text}");
    assert!(text.contains("outcome=\"repeated\"} 1"), "{text}");
    drop(child);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_is_not_handed_to_strangers() {
    harborage::edge::tls::install_crypto_provider();
    let repository = ValuesRepository::with_teams(&["blue"]);
    let stage = Stage::with_namespaces(&["blue"]).await;
    let folder = Folder::new(&stage);
    let port = free_port();
    let mut program = harborage("run", &repository, &stage, &folder);
    program
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = program.spawn().unwrap();
    until(&stage, "the team is ready", || ready(&stage, "blue")).await;
    for path in [
        "/v1/teams/blue/docker-config",
        "/v1/dockerconfig/blue",
        "/v1/dockerconfig/nobody",
    ] {
        let (status, body) = get(port, path).await;
        assert_eq!(status, 401, "{path}");
        assert!(!body.contains("auths"), "{body}");
    }
    assert_eq!(
        get(port, "/hooks").await.0,
        404,
        "no secret is set, so none are received"
    );
    drop(child);
}
