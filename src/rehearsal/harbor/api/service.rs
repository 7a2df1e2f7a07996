//! A call's way through a running Harbor, and what every call has in common.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    Ask, Environment,
    access::Principal,
    dispatch, json, media_types, query,
    refusal::{Outcome, Refusal},
    route::{self, Found},
    session::{Sessions, Visit},
    signin::{Locks, SignIn},
    system,
};
use crate::rehearsal::{
    Answer, CallKind, Handler, Request,
    harbor::state::{Moment, State},
};

/// All that a running Harbor keeps in memory.
pub(in crate::rehearsal::harbor) struct World {
    pub(in crate::rehearsal::harbor) state: State,
    sessions: Sessions,
    locks: Locks,
}

/// The stand-in.
pub(in crate::rehearsal::harbor) struct Service {
    world: Mutex<World>,
    environment: Mutex<Environment>,
    clock: Box<dyn Fn() -> Moment + Send + Sync>,
}

impl Service {
    pub(in crate::rehearsal::harbor) fn new(
        state: State,
        environment: Environment,
        clock: Box<dyn Fn() -> Moment + Send + Sync>,
    ) -> Self {
        let world = World {
            state,
            sessions: Sessions::new(),
            locks: Locks::default(),
        };
        Self {
            world: Mutex::new(world),
            environment: Mutex::new(environment),
            clock,
        }
    }

    /// The world, locked; a panic in another call leaves it usable.
    pub(in crate::rehearsal::harbor) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::rehearsal::harbor) fn environment(&self) -> MutexGuard<'_, Environment> {
        self.environment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::rehearsal::harbor) fn now(&self) -> Moment {
        (self.clock)()
    }

    /// Ends all sessions.
    pub(in crate::rehearsal::harbor) fn end_sessions(&self) {
        self.world().sessions.clear();
    }

    /// Opens a session for a user without a password, as an OIDC login does.
    pub(in crate::rehearsal::harbor) fn open_session(&self, user: i64) -> String {
        let now = self.now();
        self.world().sessions.sign_in(None, user, now)
    }
}

impl Handler for Service {
    fn answer(&self, request: &Request) -> Answer {
        let now = self.now();
        let environment = self.environment().clone();
        let world = &mut *self.world();
        let path = clean(&request.path);
        let mut visit = world.sessions.visit(request, &path);
        let (outcome, sid, delay) = match &visit.passed {
            Err(refusal) => (Err(refusal.clone()), None, Duration::ZERO),
            Ok(()) => world.serve(request, path, &mut visit, &environment, now),
        };
        let answer = outcome.unwrap_or_else(Refusal::into_answer).after(delay);
        let answer = world.sessions.dress(&visit, sid.as_deref(), now, answer);
        answer.header("x-request-id", request_id(request))
    }

    fn route(&self, request: &Request) -> String {
        let path = clean(&request.path);
        let template =
            path.strip_prefix(route::BASE)
                .and_then(|rest| match route::find(&request.method, rest) {
                    Found::Route(route, _) | Found::Methods(route) => {
                        Some(format!("{}{}", route::BASE, route.template.trim_end_matches('/')))
                    }
                    Found::Nothing => None,
                });
        template.unwrap_or(path)
    }

    fn kind(&self, request: &Request) -> CallKind {
        match clean(&request.path).as_str() {
            "/c/login" | "/c/log_out" | "/service/token" | "/api/v2.0/users/current" | "/v2" => {
                CallKind::SignIn
            }
            _ if request.is_safe() => CallKind::Read,
            _ => CallKind::Write,
        }
    }

    /// Names instead of numbers: a robot's number depends on who came first.
    fn subject(&self, request: &Request) -> String {
        let path = clean(&request.path);
        let body: serde_json::Value = if request.body.len() > 1 << 16 {
            serde_json::Value::Null
        } else {
            serde_json::from_slice(&request.body).unwrap_or_default()
        };
        let named = ["project_name", "name", "group_name", "username"]
            .iter()
            .find_map(|key| body[key].as_str());
        let member = ["/member_user/username", "/member_group/group_name"]
            .iter()
            .find_map(|pointer| body.pointer(pointer)?.as_str());
        let robot = path.strip_prefix("/api/v2.0/robots/").and_then(|id| {
            self.world()
                .state
                .robot(id.parse().ok()?)
                .map(|robot| robot.name.clone())
        });
        match (robot, named.or(member)) {
            (Some(robot), _) => format!("/api/v2.0/robots/{robot}"),
            (None, Some(name)) => format!("{path} {name}"),
            (None, None) => format!("{path}?{}", request.query),
        }
    }

