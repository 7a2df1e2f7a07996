//! One delivery, from its head to its answer.

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::counts::{LastPush, Outcome};
use super::deliveries::Digest;
use super::gate::Place;
use super::host::{Host, single};
use super::limits::BODY;
use super::payload::{self, BodyError, Kind};
use super::subject::{Subject, Verdict};
use super::verify::Claim;
use super::{Receiver, Shared};
use crate::run::chain;

/// A delivery that proved a secret.
pub(super) struct Taken {
    pub(super) outcome: Outcome,
    found: Result<Verdict, BodyError>,
}

/// Takes a delivery, or says why it is turned away.
pub(super) async fn receive(shared: &Shared, host: Option<Host>, request: Request) -> Result<Taken, Outcome> {
    let receiver = &shared.receiver;
    let secrets = (receiver.secrets)();
    if secrets.is_empty() {
        return Err(Outcome::NoSecret);
    }
    let (head, body) = request.into_parts();
    let host = host
        .filter(|host| host.is_shown_by(&head.headers))
        .ok_or(Outcome::Refused)?;
    // What has no claim costs nothing more, not even the reading of its body.
    let claim = Claim::read(host, &head.headers).ok_or(Outcome::Refused)?;
    let (body, _place) = arrive(shared, body).await?;
    let now = receiver.clock.now();
    if !claim.holds(&body, &secrets, now) {
        return Err(Outcome::Refused);
    }
    Ok(weigh(receiver, host, &head.headers, &body, now).await)
}

/// Reads a body. Its place is kept as long as the body.
async fn arrive(shared: &Shared, body: Body) -> Result<(Bytes, Place), Outcome> {
    if body.size_hint().lower() > BODY as u64 {
        return Err(Outcome::TooLarge);
    }
    let place = shared.gate.enter().await.ok_or(Outcome::Shed)?;
    let bytes = tokio::select! {
        () = place.lost.cancelled() => return Err(Outcome::Shed),
        read = tokio::time::timeout(shared.receiver.limits.body, gather(body)) => read.map_err(|_| Outcome::Cut)??,
    };
    place.arrived();
    Ok((bytes, place))
}

async fn gather(body: Body) -> Result<Bytes, Outcome> {
    let mut bytes = BytesMut::new();
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Outcome::Cut)?;
        if bytes.len() + chunk.len() > BODY {
            return Err(Outcome::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

/// Finds what a proven delivery is about, and pokes if it is about what is followed and new.
async fn weigh(
    receiver: &Receiver,
    host: Host,
    headers: &HeaderMap,
    body: &Bytes,
    now: DateTime<Utc>,
) -> Taken {
    let json = match payload::json(single(headers, CONTENT_TYPE.as_str()), body) {
        Ok(json) => json,
        Err(error) => {
            return Taken {
                outcome: Outcome::Malformed,
                found: Err(error),
            };
        }
    };
    let said = payload::read(host, host.event(headers), &json);
    let verdict = receiver.subject.judge(&said);
    let outcome = match said.kind {
        Kind::Test => Outcome::Tested,
        Kind::Other => Outcome::NotOurs,
        Kind::Push if !verdict.is_ours() => Outcome::NotOurs,
        Kind::Push if !is_first(receiver, host, headers, body, now).await => Outcome::Repeated,
        Kind::Push => Outcome::Accepted,
    };
    if outcome == Outcome::Accepted {
        tracing::info!(
            host = host.name(),
            commit = verdict.commit,
            "a webhook told of a push"
        );
        receiver.counts.pushed(LastPush {
            at: now,
            commit: verdict.commit.clone(),
        });
        receiver.poke.notify_one();
    }
    Taken {
        outcome,
        found: Ok(verdict),
    }
}

async fn is_first(
    receiver: &Receiver,
    host: Host,
    headers: &HeaderMap,
    body: &Bytes,
    now: DateTime<Utc>,
) -> bool {
    let mut digests = vec![digest(&[b"body", body])];
    if let Some(id) = host.delivery(headers) {
        digests.push(digest(&[b"id", host.name().as_bytes(), b" ", id.as_bytes()]));
    }
    match receiver.deliveries.first_seen(&digests, now).await {
        Ok(first) => first,
        Err(error) => {
            tracing::warn!(error = %chain(&error), "a webhook may be taken twice");
            true
        }
    }
}

fn digest(parts: &[&[u8]]) -> Digest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

impl Taken {
    /// The answer: a sentence for the person who looks at the hook's page at its host.
    pub(super) fn into_response(self, subject: &Subject) -> Response {
        let (status, message) = match (&self.found, self.outcome) {
            (Err(error @ BodyError::Type), _) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, error.to_string()),
            (Err(error @ BodyError::Malformed), _) => (StatusCode::BAD_REQUEST, error.to_string()),
            (Ok(verdict), Outcome::Tested) => (StatusCode::OK, greeting(subject, verdict)),
            (Ok(_), Outcome::Repeated) => (
                StatusCode::ACCEPTED,
                "this delivery came before, and nothing is done".to_owned(),
            ),
            (Ok(_), Outcome::NotOurs) => (
                StatusCode::ACCEPTED,
                format!("nothing is done, since this follows {subject}"),
            ),
            (Ok(_), _) => (
                StatusCode::ACCEPTED,
                format!("{subject} is looked at for a new commit"),
            ),
        };
        let repository = self.found.ok().and_then(|verdict| verdict.repository);
        let body: Value = json!({
            "outcome": self.outcome.name(), "message": message, "repository_matches": repository,
        });
        (status, axum::Json(body)).into_response()
    }
}

fn greeting(subject: &Subject, verdict: &Verdict) -> String {
    let repository = match verdict.repository {
        Some(true) => "the hook is of that repository",
        Some(false) => "but the hook is of another repository",
        None => "and whose hook it is can't be told",
    };
    format!("the signature is right; this follows {subject}, {repository}")
}
