//! The Keycloak client against an issuer of the test's own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use harborage::edge::keycloak::IssuerKeys;
use harborage::run::identity::KeySource as _;
use serde_json::{Value, json};

const DISCOVERY: &str = "/realms/otomi/.well-known/openid-configuration";
const KEYS: &str = r#"{"keys":[]}"#;

/// An issuer that answers with a discovery document of the test's.
struct Issuer {
    url: String,
    discovery: Arc<Mutex<Value>>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let url = format!("{base}/realms/otomi");
        let document = json!({"issuer": url, "jwks_uri": format!("{base}/keys")});
        let discovery = Arc::new(Mutex::new(document));
        let router = Router::new().fallback(answer).with_state(discovery.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, discovery }
    }

    /// Leads to keys elsewhere on the same host.
    fn lead_to(&self, path: &str) {
        let base = self.url.trim_end_matches("/realms/otomi");
        self.discovery.lock().unwrap()["jwks_uri"] = json!(format!("{base}{path}"));
    }
}

async fn answer(State(discovery): State<Arc<Mutex<Value>>>, uri: Uri) -> Response {
    match uri.path() {
        DISCOVERY => discovery.lock().unwrap().to_string().into_response(),
        "/keys" => KEYS.into_response(),
        "/moved" => Redirect::temporary("/keys").into_response(),
        "/large" => "x".repeat(1 << 20).into_response(),
        "/never" => std::future::pending().await,
        _ => (StatusCode::BAD_GATEWAY, "a page").into_response(),
    }
}

async fn read(url: &str) -> Result<Vec<u8>, String> {
    let client = IssuerKeys::new(None, Duration::from_millis(500)).unwrap();
    client.key_set(url).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn keys_are_found_by_the_discovery_document() {
    let issuer = Issuer::start().await;
    assert_eq!(read(&issuer.url).await.unwrap(), KEYS.as_bytes());
}

#[tokio::test]
async fn a_discovery_document_of_another_issuer_leads_nowhere() {
    let issuer = Issuer::start().await;
    issuer.discovery.lock().unwrap()["issuer"] = json!("https://evil.example.com");
    let why = read(&issuer.url).await.unwrap_err();
    assert!(why.contains("evil.example.com"), "{why}");
    let why = read(&format!("{}/", issuer.url)).await.unwrap_err();
    assert!(why.contains("its discovery document is that of"), "{why}");
}

#[tokio::test]
async fn what_is_no_answer_is_told_apart() {
    let issuer = Issuer::start().await;
    for (path, part) in [
        ("/moved", "answered 307"),
        ("/large", "larger than"),
        ("/elsewhere", "answered 502"),
        ("/never", "no answer in time"),
    ] {
        issuer.lead_to(path);
        let why = read(&issuer.url).await.unwrap_err();
        assert!(why.contains(part) && why.contains(&issuer.url), "{why}");
    }
    issuer.discovery.lock().unwrap()["jwks_uri"] = json!("file:///etc/passwd");
    assert!(
        read(&issuer.url)
            .await
            .unwrap_err()
            .contains("no URL that may be read")
    );
    *issuer.discovery.lock().unwrap() = json!("no document");
    assert!(
        read(&issuer.url)
            .await
            .unwrap_err()
            .contains("no issuer and jwks_uri")
    );
    assert!(
        read("http://127.0.0.1:1")
            .await
            .unwrap_err()
            .contains("no connection")
    );
    assert!(
        read("ftp://127.0.0.1")
            .await
            .unwrap_err()
            .contains("no https or http URL")
    );
    assert!(
        IssuerKeys::new(
            Some(b"-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----"),
            Duration::from_secs(1)
        )
        .is_err()
    );
}
