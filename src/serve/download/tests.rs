use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::TimeDelta;
use reqwest::Response;
use secrecy::SecretSlice;
use serde_json::{Value, json};

use super::limit::{REQUESTS, WINDOW};
use super::*;
use crate::run::target::{ErrorClass, Target, TargetError};
use crate::serve::token::issuer_fake::{FakeIssuer, ISSUER, SigningKey, TurnedClock, claims};
use crate::snapshot::{MemoryTree, SnapshotOptions, check};
use crate::values::Revision;

/// Not how serde would print it, so that a changed byte shows.
const LOGIN: &str = "{ \"auths\":{\"harbor.example.com\": {\"auth\":\"TWFya2Vy\"}} }\n";

/// A Kubernetes where only `blue`, `green` and `admin` have their Secret.
#[derive(Default)]
struct Logins {
    asked: AtomicUsize,
    away: bool,
}

#[async_trait]
impl PushLogins for Logins {
    async fn docker_config(
        &self,
        namespace: &Namespace,
        secret: &SecretName,
    ) -> Result<Option<SecretSlice<u8>>, TargetError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.away {
            return Err(TargetError {
                target: Target::Kubernetes,
                act: "tell".to_owned(),
                class: ErrorClass::Auth,
                message: "it answered 403".to_owned(),
                status: Some(403),
                retry_after: None,
                source: None,
            });
        }
        assert_eq!(secret.as_str(), "harbor-pushsecret");
        let has = ["team-blue", "team-green", "team-admin"].contains(&namespace.as_str());
        Ok(has.then(|| LOGIN.as_bytes().to_vec().into()))
    }
}

/// `blue` may download, `green` may not, `new` is not provisioned, `held` has a fault.
fn snapshot() -> Snapshot {
    let team =
        |flag: &str| format!("spec:\n  selfService:\n    teamMembers:\n      downloadDockerLogin: {flag}\n");
    let tree = MemoryTree::new()
        .with(
            "env/settings/cluster.yaml",
            "spec:\n  domainSuffix: example.com\n",
        )
        .with("env/apps/harbor.yaml", "spec:\n  enabled: true\n")
        .with("env/teams/admin/settings.yaml", "spec: {}\n")
        .with("env/teams/blue/settings.yaml", team("true"))
        .with("env/teams/green/settings.yaml", team("false"))
        .with("env/teams/new/settings.yaml", team("true"))
        .with("env/teams/held/settings.yaml", team("perhaps"));
    check(&tree, Revision::commit("c1"), &SnapshotOptions::default()).unwrap()
}

struct Stage {
    key: SigningKey,
    issuer: Arc<FakeIssuer>,
    clock: Arc<TurnedClock>,
    logins: Arc<Logins>,
    folder: tempfile::TempDir,
    base: String,
}

impl Stage {
    async fn new() -> Self {
        Self::with(Logins::default(), |_| {}).await
    }

    async fn with(logins: Logins, change: impl FnOnce(&mut DownloadParts)) -> Self {
        let key = SigningKey::p256("one");
        let (issuer, clock) = (Arc::new(FakeIssuer::default()), Arc::new(TurnedClock::new()));
        issuer.publish(&[key.jwk()]);
        let logins = Arc::new(logins);
        let folder = tempfile::tempdir().unwrap();
        let snapshot = Arc::new(snapshot());
        assert!(snapshot.held.contains_key("held"), "{:?}", snapshot.faults);
        let mut parts = DownloadParts {
            snapshot: Arc::new(move || Some(snapshot.clone())),
            identity: Identity::default(),
            keys: KeyCache::new(issuer.clone(), clock.clone()),
            logins: logins.clone(),
            secret: Some("harbor-pushsecret".parse().unwrap()),
            log: DownloadLog::in_folder(folder.path()),
            clock: clock.clone(),
        };
        change(&mut parts);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let service = router(parts).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        crate::edge::tls::install_crypto_provider();
        Self {
            key,
            issuer,
            clock,
            logins,
            folder,
            base,
        }
    }

    fn token(&self, changes: &Value) -> String {
        let mut claims = claims();
        claims["exp"] = json!(i64::MAX);
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.key.token("ES256", &claims)
    }

