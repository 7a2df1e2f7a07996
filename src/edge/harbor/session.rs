//! Who we are to Harbor: a session with its CSRF token, or Basic where a session is not to be had.
//!
//! # Protocol
//! *Flow.* A first GET without cookies is answered with a `sid` cookie; a second one that sends it, with the
//! cookie `_gorilla_csrf` and its token; `POST /c/login` with all three signs in. From then on
//! the cookies go along, and on writes the token. With Basic each call costs Harbor 150 ms of CPU.
//!
//! *Guarantees.* One sign-in at a time, however many callers wait. A refused one is tried once more after
//! Harbor's lock of the name has passed, and then a gate closes: for a growing time every call fails at
//! once without touching the network, since each wrong attempt locks the name for everybody. A caller that
//! gives up leaves nothing behind: the next one signs in.
//!
//! *Caveats.* The cookies are kept by hand: `_gorilla_csrf` is marked Secure when Harbor's external URL
//! is https, and a cookie store would not send it over the cluster's plain http.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{COOKIE, HeaderMap, HeaderValue, ORIGIN, REFERER, SET_COOKIE};
use reqwest::{RequestBuilder, StatusCode};
use secrecy::ExposeSecret as _;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::answer::{receive, tell};
use super::failure::{refused, unanswered};
use super::transport::Wire;
use crate::run::meter::{CallEnd, MeteredCall, Server};
use crate::run::target::{ErrorClass, Target, TargetError};

const CSRF: &str = "x-harbor-csrf-token";
const GATE_FIRST: Duration = Duration::from_secs(30);
const GATE_LONGEST: Duration = Duration::from_secs(300);
/// How long Basic serves before a session is tried again.
const BASIC_FOR: Duration = Duration::from_secs(600);
const ACT: &str = "sign us in";

/// What goes along with a call.
#[derive(Clone)]
pub(super) enum Pass {
    Session(Arc<Session>),
    Basic { number: u64 },
}

pub(super) struct Session {
    cookies: HeaderValue,
    token: HeaderValue,
    number: u64,
}

#[derive(Default)]
struct State {
    pass: Option<(Pass, Instant)>,
    sign_ins: u64,
    gate: Option<Gate>,
}

struct Gate {
    until: Instant,
    backoff: Duration,
    why: String,
}

/// Signs in, and keeps what that gave.
#[derive(Default)]
pub(super) struct Door(Mutex<State>);

impl Pass {
    /// Puts us on a request. The token goes on writes only, but does no harm on reads.
    pub(super) fn put_on(&self, request: RequestBuilder, wire: &Wire) -> RequestBuilder {
        match self {
            Self::Basic { .. } => request.basic_auth(&wire.username, Some(wire.password.expose_secret())),
            Self::Session(session) => request
                .header(COOKIE, session.cookies.clone())
                .header(CSRF, session.token.clone())
                // Newer versions of Harbor's CSRF library look at where a request comes from.
                .header(ORIGIN, wire.origin())
                .header(REFERER, wire.origin()),
        }
    }

    /// Which sign-in gave it.
    fn number(&self) -> u64 {
        match self {
            Self::Session(session) => session.number,
            Self::Basic { number } => *number,
        }
    }
}

impl Door {
    /// What goes along with a call; signs in first where need be.
    pub(super) async fn pass(&self, wire: &Wire) -> Result<Pass, TargetError> {
        let mut state = self.0.lock().await;
        state.enter(wire, None, true).await
    }

    /// After a 401: signs in anew, unless somebody did since that pass was given.
    pub(super) async fn renew(&self, wire: &Wire, old: &Pass) -> Result<Pass, TargetError> {
        let mut state = self.0.lock().await;
        state.enter(wire, Some(old), true).await
    }

    /// After a 401 to a session that was new: goes without one for a while, unless somebody signed in since.
    pub(super) async fn without_session(&self, wire: &Wire, old: &Pass) -> Result<Pass, TargetError> {
        let mut state = self.0.lock().await;
        state.enter(wire, Some(old), false).await
    }
}

impl State {
    async fn enter(
        &mut self,
        wire: &Wire,
        refused: Option<&Pass>,
        session: bool,
    ) -> Result<Pass, TargetError> {
        if let Some(gate) = &self.gate
            && Instant::now() < gate.until
        {
            return Err(closed(gate));
        }
        if let Some((pass, until)) = &self.pass
            && Instant::now() < *until
            && refused.is_none_or(|old| old.number() != pass.number())
        {
            return Ok(pass.clone());
        }
        self.pass = None;
        self.sign_ins += 1;
        let number = self.sign_ins;
        let attempt = async || {
            if session {
                sign_in(wire, number).await
            } else {
                basic(wire, number).await
            }
        };
        let mut result = attempt().await;
        if matches!(&result, Err(error) if error.status == Some(401)) {
            tokio::time::sleep(wire.lockout).await;
            result = attempt().await;
        }
        match result {
            Ok(pass) => {
                self.gate = None;
                let lifetime = if matches!(pass, Pass::Basic { .. }) {
                    BASIC_FOR
                } else {
                    Duration::from_secs(86_400)
                };
                self.pass = Some((pass.clone(), Instant::now() + lifetime));
                Ok(pass)
            }
            Err(mut error) => {
                if error.class == ErrorClass::Auth {
                    let backoff = self
                        .gate
                        .as_ref()
                        .map_or(GATE_FIRST, |gate| (gate.backoff * 2).min(GATE_LONGEST));
                    error.retry_after = Some(backoff);
                    self.gate = Some(Gate {
                        until: Instant::now() + backoff,
                        backoff,
                        why: error.message.clone(),
                    });
                }
                Err(error)
            }
        }
    }
}

