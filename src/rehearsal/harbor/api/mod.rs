//! Harbor over HTTP: from a request to an answer, over a [`State`].
//!
//! The stations of a call are Harbor's own, in Harbor's order: cookies, sign-in,
//! read-only mode, the path, the checks that are generated from the API's
//! description, permission, and the act itself.

mod access;
mod body;
mod catalogue;
mod configurations;
mod groups;
mod members;
mod metadata;
mod projects;
mod query;
mod quotas;
mod refusal;
mod robots;
mod route;
mod session;
mod signin;
mod syntax;
mod system;
mod token;
mod users;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use access::Principal;
use refusal::{Outcome, Refusal};
use route::Found;
use session::{Sessions, Visit};
use signin::{Locks, SignIn};

use super::state::{Moment, State};
use crate::rehearsal::{Answer, CallKind, Handler, Request};

/// What a stand-in is told about the world around it.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    /// The URL that Harbor believes to be reached by.
    pub(super) external_url: String,
    /// The identity providers that answer.
    pub(super) issuers: Vec<String>,
    /// How long a wrong password delays its answer and locks its name.
    pub(super) penalty: Duration,
}

/// One call on its way.
struct Ask<'a> {
    request: &'a Request,
    /// The path without doubled slashes and without one at the end.
    path: String,
    query: Vec<(String, String)>,
    /// The values of the path's variable segments.
    values: Vec<String>,
    who: Principal,
    now: Moment,
    environment: &'a Environment,
}

impl Ask<'_> {
    /// A parameter of the query string; empty when it is not there.
    fn parameter(&self, name: &str) -> &str {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value.as_str())
    }

    /// A yes-or-no parameter of the query string.
    fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        parse_flag(self.parameter(name)).map_err(|text| {
            Refusal::invalid(&[format!("{name} in query must be of type boolean: \"{text}\"")])
        })
    }

    /// A yes-or-no header.
    fn header_flag(&self, name: &str) -> Result<bool, Refusal> {
        parse_flag(self.request.header(name).unwrap_or_default())
            .map(Option::unwrap_or_default)
            .map_err(|text| {
                Refusal::invalid(&[format!("{name} in header must be of type boolean: \"{text}\"")])
            })
    }

    /// A variable segment of the path that is a number.
    fn number(&self, index: usize, name: &str) -> Result<i64, Refusal> {
        let text = self.values.get(index).map_or("", String::as_str);
        text.parse()
            .map_err(|_| Refusal::invalid(&[format!("{name} in path must be of type int64: \"{text}\"")]))
    }

    /// The Location of something that was created here.
    fn location(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }
}

/// Yes or no as Go's swagger runtime reads it; empty is neither.
fn parse_flag(text: &str) -> Result<Option<bool>, String> {
    match text {
        "" => Ok(None),
        "true" | "TRUE" | "True" | "t" | "T" | "1" | "yes" | "y" | "on" | "ok" | "checked" | "enabled" => {
            Ok(Some(true))
        }
        "false" | "FALSE" | "False" | "f" | "F" | "0" => Ok(Some(false)),
        other => Err(other.to_owned()),
    }
}

/// An answer with a JSON body, ended by a newline as Go's encoder does.
fn json(status: u16, value: &serde_json::Value) -> Answer {
    Answer::new(status).body("application/json", format!("{value}\n"))
}

