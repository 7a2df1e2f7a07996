//! What an answer that is no success means.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;

use crate::run::target::{ErrorClass, Target, TargetError};

/// How much of an answer that is not Harbor's own is quoted.
const QUOTED: usize = 200;

/// Harbor's error body. Its codes are no guide (a conflict may be `UNKNOWN`): the status decides.
#[derive(Deserialize)]
struct ErrorBody {
    errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// A failed call, by what it was for and what Harbor answered.
pub(super) fn refused(
    act: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: DateTime<Utc>,
) -> TargetError {
    let Said {
        code,
        message,
        by_harbor,
    } = said(body);
    let read_only = status == StatusCode::FORBIDDEN && code == "DENIED" && message.contains("read only");
    let class = match status.as_u16() {
        403 if read_only => ErrorClass::Transient,
        401 | 403 => ErrorClass::Auth,
        409 => ErrorClass::Conflict,
        408 | 425 | 429 | 500.. => ErrorClass::Transient,
        // Harbor puts its own body on every refusal below 500. Another's 404 says nothing of our project.
        _ if !by_harbor => ErrorClass::Transient,
        _ => ErrorClass::Rejected,
    };
    let mut message = format!(
        "it answered {}{}{message}",
        status.as_u16(),
        if message.is_empty() { "" } else { ", " }
    );
    if read_only {
        message.push_str(" (Harbor is in read-only mode: switch it off in its system settings)");
    }
    TargetError {
        target: Target::Harbor,
        act: act.to_owned(),
        class,
        message,
        status: Some(status.as_u16()),
        retry_after: retry_after(headers, now),
        source: None,
    }
}

/// No answer, or half of one: whether a write took effect is not known.
pub(super) fn unanswered(act: &str, error: reqwest::Error) -> TargetError {
    let error = error.without_url();
    let message = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the answer was lost"
    };
    TargetError {
        target: Target::Harbor,
        act: act.to_owned(),
        class: ErrorClass::Transient,
        message: message.to_owned(),
        status: None,
        retry_after: None,
        source: Some(error.into()),
    }
}

/// An answer that can't be Harbor's: a proxy's page, a redirect to a login, a body of another shape.
pub(super) fn strange(act: &str, what: impl Into<String>) -> TargetError {
    TargetError {
        target: Target::Harbor,
        act: act.to_owned(),
        class: ErrorClass::Transient,
        message: what.into(),
        status: Some(200),
        retry_after: None,
        source: None,
    }
}

/// Something that harborage will not do with this Harbor.
pub(super) fn unfit(act: &str, what: impl Into<String>) -> TargetError {
    TargetError {
        class: ErrorClass::Rejected,
        status: None,
        ..strange(act, what)
    }
}

/// What a refusal says.
struct Said {
    code: String,
    message: String,
    by_harbor: bool,
}

/// The code and message of an error body, or the beginning of whatever else came.
fn said(body: &[u8]) -> Said {
    if let Ok(ErrorBody { errors }) = serde_json::from_slice::<ErrorBody>(body) {
        let code = errors.first().map(|entry| entry.code.clone()).unwrap_or_default();
        let messages: Vec<_> = errors.into_iter().map(|entry| entry.message).collect();
        return Said {
            code,
            message: shorten(&messages.join("; ")),
            by_harbor: true,
        };
    }
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let message = if text.is_empty() {
        String::new()
    } else if shows_a_request(text) {
        "no answer of Harbor's, and not quoted since it shows our request".to_owned()
    } else {
        format!("no answer of Harbor's: {}", shorten(text))
    };
    Said {
        code: String::new(),
        message,
        by_harbor: false,
    }
}

/// Whether a page may show the login or the session that it was asked with.
fn shows_a_request(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["authorization", "basic ", "cookie", "sid="]
        .iter()
        .any(|sign| text.contains(sign))
}

/// One line of bounded length.
pub(super) fn shorten(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// `Retry-After`, in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    Some((at.with_timezone(&Utc) - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class_of(status: u16, body: &str) -> ErrorClass {
        refused(
            "act",
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            body.as_bytes(),
            Utc::now(),
        )
        .class
    }

    #[test]
    fn the_status_decides_not_the_code() {
        let conflict = r#"{"errors":[{"code":"UNKNOWN","message":"already exists"}]}"#;
        assert_eq!(class_of(409, conflict), ErrorClass::Conflict);
        assert_eq!(class_of(401, ""), ErrorClass::Auth);
        assert_eq!(
            class_of(403, r#"{"errors":[{"code":"FORBIDDEN","message":"no"}]}"#),
            ErrorClass::Auth
        );
        assert_eq!(class_of(429, ""), ErrorClass::Transient);
        assert_eq!(class_of(500, ""), ErrorClass::Transient);
        let refusal = r#"{"errors":[{"code":"PRECONDITION","message":"no"}]}"#;
        assert_eq!(class_of(412, refusal), ErrorClass::Rejected);
        assert_eq!(class_of(422, refusal), ErrorClass::Rejected);
        assert_eq!(class_of(404, refusal), ErrorClass::Rejected);
    }

    #[test]
    fn a_refusal_that_is_not_harbors_own_passes() {
        for foreign in ["", "<html>404 not found</html>", "{}", "default backend - 404"] {
            assert_eq!(class_of(404, foreign), ErrorClass::Transient, "{foreign:?}");
        }
    }

    #[test]
    fn read_only_mode_passes_by_itself() {
        let body = r#"{"errors":[{"code":"DENIED","message":"The system is in read only mode. Any modification is prohibited."}]}"#;
        assert_eq!(class_of(403, body), ErrorClass::Transient);
    }

    #[test]
    fn a_page_of_a_proxy_is_quoted_and_bounded() {
        let page = format!("<html>{}</html>", "x".repeat(10_000));
        let error = refused(
            "list robots",
            StatusCode::BAD_GATEWAY,
            &HeaderMap::new(),
            page.as_bytes(),
            Utc::now(),
        );
        assert!(error.message.contains("no answer of Harbor's: <html>xxx"));
        assert!(error.message.len() < 300);
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let now = DateTime::parse_from_rfc3339("2026-11-24T10:00:00Z")
            .unwrap()
            .with_timezone(&Utc);
        let header = |text: &str| HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
        assert_eq!(retry_after(&header("7"), now), Some(Duration::from_secs(7)));
        let date = header("Tue, 24 Nov 2026 10:01:00 GMT");
        assert_eq!(retry_after(&date, now), Some(Duration::from_secs(60)));
        assert_eq!(retry_after(&header("soon"), now), None);
    }
}
