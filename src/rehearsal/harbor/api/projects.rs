//! `/projects`.

use std::collections::BTreeMap;

use serde_json::{Value, json as value};

use super::{
    Ask,
    access::Principal,
    body::{Body, Kind, Shape},
    json,
    query::{Cell, Pattern, Query, Row},
    quotas::check_limit,
    refusal::{Outcome, Refusal},
    time,
};
use crate::rehearsal::{
    Answer,
    harbor::state::{Project, Scope, State},
};

static METADATA: Shape = Shape {
    name: "ProjectMetadata",
    fields: &[
        ("public", Kind::Text),
        ("enable_content_trust", Kind::Text),
        ("enable_content_trust_cosign", Kind::Text),
        ("prevent_vul", Kind::Text),
        ("severity", Kind::Text),
        ("auto_scan", Kind::Text),
        ("auto_sbom_generation", Kind::Text),
        ("reuse_sys_cve_allowlist", Kind::Text),
        ("retention_id", Kind::Text),
        ("proxy_speed_kb", Kind::Text),
        ("max_upstream_conn", Kind::Text),
    ],
};

static PROJECT: Shape = Shape {
    name: "ProjectReq",
    fields: &[
        ("project_name", Kind::Text),
        ("public", Kind::Flag),
        ("metadata", Kind::Object(&METADATA)),
        ("cve_allowlist", Kind::Any),
        ("storage_limit", Kind::Number),
        ("registry_id", Kind::Number),
    ],
};

/// What a project is called in a path: a name, or a number where it can be one.
pub(super) enum NameOrId {
    Name(String),
    Id(i64),
}

impl std::fmt::Display for NameOrId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Id(id) => write!(formatter, "{id}"),
        }
    }
}

impl NameOrId {
    /// Reads the first variable segment of a path.
    pub(super) fn of(ask: &Ask) -> Result<Self, Refusal> {
        let text = ask.values.first().cloned().unwrap_or_default();
        if ask.header_flag("X-Is-Resource-Name")? {
            return Ok(Self::Name(text));
        }
        Ok(text.parse().map_or(Self::Name(text), Self::Id))
    }

    pub(super) fn find<'a>(&self, state: &'a State) -> Option<&'a Project> {
        match self {
            Self::Name(name) => state.project_named(name),
            Self::Id(id) => state.project(*id),
        }
    }
}

/// The project of the path, for somebody who may do this to it.
pub(super) fn required<'a>(
    ask: &Ask,
    state: &'a State,
    resource: &str,
    action: &str,
) -> Result<&'a Project, Refusal> {
    let name = NameOrId::of(ask)?;
    let project = name.find(state);
    ask.who.require_in(state, project, resource, action)?;
    project.ok_or_else(|| Refusal::not_found(format!("project {name} not found")))
}

impl Row for Project {
    fn column(&self, name: &str) -> Option<Cell> {
        Some(match name {
            "project_id" | "ProjectID" => Cell::Number(self.id),
            "owner_id" | "OwnerID" => Cell::Number(self.owner_id),
            "name" | "Name" => Cell::Text(self.name.clone()),
            "creation_time" | "CreationTime" => Cell::Time(self.created),
            "update_time" | "UpdateTime" => Cell::Time(self.updated),
            "public" => Cell::Flag(self.is_public()),
            _ => return None,
        })
    }
}

fn render(ask: &Ask, state: &State, project: &Project, detail: bool) -> Value {
    let never = "0001-01-01T00:00:00.000Z";
    let roles = match &ask.who {
        Principal::User(user) => state.roles_of(user, project.id),
        Principal::Anonymous | Principal::Robot(..) => Vec::new(),
    };
    let mut rendered = value!({
        "creation_time": time(project.created),
        "current_user_role_ids": if roles.is_empty() { Value::Null } else { value!(roles) },
        "cve_allowlist": {"creation_time": never, "items": null, "update_time": never},
        "name": project.name,
        "owner_id": project.owner_id,
        "project_id": project.id,
        "repo_count": project.repositories.len(),
        "update_time": time(project.updated),
    });
    // Of several roles the strongest is shown, and they are not numbered by strength.
    if let Some(role) = [1, 4, 2, 3, 5].iter().find(|role| roles.contains(role)) {
        rendered["current_user_role_id"] = value!(role);
    }
    if detail {
        rendered["cve_allowlist"] = value!({
            "creation_time": never, "id": project.allowlist_id, "items": [],
            "project_id": project.id, "update_time": never,
        });
        rendered["metadata"] = value!(project.metadata);
        if let Some(owner) = state.user(project.owner_id) {
            rendered["owner_name"] = value!(owner.username);
        }
    }
    rendered
}

