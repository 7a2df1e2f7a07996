//! What the recording does not show: time, weather, saved states, and the silence
//! about what is not modelled.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::rehearsal::Failure;

mod contents;
mod grants;
mod login;
mod restart;

const DAY: Duration = Duration::from_hours(24);

async fn start() -> HarborStandIn {
    let penalty = Duration::from_millis(1);
    HarborStandIn::start(HarborOptions {
        penalty,
        ..HarborOptions::default()
    })
    .await
    .unwrap()
}

struct Got {
    status: u16,
    head: String,
    body: Value,
}

impl Got {
    fn header(&self, name: &str) -> Option<&str> {
        let line = self
            .head
            .lines()
            .find(|line| line.to_lowercase().starts_with(&format!("{name}: ")))?;
        line.split_once(": ").map(|(_, value)| value)
    }

    /// The message of an error.
    fn message(&self) -> &str {
        self.body
            .pointer("/errors/0/message")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

async fn ask(harbor: &HarborStandIn, method: &str, path: &str, headers: &[&str], body: Option<Value>) -> Got {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let headers: String = headers.iter().flat_map(|header| [*header, "\r\n"]).collect();
    let text = format!(
        "{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(harbor.address()).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_default();
    Got {
        status,
        head: head.to_owned(),
        body: serde_json::from_str(body).unwrap_or_default(),
    }
}

fn basic(name: &str, secret: &str) -> String {
    format!(
        "Authorization: Basic {}",
        STANDARD.encode(format!("{name}:{secret}"))
    )
}

async fn admin(harbor: &HarborStandIn, method: &str, path: &str, body: Option<Value>) -> Got {
    let header = basic("admin", harbor.admin_password().expose_secret());
    ask(harbor, method, path, &[&header], body).await
}

/// A robot of the system level that pulls from everywhere, and its secret.
async fn robot(harbor: &HarborStandIn, name: &str, duration: i64) -> (i64, String) {
    let access = json!([{"resource": "repository", "action": "pull"}]);
    let permissions = json!([{"kind": "project", "namespace": "*", "access": access}]);
    let body = json!({"name": name, "level": "system", "duration": duration, "permissions": permissions});
    let got = admin(harbor, "POST", "/api/v2.0/robots", Some(body)).await;
    assert_eq!(got.status, 201, "{}", got.body);
    (
        got.body["id"].as_i64().unwrap(),
        got.body["secret"].as_str().unwrap().to_owned(),
    )
}

/// The claims of the token that a login gets for pulling from `library`.
async fn token(harbor: &HarborStandIn, name: &str, secret: &str) -> Value {
    let path = "/service/token?service=harbor-registry&scope=repository:library/app:pull,push";
    let got = ask(harbor, "GET", path, &[&basic(name, secret)], None).await;
    assert_eq!(got.status, 200);
    let token = got.body["token"].as_str().unwrap().to_owned();
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(claims)
            .unwrap(),
    )
    .unwrap()
}

#[tokio::test]
async fn only_the_right_secret_of_a_robot_that_lives_proves_itself_at_the_token_service() {
    let harbor = start().await;
    let (id, secret) = robot(&harbor, "puller", 1).await;
    let claims = token(&harbor, "robot$puller", &secret).await;
    assert_eq!(
        (claims["sub"].as_str(), &claims["access"][0]["actions"]),
        (Some("robot$puller"), &json!(["pull"]))
    );
    assert!(harbor.authenticates("robot$puller", &secret));

    let anonymous = token(&harbor, "robot$puller", "wrong").await;
    assert_eq!(
        (anonymous["sub"].as_str(), &anonymous["access"][0]["actions"]),
        (Some(""), &json!(["pull"]))
    );

    harbor.alter(|state| state.robot_mut(id).unwrap().disabled = true);
    assert_eq!(token(&harbor, "robot$puller", &secret).await["sub"], "");
    harbor.alter(|state| state.robot_mut(id).unwrap().disabled = false);
    harbor.advance(DAY);
    assert_eq!(token(&harbor, "robot$puller", &secret).await["sub"], "");
    assert!(!harbor.authenticates("robot$puller", &secret));
}

#[tokio::test]
async fn a_wrong_password_locks_its_name_for_the_right_one_too() {
    let harbor = start().await;
    harbor.set_penalty(Duration::from_mins(10));
    let address = harbor.address();
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    harbor.on_call(move |call| sender.send(call.number).unwrap());
    let wrong = basic("admin", "Wrong1Password");
    let hanging = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let text = format!("GET /api/v2.0/robots HTTP/1.1\r\nHost: here\r\n{wrong}\r\n\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.read_to_string(&mut String::new()).await.ok();
    });
    told.recv().await.unwrap();
    assert_eq!(admin(&harbor, "GET", "/api/v2.0/robots", None).await.status, 401);
    hanging.abort();
}

#[tokio::test]
async fn a_session_writes_with_its_token_and_ends_with_its_time() {
    let harbor = start().await;
    let cookie = |got: &Got| -> Vec<String> {
        let lines = got
            .head
            .lines()
            .filter_map(|line| line.strip_prefix("set-cookie: "));
        lines
            .map(|line| line.split(';').next().unwrap().to_owned())
            .collect()
    };
    let first = ask(&harbor, "GET", "/api/v2.0/systeminfo", &[], None).await;
    let sid = cookie(&first).remove(0);
    let second = ask(
        &harbor,
        "GET",
        "/api/v2.0/systeminfo",
        &[&format!("Cookie: {sid}")],
        None,
    )
    .await;
    let csrf = cookie(&second).remove(0);
    let token = format!(
        "X-Harbor-CSRF-Token: {}",
        second.header("x-harbor-csrf-token").unwrap()
    );

    let form = format!(
        "principal=admin&password={}",
        harbor.admin_password().expose_secret()
    );
    let mut stream = TcpStream::connect(harbor.address()).await.unwrap();
    let text = format!(
        "POST /c/login HTTP/1.1\r\nHost: here\r\nConnection: close\r\nCookie: {sid}; {csrf}\r\n{token}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let sid = answer
        .split("set-cookie: ")
        .nth(1)
        .unwrap()
        .split(';')
        .next()
        .unwrap();

    let cookies = format!("Cookie: {sid}; {csrf}");
    let project = |name: &str| Some(json!({"project_name": name}));
    let write = |token: String, name: &'static str| {
        let (harbor, cookies) = (&harbor, &cookies);
        async move {
            ask(
                harbor,
                "POST",
                "/api/v2.0/projects",
                &[cookies, &token],
                project(name),
            )
            .await
        }
    };
    assert_eq!(write(token.clone(), "team-a").await.status, 201);
    let forged = write("X-Harbor-CSRF-Token: forged".to_owned(), "team-b").await;
    assert_eq!((forged.status, forged.message()), (403, "CSRF token invalid"));
    harbor.advance(Duration::from_mins(61));
    assert_eq!(write(token, "team-b").await.status, 401);
}

#[tokio::test]
async fn what_harbor_has_and_this_lacks_is_501_and_what_nobody_has_404() {
    let harbor = start().await;
    for (method, path) in [
        ("GET", "/api/v2.0/replication/policies"),
        ("GET", "/api/v2.0/projects/library/repositories/app/artifacts"),
        ("GET", "/v2/library/app/manifests/latest"),
        ("GET", "/c/oidc/callback"),
    ] {
        assert_eq!(admin(&harbor, method, path, None).await.status, 501, "{path}");
    }
    assert_eq!(admin(&harbor, "GET", "/api/v2.0/nothing", None).await.status, 404);
}

#[tokio::test]
async fn the_registry_says_where_to_sign_in() {
    let harbor = start().await;
    let got = ask(&harbor, "GET", "/v2/", &[], None).await;
    let realm = format!(
        "Bearer realm=\"{}/service/token\",service=\"harbor-registry\"",
        harbor.base_url()
    );
    assert_eq!(
        (got.status, got.header("www-authenticate")),
        (401, Some(realm.as_str()))
    );
    assert_eq!(admin(&harbor, "GET", "/v2/", None).await.status, 200);
}

#[tokio::test]
async fn a_saved_harbor_comes_back_with_its_robots_and_its_numbers() {
    let harbor = start().await;
    let (id, secret) = robot(&harbor, "kept", -1).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("harbor.json");
    harbor.save(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&secret) && !text.contains(harbor.admin_password().expose_secret()));

