//! What an error of the API server means.

use std::time::Duration;

use crate::run::target::{ErrorClass, Target, TargetError};

/// How much of a message is told. The API server may echo a part of what it was sent.
const QUOTED: usize = 300;

/// A failed call, by what it was for.
pub(super) fn failed(act: impl Into<String>, error: kube::Error) -> TargetError {
    let mut failure = TargetError {
        target: Target::Kubernetes,
        act: act.into(),
        class: ErrorClass::Transient,
        message: String::new(),
        status: None,
        retry_after: None,
        source: None,
    };
    match error {
        kube::Error::Api(status) => {
            failure.class = class_of(status.code);
            failure.status = Some(status.code);
            failure.message = format!("it answered {}, {}", status.code, shorten(&status.message));
            if matches!(failure.class, ErrorClass::Auth) {
                failure
                    .message
                    .push_str(" (does the role of deploy/ apply to us?)");
            }
            let seconds = status
                .details
                .map(|details| details.retry_after_seconds)
                .unwrap_or_default();
            failure.retry_after = (seconds > 0).then(|| Duration::from_secs(seconds.into()));
        }
        // The text of such an error may quote what was sent or received, which holds Secrets.
        kube::Error::SerdeError(error) => {
            let (line, column) = (error.line(), error.column());
            failure.message = format!("its answer is not what it should be, at line {line}, column {column}");
        }
        error => {
            "no answer".clone_into(&mut failure.message);
            failure.source = Some(error.into());
        }
    }
    failure
}

/// No answer within the time for a call.
pub(super) fn timed_out(act: impl Into<String>, limit: Duration) -> TargetError {
    TargetError {
        target: Target::Kubernetes,
        act: act.into(),
        class: ErrorClass::Transient,
        message: format!("no answer within {}", humantime::format_duration(limit)),
        status: None,
        retry_after: None,
        source: None,
    }
}

fn class_of(code: u16) -> ErrorClass {
    match code {
        // A role may be given back, and a namespace or service account may appear.
        401 | 403 => ErrorClass::Auth,
        409 => ErrorClass::Conflict,
        404 | 408 | 410 | 429 | 500.. => ErrorClass::Transient,
        _ => ErrorClass::Rejected,
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
