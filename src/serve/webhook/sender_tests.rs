//! What the tests send with, and what they send to.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::SecretString;
use serde_json::Value;
use sha2::Sha256;
use tokio::sync::Notify;
use tower::ServiceExt as _;

use super::*;
use crate::run::lock;

/// The secret of the fixtures. It is published here and protects nothing.
pub(super) const SECRET: &str = "published-and-protects-nothing";
/// The key of the signing GitLab in the fixtures.
pub(super) const SIGNING_KEY: &str = "whsec_cHVibGlzaGVkLCBhbmQgcHJvdGVjdHMgbm90aGluZyE=";

/// A clock that is set by hand.
pub(super) struct Hand(pub(super) Mutex<DateTime<Utc>>);

impl Clock for Hand {
    fn now(&self) -> DateTime<Utc> {
        *lock(&self.0)
    }
}

/// When the fixtures were sent.
pub(super) fn noon() -> DateTime<Utc> {
    "2026-11-02T12:00:00Z".parse().unwrap()
}

/// A delivery.
#[derive(Clone)]
pub(super) struct Delivery {
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Delivery {
    /// The one in `fixtures/webhooks/<name>`.
    pub(super) fn fixture(name: &str) -> Self {
        let path = fixtures().join(name);
        let read = |extension| std::fs::read(path.with_extension(extension)).unwrap();
        let headers = String::from_utf8(read("headers")).unwrap();
        Self {
            headers: headers
                .lines()
                .map(|line| {
                    let (name, value) = line.split_once(": ").unwrap();
                    (name.parse().unwrap(), value.parse().unwrap())
                })
                .collect(),
            body: read("json"),
        }
    }

    /// One in the generic form.
    pub(super) fn generic(body: &str) -> Self {
        let mut delivery = Self {
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        };
        delivery.set("content-type", "application/json");
        delivery.set(
            "x-signature",
            &format!("sha256={}", sign(SECRET, body.as_bytes())),
        );
        delivery
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.headers.insert(
            name.parse::<HeaderName>().unwrap(),
            value.parse::<HeaderValue>().unwrap(),
        );
    }

    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.headers
            .append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }

    /// Puts a body in, with the signature of GitHub's form.
    pub(super) fn github_body(&mut self, content_type: &str, body: &str) {
        self.body = body.as_bytes().to_vec();
        self.set("content-type", content_type);
        self.set(
            "x-hub-signature-256",
            &format!("sha256={}", sign(SECRET, &self.body)),
        );
    }

    pub(super) fn request(&self, path: &str) -> Request<Body> {
        let mut request = Request::post(path).body(Body::from(self.body.clone())).unwrap();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

pub(super) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/webhooks")
}

pub(super) fn sign(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

/// A receiver that follows `main` of `otomi/values`, and what can be seen of it.
pub(super) struct World {
    pub(super) router: Router,
    pub(super) counts: Arc<Counts>,
    pub(super) clock: Arc<Hand>,
    pub(super) secrets: Arc<Mutex<Vec<&'static str>>>,
    poke: Arc<Notify>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(Subject {
            repository: RepositoryName::parse("http://gitea-http.gitea:3000/otomi/values.git"),
            reference: Some("main".to_owned()),
        })
    }

    pub(super) fn with(subject: Subject) -> Self {
        Self::of(subject, Limits::default(), Arc::new(MemoryDeliveries::default()))
    }

    pub(super) fn of(subject: Subject, limits: Limits, deliveries: Arc<dyn Deliveries>) -> Self {
        let clock = Arc::new(Hand(Mutex::new(noon())));
        let secrets = Arc::new(Mutex::new(vec![SECRET, SIGNING_KEY]));
        let (counts, poke) = (Arc::<Counts>::default(), Arc::<Notify>::default());
        let given = secrets.clone();
        let router = router(Receiver {
            secrets: Arc::new(move || {
                lock(&given)
                    .iter()
                    .map(|text| SecretString::from(*text))
                    .collect()
            }),
            subject,
            deliveries,
            poke: poke.clone(),
            clock: clock.clone(),
            limits,
            counts: counts.clone(),
        });
        Self {
            router,
            counts,
            clock,
            secrets,
            poke,
        }
    }

    pub(super) async fn ask(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), BODY).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    pub(super) async fn send_to(&self, path: &str, delivery: &Delivery) -> (StatusCode, String) {
        self.ask(delivery.request(path)).await
    }

    /// The status, and the outcome that the answer tells.
    pub(super) async fn send(&self, delivery: &Delivery) -> (u16, String) {
        let (status, body) = self.send_to("/hooks", delivery).await;
        let outcome = serde_json::from_str::<Value>(&body)
            .ok()
            .and_then(|body| Some(body.get("outcome")?.as_str()?.to_owned()));
        (status.as_u16(), outcome.unwrap_or(body))
    }

    /// Whether it was poked since this was last asked.
    pub(super) fn was_poked(&self) -> bool {
        use futures::FutureExt as _;
        self.poke.notified().now_or_never().is_some()
    }
}

/// An answer, as [`World::send`] tells it.
pub(super) fn told(status: u16, outcome: &str) -> (u16, String) {
    (status, outcome.to_owned())
}

/// A refusal says nothing.
pub(super) fn refused() -> (u16, String) {
    told(401, "")
}
