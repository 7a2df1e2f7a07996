//! The API server's errors, as `Status` objects.

use serde_json::json;

use crate::rehearsal::Answer;

/// An error of the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: u16,
    pub(super) reason: &'static str,
    pub(super) message: String,
    /// The reason that the details give, when they give one.
    pub(super) cause: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(code: u16, message: impl Into<String>) -> Self {
        let reason = match code {
            400 => "BadRequest",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "NotFound",
            405 => "MethodNotAllowed",
            409 => "Conflict",
            410 => "Expired",
            415 => "UnsupportedMediaType",
            422 => "Invalid",
            429 => "TooManyRequests",
            500 => "InternalError",
            503 => "ServiceUnavailable",
            _ => "",
        };
        Self {
            code,
            reason,
            message: message.into(),
            cause: None,
        }
    }

    pub(super) fn not_found(resource: &str, name: &str) -> Self {
        Self::new(404, format!("{resource} \"{name}\" not found"))
    }

    /// A namespace that is being deleted takes nothing new.
    pub(super) fn terminating(resource: &str, name: &str, namespace: &str) -> Self {
        let message = format!(
            "{resource} \"{name}\" is forbidden: unable to create new content in namespace {namespace} because it is being terminated"
        );
        Self {
            cause: Some("NamespaceTerminating"),
            ..Self::new(403, message)
        }
    }

    /// What this stand-in has not.
    pub(super) fn not_modelled(what: &str) -> Self {
        Self::new(501, format!("the stand-in does not model {what}"))
    }

    pub(super) fn answer(&self) -> Answer {
        let causes: Vec<_> = self.cause.iter().map(|cause| json!({"reason": cause})).collect();
        Answer::new(self.code).json(&json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": {"causes": causes},
            "code": self.code,
        }))
    }
}