    async fn get(&self, path: &str, authorization: Option<&str>) -> Response {
        let mut request = reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .get(format!("{}{path}", self.base))
            .header("x-forwarded-for", "203.0.113.7");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        request.send().await.unwrap()
    }

    /// What somebody of these groups is answered, by status.
    async fn asks(&self, groups: &[&str], team: &str) -> u16 {
        let token = self.token(&json!({"groups": groups, "sub": format!("{groups:?}{team}")}));
        let path = format!("/v1/teams/{team}/docker-config");
        self.get(&path, Some(&format!("Bearer {token}")))
            .await
            .status()
            .as_u16()
    }

    fn recorded(&self) -> Vec<Value> {
        recorded(self.folder.path())
    }
}

fn recorded(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("downloads.jsonl")).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_member_gets_the_bytes_of_the_secret_as_a_file_and_it_is_recorded() {
    let stage = Stage::new().await;
    let authorization = format!("Bearer {}", stage.token(&json!({})));
    for path in [
        "/v1/teams/blue/docker-config",
        "/v1/dockerconfig/blue",
        "/api/v1/dockerconfig/blue",
    ] {
        let response = stage.get(path, Some(&authorization)).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(header(&response, "content-type"), "application/json");
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert_eq!(
            header(&response, "content-disposition"),
            "attachment; filename=docker-team-blue.json"
        );
        assert_eq!(response.text().await.unwrap(), LOGIN);
    }
    let recorded = stage.recorded();
    assert_eq!(recorded.len(), 3);
    assert_eq!(
        recorded[0],
        json!({
            "at": "2027-01-15T08:00:00Z", "team": "blue", "secret": "team-blue/harbor-pushsecret",
            "subject": "3d6f", "username": "ann", "right": "member",
            "address": "127.0.0.1", "forwarded_for": "203.0.113.7",
        })
    );
}

