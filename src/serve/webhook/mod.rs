//! The webhooks of git hosts.
//!
//! A hook is a poke and no more: one that proves a secret and is about what is followed makes the daemon look
//! at the repository by itself. Nothing that a payload says is acted on.
//!
//! # Flow
//! `POST /hooks` finds the host by its headers, `POST /hooks/{host}` takes that host's form only. In this
//! order: is there a secret, has the claim of one the right form, is the body short enough, does it
//! arrive, does the claim hold, and only then is it read: what kind is it, is it ours, did it come before.
//!
//! # Guarantees
//! - Without a secret nothing is accepted: 503, as when the file of the secrets is empty or away.
//! - Nothing is parsed before the signature holds, and a refusal (401) says nothing.
//! - The answer waits for no work: the poke is a [`Notify`], and what it wakes runs elsewhere.
//! - Memory is bounded, see [`Limits`] and the module `gate`.
//!
//! # Caveats
//! A GitLab token and a Basic password prove the sender and not the body. Since nothing in a body is acted
//! on, what can be gained by a recorded one is one more look at the repository.

mod counts;
mod deliveries;
mod gate;
mod host;
mod limits;
mod payload;
mod receive;
mod secrets;
mod subject;
mod verify;

#[cfg(test)]
mod advisory_tests;
#[cfg(test)]
mod fixture_tests;
#[cfg(test)]
mod listener_tests;
#[cfg(test)]
mod payload_tests;
#[cfg(test)]
mod router_tests;
#[cfg(test)]
mod sender_tests;
#[cfg(test)]
mod verify_tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use tokio::sync::Notify;

use crate::run::chance::Clock;

pub use counts::{Counts, LastPush, Outcome};
pub use deliveries::{CAPACITY, Deliveries, DeliveriesError, Digest, FileDeliveries, MemoryDeliveries};
pub use host::Host;
pub use limits::{BODY, Limits};
pub use secrets::{Secrets, secrets_in, secrets_of};
pub use subject::{RepositoryName, Subject};

use gate::{Gate, Refusals};

/// What hooks are received with.
pub struct Receiver {
    /// The secrets that are valid at present.
    pub secrets: Secrets,
    /// What is followed.
    pub subject: Subject,
    /// Which deliveries came before.
    pub deliveries: Arc<dyn Deliveries>,
    /// Wakes whoever looks at the repository.
    pub poke: Arc<Notify>,
    /// The present time.
    pub clock: Arc<dyn Clock>,
    /// What a delivery may take.
    pub limits: Limits,
    /// Where deliveries are counted.
    pub counts: Arc<Counts>,
}

struct Shared {
    receiver: Receiver,
    gate: Gate,
    refusals: Refusals,
}

/// The routes `POST /hooks` and `POST /hooks/{host}`.
///
/// The listener has to serve them with [`Limits::connection`], or a head that never ends stays open.
pub fn router(receiver: Receiver) -> Router {
    let shared = Arc::new(Shared {
        gate: Gate::new(receiver.limits.places),
        refusals: Refusals::new(receiver.clock.now()),
        receiver,
    });
    Router::new()
        .route("/hooks", post(any_host))
        .route("/hooks/{host}", post(one_host))
        .with_state(shared)
}

async fn any_host(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let host = Host::detect(request.headers());
    answer(&shared, host, request).await
}

async fn one_host(State(shared): State<Arc<Shared>>, Path(name): Path<String>, request: Request) -> Response {
    match Host::named(&name) {
        Some(host) => answer(&shared, Some(host), request).await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn answer(shared: &Shared, host: Option<Host>, request: Request) -> Response {
    let received = receive::receive(shared, host, request).await;
    let outcome = match &received {
        Ok(taken) => taken.outcome,
        Err(outcome) => {
            let told = shared.refusals.allow(shared.receiver.clock.now());
            if told {
                let host = host.map_or("unknown", Host::name);
                tracing::warn!(host, outcome = outcome.name(), "a webhook was turned away");
            }
            if *outcome == Outcome::Refused && !told {
                Outcome::Shed
            } else {
                *outcome
            }
        }
    };
    shared.receiver.counts.add(host, outcome);
    match received {
        Ok(taken) => taken.into_response(&shared.receiver.subject),
        Err(_) => turned_away(outcome),
    }
}

/// The answer to what proved no secret. It has no body: what was wrong is for those alone who know one.
fn turned_away(outcome: Outcome) -> Response {
    match outcome {
        Outcome::TooLarge => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Outcome::Shed => (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "10")]).into_response(),
        Outcome::Cut => StatusCode::REQUEST_TIMEOUT.into_response(),
        Outcome::NoSecret => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        _ => StatusCode::UNAUTHORIZED.into_response(),
    }
}
