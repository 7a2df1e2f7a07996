//! What is about Harbor itself, and the paths outside of the API.

use serde_json::{Value, json as value};

use super::{
    Ask,
    access::Principal,
    body::{Body, Kind, Shape},
    catalogue, json,
    query::Query,
    refusal::{Outcome, Refusal},
    time, token,
};
use crate::rehearsal::{
    Answer,
    harbor::state::{Project, State},
};

/// The version that was measured.
const VERSION: &str = "v2.15.2-080b0220";

/// The parts of a Harbor without a scanner.
const COMPONENTS: [&str; 7] = [
    "core",
    "database",
    "jobservice",
    "portal",
    "redis",
    "registry",
    "registryctl",
];

static PROVIDER: Shape = Shape {
    name: "PingOIDCBody",
    fields: &[("url", Kind::Text), ("verify_cert", Kind::Flag)],
};

/// Is answered with 200 also when something is not well.
pub(super) fn health(ask: &Ask) -> Answer {
    let ailments = &ask.environment.ailments;
    let components: Vec<Value> = COMPONENTS
        .iter()
        .map(|name| match ailments.get(*name) {
            None => value!({"name": name, "status": "healthy"}),
            Some(error) => value!({"name": name, "status": "unhealthy", "error": error}),
        })
        .collect();
    let status = if ailments.is_empty() {
        "healthy"
    } else {
        "unhealthy"
    };
    json(200, &value!({"components": components, "status": status}))
}

/// Tells more to those who are signed in.
pub(super) fn info(ask: &Ask, state: &State) -> Answer {
    let settings = state.settings();
    let provider = if settings.is_oidc() {
        settings.text("oidc_name")
    } else {
        String::new()
    };
    let mut info = value!({
        "auth_mode": settings.text("auth_mode"),
        "banner_message": settings.text("banner_message"),
        "oidc_provider_name": provider,
        "primary_auth_mode": settings.flag("primary_auth_mode"),
        "self_registration": settings.flag("self_registration"),
    });
    if ask.who.is_authenticated() {
        let url = &ask.environment.external_url;
        let registry = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        for (key, value) in [
            ("current_time", value!(time(ask.now))),
            ("external_url", value!(url)),
            ("harbor_version", value!(VERSION)),
            ("has_ca_root", value!(false)),
            (
                "notification_enable",
                value!(settings.flag("notification_enable")),
            ),
            (
                "project_creation_restriction",
                value!(settings.text("project_creation_restriction")),
            ),
            ("read_only", value!(settings.flag("read_only"))),
            ("registry_storage_provider_name", value!("filesystem")),
            ("registry_url", value!(registry)),
        ] {
            info[key] = value;
        }
    }
    json(200, &info)
}

/// Counts what is public for everybody, what is private as far as one is a member of
/// it, and all for administrators only.
pub(super) fn statistics(ask: &Ask, state: &State) -> Outcome {
    ask.who.require_authenticated()?;
    let is_sysadmin = ask.who.is_sysadmin();
    let is_own = |project: &Project| match &ask.who {
        Principal::User(user) => !state.roles_of(user, project.id).is_empty(),
        Principal::Robot(..) | Principal::Anonymous => false,
    };
    let [public, private] = [true, false].map(|public| {
        state
            .projects()
            .filter(|project| project.is_public() == public)
            .filter(|project| public || is_sysadmin || is_own(project))
            .fold((0, 0), |(projects, repositories), project| {
                (projects + 1, repositories + project.repositories.len())
            })
    });
    let total = if is_sysadmin {
        (public.0 + private.0, public.1 + private.1)
    } else {
        (0, 0)
    };
    Ok(json(
        200,
        &value!({
            "private_project_count": private.0,
            "private_repo_count": private.1,
            "public_project_count": public.0,
            "public_repo_count": public.1,
            "total_project_count": total.0,
            "total_repo_count": total.1,
            "total_storage_consumption": 0,
        }),
    ))
}

/// The log of Harbor before version 2.13, which is never written to since.
pub(super) fn old_audit_log(ask: &Ask) -> Outcome {
    ask.who.require_authenticated()?;
    let query = Query::read(ask)?;
    Ok(query.headers(ask, 0, json(200, &value!([]))))
}

pub(super) fn permissions(ask: &Ask, state: &State) -> Outcome {
    ask.who.require_authenticated()?;
    let project = catalogue::listed(catalogue::PROJECT);
    if ask.who.is_sysadmin() {
        return Ok(json(
            200,
            &value!({"project": project, "system": catalogue::listed(catalogue::SYSTEM)}),
        ));
    }
    let administers = match &ask.who {
        Principal::User(user) => state
            .projects()
            .any(|project| state.roles_of(user, project.id).contains(&1)),
        Principal::Robot(..) | Principal::Anonymous => false,
    };
    if administers {
        return Ok(json(200, &value!({"project": project})));
    }
    Err(Refusal::forbidden(ask.who.name()))
}

/// Asks an identity provider for a sign of life.
pub(super) fn ping_provider(ask: &Ask) -> Outcome {
    let body = Body::read(ask.request, "endpoint", &PROVIDER)?;
    ask.who.require("configuration", "update")?;
    if answers(ask, body.text("url")) {
        return Ok(Answer::new(200));
    }
    Err(Refusal::bad_request("failed to verify connection"))
}

/// Whether an identity provider answers at a URL.
fn answers(ask: &Ask, url: &str) -> bool {
    ask.environment.issuers.iter().any(|issuer| issuer == url)
}

pub(super) fn outside_api(ask: &Ask, state: &State) -> Outcome {
    let method = ask.request.method.as_str();
    match (method, ask.path.as_str()) {
        ("GET", "/api/version") => {
            let body = format!("{}\n", value!({"version": "v2.0"}));
            Ok(Answer::new(200).body("text/plain; charset=utf-8", body))
        }
        ("GET", "/service/token") => token::issue(ask, state),
        ("GET", "/c/oidc/login") if !state.settings().is_oidc() => {
            let mode = state.settings().text("auth_mode");
            Err(Refusal::wrong_mode(format!(
                "auth mode: {mode} is not OIDC based"
            )))
        }
        ("GET", "/c/oidc/login") if !answers(ask, &state.settings().text("oidc_endpoint")) => {
            Err(Refusal::internal())
        }
        ("GET", "/v2") => Ok(token::greet(ask)),
        (_, path)
            if path == "/"
                || [
                    "/v2/",
                    "/c/",
                    "/service/",
                    "/api/internal/",
                    "/harbor",
                    "/account",
                    "/oidc-onboard",
                ]
                .iter()
                .any(|start| path.starts_with(start)) =>
        {
            Err(Refusal::not_modelled(&format!("{method} {path}")))
        }
        _ => Ok(Answer::new(404).body("text/html; charset=utf-8", include_str!("not_found.html"))),
    }
}
