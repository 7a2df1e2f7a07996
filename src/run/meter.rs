//! What is counted, told by whoever knows it: the edges tell of calls, the lanes of attempts.
//!
//! A [`Meter`] is told numbers and words of the enums below, never a team, a commit, a user or a path: what is
//! counted is kept for ever, and has to stay small.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{Span, field, info_span};

use super::declaration::{CONFIGURE, PROVISION};
use super::record::LaneId;
use super::target::{ErrorClass, TargetError};

/// Counts.
pub trait Meter: Send + Sync {
    /// A call to a server ended so, after so long.
    fn call(&self, server: Server, end: CallEnd, took: Duration);

    /// An attempt of a lane of this job ended so.
    fn attempt(&self, job: Job, end: AttemptEnd);

    /// A team has for the first time what a commit asked for: so long after the commit was read, and so long
    /// after it was made, where that is known.
    fn ready(&self, since_read: Duration, since_commit: Option<Duration>);
}

/// Counts nothing.
#[derive(Debug, Clone, Copy)]
pub struct Unmetered;

impl Meter for Unmetered {
    fn call(&self, _: Server, _: CallEnd, _: Duration) {}
    fn attempt(&self, _: Job, _: AttemptEnd) {}
    fn ready(&self, _: Duration, _: Option<Duration>) {}
}

/// A meter that counts nothing, for whoever has to be handed one.
#[must_use]
pub fn unmetered() -> Arc<dyn Meter> {
    Arc::new(Unmetered)
}

/// Makes an enum of words that can be listed.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $word:ident = $text:expr,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$doc])* $word,)* }

        impl $name {
            /// Every one of them.
            pub const ALL: &'static [Self] = &[$(Self::$word,)*];

            /// The word for it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$word => $text,)* }
            }
        }
    };
}

words! {
    /// Whoever is called.
    Server {
        /// Harbor's API and its token service.
        Harbor = "harbor",
        /// The Kubernetes API server.
        Kubernetes = "kubernetes",
        /// The host of the values repository.
        Git = "git",
    }
}

words! {
    /// How a call ended.
    CallEnd {
        /// It was answered; that an object is not there is an answer too.
        Ok = "ok",
        /// It was answered with what passes by itself.
        Transient = "transient",
        /// The request will never be accepted as it is.
        Rejected = "rejected",
        /// The object is not in the state that was seen.
        Conflict = "conflict",
        /// The server does not let us in, or not do this.
        Auth = "auth",
        /// No answer, none that can be understood, or none that was waited for.
        Unanswered = "unanswered",
    }
}

words! {
    /// A job whose steps a lane carries out.
    Job {
        /// The platform's.
        ConfigureHarbor = CONFIGURE,
        /// A team's.
        ProvisionTeam = PROVISION,
    }
}

words! {
    /// How an attempt of a lane ended.
    AttemptEnd {
        /// The target is reached.
        Reached = "reached",
        /// Something failed or has to happen first; it is tried again.
        Failed = "failed",
        /// Something failed and is not tried again.
        Parked = "parked",
        /// A newer commit took over, or the process stops.
        Interrupted = "interrupted",
    }
}

impl CallEnd {
    /// How a call to Harbor or Kubernetes ended.
    pub fn of<T>(result: &Result<T, TargetError>) -> Self {
        match result {
            Ok(_) => Self::Ok,
            Err(error) if error.status.is_none() => Self::Unanswered,
            Err(error) => error.class.into(),
        }
    }
}

impl From<ErrorClass> for CallEnd {
    fn from(class: ErrorClass) -> Self {
        match class {
            ErrorClass::Transient => Self::Transient,
            ErrorClass::Rejected => Self::Rejected,
            ErrorClass::Conflict => Self::Conflict,
            ErrorClass::Auth => Self::Auth,
        }
    }
}

impl From<&LaneId> for Job {
    fn from(lane: &LaneId) -> Self {
        match lane {
            LaneId::Platform => Self::ConfigureHarbor,
            LaneId::Team(_) => Self::ProvisionTeam,
        }
    }
}

/// A call under way. Dropped without a word of its end, as when its step runs out of time, it counts
/// as unanswered.
pub struct MeteredCall<'a> {
    meter: &'a dyn Meter,
    server: Server,
    began: Instant,
    end: CallEnd,
    span: Span,
}

impl<'a> MeteredCall<'a> {
    /// Begins a call, and its span.
    #[must_use]
    pub fn begin(meter: &'a dyn Meter, server: Server, method: &str, path: &str) -> Self {
        let span = info_span!(
            "call",
            otel.kind = "client",
            call.target = server.name(),
            call.class = field::Empty,
            http.method = method,
            http.path = path,
            http.status = field::Empty,
            otel.status_code = field::Empty
        );
        Self {
            span,
            meter,
            server,
            began: Instant::now(),
            end: CallEnd::Unanswered,
        }
    }

    /// The span that it is made in.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// Says what it was answered with.
    pub fn answered(&self, status: u16) {
        self.span.record("http.status", status);
    }

    /// How long it is under way.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Says how it ended.
    pub fn end(mut self, end: CallEnd) {
        self.end = end;
    }
}

impl Drop for MeteredCall<'_> {
    fn drop(&mut self) {
        self.span.record("call.class", self.end.name());
        if self.end != CallEnd::Ok {
            self.span.record("otel.status_code", "ERROR");
        }
        self.meter.call(self.server, self.end, self.began.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::run::target::Target;

    #[derive(Default)]
    struct Notes(Mutex<Vec<(Server, CallEnd)>>);

    impl Meter for Notes {
        fn call(&self, server: Server, end: CallEnd, _: Duration) {
            self.0.lock().unwrap().push((server, end));
        }
        fn attempt(&self, _: Job, _: AttemptEnd) {}
        fn ready(&self, _: Duration, _: Option<Duration>) {}
    }

    fn error(class: ErrorClass, status: Option<u16>) -> Result<(), TargetError> {
        Err(TargetError {
            target: Target::Harbor,
            act: "do it".to_owned(),
            class,
            message: String::new(),
            status,
            retry_after: None,
            source: None,
        })
    }

    #[test]
    fn a_call_that_is_given_up_counts_as_unanswered() {
        let notes = Notes::default();
        MeteredCall::begin(&notes, Server::Git, "GET", "a.git").end(CallEnd::Ok);
        drop(MeteredCall::begin(&notes, Server::Harbor, "GET", "users"));
        assert_eq!(
            *notes.0.lock().unwrap(),
            [(Server::Git, CallEnd::Ok), (Server::Harbor, CallEnd::Unanswered)]
        );
    }

    #[test]
    fn an_error_without_a_status_is_no_answer_whatever_follows_from_it() {
        assert_eq!(CallEnd::of(&Ok(())), CallEnd::Ok);
        assert_eq!(
            CallEnd::of(&error(ErrorClass::Transient, None)),
            CallEnd::Unanswered
        );
        assert_eq!(CallEnd::of(&error(ErrorClass::Auth, Some(401))), CallEnd::Auth);
    }
}