/// A moment as the API writes it.
fn time(moment: Moment) -> String {
    moment.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// All that a running Harbor keeps in memory.
pub(super) struct World {
    pub(super) state: State,
    sessions: Sessions,
    locks: Locks,
}

/// The stand-in.
pub(super) struct Service {
    world: Mutex<World>,
    environment: Mutex<Environment>,
    clock: Box<dyn Fn() -> Moment + Send + Sync>,
}

impl Service {
    pub(super) fn new(
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
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn environment(&self) -> MutexGuard<'_, Environment> {
        self.environment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Moment {
        (self.clock)()
    }

    /// Ends all sessions.
    pub(super) fn end_sessions(&self) {
        self.world().sessions.clear();
    }

    /// Opens a session for a user without a password, as an OIDC login does.
    pub(super) fn open_session(&self, user: i64) -> String {
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
        let visit = world.sessions.visit(request, &path);
        let (outcome, sid, delay) = match &visit.passed {
            Err(refusal) => (Err(refusal.clone()), None, Duration::ZERO),
            Ok(()) => world.serve(request, path, &visit, &environment, now),
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
        visit: &Visit,
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
            let refusal = Refusal::denied("The system is in read only mode. Any modification is prohibited.");
            return (Err(refusal), None, signed.delay);
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

/// The checks on what a client sends and wants back.
fn media_types(request: &Request, template: &str) -> Result<(), Refusal> {
    let mut complaints = Vec::new();
    if !request.body.is_empty() {
        let sent = request
            .header("content-type")
            .unwrap_or("application/octet-stream");
        let kind = sent
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        if kind != "application/json" {
            complaints.push(format!(
                "unsupported media type \"{kind}\", only [application/json] are allowed"
            ));
        }
    }
    let accepts = request.header("accept").is_none_or(|accept| {
        accept.split(',').any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let refused = parts.any(|part| matches!(part, "q=0" | "q=0.0"));
            !refused && matches!(kind, "*/*" | "application/*" | "application/json")
        })
    });
    if !accepts && template != "/ping" {
        complaints.push("unsupported media type requested, only [application/json] are available".to_owned());
    }
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(Refusal::invalid(&complaints))
    }
}

fn dispatch(method: &str, template: &str, ask: &Ask, state: &mut State) -> Outcome {
    match (method, template) {
        ("GET", "/health") => Ok(system::health()),
        ("GET", "/ping") => Ok(json(200, &serde_json::json!("Pong"))),
        ("GET", "/systeminfo") => Ok(system::info(ask, state)),
        ("GET", "/statistics") => system::statistics(ask, state),
        ("GET", "/permissions") => system::permissions(ask, state),
        ("POST", "/system/oidc/ping") => system::ping_provider(ask),
        ("GET", "/configurations") => configurations::show(ask, state),
        ("PUT", "/configurations") => configurations::update(ask, state),
        ("GET", "/quotas") => quotas::list(ask, state),
        ("GET", "/quotas/{id}") => quotas::get(ask, state),
        ("PUT", "/quotas/{id}") => quotas::update(ask, state),
        ("GET", "/projects") => projects::list(ask, state),
        ("POST", "/projects") => projects::create(ask, state),
        ("HEAD", "/projects") => projects::head(ask, state),
        ("GET", "/projects/{project_name_or_id}") => projects::get(ask, state),
        ("PUT", "/projects/{project_name_or_id}") => projects::update(ask, state),
        ("DELETE", "/projects/{project_name_or_id}") => projects::delete(ask, state),
        ("GET", "/projects/{project_name_or_id}/_deletable") => projects::deletable(ask, state),
        ("GET", "/projects/{project_name_or_id}/metadatas/") => metadata::list(ask, state),
        ("POST", "/projects/{project_name_or_id}/metadatas/") => metadata::add(ask, state),
        ("GET", "/projects/{project_name_or_id}/metadatas/{meta_name}") => metadata::get(ask, state),
        ("PUT", "/projects/{project_name_or_id}/metadatas/{meta_name}") => metadata::update(ask, state),
        ("DELETE", "/projects/{project_name_or_id}/metadatas/{meta_name}") => metadata::delete(ask, state),
        ("GET", "/projects/{project_name_or_id}/members") => members::list(ask, state),
        ("POST", "/projects/{project_name_or_id}/members") => members::create(ask, state),
        ("GET", "/projects/{project_name_or_id}/members/{mid}") => members::get(ask, state),
        ("PUT", "/projects/{project_name_or_id}/members/{mid}") => members::update(ask, state),
        ("DELETE", "/projects/{project_name_or_id}/members/{mid}") => members::delete(ask, state),
        ("GET", "/robots") => robots::list(ask, state),
        ("POST", "/robots") => robots::create(ask, state),
        ("GET", "/robots/{robot_id}") => robots::get(ask, state),
        ("PUT", "/robots/{robot_id}") => robots::update(ask, state),
        ("PATCH", "/robots/{robot_id}") => robots::refresh_secret(ask, state),
        ("DELETE", "/robots/{robot_id}") => robots::delete(ask, state),
        ("GET", "/users") => users::list(ask, state),
        ("POST", "/users") => users::create(ask, state),
        ("GET", "/users/current") => users::current(ask, state),
        ("GET", "/users/search") => users::search(ask, state),
        ("GET", "/users/{user_id}") => users::get(ask, state),
        ("DELETE", "/users/{user_id}") => users::delete(ask, state),
        ("PUT", "/users/{user_id}/sysadmin") => users::set_sysadmin(ask, state),
        ("PUT", "/users/{user_id}/cli_secret") => users::set_cli_secret(ask, state),
        ("GET", "/usergroups") => groups::list(ask, state),
        ("POST", "/usergroups") => groups::create(ask, state),
        ("GET", "/usergroups/search") => groups::search(ask, state),
        ("GET", "/usergroups/{group_id}") => groups::get(ask, state),
        ("PUT", "/usergroups/{group_id}") => groups::update(ask, state),
        ("DELETE", "/usergroups/{group_id}") => groups::delete(ask, state),
        (method, template) => Err(Refusal::not_modelled(&format!("{method} {template}"))),
    }
}
