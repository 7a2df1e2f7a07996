//! What is answered.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use secrecy::{ExposeSecret as _, SecretSlice};
use serde_json::json;

use super::right::Denial;
use crate::values::names::TeamId;

/// When to ask again where nothing says it, in seconds.
const AGAIN: u64 = 10;

/// A request that gets no login.
#[derive(Debug, Clone, Copy)]
pub(super) enum Problem {
    /// The token is in the URL, where logs and histories keep it.
    TokenInQuery,
    /// There is no good token. Why not is for the log alone.
    Unauthorized,
    /// The user asks too often.
    TooMany(Duration),
    /// The user may not.
    Denied(Denial),
    /// The team has no login yet.
    NotProvisioned,
    /// It can't be told now.
    Away(Option<Duration>),
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::TokenInQuery => (
                StatusCode::BAD_REQUEST,
                "a token in the URL is not taken, and is no secret any more: send it as `Authorization: Bearer`"
                    .to_owned(),
            ),
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, "sign in first".to_owned()),
            Self::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "too many requests".to_owned()),
            Self::Denied(Denial::Unknown) => (StatusCode::NOT_FOUND, Denial::Unknown.to_string()),
            Self::Denied(denial) => (StatusCode::FORBIDDEN, denial.to_string()),
            Self::NotProvisioned => (
                StatusCode::NOT_FOUND,
                "the team has no push login yet; harborage makes one once its namespace is there".to_owned(),
            ),
            Self::Away(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "it can't be told now; try again".to_owned(),
            ),
        };
        let mut response = (
            status,
            [PRIVATE, SNIFFLESS],
            axum::Json(json!({"error": message})),
        )
            .into_response();
        let headers = response.headers_mut();
        match self {
            Self::Unauthorized => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::TooMany(wait) => {
                headers.insert(RETRY_AFTER, wait.as_secs().into());
            }
            Self::Away(wait) => {
                let seconds = wait.map_or(AGAIN, |wait| wait.as_secs());
                headers.insert(RETRY_AFTER, seconds.into());
            }
            _ => {}
        }
        response
    }
}

const PRIVATE: (HeaderName, &str) = (CACHE_CONTROL, "no-store");
const SNIFFLESS: (HeaderName, &str) = (X_CONTENT_TYPE_OPTIONS, "nosniff");

/// A team's docker configuration, as a file.
pub(super) fn file(team: &TeamId, content: &SecretSlice<u8>) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json".to_owned()),
        (
            CONTENT_DISPOSITION,
            format!("attachment; filename=docker-team-{team}.json"),
        ),
    ];
    let body = Body::from(content.expose_secret().to_vec());
    ([PRIVATE, SNIFFLESS], headers, body).into_response()
}
