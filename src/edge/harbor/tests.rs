//! The client against a Harbor that lies, forgets and falls silent. What an honest one answers is
//! tested with the stand-in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::script::{Say, Script, Seen, in_turn, with};
use super::{HarborClient, HarborSettings};
use crate::plan::desired::{
    Access, DesiredCredential, DesiredProject, DesiredRobot, DesiredSecret, DesiredTeam, RobotLifetime,
    SecretForm,
};
use crate::plan::docker_config::Login;
use crate::plan::observed::LoginProof;
use crate::run::target::{ErrorClass, Extent, Harbor as _};

const ROBOTS: &str = "GET /api/v2.0/robots";
const PROJECTS: &str = "GET /api/v2.0/projects";
const NEW_PROJECT: &str = "POST /api/v2.0/projects";
const SYSTEM: &str = "GET /api/v2.0/systeminfo";
const LOGIN: &str = "POST /c/login";

fn project() -> DesiredProject {
    DesiredProject {
        name: "team-x".parse().unwrap(),
        metadata: BTreeMap::new(),
        storage_quota: None,
    }
}

fn robot(name: &str) -> DesiredRobot {
    DesiredRobot {
        name: name.parse().unwrap(),
        access: [Access::try_from("repository:pull".to_owned()).unwrap()].into(),
        lifetime: RobotLifetime::Never,
    }
}

fn team(robots: &[&str]) -> Arc<DesiredTeam> {
    let credential = |name: &&str| DesiredCredential {
        robot: robot(name),
        secrets: vec![DesiredSecret {
            name: "harbor-pullsecret".parse().unwrap(),
            form: SecretForm::DockerConfigJson,
        }],
    };
    Arc::new(DesiredTeam {
        team: "x".parse().unwrap(),
        registry_host: "harbor.example.com".parse().unwrap(),
        project: project(),
        members: Vec::new(),
        credentials: robots.iter().map(credential).collect(),
        namespace: "team-x".parse().unwrap(),
        service_accounts: Vec::new(),
    })
}

fn created() -> Option<Say> {
    with(Say::new(201, ""), "location", "/api/v2.0/projects/7")
}

/// Rows of robots, numbered.
fn rows(numbers: std::ops::Range<usize>) -> String {
    let row = |n| json!({"id": n, "name": format!("robot$r{n}"), "level": "system", "duration": -1, "expires_at": -1});
    Value::Array(numbers.map(row).collect()).to_string()
}

/// A page of so many robots.
fn page_of(seen: &Seen, robots: usize) -> String {
    let first = (seen.page() - 1) * 100;
    rows(first.min(robots)..(first + 100).min(robots))
}

async fn listed(client: &HarborClient, wanted: &str) -> Result<usize, crate::run::target::TargetError> {
    let sides = client
        .observe_teams(&[team(&[wanted])], "robot$", Extent::Lists)
        .await?;
    Ok(sides.values().map(|side| side.robots.len()).sum())
}

#[tokio::test]
async fn a_session_carries_two_cookies_the_newest_token_and_where_we_come_from() {
    let server = Script::start(|seen| if seen.call == NEW_PROJECT { created() } else { None }).await;
    assert_eq!(server.client().create_project(&project()).await.unwrap(), 7);
    let write = &server.seen(NEW_PROJECT)[0];
    assert_eq!(write.header("cookie"), "sid=s1; _gorilla_csrf=c");
    assert_eq!(write.header("x-harbor-csrf-token"), "newest token");
    assert_eq!(write.header("origin"), server.url);
    assert_eq!(write.header("authorization"), "");
    let login = &server.seen(LOGIN)[0];
    assert_eq!(login.header("x-harbor-csrf-token"), "first token");
    assert_eq!(login.body, "principal=admin&password=Admin-Marker-1");
}

#[tokio::test]
async fn where_no_session_is_to_be_had_basic_goes_without_a_cookie_and_is_remembered() {
    let server = Script::start(|seen| match seen.call.as_str() {
        LOGIN => Say::page(404, "no such page"),
        NEW_PROJECT => created(),
        _ => None,
    })
    .await;
    let client = server.client();
    for _ in 0..3 {
        client.create_project(&project()).await.unwrap();
    }
    assert_eq!(server.seen(LOGIN).len(), 1);
    for write in server.seen(NEW_PROJECT) {
        assert_eq!(write.header("cookie"), "");
        assert!(write.header("authorization").starts_with("Basic "));
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(601)).await;
    tokio::time::resume();
    client.create_project(&project()).await.unwrap();
    assert_eq!(
        server.seen(LOGIN).len(),
        2,
        "a session should be tried again after a while"
    );
}

