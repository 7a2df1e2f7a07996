//! What an error of the API server means.

use std::time::Duration;

use kube::core::Status;

use crate::run::target::{ErrorClass, Target, TargetError};

/// How much of a message is told, in characters.
const QUOTED: usize = 300;

/// An answer that is an error. What a body says that is no `Status` is not told: it comes from
/// something between us and the API server, and may echo what was sent.
pub(super) fn refused(act: &str, code: u16, retry_after: Option<Duration>, body: &[u8]) -> TargetError {
    let status = serde_json::from_slice::<Status>(body)
        .ok()
        .filter(|status| !status.message.is_empty());
    let class = class_of(code, status.as_ref());
    let mut message = match &status {
        Some(status) => format!("it answered {code}, {}", shorten(&status.message)),
        None => format!("it answered {code}"),
    };
    if class == ErrorClass::Auth {
        message.push_str(if code == 401 {
            " (is the token still good?)"
        } else {
            " (does the role of deploy/ apply to us?)"
        });
    }
    let said = status
        .and_then(|status| status.details)
        .map_or(0, |details| details.retry_after_seconds);
    let said = (said > 0).then(|| Duration::from_secs(said.into()));
    TargetError {
        status: Some(code),
        retry_after: retry_after.or(said),
        ..error(act, class, message)
    }
}

/// No answer, or none that was read to its end.
pub(super) fn unanswered(act: &str, source: kube::Error) -> TargetError {
    TargetError {
        source: Some(source.into()),
        ..error(act, ErrorClass::Transient, "no answer".to_owned())
    }
}

/// No answer within the time for a call.
pub(super) fn timed_out(act: &str, limit: Duration) -> TargetError {
    error(
        act,
        ErrorClass::Transient,
        format!("no answer within {}", humantime::format_duration(limit)),
    )
}

/// An answer that is not what was asked for. The parser's own words quote it, so only the place is told.
pub(super) fn unintelligible(act: &str, source: &serde_json::Error) -> TargetError {
    let (line, column) = (source.line(), source.column());
    error(
        act,
        ErrorClass::Transient,
        format!("its answer is not what it should be, at line {line}, column {column}"),
    )
}

/// An object is not, or no longer, what the plan saw.
pub(super) fn changed(act: &str, how: &str) -> TargetError {
    error(act, ErrorClass::Conflict, how.to_owned())
}

fn error(act: &str, class: ErrorClass, message: String) -> TargetError {
    TargetError {
        target: Target::Kubernetes,
        act: act.to_owned(),
        class,
        message,
        status: None,
        retry_after: None,
        source: None,
    }
}

fn class_of(code: u16, status: Option<&Status>) -> ErrorClass {
    match code {
        // A token or a role may be given back.
        401 => ErrorClass::Auth,
        403 => class_of_forbidden(status),
        409 => ErrorClass::Conflict,
        // An apply names the uid that was seen, and another object has the name now.
        422 if names_another_object(status) => ErrorClass::Conflict,
        // A namespace or a service account may appear.
        404 | 408 | 410 | 429 | 500.. => ErrorClass::Transient,
        _ => ErrorClass::Rejected,
    }
}

fn names_another_object(status: Option<&Status>) -> bool {
    let details = status.and_then(|status| status.details.as_ref());
    let mut causes = details.into_iter().flat_map(|details| &details.causes);
    causes.any(|cause| cause.field == "metadata.uid")
}

/// Three things answer 403: authorisation, which concerns everything that we do; a namespace that
/// is being deleted; and admission (a quota, a policy), which concerns this object alone.
fn class_of_forbidden(status: Option<&Status>) -> ErrorClass {
    let Some(status) = status else {
        return ErrorClass::Auth;
    };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    if causes
        .into_iter()
        .any(|cause| cause.reason == "NamespaceTerminating")
    {
        return ErrorClass::Transient;
    }
    // The API server words every denial of every authoriser so: User "x" cannot patch resource "secrets" …
    if status.message.contains("User \"") && status.message.contains(" cannot ") {
        ErrorClass::Auth
    } else {
        ErrorClass::Rejected
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(code: u16, message: &str, cause: &str) -> TargetError {
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": "Forbidden", "details": {"causes": [{"reason": cause}], "retryAfterSeconds": 7}, "code": code,
        });
        refused("write Secret x", code, None, body.to_string().as_bytes())
    }

    #[test]
    fn only_a_denial_of_authorisation_stops_the_whole_target() {
        let role = r#"secrets "x" is forbidden: User "system:serviceaccount:a:b" cannot patch resource "secrets" in API group "" in the namespace "team-a""#;
        let leaving = r#"secrets "x" is forbidden: unable to create new content in namespace team-a because it is being terminated"#;
        let quota = r#"secrets "x" is forbidden: exceeded quota: q, requested: secrets=1, used: secrets=9, limited: secrets=9"#;
        assert_eq!(answer(403, role, "").class, ErrorClass::Auth);
        assert_eq!(
            answer(403, leaving, "NamespaceTerminating").class,
            ErrorClass::Transient
        );
        assert_eq!(answer(403, quota, "").class, ErrorClass::Rejected);
        assert_eq!(
            refused("x", 403, None, b"<html>no</html>").class,
            ErrorClass::Auth
        );
    }

    #[test]
    fn each_status_has_its_class() {
        for (code, class) in [
            (400, ErrorClass::Rejected),
            (401, ErrorClass::Auth),
            (404, ErrorClass::Transient),
            (409, ErrorClass::Conflict),
            (422, ErrorClass::Rejected),
            (429, ErrorClass::Transient),
            (503, ErrorClass::Transient),
        ] {
            assert_eq!(answer(code, "m", "").class, class, "{code}");
        }
    }

    #[test]
    fn an_object_that_is_another_by_now_is_looked_at_again() {
        let message =
            r#"ServiceAccount "default" is invalid: metadata.uid: Invalid value: "a": field is immutable"#;
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": "Invalid",
            "details": {"causes": [{"reason": "FieldValueInvalid", "field": "metadata.uid"}]}, "code": 422,
        });
        let error = refused("change it", 422, None, body.to_string().as_bytes());
        assert_eq!(error.class, ErrorClass::Conflict);
    }

    #[test]
    fn a_wait_is_taken_from_the_header_or_the_status() {
        assert_eq!(
            answer(429, "slow down", "").retry_after,
            Some(Duration::from_secs(7))
        );
        let wait = Some(Duration::from_secs(3));
        assert_eq!(
            refused("x", 429, wait, b"Too many requests, please try again later.").retry_after,
            wait
        );
    }

    #[test]
    fn a_body_that_is_no_status_is_not_told_and_a_long_message_is_cut() {
        assert!(!refused("x", 502, None, b"marker").to_string().contains("marker"));
        assert!(answer(422, &"é".repeat(5000), "").message.chars().count() < QUOTED + 50);
    }
}