pub(super) fn list(ask: &Ask, state: &State) -> Outcome {
    let mut query = Query::read(ask)?;
    let public = ask.flag("public")?;
    let detail = ask.flag("with_detail")?.unwrap_or(true);
    let name = ask.parameter("name");
    if !name.is_empty() {
        query
            .keywords
            .push(("name".to_owned(), Pattern::Fuzzy(name.to_owned())));
    }
    let mut owner = query.take_keyword("owner");
    if !ask.parameter("owner").is_empty() {
        owner = Some(Pattern::Exact(ask.parameter("owner").to_owned()));
    }
    if let Some(public) = public {
        query.take_keyword("public");
        query
            .keywords
            .push(("public".to_owned(), Pattern::Exact(public.to_string())));
    }
    let has_owner = |project: &&Project| match &owner {
        Some(Pattern::Exact(name)) => state
            .user(project.owner_id)
            .is_some_and(|user| user.username == *name),
        _ => true,
    };
    let visible = state
        .projects()
        .filter(|project| is_listed(ask, state, project))
        .filter(has_owner);
    let mut rows = query.filter(visible)?;
    query.sort(&mut rows);
    let shown: Vec<Value> = query
        .cut(&rows)
        .iter()
        .map(|project| render(ask, state, project, detail))
        .collect();
    if rows.is_empty() {
        return Ok(json(200, &value!([])).header("x-total-count", "0"));
    }
    Ok(query.headers(ask, rows.len(), json(200, &Value::Array(shown))))
}

pub(super) fn is_listed(ask: &Ask, state: &State, project: &Project) -> bool {
    if ask.who.can("project", "list") || project.is_public() {
        return true;
    }
    match &ask.who {
        Principal::Anonymous => false,
        Principal::User(user) => !state.roles_of(user, project.id).is_empty(),
        Principal::Robot(robot, _) => robot.grants.iter().any(|grant| match grant.scope {
            Scope::System => false,
            Scope::AllProjects => true,
            Scope::Project(id) => id == project.id,
        }),
    }
}

pub(super) fn create(ask: &Ask, state: &mut State) -> Outcome {
    let by_name = ask.header_flag("X-Resource-Name-In-Location")?;
    let body = Body::read(ask.request, "project", &PROJECT)?;
    let name = body.text("project_name");
    if name.chars().count() > 255 {
        let inner = "validation failure list:\nproject_name in body should be at most 255 chars long";
        return Err(Refusal::invalid(&[inner.to_owned()]));
    }
    ask.who.require_authenticated()?;
    let owner = match &ask.who {
        Principal::Robot(robot, _) if !robot.is_system() => {
            return Err(Refusal::forbidden("Only system level robot can create project"));
        }
        Principal::User(user) => user.id,
        Principal::Robot(..) | Principal::Anonymous => 1,
    };
    let privileged = ask.who.can("project", "create");
    if state.settings().text("project_creation_restriction") == "adminonly" && !privileged {
        return Err(Refusal::forbidden("Only system admin can create project"));
    }
    if body.has("registry_id") {
        return Err(Refusal::not_modelled("proxy cache projects"));
    }
    let mut storage = body.number("storage_limit");
    if storage == 0 || !privileged {
        storage = state.settings().number("storage_per_project");
    }
    let mut metadata = stored_metadata(&body);
    if metadata.get("public").is_none_or(String::is_empty) {
        metadata.insert("public".to_owned(), body.flag("public").to_string());
    }
    let public = &metadata["public"];
    if public != "true" && public != "false" {
        return Err(Refusal::bad_request(format!(
            "metadata.public should only be 'true' or 'false', but got: '{public}'"
        )));
    }
    check_limit(storage).map_err(|why| Refusal::bad_request(format!("bad request: {why}")))?;
    if name.is_empty() {
        let message = format!("Project name {name} is illegal in length. (greater than 255 or less than 1)");
        return Err(Refusal::bad_request(message));
    }
    if !is_resource_name(name) {
        return Err(Refusal::bad_request(
            "project name is not in lower case or contains illegal characters",
        ));
    }
    let id = state
        .insert_project(name, owner, metadata, storage, ask.now)
        .map_err(|_| Refusal::conflict(format!("The project named {name} already exists")))?;
    let called = if by_name { name.to_owned() } else { id.to_string() };
    Ok(Answer::new(201).header("location", ask.location(&called)))
}

