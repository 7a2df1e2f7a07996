//! `/robots`.

use serde_json::{Value, json as value};

use super::{
    Ask,
    access::Principal,
    body::{Body, Kind, Shape},
    json,
    permissions::{check, covers, grants, namespace},
    projects::is_resource_name,
    query::{Cell, Pattern, Query, Row},
    refusal::{Outcome, Refusal},
    time,
};
use crate::rehearsal::{
    Answer,
    harbor::state::{NewRobot, Project, Robot, Scope, State, StoredSecret, generate_secret, is_acceptable},
};

static ACCESS: Shape = Shape {
    name: "Access",
    fields: &[
        ("resource", Kind::Text),
        ("action", Kind::Text),
        ("effect", Kind::Text),
    ],
};
static PERMISSION: Shape = Shape {
    name: "RobotPermission",
    fields: &[
        ("kind", Kind::Text),
        ("namespace", Kind::Text),
        ("access", Kind::List(&ACCESS)),
    ],
};
/// A secret in the body is read and then not looked at.
static CREATE: Shape = Shape {
    name: "RobotCreate",
    fields: &[
        ("name", Kind::Text),
        ("description", Kind::Text),
        ("secret", Kind::Text),
        ("level", Kind::Text),
        ("disable", Kind::Flag),
        ("duration", Kind::Number),
        ("permissions", Kind::List(&PERMISSION)),
    ],
};
static UPDATE: Shape = Shape {
    name: "Robot",
    fields: &[
        ("id", Kind::Number),
        ("name", Kind::Text),
        ("description", Kind::Text),
        ("secret", Kind::Text),
        ("level", Kind::Text),
        ("duration", Kind::Number),
        ("editable", Kind::Flag),
        ("disable", Kind::Flag),
        ("expires_at", Kind::Number),
        ("permissions", Kind::List(&PERMISSION)),
        ("creator_type", Kind::Text),
        ("creator_ref", Kind::Number),
    ],
};
static SECRET: Shape = Shape {
    name: "RobotSec",
    fields: &[("secret", Kind::Text)],
};

/// The most characters that the database takes of a name and of a description.
const LONGEST_NAME: usize = 255;
const LONGEST_DESCRIPTION: usize = 1024;

impl Row for Robot {
    fn column(&self, name: &str) -> Option<Cell> {
        Some(match name {
            "id" | "ID" => Cell::Number(self.id),
            "name" | "Name" => Cell::Text(self.name.clone()),
            "description" | "Description" => Cell::Text(self.description.clone()),
            "project_id" | "ProjectID" => Cell::Number(self.project_id),
            "duration" | "Duration" => Cell::Number(self.duration),
            "expiresat" | "ExpiresAt" => Cell::Number(self.expires_at),
            "disabled" | "Disabled" => Cell::Flag(self.disabled),
            "creator_ref" | "CreatorRef" => Cell::Number(self.creator_ref),
            "creator_type" | "CreatorType" => Cell::Text(self.creator_type.clone()),
            "creation_time" | "CreationTime" => Cell::Time(self.created),
            "update_time" | "UpdateTime" => Cell::Time(self.updated),
            _ => return None,
        })
    }
}

fn full_name(state: &State, robot: &Robot) -> String {
    format!("{}{}", state.settings().robot_prefix(), robot.name)
}

fn level(robot: &Robot) -> &'static str {
    if robot.is_system() { "system" } else { "project" }
}

fn render(state: &State, robot: &Robot) -> Value {
    let permissions: Vec<Value> = robot
        .grants
        .iter()
        .filter_map(|grant| {
            let (kind, namespace) = match grant.scope {
                Scope::System => ("system", "/"),
                Scope::AllProjects => ("project", "*"),
                // A grant in a project that is gone is not shown.
                Scope::Project(id) => ("project", state.project(id)?.name.as_str()),
            };
            let access = grant.access.iter().map(|access| {
                let mut shown = value!({"action": access.action, "resource": access.resource});
                if !access.effect.is_empty() {
                    shown["effect"] = value!(access.effect);
                }
                shown
            });
            Some(value!({"access": access.collect::<Vec<_>>(), "kind": kind, "namespace": namespace}))
        })
        .collect();
    let mut rendered = value!({
        "creation_time": time(robot.created),
        "creator_ref": robot.creator_ref,
        "creator_type": robot.creator_type,
        "disable": robot.disabled,
        "duration": robot.duration,
        "editable": true,
        "expires_at": robot.expires_at,
        "id": robot.id,
        "level": level(robot),
        "name": full_name(state, robot),
        "permissions": if permissions.is_empty() { Value::Null } else { value!(permissions) },
        "update_time": time(robot.updated),
    });
    if !robot.description.is_empty() {
        rendered["description"] = value!(robot.description);
    }
    rendered
}

