//! A Harbor that answers by a script: what a test says, and else the least that lets a client sign in.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Response};
use secrecy::SecretString;
use tokio::sync::mpsc;

use super::{HarborClient, HarborSettings};

/// A request that came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Method and path: `GET /api/v2.0/robots`.
    pub(super) call: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Seen {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Whether a session or a login came along. Sessions are numbered by the script.
    pub(super) fn session(&self) -> Option<&str> {
        self.header("cookie")
            .split("; ")
            .find_map(|pair| pair.strip_prefix("sid=s"))
    }

    pub(super) fn page(&self) -> usize {
        self.query
            .split('&')
            .find_map(|pair| pair.strip_prefix("page=")?.parse().ok())
            .unwrap_or(1)
    }
}

/// An answer to give.
#[derive(Debug, Clone, Default)]
pub(super) struct Say {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
    never: bool,
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "a script says an answer, or nothing of its own"
)]
impl Say {
    pub(super) fn new(status: u16, body: impl Into<String>) -> Option<Self> {
        let headers = vec![("content-type", "application/json".to_owned())];
        Some(Self {
            status,
            headers,
            body: body.into(),
            never: false,
        })
    }

    pub(super) fn page(status: u16, body: impl Into<String>) -> Option<Self> {
        let headers = vec![("content-type", "text/html; charset=utf-8".to_owned())];
        Some(Self {
            status,
            headers,
            body: body.into(),
            never: false,
        })
    }

    /// No answer, ever.
    pub(super) fn nothing() -> Option<Self> {
        Some(Self {
            never: true,
            ..Self::default()
        })
    }

    /// Harbor's own refusal.
    pub(super) fn refusal(status: u16, code: &str, message: &str) -> Option<Self> {
        Self::new(
            status,
            serde_json::json!({"errors": [{"code": code, "message": message}]}).to_string(),
        )
    }
}

/// Adds a header to an answer.
pub(super) fn with(say: Option<Say>, name: &'static str, value: impl Into<String>) -> Option<Say> {
    say.map(|mut say| {
        say.headers.push((name, value.into()));
        say
    })
}

/// The server, until it is dropped.
pub(super) struct Script {
    pub(super) url: String,
    log: Arc<Mutex<Vec<Seen>>>,
    arrivals: mpsc::UnboundedReceiver<String>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Script {
    /// Starts a server that says what the script says. Where that is `None`, it lets everybody sign in, each
    /// time with a session of a new number, tells that it is version 2.15.2, and holds nothing.
    pub(super) async fn start(script: impl FnMut(&Seen) -> Option<Say> + Send + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(script));
        let sessions = Arc::new(Mutex::new(0));
        let (arrive, arrivals) = mpsc::unbounded_channel();
        let kept = log.clone();
        let router = axum::Router::new().fallback(move |request: Request| {
            let (kept, script, sessions, arrive) =
                (kept.clone(), script.clone(), sessions.clone(), arrive.clone());
            async move {
                let seen = see(request).await;
                kept.lock().unwrap().push(seen.clone());
                let _ = arrive.send(seen.call.clone());
                let said = (script.lock().unwrap())(&seen);
                let say = said.unwrap_or_else(|| otherwise(&seen, &mut sessions.lock().unwrap()));
                if say.never {
                    std::future::pending::<()>().await;
                }
                let mut response = Response::builder().status(say.status);
                for (name, value) in say.headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(say.body)).unwrap()
            }
        });
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            log,
            arrivals,
            task,
        }
    }

    pub(super) fn settings(&self) -> HarborSettings {
        HarborSettings {
            url: self.url.clone(),
            username: "admin".to_owned(),
            password: SecretString::from("Admin-Marker-1"),
            ca: None,
            writes: 1,
            reads: 4,
            timeout: Duration::from_secs(20),
            lockout: Duration::ZERO,
        }
    }

    pub(super) fn client(&self) -> HarborClient {
        HarborClient::new(self.settings()).unwrap()
    }

    /// What came of this call so far.
    pub(super) fn seen(&self, call: &str) -> Vec<Seen> {
        self.log
            .lock()
            .unwrap()
            .iter()
            .filter(|seen| seen.call == call)
            .cloned()
            .collect()
    }

    /// How many calls came, whatever they were.
    pub(super) fn count(&self) -> usize {
        self.log.lock().unwrap().len()
    }

    /// Waits until this call comes.
    pub(super) async fn arrival(&mut self, call: &str) {
        while self.arrivals.recv().await.unwrap() != call {}
    }
}

async fn see(request: Request) -> Seen {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    Seen {
        call: format!("{} {}", parts.method, parts.uri.path()),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

fn otherwise(seen: &Seen, sessions: &mut u32) -> Say {
    let csrf = seen.header("cookie").contains("_gorilla_csrf");
    let information = r#"{"harbor_version":"v2.15.2-080b0220","read_only":false}"#;
    let say = match (seen.call.as_str(), seen.header("cookie")) {
        ("GET /api/v2.0/systeminfo", "") => with(
            Say::new(200, information),
            "set-cookie",
            "sid=new; Path=/; HttpOnly",
        ),
        ("GET /api/v2.0/systeminfo", _) if !csrf => with(
            with(
                Say::new(200, information),
                "set-cookie",
                "_gorilla_csrf=c; Path=/; HttpOnly; SameSite=Strict",
            ),
            "x-harbor-csrf-token",
            "first token",
        ),
        ("GET /api/v2.0/systeminfo", _) => Say::new(200, information),
        ("POST /c/login", _) => {
            *sessions += 1;
            let say = with(
                Say::new(200, ""),
                "set-cookie",
                format!("sid=s{sessions}; Path=/; HttpOnly"),
            );
            with(say, "x-harbor-csrf-token", "newest token")
        }
        ("GET /api/v2.0/users/current", _) => Say::new(200, r#"{"username":"admin"}"#),
        ("GET /api/v2.0/robots" | "GET /api/v2.0/projects" | "GET /api/v2.0/quotas", _) => {
            Say::new(200, "[]")
        }
        _ => Say::refusal(404, "NOT_FOUND", "not found"),
    };
    say.unwrap_or_default()
}

/// A script that says these answers to a call, one after the other, and then nothing of its own.
pub(super) fn in_turn(
    call: &'static str,
    answers: impl IntoIterator<Item = Option<Say>>,
) -> impl FnMut(&Seen) -> Option<Say> {
    let mut answers: VecDeque<_> = answers.into_iter().collect();
    move |seen| {
        if seen.call == call {
            answers.pop_front().flatten()
        } else {
            None
        }
    }
}
