//! What went wrong in other receivers of webhooks, each as a test that bears its name.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use futures::StreamExt as _;

use super::sender_tests::*;
use super::*;
use crate::run::lock;

/// A body far too long, which counts how much of it was read.
fn huge(delivery: &Delivery) -> (Request<Body>, Arc<std::sync::atomic::AtomicUsize>) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let read = Arc::new(AtomicUsize::new(0));
    let counter = read.clone();
    let chunks =
        futures::stream::iter(vec![Bytes::from_static(&[b'['; 4096]); 4 * BODY / 4096]).map(move |chunk| {
            counter.fetch_add(chunk.len(), Ordering::Relaxed);
            Ok::<_, std::io::Error>(chunk)
        });
    let mut request = delivery.request("/hooks");
    *request.body_mut() = Body::from_stream(chunks);
    (request, read)
}

#[tokio::test]
async fn cve_2024_40634_and_cve_2026_42294_a_huge_body_is_not_read_to_its_end_before_it_is_judged() {
    let world = World::new();
    let mut delivery = Delivery::fixture("github/push");
    let (request, read) = huge(&delivery);
    assert_eq!(
        world.ask(request).await,
        (StatusCode::PAYLOAD_TOO_LARGE, String::new())
    );
    let read = read.load(std::sync::atomic::Ordering::Relaxed);
    assert!(read <= BODY + 2 * 4096, "{read} bytes were read");

    // One that tells its length is not read at all, nor is one without a claim, however long.
    delivery.body = vec![b'['; BODY + 1];
    assert_eq!(world.send(&delivery).await, told(413, ""));
    delivery.headers.remove("x-hub-signature-256");
    let (request, read) = huge(&delivery);
    assert_eq!(world.ask(request).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(read.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn the_largest_body_is_accepted_and_one_byte_more_is_not() {
    let world = World::new();
    let mut body = r#"{"ref":"refs/heads/main","after":""#.to_owned();
    body.push_str(&" ".repeat(BODY - body.len() - 2));
    body.push_str("\"}");
    assert_eq!(world.send(&Delivery::generic(&body)).await, told(202, "accepted"));
    body.push(' ');
    assert_eq!(world.send(&Delivery::generic(&body)).await, told(413, ""));
}

#[tokio::test]
async fn cve_2024_40634_a_body_that_is_nested_without_end_is_malformed_and_no_more() {
    let world = World::new();
    for open in ["[", "{\"a\":"] {
        let body = open.repeat(BODY / open.len());
        assert_eq!(
            world.send(&Delivery::generic(&body)).await,
            told(400, "malformed")
        );
    }
}

#[tokio::test]
async fn cve_2025_59538_a_malformed_push_of_azure_devops_crashes_nothing() {
    for resource in [
        "null",
        "[]",
        "7",
        r#"{"refUpdates":[]}"#,
        r#"{"refUpdates":null,"repository":null}"#,
        r#"{"refUpdates":[null,[],{}],"repository":[]}"#,
        r#"{"refUpdates":[{"name":null}],"repository":{"remoteUrl":7,"defaultBranch":[]}}"#,
        r#"{"refUpdates":{"0":{}},"repository":{"remoteUrl":""}}"#,
    ] {
        let world = World::new();
        let mut delivery = Delivery::fixture("azure-devops/push");
        delivery.body = format!(r#"{{"eventType":"git.push","resource":{resource}}}"#).into_bytes();
        assert_eq!(world.send(&delivery).await, told(202, "accepted"), "{resource}");
    }
}

#[tokio::test]
async fn ghsa_wp4p_9pxh_cgx2_a_push_of_bitbucket_without_links_or_changes_crashes_nothing() {
    for body in [
        r#"{"push":{"changes":[{}]},"repository":{"links":{}}}"#,
        r#"{"push":{"changes":[{"new":{},"old":null}]},"repository":{"links":{"html":[]}}}"#,
        r#"{"push":{"changes":[{"new":null,"old":null}]}}"#,
        r#"{"repository":{"links":{"clone":[{"href":["x"]},{"name":"http"}]},"project":{}}}"#,
        r#"{"changes":[{"ref":{}},{"refId":{}}],"repository":{"links":{"clone":{}}}}"#,
    ] {
        for name in ["bitbucket/push", "bitbucket-data-center/push"] {
            let world = World::new();
            let mut delivery = Delivery::fixture(name);
            delivery.body = body.as_bytes().to_vec();
            let signature = format!("sha256={}", sign(SECRET, &delivery.body));
            delivery.set("x-hub-signature", &signature);
            assert_eq!(
                world.send(&delivery).await,
                told(202, "accepted"),
                "{name}: {body}"
            );
        }
    }
}

#[tokio::test]
async fn flux_a_recorded_delivery_can_not_be_played_again() {
    for name in [
        "github/push",
        "gitlab-signed/push",
        "azure-devops/push",
        "generic/push",
    ] {
        let world = World::with(Subject::default());
        assert_eq!(
            world.send(&Delivery::fixture(name)).await,
            told(202, "accepted"),
            "{name}"
        );
        assert_eq!(
            world.send(&Delivery::fixture(name)).await,
            told(202, "repeated"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn gitea_a_recorded_delivery_can_not_be_played_again_in_another_form() {
    let world = World::new();
    let mut delivery = Delivery::fixture("forgejo/push");
    assert_eq!(world.send(&delivery).await, told(202, "accepted"));
    for name in [
        "x-forgejo-event",
        "x-forgejo-signature",
        "x-gitea-event",
        "x-gitea-signature",
    ] {
        delivery.headers.remove(name);
    }
    assert_eq!(Host::detect(&delivery.headers), Some(Host::GitHub));
    assert_eq!(world.send(&delivery).await, told(202, "repeated"));
}

#[tokio::test]
async fn gitea_a_wrong_signature_of_its_own_is_not_rescued_by_one_of_github() {
    for (name, header) in [
        ("gitea/push", "x-gitea-signature"),
        ("forgejo/push", "x-forgejo-signature"),
    ] {
        let mut delivery = Delivery::fixture(name);
        delivery.set(header, &"00".repeat(32));
        assert_eq!(World::new().send(&delivery).await, refused(), "{name}");
        // Gitea sends an empty one when its hook has no secret.
        delivery.set(header, "");
        assert_eq!(World::new().send(&delivery).await, refused(), "{name}");
        delivery.headers.remove(header);
        assert_eq!(World::new().send(&delivery).await, refused(), "{name}");
    }
}

#[tokio::test]
async fn argo_cd_a_secret_that_is_not_set_lets_nobody_in() {
    let world = World::new();
    *lock(&world.secrets) = vec![""];
    let mut token = Delivery::fixture("gitlab/push");
    token.set("x-gitlab-token", "");
    assert_eq!(world.send(&token).await, refused());
    let mut signed = Delivery::fixture("github/push");
    let signature = format!("sha256={}", sign("", &signed.body));
    signed.set("x-hub-signature-256", &signature);
    assert_eq!(world.send(&signed).await, refused());
    assert!(!world.was_poked());
}

#[tokio::test]
async fn cve_2026_40109_a_claim_of_another_kind_of_proof_is_none() {
    let world = World::new();
    let mut delivery = Delivery::fixture("azure-devops/push");
    for value in [
        format!("Bearer {SECRET}"),
        SECRET.to_owned(),
        format!("Basic {SECRET}"),
    ] {
        delivery.set("authorization", &value);
        assert_eq!(world.send(&delivery).await, refused());
    }
}

#[tokio::test]
async fn cve_2023_25163_no_answer_and_no_debug_output_holds_a_secret() {
    let world = World::new();
    for name in [
        "github/test",
        "gitlab/push",
        "azure-devops/other-branch",
        "gitlab/system",
    ] {
        let (_, body) = world.send_to("/hooks", &Delivery::fixture(name)).await;
        assert!(
            !body.contains(SECRET) && !body.contains("whsec"),
            "{name}: {body}"
        );
    }
    assert!(!format!("{:?}", secrets_of(SECRET)).contains(SECRET));
}

#[tokio::test]
async fn flux_a_sha_1_signature_alone_proves_nothing() {
    for (name, header) in [
        ("github/push", "x-hub-signature-256"),
        ("gitea/push", "x-gitea-signature"),
    ] {
        let mut delivery = Delivery::fixture(name);
        delivery.headers.remove(header);
        assert!(
            delivery.headers["x-hub-signature"]
                .to_str()
                .unwrap()
                .starts_with("sha1=")
        );
        assert_eq!(World::new().send(&delivery).await, refused(), "{name}");
    }
}