/// Lets through who may do this to robots of the system, or of a project.
fn require(ask: &Ask, state: &State, owner: Owner<'_>, action: &str) -> Result<(), Refusal> {
    match owner {
        Owner::System => ask.who.require("robot", action),
        Owner::Project(project) => ask.who.require_in(state, project, "robot", action),
    }
}

#[derive(Clone, Copy)]
enum Owner<'a> {
    System,
    Project(Option<&'a Project>),
}

fn owner<'a>(state: &'a State, robot: &Robot) -> Owner<'a> {
    if robot.is_system() {
        Owner::System
    } else {
        Owner::Project(state.project(robot.project_id))
    }
}

pub(super) fn create(ask: &Ask, state: &mut State) -> Outcome {
    let body = Body::read(ask.request, "robot", &CREATE)?;
    let name = body.text("name");
    if !is_resource_name(name) {
        return Err(Refusal::bad_request(
            "robot name is not in lower case or contains illegal characters",
        ));
    }
    let level = body.text("level");
    let wishes = check(body.number("duration"), level, &body)?;
    let (project_id, stored) = if level == "system" {
        require(ask, state, Owner::System, "create")?;
        (0, name.to_owned())
    } else {
        let project = state.project_named(&wishes[0].namespace);
        require(ask, state, Owner::Project(project), "create")?;
        let project = namespace(state, &wishes[0].namespace)?;
        (project.id, format!("{}+{name}", project.name))
    };
    let grants = match grants(state, wishes) {
        Ok(grants) => grants,
        Err(refusal) => {
            // The row is written before its permissions and rolled back with them.
            state.skip_robot_number();
            return Err(refusal);
        }
    };
    let (creator_type, creator_ref) = match &ask.who {
        Principal::User(user) => ("local", user.id),
        Principal::Robot(robot, name) => {
            if !covers(robot, &grants) {
                return Err(Refusal::denied(format!(
                    "permission scope is invalid. It must be equal to or more restrictive than the creator robot's permissions: {name}"
                )));
            }
            ("robot", robot.id)
        }
        Principal::Anonymous => return Err(Refusal::unauthorized()),
    };
    let description = body.text("description").to_owned();
    if stored.chars().count() > LONGEST_NAME || description.chars().count() > LONGEST_DESCRIPTION {
        return Err(Refusal::internal());
    }
    let secret = generate_secret();
    let new = NewRobot {
        name: stored.clone(),
        project_id,
        description,
        duration: body.number("duration"),
        grants,
        creator_type,
        creator_ref,
        secret: secret.clone(),
    };
    let id = state
        .insert_robot(new, ask.now)
        .map_err(|_| Refusal::conflict(format!("robot account {project_id}:{stored} already exists")))?;
    let robot = state.robot(id).ok_or_else(Refusal::internal)?;
    let created = value!({
        "creation_time": time(robot.created),
        "expires_at": robot.expires_at,
        "id": id,
        "name": full_name(state, robot),
        "secret": secret,
    });
    Ok(json(201, &created).header("location", ask.location(&id.to_string())))
}

