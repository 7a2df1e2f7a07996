//! How Harbor words that it will not.

use serde_json::json;

use crate::rehearsal::Answer;

/// What a handler gives back.
pub(super) type Outcome = Result<Answer, Refusal>;

/// An answer that reports an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rehearsal::harbor) struct Refusal {
    status: u16,
    /// None for an empty body.
    error: Option<(&'static str, String)>,
}

impl Refusal {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            error: Some((code, message.into())),
        }
    }

    /// A status without a body.
    pub(super) fn bare(status: u16) -> Self {
        Self { status, error: None }
    }

    /// 400 by Harbor's own checks.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BAD_REQUEST", message)
    }

    /// 401.
    pub(super) fn unauthorized() -> Self {
        Self::new(401, "UNAUTHORIZED", "unauthorized")
    }

    /// 403. Of system resources the message is who asked, else it is `forbidden`.
    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, "FORBIDDEN", message)
    }

    /// 403 for what nobody may do at present.
    pub(super) fn denied(message: impl Into<String>) -> Self {
        Self::new(403, "DENIED", message)
    }

    /// 404.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "NOT_FOUND", message)
    }

    /// 405, with the methods that a path has.
    pub(super) fn method_not_allowed(method: &str, allowed: &[&str]) -> Self {
        let allowed = allowed.join(",");
        Self::new(
            405,
            "METHOD_NOT_ALLOWED",
            format!("method {method} is not allowed, but [{allowed}] are"),
        )
    }

    /// 409.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, "CONFLICT", message)
    }

    /// 409 of a login: what is wrapped keeps its status and loses its code.
    pub(super) fn wrapped_conflict(message: impl Into<String>) -> Self {
        Self::new(409, "UNKNOWN", message)
    }

    /// 412.
    pub(super) fn precondition(message: impl Into<String>) -> Self {
        Self::new(412, "PRECONDITION", message)
    }

    /// 412 of the paths for browsers, which word it otherwise.
    pub(super) fn wrong_mode(message: impl Into<String>) -> Self {
        Self::new(412, "PRECONDITION_FAILED", message)
    }

    /// 422 by the API's generated checks, one line each.
    pub(super) fn invalid(lines: &[String]) -> Self {
        let message = format!("validation failure list:\n{}", lines.join("\n"));
        Self::new(422, "UNPROCESSABLE_ENTITY", message)
    }

    /// 500; what went wrong is never told.
    pub(super) fn internal() -> Self {
        Self::new(500, "UNKNOWN", "internal server error")
    }

    /// 501: a Harbor would answer here, this stand-in cannot.
    pub(super) fn not_modelled(what: &str) -> Self {
        Self::new(
            501,
            "UNKNOWN",
            format!("the rehearsal's Harbor does not model {what}"),
        )
    }

    /// A status that the weather asks for.
    pub(super) fn of_status(status: u16) -> Self {
        match status {
            401 => Self::unauthorized(),
            429 => Self::new(429, "TOO_MANY_REQUEST", "too many requests"),
            status => Self::new(status, "UNKNOWN", "internal server error"),
        }
    }

    /// The status of the answer.
    pub(in crate::rehearsal::harbor) fn status(&self) -> u16 {
        self.status
    }

    /// What the answer says.
    pub(in crate::rehearsal::harbor) fn message(&self) -> &str {
        self.error.as_ref().map_or("", |(_, message)| message)
    }

    /// The refusal as an answer.
    pub(super) fn into_answer(self) -> Answer {
        let answer = Answer::new(self.status);
        match self.error {
            None => answer,
            Some((code, message)) => {
                let body = json!({"errors": [{"code": code, "message": message}]});
                answer.body("application/json; charset=utf-8", format!("{body}\n"))
            }
        }
    }
}