    fn refusal(&self, request: &Request, status: u16) -> Answer {
        Refusal::of_status(status)
            .into_answer()
            .header("x-request-id", request_id(request))
    }
}

fn request_id(request: &Request) -> String {
    request
        .header("x-request-id")
        .filter(|id| !id.is_empty())
        .map_or_else(
            || {
                let bits: u128 = rand::random();
                let text = format!("{bits:032x}");
                format!(
                    "{}-{}-4{}-a{}-{}",
                    &text[..8],
                    &text[8..12],
                    &text[13..16],
                    &text[17..20],
                    &text[20..]
                )
            },
            str::to_owned,
        )
}

/// A path without doubled slashes and without one at the end.
fn clean(path: &str) -> String {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    format!("/{}", segments.join("/"))
}

impl World {
    fn serve(
        &mut self,
        request: &Request,
        path: String,
        visit: &mut Visit,
        environment: &Environment,
        now: Moment,
    ) -> (Outcome, Option<String>, Duration) {
        let signed = self
            .locks
            .sign_in(&self.state, request, &path, environment.penalty, now)
            .unwrap_or_else(|| self.by_session(request, visit, now));
        if !request.is_safe()
            && self.state.settings().flag("read_only")
            && !matches!(path.as_str(), "/api/v2.0/configurations" | "/c/login")
        {
            visit.welcome = false;
            let refusal = Refusal::denied("The system is in read only mode. Any modification is prohibited.");
            return (Err(refusal), None, signed.delay);
        }
        let bearer = request
            .header("authorization")
            .is_some_and(|value| value.starts_with("Bearer "));
        if bearer && self.state.settings().is_oidc() && path.starts_with("/api/") {
            let refusal = Refusal::not_modelled("tokens of an identity provider");
            return (Err(refusal), None, Duration::ZERO);
        }
        if path == "/c/login" {
            return self.login(request, visit, environment, now);
        }
        if path == "/c/log_out" {
            self.sessions.sign_out(visit.sid.as_deref());
            return (Ok(Answer::new(200)), None, signed.delay);
        }
        let mut ask = Ask {
            request,
            query: query::parameters(&request.query),
            values: Vec::new(),
            who: signed.principal,
            now,
            environment,
            path,
        };
        let outcome = match ask
            .path
            .strip_prefix(route::BASE)
            .filter(|rest| rest.starts_with('/'))
        {
            None => system::outside_api(&ask, &self.state),
            Some(rest) => match route::find(&request.method, rest) {
                Found::Nothing => Err(Refusal::not_found(format!("path {} was not found", ask.path))),
                Found::Methods(route) => Err(Refusal::method_not_allowed(&request.method, route.methods())),
                Found::Route(route, values) => {
                    ask.values = values;
                    media_types(request, route.template)
                        .and_then(|()| dispatch(&request.method, route.template, &ask, &mut self.state))
                }
            },
        };
        (outcome, None, signed.delay)
    }

    fn by_session(&mut self, request: &Request, visit: &Visit, now: Moment) -> SignIn {
        if request.header("authorization").is_some() {
            return SignIn::at_once(Principal::Anonymous);
        }
        let minutes = self.state.settings().number("session_timeout");
        let user = self.sessions.user(visit.sid.as_deref(), minutes, now);
        let user = user.and_then(|id| self.state.user(id).cloned());
        SignIn::at_once(user.map_or(Principal::Anonymous, Principal::User))
    }

    /// The form that the portal signs in by.
    fn login(
        &mut self,
        request: &Request,
        visit: &Visit,
        environment: &Environment,
        now: Moment,
    ) -> (Outcome, Option<String>, Duration) {
        let form = query::parameters(&String::from_utf8_lossy(&request.body));
        let field = |name: &str| {
            form.iter()
                .find(|(key, _)| key == name)
                .map_or("", |(_, value)| value.as_str())
        };
        let (name, password) = (field("principal"), field("password"));
        let by_oidc = self
            .state
            .user_named(name)
            .is_some_and(|user| user.identity.is_some());
        if self.state.settings().is_oidc() && by_oidc {
            let target = format!("{}/c/oidc/login", environment.external_url);
            let body = serde_json::json!({"redirect_location": target});
            return (Ok(json(403, &body)), None, Duration::ZERO);
        }
        let (user, delay) = self
            .locks
            .check_user(&self.state, name, password, environment.penalty);
        match user {
            None => (Err(Refusal::unauthorized()), None, delay),
            Some(user) => {
                let sid = self.sessions.sign_in(visit.sid.as_deref(), user.id, now);
                (Ok(Answer::new(200)), Some(sid), delay)
            }
        }
    }
}
