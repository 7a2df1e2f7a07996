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
pub(super) mod oidc;
mod permissions;
mod projects;
mod query;
mod quotas;
mod refusal;
mod repositories;
mod robots;
mod route;
mod service;
mod session;
mod signin;
mod syntax;
mod system;
mod token;
mod users;

use std::{collections::BTreeMap, time::Duration};

use access::Principal;
use refusal::Outcome;
pub(super) use refusal::Refusal;
pub(super) use service::Service;

use super::{
    SigningKey,
    state::{Moment, State},
};
use crate::rehearsal::{Answer, Request};

/// What a stand-in is told about the world around it.
#[derive(Clone, Debug)]
pub(super) struct Environment {
    /// The URL that Harbor believes to be reached by.
    pub(super) external_url: String,
    /// The identity providers that answer.
    pub(super) issuers: Vec<String>,
    /// How long a wrong password delays its answer and locks its name.
    pub(super) penalty: Duration,
    /// What signs the registry's tokens.
    pub(super) signing_key: Option<SigningKey>,
    /// What is wrong with parts of Harbor, by their names.
    pub(super) ailments: BTreeMap<String, String>,
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
        ("GET", "/health") => Ok(system::health(ask)),
        ("GET", "/ping") => Ok(json(200, &serde_json::json!("Pong"))),
        ("GET", "/systeminfo") => Ok(system::info(ask, state)),
        ("GET", "/statistics") => system::statistics(ask, state),
        ("GET", "/audit-logs") => system::old_audit_log(ask),
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
        ("GET", "/projects/{project_name_or_id}/summary") => projects::summary(ask, state),
        ("GET", "/projects/{project_name}/repositories") => repositories::list(ask, state),
        ("GET", "/repositories") => repositories::list_all(ask, state),
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