#[tokio::test]
async fn sessions_that_never_last_give_way_to_basic_once_for_all_callers() {
    let server = Script::start(|seen| match seen.call.as_str() {
        NEW_PROJECT if seen.session().is_some() => Say::refusal(401, "UNAUTHORIZED", "unauthorized"),
        NEW_PROJECT => created(),
        _ => None,
    })
    .await;
    let client = HarborClient::new(HarborSettings {
        writes: 8,
        ..server.settings()
    })
    .unwrap();
    let wanted = project();
    let calls = (0..8).map(|_| client.create_project(&wanted));
    for result in futures::future::join_all(calls).await {
        result.unwrap();
    }
    assert_eq!(server.seen(LOGIN).len(), 2);
    assert_eq!(server.seen("GET /api/v2.0/users/current").len(), 1);
}

#[tokio::test]
async fn a_list_that_was_given_to_a_stranger_is_asked_for_again() {
    let server = Script::start(|seen| match (seen.call.as_str(), seen.session()) {
        // The first session has ended by the time that projects are listed: only public ones are shown.
        (PROJECTS, Some("1")) => with(Say::new(200, "[]"), "set-cookie", "sid=other; Path=/; HttpOnly"),
        (PROJECTS, Some(_)) => Say::new(
            200,
            r#"[{"project_id":7,"name":"team-x","metadata":{"public":"false"}}]"#,
        ),
        ("GET /api/v2.0/projects/team-x/members", _) => Say::new(200, "[]"),
        _ => None,
    })
    .await;
    let sides = server
        .client()
        .observe_teams(&[team(&["r"])], "robot$", Extent::Lists)
        .await
        .unwrap();
    assert_eq!(sides.values().next().unwrap().project.as_ref().unwrap().id, 7);
}

#[tokio::test]
async fn a_csrf_token_that_is_no_longer_good_is_renewed() {
    let stale = Say::refusal(403, "FORBIDDEN", "CSRF token invalid");
    let server = Script::start(in_turn(NEW_PROJECT, [stale, created()])).await;
    server.client().create_project(&project()).await.unwrap();
    assert_eq!(server.seen(LOGIN).len(), 2);
}

#[tokio::test]
async fn the_gate_closes_for_longer_each_time_and_opens_by_itself() {
    let refusal = Say::refusal(401, "UNAUTHORIZED", "unauthorized");
    // Two refusals close it, two more close it again; then the password is right.
    let mut refusals = in_turn(LOGIN, vec![refusal; 4]);
    let server = Script::start(move |seen| {
        if seen.call == NEW_PROJECT {
            created()
        } else {
            refusals(seen)
        }
    })
    .await;
    let client = server.client();
    let first = client.create_project(&project()).await.unwrap_err();
    assert_eq!(
        (first.class, first.retry_after),
        (ErrorClass::Auth, Some(Duration::from_secs(30)))
    );
    let calls = server.count();
    let gated = client.create_project(&project()).await.unwrap_err();
    assert_eq!(
        (gated.class, server.count()),
        (ErrorClass::Auth, calls),
        "a closed gate touches no network"
    );
    assert!(
        gated
            .retry_after
            .is_some_and(|wait| wait > Duration::from_secs(20))
    );

    for (wait, longest) in [(31, 60), (61, 0)] {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(wait)).await;
        tokio::time::resume();
        match client.create_project(&project()).await {
            Err(error) => assert_eq!(error.retry_after, Some(Duration::from_secs(longest))),
            Ok(_) => assert_eq!(longest, 0),
        }
    }
    assert_eq!(server.seen(LOGIN).len(), 5);
}

#[tokio::test]
async fn a_caller_that_gives_up_leaves_neither_the_door_nor_the_budget_shut() {
    let mut silent = in_turn(LOGIN, [Say::nothing()]);
    let mut stuck = in_turn(NEW_PROJECT, [Say::nothing(), created()]);
    let mut server = Script::start(move |seen| silent(seen).or_else(|| stuck(seen))).await;
    let client = server.client();
    let wanted = project();
    for call in [LOGIN, NEW_PROJECT] {
        tokio::select! {
            result = client.create_project(&wanted) => panic!("{result:?}"),
            () = server.arrival(call) => {}
        }
    }
    client.create_project(&wanted).await.unwrap();
}

