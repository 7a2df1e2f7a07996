//! The download of a team's push login, for its members to `docker login` with.
//!
//! # Protocol
//! `GET /v1/teams/{team}/docker-config` with `Authorization: Bearer <token>`; the same as
//! `/v1/dockerconfig/{team}` and `/api/v1/dockerconfig/{team}`, which Otomi's console has in its menu.
//!
//! | status | when |
//! |---|---|
//! | 200 | the docker configuration, byte by byte as the team's Secret holds it |
//! | 400 | the token is in the URL |
//! | 401 | there is no token, or it is not good; why is not told |
//! | 403 | the team is not the user's, or its settings do not allow the download |
//! | 404 | to those who may know: there is no such team, or it has no login yet |
//! | 429 | the user asks too often |
//! | 503 | the repository was not read yet, Kubernetes or the issuer's keys can't be reached, or the download can't be recorded |
//!
//! # Guarantees
//! - Kubernetes is asked only for those who may have the answer.
//! - A download is on the disk, in the record, before its first byte is sent.

mod answer;
mod limit;
mod log;
mod right;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::response::Response;
use axum::routing::get;

use self::answer::{Problem, file};
use self::limit::RateLimit;
use super::token::{Claims, KeyCache, Policy, TokenError};
use crate::run::chance::Clock;
use crate::run::target::PushLogins;
use crate::run::{chain, lock};
use crate::snapshot::Snapshot;
use crate::values::names::{Namespace, SecretName, TeamId};

pub use log::{Download, DownloadLog, LogError};
pub use right::{Denial, Right, Standing, Verdict, may_download};

/// Tells what the repository says, as of the last good commit; `None` before one was read.
pub type SnapshotSource = Arc<dyn Fn() -> Option<Arc<Snapshot>> + Send + Sync>;

/// Whose tokens are taken.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// The issuer, instead of the repository's.
    pub issuer: Option<String>,
    /// The audience, instead of the repository's client id.
    pub audience: Option<String>,
    /// Whether ID tokens are taken, too: Otomi's oauth2-proxy puts them in the place of access tokens.
    pub id_tokens: bool,
}

/// What downloads are served from.
pub struct DownloadParts {
    /// What the repository says.
    pub snapshot: SnapshotSource,
    /// Whose tokens are taken.
    pub identity: Identity,
    /// The keys that tokens are verified with.
    pub keys: KeyCache,
    /// Where the logins are.
    pub logins: Arc<dyn PushLogins>,
    /// The Secret of each team that is handed out, by
    /// [`crate::run::declaration::JobDeclarations::push_secret`]; `None` where the jobs make none.
    pub secret: Option<SecretName>,
    /// Where downloads are recorded.
    pub log: DownloadLog,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

struct Service {
    parts: DownloadParts,
    limit: Mutex<RateLimit>,
}

/// Serves downloads. The addresses of clients are recorded where the server adds [`ConnectInfo`] to requests
/// (`into_make_service_with_connect_info::<SocketAddr>()`).
pub fn router(parts: DownloadParts) -> Router {
    let service = Service {
        parts,
        limit: Mutex::default(),
    };
    Router::new()
        .route("/v1/teams/{team}/docker-config", get(download))
        .route("/v1/dockerconfig/{team}", get(download))
        .route("/api/v1/dockerconfig/{team}", get(download))
        .with_state(Arc::new(service))
}

async fn download(
    State(service): State<Arc<Service>>,
    Path(team): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let query = request.uri().query().unwrap_or_default();
    if url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token") {
        return Err(Problem::TokenInQuery);
    }
    let token = bearer(request.headers()).ok_or(Problem::Unauthorized)?;
    let snapshot = (service.parts.snapshot)().ok_or(Problem::Away(None))?;
    let claims = service.user(token, &snapshot).await?;
    let now = service.parts.clock.now();
    lock(&service.limit)
        .admit(&claims.subject, now)
        .map_err(Problem::TooMany)?;
    let right = match may_download(&claims, &team, Standing::of(&snapshot, &team)) {
        Verdict::Allowed(right) => right,
        Verdict::Denied(denial) => {
            tracing::info!(
                user.name = claims.username,
                user.subject = claims.subject,
                team.id = team,
                "{:?} may not download the push login of team {team:?}: {denial}",
                claims.username
            );
            return Err(Problem::Denied(denial));
        }
    };
    // A team that has no valid id was never provisioned.
    let team = TeamId::new(team).map_err(|_| Problem::NotProvisioned)?;
    let namespace = Namespace::new(team.prefixed()).map_err(|_| Problem::NotProvisioned)?;
    let secret = service.parts.secret.as_ref().ok_or(Problem::NotProvisioned)?;
    let content = service.parts.logins.docker_config(&namespace, secret).await;
    let content = content.map_err(|error| {
        tracing::warn!(team.id = %team, "a push login can't be handed out: {}", chain(&error));
        Problem::Away(error.retry_after)
    })?;
    let content = content.ok_or(Problem::NotProvisioned)?;
    let record = Download {
        at: now,
        team: team.to_string(),
        secret: format!("{namespace}/{secret}"),
        subject: claims.subject,
        username: claims.username,
        right,
        address: address(&request),
        forwarded_for: forwarded_for(request.headers()),
    };
    service.record(record).await?;
    Ok(file(&team, &content))
}

impl Service {
    /// Who brings this token.
    async fn user(&self, token: &str, snapshot: &Snapshot) -> Result<Claims, Problem> {
        let identity = &self.parts.identity;
        let platform = &snapshot.platform;
        let Some(issuer) = identity.issuer.clone().or_else(|| platform.oidc_issuer.clone()) else {
            tracing::warn!("nobody can download: the repository has no issuer of tokens; set --oidc-issuer");
            return Err(Problem::Away(None));
        };
        let audience = identity.audience.clone();
        let policy = Policy {
            issuer,
            audience: audience.unwrap_or_else(|| platform.oidc_client_id.clone()),
            id_tokens: identity.id_tokens,
        };
        self.parts.keys.verify(token, &policy).await.map_err(|error| {
            tracing::debug!("a download was refused: {}", chain(&error));
            match error {
                TokenError::Refused(_) => Problem::Unauthorized,
                TokenError::KeysAway => Problem::Away(None),
            }
        })
    }

    async fn record(&self, download: Download) -> Result<(), Problem> {
        self.parts.log.record(download.clone()).await.map_err(|error| {
            tracing::error!(
                team.id = download.team,
                "a push login is not handed out: {}",
                chain(&error)
            );
            Problem::Away(None)
        })?;
        let address = download.address.as_deref().unwrap_or("an unknown address");
        tracing::info!(
            user.name = download.username,
            user.subject = download.subject,
            team.id = download.team,
            download.secret = download.secret,
            download.right = %download.right,
            client.address = address,
            client.forwarded_for = download.forwarded_for,
            "{:?} downloads the push login of team {} from {address}, as {}",
            download.username,
            download.team,
            download.right
        );
        Ok(())
    }
}

/// The token of a request that has one, in its one `Authorization`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim())
}

fn address(request: &Request) -> Option<String> {
    let ConnectInfo(address) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    Some(address.ip().to_string())
}

/// What proxies say, cut to what they have reason to say.
fn forwarded_for(headers: &HeaderMap) -> Option<String> {
    const LONGEST: usize = 200;
    let said = headers.get("x-forwarded-for")?.to_str().ok()?;
    Some(said.chars().take(LONGEST).collect())
}