fn closed(gate: &Gate) -> TargetError {
    TargetError {
        target: Target::Harbor,
        act: ACT.to_owned(),
        class: ErrorClass::Auth,
        message: format!("{}, and is not asked again for a while", gate.why),
        status: None,
        retry_after: Some(gate.until.saturating_duration_since(Instant::now())),
        source: None,
    }
}

async fn sign_in(wire: &Wire, number: u64) -> Result<Pass, TargetError> {
    let get = |cookies: Option<&str>| {
        let mut request = wire.request(reqwest::Method::GET, wire.api(&["systeminfo"]));
        if let Some(cookies) = cookies {
            request = request.header(COOKIE, cookies);
        }
        request
    };
    let first = send(wire, get(None), "GET", &["systeminfo"]).await?;
    busy(&first)?;
    let Some(sid) = cookie(first.headers(), "sid") else {
        return basic(wire, number).await;
    };
    let second = send(wire, get(Some(&sid)), "GET", &["systeminfo"]).await?;
    busy(&second)?;
    let (Some(csrf), Some(token)) = (
        cookie(second.headers(), "_gorilla_csrf"),
        second.headers().get(CSRF).cloned(),
    ) else {
        return basic(wire, number).await;
    };
    let login = wire
        .request(reqwest::Method::POST, wire.root(&["c", "login"]))
        .header(COOKIE, format!("{sid}; {csrf}"))
        .header(CSRF, token.clone())
        .header(ORIGIN, wire.origin())
        .header(REFERER, wire.origin())
        .form(&[
            ("principal", wire.username.as_str()),
            ("password", wire.password.expose_secret()),
        ]);
    let login = send(wire, login, "POST", &["c", "login"]).await?;
    busy(&login)?;
    match login.status() {
        StatusCode::OK => {
            let sid = cookie(login.headers(), "sid").unwrap_or(sid);
            let token = login.headers().get(CSRF).cloned().unwrap_or(token);
            let Ok(mut cookies) = HeaderValue::from_str(&format!("{sid}; {csrf}")) else {
                return basic(wire, number).await;
            };
            cookies.set_sensitive(true);
            Ok(Pass::Session(Arc::new(Session {
                cookies,
                token,
                number,
            })))
        }
        StatusCode::UNAUTHORIZED => Err(wrong_password(wire)),
        _ => basic(wire, number).await,
    }
}

async fn send(
    wire: &Wire,
    request: RequestBuilder,
    method: &str,
    path: &[&str],
) -> Result<reqwest::Response, TargetError> {
    let call = MeteredCall::begin(wire.meter.as_ref(), Server::Harbor, method, &path.join("/"));
    let answer = request.send().instrument(call.span()).await;
    let answer = answer.map_err(|error| unanswered(ACT, error))?;
    let status = answer.status();
    tell(method, path, status, &call);
    call.end(if status.is_client_error() || status.is_server_error() {
        refused(ACT, status, answer.headers(), &[], chrono::Utc::now())
            .class
            .into()
    } else {
        CallEnd::Ok
    });
    Ok(answer)
}

/// A Harbor that can't answer now is asked again later: Basic would not be answered either, and would be remembered.
fn busy(answer: &reqwest::Response) -> Result<(), TargetError> {
    let status = answer.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(refused(ACT, status, answer.headers(), &[], chrono::Utc::now()));
    }
    Ok(())
}

/// What tells Harbor's answer from a proxy's.
#[derive(serde::Deserialize)]
struct CurrentUser {
    #[serde(rename = "username")]
    _username: String,
}

/// Whether Basic lets us in. A wrong password is told by this path alone: lists of projects answer it with 200.
async fn basic(wire: &Wire, number: u64) -> Result<Pass, TargetError> {
    let pass = Pass::Basic { number };
    let path = ["users", "current"];
    let request = pass.put_on(wire.request(reqwest::Method::GET, wire.api(&path)), wire);
    let answer = match receive(wire, ACT, request, "GET", &path, Some(&wire.password)).await {
        Err(error) if error.status == Some(401) => return Err(wrong_password(wire)),
        answer => answer?,
    };
    answer.json::<CurrentUser>(ACT)?;
    tracing::warn!(
        "Harbor gives no session that lasts; each call signs in with Basic, which costs it far more"
    );
    Ok(pass)
}

fn wrong_password(wire: &Wire) -> TargetError {
    TargetError {
        target: Target::Harbor,
        act: ACT.to_owned(),
        class: ErrorClass::Auth,
        message: format!(
            "it refuses the password of {} (harbor-password-file)",
            wire.username
        ),
        status: Some(401),
        retry_after: None,
        source: None,
    }
}

/// `name=value` of a cookie that an answer sets.
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok()?.split(';').next())
        .find(|pair| pair.split_once('=').is_some_and(|(key, _)| key.trim() == name))
        .map(|pair| pair.trim().to_owned())
}
