//! An answer: how it is received, and what is no answer of Harbor's.

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::Instrument as _;

use super::failure::{refused, shorten, strange, unanswered};
use super::transport::Wire;
use crate::run::meter::{CallEnd, MeteredCall, Server};
use crate::run::target::{ErrorClass, TargetError};

/// The largest answer that is read: a hundred robots take about 60 kB.
const LARGEST_ANSWER: usize = 16 << 20;

/// A successful answer.
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Tells the log of an answered call.
pub(super) fn tell(method: &str, path: &[&str], status: StatusCode, call: &MeteredCall<'_>) {
    let (path, status) = (path.join("/"), status.as_u16());
    call.answered(status);
    tracing::debug!(
        http.method = method,
        http.path = path,
        http.status = status,
        duration_ms = u64::try_from(call.elapsed().as_millis()).unwrap_or(u64::MAX),
        "Harbor answered {status} to {method} {path}"
    );
}

/// Sends a request and reads its whole answer.
pub(super) async fn receive(
    wire: &Wire,
    act: &str,
    request: RequestBuilder,
    method: &str,
    path: &[&str],
    secret: Option<&SecretString>,
) -> Result<Answer, TargetError> {
    let call = MeteredCall::begin(wire.meter.as_ref(), Server::Harbor, method, &path.join("/"));
    let answer = exchange(&call, act, request, method, path, secret)
        .instrument(call.span())
        .await;
    call.end(match &answer {
        // That Harbor has no such object is what was asked.
        Err(error) if method == "GET" && error.status == Some(404) && error.class == ErrorClass::Rejected => {
            CallEnd::Ok
        }
        answer => CallEnd::of(answer),
    });
    answer
}

async fn exchange(
    call: &MeteredCall<'_>,
    act: &str,
    request: RequestBuilder,
    method: &str,
    path: &[&str],
    secret: Option<&SecretString>,
) -> Result<Answer, TargetError> {
    let mut response = request.send().await.map_err(|error| unanswered(act, error))?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unanswered(act, error))? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(strange(
                act,
                format!("its answer is larger than {LARGEST_ANSWER} bytes"),
            ));
        }
        body.extend_from_slice(&chunk);
    }
    tell(method, path, status, call);
    if status.is_redirection() {
        let what = format!(
            "it answered {}, a redirect to {}: is harbor-url right?",
            status.as_u16(),
            target(&headers)
        );
        return Err(TargetError {
            status: Some(status.as_u16()),
            ..strange(act, what)
        });
    }
    if !status.is_success() {
        let body = match secret {
            Some(secret) => without(&body, secret),
            None => body,
        };
        return Err(refused(act, status, &headers, &body, chrono::Utc::now()));
    }
    if status != StatusCode::NO_CONTENT && is_page(&headers) {
        return Err(strange(
            act,
            "a web page came back, not Harbor's API: is harbor-url right?",
        ));
    }
    Ok(Answer { headers, body })
}

/// Where a redirect leads, without its query: identity providers put what is nobody's business there.
fn target(headers: &HeaderMap) -> String {
    let location = headers
        .get(reqwest::header::LOCATION)
        .and_then(|location| location.to_str().ok());
    location.map_or_else(
        || "nowhere".to_owned(),
        |location| shorten(location.split(['?', '#']).next().unwrap_or("")),
    )
}

/// A body without a secret that was sent: a proxy's error page may show what it was given.
fn without(body: &[u8], secret: &SecretString) -> Vec<u8> {
    let secret = secret.expose_secret();
    let written = Value::from(secret).to_string();
    let escaped = written.trim_matches('"');
    let text = String::from_utf8_lossy(body);
    if secret.is_empty() {
        body.to_vec()
    } else {
        text.replace(escaped, "***").replace(secret, "***").into_bytes()
    }
}

fn is_page(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("text/html"))
}

impl Answer {
    /// The body, as what it should be.
    pub(super) fn json<T: DeserializeOwned>(&self, act: &str) -> Result<T, TargetError> {
        // What is quoted of the error is its position, never the body: it may hold a secret.
        serde_json::from_slice(&self.body).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            strange(
                act,
                format!("its answer is not what it should be, at line {line}, column {column}"),
            )
        })
    }

    /// The number at the end of the Location header: the id of what was created.
    pub(super) fn created_id(&self) -> Option<i64> {
        self.headers
            .get(reqwest::header::LOCATION)?
            .to_str()
            .ok()?
            .rsplit('/')
            .next()?
            .parse()
            .ok()
    }

    /// Harbor's count of all rows; a hint only, since lists shift while they are read.
    pub(super) fn total(&self) -> Option<usize> {
        self.headers.get("x-total-count")?.to_str().ok()?.parse().ok()
    }
}