pub(super) fn list(ask: &Ask, state: &State) -> Outcome {
    let mut query = Query::read(ask)?;
    ask.who.require_authenticated()?;
    // Anything but plain text is what Harbor does not survive: it answers with nothing.
    let plain = |pattern| match pattern {
        Pattern::Exact(text) => Ok(text),
        _ => Err(Refusal::bare(500)),
    };
    let level = query.take_keyword("Level").map(plain).transpose()?;
    let project_id = match level.as_deref() {
        None | Some("system") => 0,
        Some("project") => {
            let project = query.take_keyword("ProjectID").map(plain).transpose()?;
            let project = project
                .ok_or_else(|| Refusal::bad_request("must with project ID when to query project robots"))?;
            let id = project.parse().ok().filter(|id| *id > 0);
            id.ok_or_else(|| Refusal::bad_request("ProjectID must be a positive integer"))?
        }
        Some(_) => return Err(Refusal::bad_request("bad request error level input")),
    };
    query.take_keyword("ProjectID");
    let owner = if project_id == 0 {
        Owner::System
    } else {
        Owner::Project(state.project(project_id))
    };
    require(ask, state, owner, "list")?;
    let mut rows = query.filter(state.robots_of(project_id))?;
    query.sort(&mut rows);
    let shown: Vec<Value> = query
        .cut(&rows)
        .iter()
        .map(|robot| render(state, robot))
        .collect();
    Ok(query.headers(ask, rows.len(), json(200, &Value::Array(shown))))
}

/// The robot of the path, for somebody who may do this to it.
fn required<'a>(ask: &Ask, state: &'a State, action: &str) -> Result<&'a Robot, Refusal> {
    let robot = existing(ask, state)?;
    require(ask, state, owner(state, robot), action)?;
    Ok(robot)
}

fn existing<'a>(ask: &Ask, state: &'a State) -> Result<&'a Robot, Refusal> {
    let id = ask.number(0, "robot_id")?;
    ask.who.require_authenticated()?;
    state
        .robot(id)
        .ok_or_else(|| Refusal::not_found(format!("robot {id} not found")))
}

pub(super) fn get(ask: &Ask, state: &State) -> Outcome {
    let robot = required(ask, state, "read")?;
    Ok(json(200, &render(state, robot)))
}

pub(super) fn delete(ask: &Ask, state: &mut State) -> Outcome {
    let id = required(ask, state, "delete")?.id;
    state.remove_robot(id);
    Ok(Answer::new(200))
}

/// Replaces all that can change. What is left out is cleared, but for the duration.
pub(super) fn update(ask: &Ask, state: &mut State) -> Outcome {
    ask.number(0, "robot_id")?;
    let body = Body::read(ask.request, "robot", &UPDATE)?;
    let robot = existing(ask, state)?;
    let id = robot.id;
    let duration = if body.has("duration") {
        body.number("duration")
    } else {
        robot.duration
    };
    let wishes = check(duration, body.text("level"), &body)?;
    if !robot.is_system() && namespace(state, &wishes[0].namespace)?.id != robot.project_id {
        return Err(Refusal::bad_request("cannot update the project id of robot"));
    }
    require(ask, state, owner(state, robot), "update")?;
    if body.text("level") != level(robot) || body.text("name") != full_name(state, robot) {
        return Err(Refusal::bad_request("cannot update the level or name of robot"));
    }
    let description = body.text("description");
    if description.chars().count() > LONGEST_DESCRIPTION {
        return Err(Refusal::internal());
    }
    let grants = grants(state, wishes)?;
    if let Some(robot) = state.robot_mut(id) {
        if robot.duration != duration {
            robot.set_duration(duration);
        }
        description.clone_into(&mut robot.description);
        robot.disabled = body.flag("disable");
        robot.grants = grants;
        robot.updated = ask.now;
    }
    Ok(Answer::new(200))
}

/// Sets a secret, or makes one and tells it.
pub(super) fn refresh_secret(ask: &Ask, state: &mut State) -> Outcome {
    ask.number(0, "robot_id")?;
    let body = Body::read(ask.request, "robotSec", &SECRET)?;
    let id = required(ask, state, "update")?.id;
    let chosen = body.text("secret");
    if !chosen.is_empty() && !is_acceptable(chosen) {
        return Err(Refusal::bad_request(
            "the secret must be 8-128, inclusively, characters long with at least 1 uppercase letter, 1 lowercase letter and 1 number",
        ));
    }
    let (secret, told) = if chosen.is_empty() {
        let secret = generate_secret();
        (secret.clone(), value!({"secret": secret}))
    } else {
        (chosen.to_owned(), value!({}))
    };
    if let Some(robot) = state.robot_mut(id) {
        robot.secret = StoredSecret::new(&secret);
        robot.updated = ask.now;
    }
    Ok(json(200, &told))
}
