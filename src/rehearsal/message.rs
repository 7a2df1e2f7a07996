//! What a stand-in is asked and what it answers, free of any HTTP library's types
//! except the header map.

use std::time::Duration;

use axum::http::HeaderMap;

use super::CallKind;

/// One request, read to its end.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method in upper case, as sent.
    pub method: String,
    /// The path as sent, still percent-encoded.
    pub path: String,
    /// What stands behind the `?`, still percent-encoded; empty without one.
    pub query: String,
    /// The headers, names in lower case.
    pub headers: HeaderMap,
    /// The body, empty without one.
    pub body: Vec<u8>,
}

impl Request {
    /// The first value of a header, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the method changes nothing on the server.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE")
    }
}

/// One answer, before the weather gets at it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Headers in the order in which they are sent; a name may come twice.
    pub headers: Vec<(String, String)>,
    /// The body; its length header is added by the server.
    pub body: Vec<u8>,
    /// How long the server holds the answer back, on top of the weather's latency.
    pub delay: Duration,
}

impl Answer {
    /// An answer without headers and body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            delay: Duration::ZERO,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sets body and content type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// Sets a JSON body with the content type `application/json`.
    #[must_use]
    pub fn json(self, body: &serde_json::Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Holds the answer back.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

/// A stand-in: state behind a lock, and how it answers.
pub trait Handler: Send + Sync + 'static {
    /// Takes the effect of a request and answers it. Called on the server's
    /// runtime, so it must not block; a wait belongs in [`Answer::delay`].
    fn answer(&self, request: &Request) -> Answer;

    /// The path with its variable segments named, as `/api/v1/namespaces/{name}`.
    fn route(&self, request: &Request) -> String;

    /// What kind of call this is, for the counters.
    fn kind(&self, request: &Request) -> CallKind {
        if request.is_safe() {
            CallKind::Read
        } else {
            CallKind::Write
        }
    }

    /// What the call is about, in words that do not depend on the order in which
    /// clients arrive: a name rather than a number. The weather is decided by it,
    /// so that a client with several calls in flight meets the same weather twice.
    fn subject(&self, request: &Request) -> String {
        request.path.clone()
    }

    /// How this server words a refusal that the weather makes it give: 500, 503,
    /// 429 or 401.
    fn refusal(&self, request: &Request, status: u16) -> Answer;
}