#[tokio::test]
async fn a_login_page_is_not_taken_for_a_sign_in() {
    let server = Script::start(|_| Say::page(200, "<html>Sign in to continue</html>")).await;
    let client = server.client();
    for _ in 0..2 {
        let error = client.create_project(&project()).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient);
        assert!(error.message.contains("web page"), "{error}");
    }
    assert_eq!(server.seen(SYSTEM).len(), 2, "Basic must not be remembered");
    assert_eq!(server.seen(NEW_PROJECT).len(), 0);
}

#[tokio::test]
async fn an_answer_that_names_no_user_is_not_taken_for_a_sign_in() {
    let server = Script::start(|_| Say::new(200, r#"{"status":"ok"}"#)).await;
    let error = server.client().create_project(&project()).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert_eq!(server.seen(NEW_PROJECT).len(), 0);
}

#[tokio::test]
async fn a_harbor_that_starts_is_not_given_up_as_one_without_sessions() {
    let mut busy = in_turn(SYSTEM, [with(Say::new(503, ""), "retry-after", "7")]);
    let server = Script::start(move |seen| {
        if seen.call == NEW_PROJECT {
            created()
        } else {
            busy(seen)
        }
    })
    .await;
    let client = server.client();
    let error = client.create_project(&project()).await.unwrap_err();
    assert_eq!(
        (error.class, error.retry_after),
        (ErrorClass::Transient, Some(Duration::from_secs(7)))
    );
    client.create_project(&project()).await.unwrap();
    assert_eq!(server.seen(NEW_PROJECT)[0].session(), Some("1"));
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let server = Script::start(|seen| match seen.call.as_str() {
        ROBOTS => with(
            Say::page(302, ""),
            "location",
            "https://login.example.com/auth?state=private",
        ),
        _ => None,
    })
    .await;
    let error = listed(&server.client(), "r1").await.unwrap_err();
    assert_eq!((error.class, error.status), (ErrorClass::Transient, Some(302)));
    assert!(
        error.message.contains("https://login.example.com/auth:") && !error.message.contains("private"),
        "{error}"
    );
}

#[tokio::test]
async fn a_proxys_404_is_no_missing_project() {
    let call = "GET /api/v2.0/projects/team-x";
    for (answer, absent) in [
        (Say::refusal(404, "NOT_FOUND", "project team-x not found"), true),
        (Say::page(404, "<html>default backend</html>"), false),
        (Say::new(404, ""), false),
    ] {
        let server = Script::start(move |seen| if seen.call == call { answer.clone() } else { None }).await;
        let sides = server
            .client()
            .observe_teams(&[team(&["r"])], "robot$", Extent::Single)
            .await;
        match sides {
            Ok(sides) => assert!(absent && sides.values().next().unwrap().project.is_none()),
            Err(error) => assert!(!absent && error.class == ErrorClass::Transient, "{error}"),
        }
    }
}

#[tokio::test]
async fn another_project_than_the_one_that_was_asked_for_is_refused() {
    let row = r#"{"project_id":7,"name":"library"}"#;
    let server = Script::start(in_turn("GET /api/v2.0/projects/team-x", [Say::new(200, row)])).await;
    let error = server
        .client()
        .observe_teams(&[team(&["r"])], "robot$", Extent::Single)
        .await
        .unwrap_err();
    assert!(error.message.contains("library"), "{error}");
}

#[tokio::test]
async fn the_total_is_a_hint_and_a_short_page_the_end() {
    for (robots, total) in [
        (250, "250"),
        (250, "100"),
        (250, "0"),
        (250, "1000000000"),
        (200, "200"),
        (101, "x"),
    ] {
        let server = Script::start(move |seen| match seen.call.as_str() {
            ROBOTS => with(Say::new(200, page_of(seen, robots)), "x-total-count", total),
            _ => None,
        })
        .await;
        let last = format!("r{}", robots - 1);
        assert_eq!(
            listed(&server.client(), &last).await.unwrap(),
            1,
            "{robots} robots, total {total}"
        );
        let pages = server.seen(ROBOTS).len();
        assert!(pages < 20, "{pages} pages for {robots} robots, total {total}");
    }
}

#[tokio::test]
async fn a_list_that_keeps_to_no_pages_is_no_list() {
    let server = Script::start(|seen| {
        if seen.call == ROBOTS {
            Say::new(200, rows(0..250))
        } else {
            None
        }
    })
    .await;
    let error = listed(&server.client(), "r1").await.unwrap_err();
    assert!(error.message.contains("does not keep to pages"), "{error}");
    assert_eq!(server.seen(ROBOTS).len(), 1);
}

#[tokio::test]
async fn an_empty_list_may_be_null() {
    let server = Script::start(|seen| {
        if seen.call == ROBOTS {
            Say::new(200, "null")
        } else {
            None
        }
    })
    .await;
    assert_eq!(listed(&server.client(), "r1").await.unwrap(), 0);
}

#[tokio::test]
async fn answers_of_another_shape_are_errors_that_quote_no_body() {
    for body in [
        "",
        "{",
        "[{\"id\":\"Marker-Secret\"}]",
        "\"Marker-Secret\"",
        "{\"secret\":\"Marker-Secret\"}",
    ] {
        let server = Script::start(move |seen| {
            if seen.call == ROBOTS {
                Say::new(200, body)
            } else {
                None
            }
        })
        .await;
        let error = listed(&server.client(), "r1").await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient);
        assert!(
            !format!("{error} {error:?}").contains("Marker-Secret"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let server = Script::start(|seen| match seen.call.as_str() {
        ROBOTS => Say::new(200, " ".repeat((16 << 20) + 1)),
        _ => None,
    })
    .await;
    let error = listed(&server.client(), "r1").await.unwrap_err();
    assert!(error.message.contains("larger than"), "{error}");
}

#[tokio::test]
async fn robots_without_a_common_beginning_are_found_without_a_filter() {
    let server = Script::start(|seen| match seen.call.as_str() {
        ROBOTS if seen.query.contains("q=") => Say::refusal(400, "BAD_REQUEST", "invalid query"),
        ROBOTS => Say::new(
            200,
            rows(1..3)
                .replace("robot$r1", "robot$puller")
                .replace("robot$r2", "robot$x-push"),
        ),
        _ => None,
    })
    .await;
    let teams = [team(&["puller", "x-push"])];
    let sides = server
        .client()
        .observe_teams(&teams, "robot$", Extent::Single)
        .await
        .unwrap();
    assert_eq!(sides.values().next().unwrap().robots.len(), 2);
}

#[tokio::test]
async fn a_page_that_shows_what_it_was_sent_shows_no_secret() {
    let echo = |seen: &Seen| match seen.call.as_str() {
        "PATCH /api/v2.0/robots/1" | "PUT /api/v2.0/configurations" => {
            Say::page(400, format!("Blocked: {}", seen.body))
        }
        "GET /service/token" => Say::page(500, format!("Blocked: {}", seen.header("authorization"))),
        _ => None,
    };
    let server = Script::start(echo).await;
    let client = server.client();
    let secret = SecretString::from("Marker \"Secret\" 1");
    let login = Login {
        username: "robot$r".to_owned(),
        password: secret.clone(),
    };
    for error in [
        client.set_robot_secret(1, &secret).await.unwrap_err(),
        client
            .write_configuration(&BTreeMap::new(), Some(&secret))
            .await
            .unwrap_err(),
        client.prove_login(&project().name, &login).await.unwrap_err(),
    ] {
        assert!(error.message.contains("no answer of Harbor's"), "{error}");
        let encoded = STANDARD.encode("robot$r:Marker \"Secret\" 1");
        let text = format!("{error} {error:?}");
        assert!(!text.contains("Marker") && !text.contains(&encoded), "{text}");
    }
}

#[tokio::test]
async fn a_robot_whose_secret_or_name_is_not_told_is_no_login() {
    for body in [
        r#"{"id":1,"name":"robot$r","secret":""}"#,
        r#"{"id":1,"name":"robot$r"}"#,
        r#"{"id":1,"name":"robot$wrong","secret":"Marker-Secret-1"}"#,
    ] {
        let server = Script::start(in_turn("POST /api/v2.0/robots", [Say::new(201, body)])).await;
        let error = server
            .client()
            .create_robot(&project().name, &robot("r"))
            .await
            .unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient, "{body}");
        assert!(!format!("{error} {error:?}").contains("Marker"), "{error:?}");
    }
}

#[tokio::test]
async fn after_a_refusal_for_read_only_mode_one_read_goes_before_each_write() {
    let refusal = Say::refusal(
        403,
        "DENIED",
        "The system is in read only mode. Any modification is prohibited.",
    );
    let still = Say::new(200, r#"{"harbor_version":"v2.15.2","read_only":true}"#);
    let mut writes = in_turn(NEW_PROJECT, [refusal, created()]);
    let mut asked = 0;
    let server = Script::start(move |seen| {
        let of_ours = seen.call == SYSTEM && seen.session().is_some();
        asked += usize::from(of_ours);
        if of_ours && asked == 1 {
            still.clone()
        } else {
            writes(seen)
        }
    })
    .await;
    let client = server.client();
    for _ in 0..2 {
        let error = client.create_project(&project()).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Transient);
        assert!(error.message.contains("read-only mode"), "{error}");
    }
    assert_eq!(
        server.seen(NEW_PROJECT).len(),
        1,
        "the second write should not have been sent"
    );
    client.create_project(&project()).await.unwrap();
    assert_eq!(server.seen(NEW_PROJECT).len(), 2);
}

#[tokio::test]
async fn a_harbor_that_is_too_old_or_takes_us_for_a_stranger_is_refused() {
    for (answer, class, part) in [
        (
            r#"{"harbor_version":"v2.1.6-abc","read_only":false}"#,
            ErrorClass::Rejected,
            "2.2 or newer",
        ),
        (r#"{"auth_mode":"db_auth"}"#, ErrorClass::Transient, "stranger"),
    ] {
        let server = Script::start(move |seen| match seen.session() {
            Some(_) if seen.call == SYSTEM => Say::new(200, answer),
            _ => None,
        })
        .await;
        let error = server.client().observe_platform(&[]).await.unwrap_err();
        assert_eq!(error.class, class);
        assert!(error.message.contains(part), "{error}");
    }
}

#[tokio::test]
async fn whoever_is_no_administrator_is_told_so() {
    let refusal = Say::refusal(403, "FORBIDDEN", "alice");
    let server = Script::start(in_turn("GET /api/v2.0/configurations", [refusal])).await;
    let error = server.client().observe_platform(&[]).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Auth);
    assert!(error.message.contains("administrator"), "{error}");
}

#[tokio::test]
async fn a_login_is_tried_apart_from_our_own_and_its_token_is_looked_into() {
    let token = |claims: Value| {
        let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
        Say::new(200, json!({"token": format!("e30.{payload}.c2ln")}).to_string())
    };
    let login = Login {
        username: "robot$r".to_owned(),
        password: SecretString::from("Right1234"),
    };
    for (answer, proof) in [
        (
            token(json!({"sub": "robot$r", "access": [{"actions": ["pull"]}]})),
            Some(LoginProof::Accepted),
        ),
        (token(json!({"sub": "", "access": []})), Some(LoginProof::Refused)),
        (token(json!({"sub": "robot$other"})), Some(LoginProof::Refused)),
        (
            Say::refusal(401, "UNAUTHORIZED", "unauthorized"),
            Some(LoginProof::Refused),
        ),
        (Say::new(200, r#"{"token":"no token"}"#), None),
        (Say::new(503, ""), None),
    ] {
        let server = Script::start(in_turn("GET /service/token", [answer])).await;
        assert_eq!(
            server.client().prove_login(&project().name, &login).await.ok(),
            proof
        );
        assert_eq!(server.count(), 1, "no sign-in of ours should be needed");
        let seen = &server.seen("GET /service/token")[0];
        assert_eq!(
            seen.query,
            "service=harbor-registry&scope=repository%3Ateam-x%2Fharborage%3Apull"
        );
        assert_eq!(seen.header("cookie"), "");
    }
}

#[test]
fn a_url_with_a_login_is_refused_and_not_shown() {
    for url in [
        "http://admin:Marker-1@harbor",
        "ftp://admin:Marker-1@harbor",
        "http://a b:Marker-1@",
        "http://h/?a=b",
    ] {
        let settings = HarborSettings {
            url: url.to_owned(),
            username: "admin".to_owned(),
            password: SecretString::from("x"),
            ca: None,
            writes: 1,
            reads: 1,
            timeout: Duration::from_secs(1),
            lockout: Duration::ZERO,
        };
        let error = HarborClient::new(settings).err().unwrap();
        assert!(
            error.message.contains("harbor-url") && !error.message.contains("Marker"),
            "{error}"
        );
    }
}
