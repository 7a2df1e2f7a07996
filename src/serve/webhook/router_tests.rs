//! What the routes answer.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::StreamExt as _;

use super::sender_tests::*;
use super::*;
use crate::run::lock;

#[tokio::test]
async fn without_a_secret_nothing_is_accepted() {
    let world = World::new();
    lock(&world.secrets).clear();
    for name in ["github/push", "gitlab/push", "azure-devops/push", "github/test"] {
        assert_eq!(
            world.send(&Delivery::fixture(name)).await,
            told(503, ""),
            "{name}"
        );
    }
    assert!(!world.was_poked());
    assert_eq!(world.counts.total(Outcome::NoSecret), 4);
}

#[tokio::test]
async fn secrets_can_be_changed_without_a_gap() {
    let world = World::new();
    let delivery = Delivery::fixture("gitea/push");
    *lock(&world.secrets) = vec!["new", SECRET];
    assert_eq!(world.send(&delivery).await, told(202, "accepted"));
    *lock(&world.secrets) = vec!["new"];
    assert_eq!(world.send(&delivery).await, refused());
}

#[tokio::test]
async fn only_post_is_answered_and_only_where_a_hook_may_be() {
    let world = World::new();
    for method in [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
    ] {
        for path in ["/hooks", "/hooks/github"] {
            let request = Request::builder()
                .method(method.clone())
                .uri(path)
                .body(Body::empty())
                .unwrap();
            assert_eq!(world.ask(request).await.0, StatusCode::METHOD_NOT_ALLOWED);
        }
    }
    for path in ["/hooks/gogs", "/hooks/", "/hooks/github/x", "/"] {
        let (status, _) = world.send_to(path, &Delivery::fixture("github/push")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_refusal_is_the_same_whatever_was_wrong() {
    let world = World::new();
    let push = || Delivery::fixture("github/push");
    let mut wrong = push();
    wrong.body[5] ^= 1;
    let mut missing = push();
    missing.headers.remove("x-hub-signature-256");
    let mut doubled = push();
    let value = doubled.headers["x-hub-signature-256"]
        .to_str()
        .unwrap()
        .to_owned();
    doubled.add("x-hub-signature-256", &value);
    let mut unknown = push();
    unknown.headers.clear();
    let mut answers = Vec::new();
    for delivery in [wrong, missing, doubled, unknown] {
        let response = tower::ServiceExt::oneshot(world.router.clone(), delivery.request("/hooks"))
            .await
            .unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1000).await.unwrap();
        answers.push((parts.status, parts.headers, body));
    }
    assert_eq!(answers[0].0, StatusCode::UNAUTHORIZED);
    assert!(answers[0].2.is_empty());
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn a_repeat_does_nothing_and_one_with_another_id_is_a_repeat_too() {
    let world = World::new();
    let mut delivery = Delivery::fixture("github/push");
    assert_eq!(world.send(&delivery).await, told(202, "accepted"));
    assert!(world.was_poked());
    assert_eq!(world.send(&delivery).await, told(202, "repeated"));
    delivery.set("x-github-delivery", "another");
    assert_eq!(world.send(&delivery).await, told(202, "repeated"));
    assert!(!world.was_poked());
    *lock(&world.clock.0) += TimeDelta::days(1);
    assert_eq!(world.send(&delivery).await, told(202, "accepted"));
}

#[tokio::test]
async fn a_repeat_after_a_restart_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for expected in ["accepted", "repeated"] {
        let deliveries = FileDeliveries::open(&folder.path().join("deliveries")).unwrap();
        let world = World::of(Subject::default(), Limits::default(), Arc::new(deliveries));
        let delivery = Delivery::fixture("github/push");
        assert_eq!(world.send(&delivery).await, told(202, expected));
    }
}

#[tokio::test]
async fn what_was_turned_away_or_not_ours_is_not_remembered() {
    let world = World::new();
    let good = Delivery::fixture("github/push");
    let mut forged = good.clone();
    forged.set("x-hub-signature-256", &format!("sha256={}", "00".repeat(32)));
    assert_eq!(world.send(&forged).await, refused());
    assert_eq!(world.send(&good).await, told(202, "accepted"));
    let other = Delivery::fixture("github/other-branch");
    for _ in 0..2 {
        assert_eq!(world.send(&other).await, told(202, "not_ours"));
    }
}

struct Unwritable;

#[async_trait::async_trait]
impl Deliveries for Unwritable {
    async fn first_seen(&self, _: &[Digest], _: DateTime<Utc>) -> Result<bool, DeliveriesError> {
        Err(DeliveriesError {
            act: "write",
            path: "x".into(),
            source: std::io::Error::other("full"),
        })
    }
}

#[tokio::test]
async fn a_full_disk_costs_no_push() {
    let world = World::of(Subject::default(), Limits::default(), Arc::new(Unwritable));
    assert_eq!(
        world.send(&Delivery::fixture("github/push")).await,
        told(202, "accepted")
    );
    assert!(world.was_poked());
}

#[tokio::test]
async fn a_form_is_read_and_any_other_content_type_refused_once_the_signature_holds() {
    let world = World::new();
    let mut delivery = Delivery::fixture("github/push");
    let json = String::from_utf8(delivery.body.clone()).unwrap();
    let form: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", &json)
        .finish();
    delivery.github_body("application/x-www-form-urlencoded", &form);
    assert_eq!(world.send(&delivery).await, told(202, "accepted"));
    for (content_type, body, status) in [
        ("application/x-www-form-urlencoded", "paylod=%7B%7D", 400),
        ("application/x-www-form-urlencoded", "payload=%7B", 400),
        ("application/json", "{", 400),
        ("application/json", "", 400),
        ("text/plain", "{}", 415),
        ("application/jsonp", "{}", 415),
    ] {
        delivery.github_body(content_type, body);
        assert_eq!(
            world.send(&delivery).await,
            told(status, "malformed"),
            "{content_type} {body}"
        );
        delivery.body.push(b' ');
        assert_eq!(world.send(&delivery).await, refused(), "{content_type} {body}");
    }
}

#[tokio::test]
async fn a_payload_that_says_nothing_is_taken_as_ours() {
    for body in ["{}", "[]", "null", "7", r#"{"ref":7,"repository":[],"after":{}}"#] {
        let world = World::new();
        assert_eq!(
            world.send(&Delivery::generic(body)).await,
            told(202, "accepted"),
            "{body}"
        );
        assert_eq!(world.counts.last_push().unwrap().commit, None);
    }
}

#[tokio::test]
async fn a_flood_of_forged_deliveries_is_shed_and_takes_nothing_from_a_valid_one() {
    let world = World::new();
    let mut forged = Delivery::fixture("gitea/push");
    forged.body.push(b' ');
    let mut statuses = Vec::new();
    for _ in 0..100 {
        statuses.push(world.send(&forged).await.0);
    }
    assert_eq!((statuses[0], statuses[99]), (401, 429));
    assert_eq!(
        world.counts.total(Outcome::Refused) + world.counts.total(Outcome::Shed),
        100
    );
    assert_eq!(
        world.send(&Delivery::fixture("gitea/push")).await,
        told(202, "accepted")
    );
}

/// A body of which the first half comes and the rest never.
fn half(delivery: &Delivery) -> Request<Body> {
    let first = Bytes::copy_from_slice(&delivery.body[..20]);
    let stream = futures::stream::iter([Ok::<_, std::io::Error>(first)]).chain(futures::stream::pending());
    let mut request = delivery.request("/hooks");
    *request.body_mut() = Body::from_stream(stream);
    request
}

#[tokio::test]
async fn bodies_that_do_not_come_make_way_for_one_that_does() {
    let limits = Limits {
        places: 2,
        ..Limits::default()
    };
    let world = World::of(Subject::default(), limits, Arc::new(MemoryDeliveries::default()));
    let delivery = Delivery::fixture("github/push");
    let slow = futures::future::join_all((0..3).map(|_| world.ask(half(&delivery))));
    let valid = async {
        tokio::task::yield_now().await;
        world.send(&delivery).await
    };
    tokio::select! {
        biased;
        _ = slow => panic!("one of them waits for ever"),
        answer = valid => assert_eq!(answer, told(202, "accepted")),
    }
    // The third made the first one go, the valid one the second.
    assert_eq!(world.counts.total(Outcome::Shed), 2);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_cut() {
    let world = World::new();
    let mut request = Delivery::fixture("github/push").request("/hooks");
    let broken = futures::stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("reset"))]);
    *request.body_mut() = Body::from_stream(broken);
    assert_eq!(
        world.ask(request).await,
        (StatusCode::REQUEST_TIMEOUT, String::new())
    );
    assert_eq!(world.counts.total(Outcome::Cut), 1);
}