/// Harbor's rule for names of projects and robots: words of lower case letters and
/// digits, with one of `.`, `_` and `-` between them.
pub(super) fn is_resource_name(name: &str) -> bool {
    name.split(['.', '_', '-']).all(|word| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

/// The metadata of a body that are kept: those of proxies are not, for others.
fn stored_metadata(body: &Body) -> BTreeMap<String, String> {
    let metadata = body.object("metadata");
    let kept = metadata.entries().filter(|(key, _)| {
        !matches!(
            key.as_str(),
            "proxy_speed_kb" | "max_upstream_conn" | "retention_id"
        )
    });
    kept.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect()
}

pub(super) fn head(ask: &Ask, state: &State) -> Outcome {
    let name = ask.parameter("project_name");
    if !ask.query.iter().any(|(key, _)| key == "project_name") || name.is_empty() {
        return Err(Refusal::invalid(
            &["project_name in query is required".to_owned()],
        ));
    }
    let project = state.project_named(name);
    ask.who.require_in(state, project, "project", "read")?;
    match project {
        Some(_) => Ok(Answer::new(200)),
        None => Err(Refusal::not_found(format!("project {name} not found"))),
    }
}

pub(super) fn get(ask: &Ask, state: &State) -> Outcome {
    let project = required(ask, state, "project", "read")?;
    Ok(json(200, &render(ask, state, project, true)))
}

pub(super) fn update(ask: &Ask, state: &mut State) -> Outcome {
    let body = Body::read(ask.request, "project", &PROJECT)?;
    if body.text("project_name").chars().count() > 255 {
        let inner = "validation failure list:\nproject_name in body should be at most 255 chars long";
        return Err(Refusal::invalid(&[inner.to_owned()]));
    }
    let id = required(ask, state, "project", "update")?.id;
    if let Some(project) = state.project_mut(id) {
        project.metadata.extend(
            stored_metadata(&body)
                .into_iter()
                .filter(|(_, text)| !text.is_empty()),
        );
        project.updated = ask.now;
    }
    Ok(Answer::new(200))
}

pub(super) fn delete(ask: &Ask, state: &mut State) -> Outcome {
    let project = required(ask, state, "project", "delete")?;
    if !project.repositories.is_empty() {
        return Err(Refusal::precondition(
            "the project contains repositories, can not be deleted",
        ));
    }
    let id = project.id;
    state.remove_project(id);
    Ok(Answer::new(200))
}

pub(super) fn deletable(ask: &Ask, state: &State) -> Outcome {
    let project = required(ask, state, "project", "delete")?;
    let body = if project.repositories.is_empty() {
        value!({"deletable": true})
    } else {
        value!({"deletable": false, "message": "the project contains repositories, can not be deleted"})
    };
    Ok(json(200, &body))
}

/// What a project holds in numbers, as far as one may see it. What is none is left out.
pub(super) fn summary(ask: &Ask, state: &State) -> Outcome {
    let project = required(ask, state, "project", "read")?;
    let may = |resource, action| ask.who.can_in(state, Some(project), resource, action);
    let mut summary = value!({"repo_count": project.repositories.len()});
    if may("quota", "read")
        && state.settings().flag("quota_per_project_enable")
        && let Some(quota) = state.quotas().find(|quota| quota.project_id == project.id)
    {
        summary["quota"] = value!({"hard": {"storage": quota.storage}, "used": {"storage": 0}});
    }
    if may("member", "list") {
        for (role, name) in [
            (1, "project_admin_count"),
            (4, "maintainer_count"),
            (2, "developer_count"),
            (3, "guest_count"),
            (5, "limited_guest_count"),
        ] {
            let count = state
                .members(project.id)
                .filter(|member| member.role == role)
                .count();
            if count > 0 {
                summary[name] = value!(count);
            }
        }
    }
    Ok(json(200, &summary))
}
