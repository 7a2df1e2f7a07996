//! Cookies: the session and the protection against forged requests.
//!
//! Both cookies carry a proof that this server made them, so that nothing has to
//! be remembered for the many clients that never send theirs back.

use std::collections::HashMap;

use chrono::Duration;
use sha2::{Digest, Sha256};

use super::refusal::Refusal;
use crate::rehearsal::{
    Answer, Request,
    harbor::state::{Moment, generate_secret},
};

/// How long the CSRF cookie lives, in seconds.
const CSRF_AGE: i64 = 43_200;
/// The length of each half of a session cookie.
const HALF: usize = 16;

/// The sessions that are signed in, and what proves that a cookie is ours.
pub(super) struct Sessions {
    key: String,
    signed_in: HashMap<String, (i64, Moment)>,
}

/// What the cookies of one request say, and what the answer must carry for them.
pub(super) struct Visit {
    /// The session cookie, if it is ours.
    pub(super) sid: Option<String>,
    /// The CSRF cookie to be set.
    new_csrf: Option<String>,
    /// The token that goes with the CSRF cookie; none where it is not looked at.
    token: Option<String>,
    /// Whether the CSRF check was passed.
    pub(super) passed: Result<(), Refusal>,
    /// Whether the request got so far that it is given a session.
    pub(super) welcome: bool,
}

impl Sessions {
    pub(super) fn new() -> Self {
        Self {
            key: generate_secret(),
            signed_in: HashMap::new(),
        }
    }

    fn proof(&self, kind: &str, text: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{} {kind} {text}", self.key));
        hex::encode(hash.finalize())
    }

    fn new_sid(&self) -> String {
        let random = &self.proof("random", &generate_secret())[..HALF];
        format!("{random}{}", &self.proof("sid", random)[..HALF])
    }

    fn is_sid(&self, sid: &str) -> bool {
        sid.is_ascii() && sid.len() == 2 * HALF && self.proof("sid", &sid[..HALF])[..HALF] == sid[HALF..]
    }

    /// Looks at a request's cookies.
    pub(super) fn visit(&self, request: &Request, path: &str) -> Visit {
        let sid = cookie(request, "sid");
        let excused = ["/api/", "/v2/", "/service/"]
            .iter()
            .any(|start| path.starts_with(start));
        let mut visit = Visit {
            sid: sid.clone().filter(|sid| self.is_sid(sid)),
            new_csrf: None,
            token: None,
            passed: Ok(()),
            welcome: true,
        };
        if excused && sid.is_none() {
            return visit;
        }
        let known = cookie(request, "_gorilla_csrf").filter(|value| {
            value
                .split_once('.')
                .is_some_and(|(random, proof)| self.proof("csrf", random) == proof)
        });
        let value = known.clone().unwrap_or_else(|| {
            let random = generate_secret();
            let proof = self.proof("csrf", &random);
            format!("{random}.{proof}")
        });
        let token = self.proof("token", &value);
        if known.is_none() {
            visit.new_csrf = Some(value);
        }
        if !request.is_safe() {
            visit.passed = match request.header("x-harbor-csrf-token") {
                None | Some("") => Err(Refusal::forbidden("CSRF token not found in request")),
                Some(sent) if sent == token => Ok(()),
                Some(_) => Err(Refusal::forbidden("CSRF token invalid")),
            };
        }
        visit.token = Some(token);
        visit
    }

    /// The user who is signed in on a session; looking keeps it alive.
    pub(super) fn user(&mut self, sid: Option<&str>, minutes: i64, now: Moment) -> Option<i64> {
        let sid = sid?;
        let (user, seen) = self.signed_in.get_mut(sid)?;
        if now - *seen > Duration::minutes(minutes) {
            self.signed_in.remove(sid);
            return None;
        }
        *seen = now;
        Some(*user)
    }

    /// Signs a user in on a new session, which replaces the one before.
    pub(super) fn sign_in(&mut self, former: Option<&str>, user: i64, now: Moment) -> String {
        self.sign_out(former);
        let sid = self.new_sid();
        self.signed_in.insert(sid.clone(), (user, now));
        sid
    }

    /// Ends a session.
    pub(super) fn sign_out(&mut self, sid: Option<&str>) {
        if let Some(sid) = sid {
            self.signed_in.remove(sid);
        }
    }

    /// Ends all sessions, as a restart of a Harbor without Redis does.
    pub(super) fn clear(&mut self) {
        self.signed_in.clear();
    }

    /// Puts the cookies on an answer; `sid` is that of a new session.
    pub(super) fn dress(&self, visit: &Visit, sid: Option<&str>, now: Moment, mut answer: Answer) -> Answer {
        if let Some(value) = &visit.new_csrf {
            let expires = (now + Duration::seconds(CSRF_AGE)).format("%a, %d %b %Y %H:%M:%S GMT");
            answer = answer.header(
                "set-cookie",
                format!(
                    "_gorilla_csrf={value}; Path=/; Expires={expires}; Max-Age={CSRF_AGE}; HttpOnly; SameSite=Strict"
                ),
            );
        }
        if let Some(token) = &visit.token {
            answer = answer.header("x-harbor-csrf-token", token);
        }
        if visit.passed.is_err() {
            return answer;
        }
        if visit.token.is_some() {
            answer = answer.header("vary", "Cookie");
        }
        if !visit.welcome {
            return answer;
        }
        match (sid, &visit.sid) {
            (Some(sid), _) => answer.header("set-cookie", session_cookie(sid)),
            (None, Some(_)) => answer,
            (None, None) => {
                let sid = self.new_sid();
                answer.header("set-cookie", session_cookie(&sid))
            }
        }
    }
}

fn session_cookie(sid: &str) -> String {
    format!("sid={sid}; Path=/; HttpOnly")
}

fn cookie(request: &Request, name: &str) -> Option<String> {
    let headers = request
        .headers
        .get_all("cookie")
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    headers
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}