#[tokio::test]
async fn whoever_has_no_good_token_is_told_to_sign_in_and_no_more() {
    let stage = Stage::new().await;
    let good = stage.token(&json!({}));
    let bad = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some("Bearer x.y.z".to_owned()),
        Some(format!("Basic {good}")),
        Some(good.clone()),
        Some(format!("Bearer {}", stage.token(&json!({"exp": 1})))),
        Some(format!(
            "Bearer {}",
            stage.token(&json!({"iss": "https://evil.example.com"}))
        )),
        Some(format!("Bearer {}", stage.token(&json!({"typ": "ID"})))),
        Some(format!("Bearer {}", "x".repeat(20_000))),
    ];
    let mut bodies = Vec::new();
    for authorization in bad {
        for team in ["blue", "no-team"] {
            let path = format!("/v1/teams/{team}/docker-config");
            let response = stage.get(&path, authorization.as_deref()).await;
            assert_eq!(response.status(), 401, "{authorization:?}");
            assert_eq!(header(&response, "www-authenticate"), "Bearer");
            bodies.push(response.text().await.unwrap());
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_eq!(stage.logins.asked.load(Ordering::SeqCst), 0);
    assert!(stage.recorded().is_empty());
}

#[tokio::test]
async fn a_token_in_the_url_is_refused_even_beside_a_good_one() {
    let stage = Stage::new().await;
    let token = stage.token(&json!({}));
    let path = format!("/v1/teams/blue/docker-config?x=1&access%5Ftoken={token}");
    for authorization in [None, Some(format!("Bearer {token}"))] {
        assert_eq!(stage.get(&path, authorization.as_deref()).await.status(), 400);
    }
    assert!(stage.recorded().is_empty());
}

#[tokio::test]
async fn who_may_not_is_refused_before_kubernetes_is_asked() {
    let stage = Stage::new().await;
    for (groups, team, status) in [
        (&["team-green"][..], "blue", 403),
        (&["team-green"], "green", 403),
        (&["team-held"], "held", 403),
        (&["team-blue", "team-admin"], "admin", 403),
        (&["team-blue"], "no-team", 403),
        (&["team-blue"], "A%2F..%2Fb", 403),
        (&["platform-admin"], "no-team", 404),
        (&["platform-admin"], "A%2F..%2Fb", 404),
    ] {
        assert_eq!(stage.asks(groups, team).await, status, "{groups:?} {team}");
    }
    assert_eq!(stage.logins.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_stranger_can_not_tell_which_teams_there_are() {
    let stage = Stage::new().await;
    let authorization = format!("Bearer {}", stage.token(&json!({"groups": ["team-other"]})));
    let mut answers = Vec::new();
    for team in ["blue", "green", "held", "new", "no-team", "NO"] {
        let path = format!("/v1/dockerconfig/{team}");
        let response = stage.get(&path, Some(&authorization)).await;
        let mut headers = response.headers().clone();
        headers.remove("date");
        answers.push((response.status(), headers, response.text().await.unwrap()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn administrators_get_every_login_that_there_is() {
    let stage = Stage::new().await;
    for (group, team, status) in [
        ("platform-admin", "blue", 200),
        ("platform-admin", "green", 200),
        ("all-teams-admin", "green", 200),
        ("platform-admin", "admin", 200),
        ("platform-admin", "new", 404),
        ("platform-admin", "held", 404),
    ] {
        assert_eq!(stage.asks(&[group], team).await, status, "{group} {team}");
    }
    assert_eq!(stage.recorded()[0]["right"], "administrator");
}

#[tokio::test]
async fn what_can_not_be_told_now_may_be_asked_again() {
    let kubernetes = Stage::with(
        Logins {
            away: true,
            ..Logins::default()
        },
        |_| {},
    )
    .await;
    let snapshot = Stage::with(Logins::default(), |parts| parts.snapshot = Arc::new(|| None)).await;
    let issuer = Stage::new().await;
    issuer.issuer.go_away();
    for stage in [&kubernetes, &snapshot, &issuer] {
        let authorization = format!("Bearer {}", stage.token(&json!({})));
        let response = stage.get("/v1/dockerconfig/blue", Some(&authorization)).await;
        assert_eq!(response.status(), 503);
        assert_eq!(header(&response, "retry-after"), "10");
        let text = response.text().await.unwrap();
        assert!(!text.contains("403") && stage.recorded().is_empty(), "{text}");
        // Who brings nothing is told so all the same.
        assert_eq!(stage.get("/v1/dockerconfig/blue", None).await.status(), 401);
    }
}

#[tokio::test]
async fn a_download_that_can_not_be_recorded_is_none() {
    let stage = Stage::new().await;
    std::os::unix::fs::symlink("/dev/full", stage.folder.path().join("downloads.jsonl")).unwrap();
    let authorization = format!("Bearer {}", stage.token(&json!({})));
    let response = stage.get("/v1/dockerconfig/blue", Some(&authorization)).await;
    assert_eq!(response.status(), 503);
    assert!(!response.text().await.unwrap().contains("auths"));
}

#[tokio::test]
async fn a_user_who_asks_too_often_waits_and_others_do_not() {
    let stage = Stage::new().await;
    let authorization = format!("Bearer {}", stage.token(&json!({})));
    for _ in 0..REQUESTS {
        let response = stage.get("/v1/dockerconfig/blue", Some(&authorization)).await;
        assert_eq!(response.status(), 200);
    }
    let response = stage.get("/v1/dockerconfig/blue", Some(&authorization)).await;
    assert_eq!(response.status(), 429);
    assert_eq!(header(&response, "retry-after"), "61");
    assert_eq!(stage.asks(&["team-blue"], "blue").await, 200);
    stage.clock.turn(WINDOW + TimeDelta::seconds(1));
    let response = stage.get("/v1/dockerconfig/blue", Some(&authorization)).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn what_is_set_goes_before_what_the_repository_says() {
    let stage = Stage::with(Logins::default(), |parts| {
        parts.identity = Identity {
            issuer: Some("https://other.example.com".to_owned()),
            audience: Some("harborage".to_owned()),
            id_tokens: true,
        };
    })
    .await;
    let own = json!({"iss": "https://other.example.com", "aud": "harborage", "typ": "ID"});
    for (changes, status) in [(own, 200), (json!({"iss": ISSUER}), 401)] {
        let authorization = format!("bearer {}", stage.token(&changes));
        let response = stage.get("/v1/dockerconfig/blue", Some(&authorization)).await;
        assert_eq!(response.status(), status);
    }
}

#[tokio::test]
async fn jobs_that_make_no_push_login_leave_nothing_to_download() {
    let stage = Stage::with(Logins::default(), |parts| parts.secret = None).await;
    assert_eq!(stage.asks(&["team-blue"], "blue").await, 404);
}