    let state = Some(load(&path).unwrap());
    let again = HarborStandIn::start(HarborOptions {
        state,
        ..HarborOptions::default()
    })
    .await
    .unwrap();
    assert!(again.authenticates("robot$kept", &secret));
    let (next, _) = robot(&again, "new", -1).await;
    assert!(next > id);
    assert!(matches!(load(folder.path()), Err(SavedStateError::File { .. })));
    std::fs::write(&path, "{}").unwrap();
    assert!(matches!(load(&path), Err(SavedStateError::Content { .. })));
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_a_robot_whose_secret_nobody_knows() {
    let harbor = start().await;
    harbor.inject(|call| (call.method == "POST" && call.nth == 1).then_some(Failure::CutAfter));
    let access = json!([{"resource": "repository", "action": "pull"}]);
    let permissions = json!([{"kind": "project", "namespace": "library", "access": access}]);
    let body = json!({"name": "lost", "level": "system", "duration": -1, "permissions": permissions});
    let first = admin(&harbor, "POST", "/api/v2.0/robots", Some(body.clone())).await;
    assert_eq!(first.status, 0);
    let second = admin(&harbor, "POST", "/api/v2.0/robots", Some(body)).await;
    assert_eq!(
        (second.status, second.message()),
        (409, "robot account 0:lost already exists")
    );
    let id = harbor.look(|state| state.robots_of(0).next().unwrap().id);
    let chosen = Some(json!({"secret": "Chosen1Secret"}));
    assert_eq!(
        admin(&harbor, "PATCH", &format!("/api/v2.0/robots/{id}"), chosen)
            .await
            .status,
        200
    );
    assert!(harbor.authenticates("robot$lost", "Chosen1Secret"));
}

#[tokio::test]
async fn calls_are_told_apart_by_name_whoever_comes_first() {
    let harbor = start().await;
    let (id, _) = robot(&harbor, "puller", -1).await;
    admin(
        &harbor,
        "PATCH",
        &format!("/api/v2.0/robots/{id}"),
        Some(json!({})),
    )
    .await;
    let group = json!({"group_name": "team-a"});
    let member = Some(json!({"role_id": 2, "member_group": group}));
    admin(&harbor, "POST", "/api/v2.0/projects/library/members", member).await;
    let subjects: Vec<String> = harbor.log().into_iter().map(|log| log.call.subject).collect();
    assert_eq!(
        subjects,
        [
            "/api/v2.0/robots puller",
            "/api/v2.0/robots/puller",
            "/api/v2.0/projects/library/members team-a"
        ]
    );
    let counts = harbor.counts();
    assert_eq!(
        (counts.writes, counts.of("PATCH", "/api/v2.0/robots/{robot_id}")),
        (3, 1)
    );
}

#[tokio::test]
async fn a_failed_update_changes_nothing() {
    let harbor = start().await;
    let (id, _) = robot(&harbor, "puller", -1).await;
    let before = harbor.look(|state| state.robot(id).cloned());
    let access = json!([{"resource": "repository", "action": "push"}]);
    let permissions = json!([{"kind": "project", "namespace": "nowhere", "access": access}]);
    let body =
        json!({"name": "robot$puller", "level": "system", "disable": true, "permissions": permissions});
    let got = admin(&harbor, "PUT", &format!("/api/v2.0/robots/{id}"), Some(body)).await;
    assert_eq!((got.status, got.message()), (404, "project nowhere not found"));
    assert_eq!(harbor.look(|state| state.robot(id).cloned()), before);
}
