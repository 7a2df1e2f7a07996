//! `/projects/{}/members`.

use serde_json::{Value, json as value};

use super::{
    Ask,
    body::{Body, Kind, Shape},
    json,
    projects::{NameOrId, required},
    query::Query,
    refusal::{Outcome, Refusal},
};
use crate::rehearsal::{
    Answer,
    harbor::state::{Member, MemberKind, ROLES, State},
};

static USER: Shape = Shape {
    name: "UserEntity",
    fields: &[("user_id", Kind::Number), ("username", Kind::Text)],
};
static GROUP: Shape = Shape {
    name: "UserGroup",
    fields: &[
        ("id", Kind::Number),
        ("group_name", Kind::Text),
        ("group_type", Kind::Number),
        ("ldap_group_dn", Kind::Text),
    ],
};
static MEMBER: Shape = Shape {
    name: "ProjectMember",
    fields: &[
        ("role_id", Kind::Number),
        ("member_user", Kind::Object(&USER)),
        ("member_group", Kind::Object(&GROUP)),
    ],
};
static ROLE: Shape = Shape {
    name: "RoleRequest",
    fields: &[("role_id", Kind::Number)],
};

/// The most characters that the database takes of a group's name.
const LONGEST_NAME: usize = 255;

fn render(state: &State, member: &Member) -> Option<Value> {
    Some(value!({
        "entity_id": member.entity_id,
        "entity_name": state.member_name(member)?,
        "entity_type": match member.kind { MemberKind::User => "u", MemberKind::Group => "g" },
        "id": member.id,
        "project_id": member.project_id,
        "role_id": member.role,
        "role_name": member.role_name()?,
    }))
}

/// Lists those whose role exists. The total counts the others too, and does not
/// look at the name that is asked for.
pub(super) fn list(ask: &Ask, state: &State) -> Outcome {
    let query = Query::read_page(ask)?;
    let project = required(ask, state, "member", "list")?;
    let name = ask.parameter("entityname");
    let total = state.members(project.id).count();
    let mut shown: Vec<Value> = state
        .members(project.id)
        .filter_map(|member| render(state, member))
        .filter(|member| name.is_empty() || member["entity_name"] == name)
        .collect();
    shown.sort_by(|one, other| one["entity_name"].as_str().cmp(&other["entity_name"].as_str()));
    let page = query.cut(&shown).to_vec();
    Ok(query.headers(ask, total, json(200, &Value::Array(page))))
}

pub(super) fn get(ask: &Ask, state: &State) -> Outcome {
    let id = ask.number(1, "mid")?;
    let project = required(ask, state, "member", "read")?;
    if id == 0 {
        return Err(Refusal::bad_request("the member id can not be empty!"));
    }
    let member = state.members(project.id).find(|member| member.id == id);
    let rendered = member.and_then(|member| render(state, member)).ok_or_else(|| {
        let project = project.id;
        Refusal::not_found(format!(
            "the project member is not found, project id {project}, member id {id}"
        ))
    })?;
    Ok(json(200, &rendered))
}

pub(super) fn create(ask: &Ask, state: &mut State) -> Outcome {
    let body = if ask.request.body.is_empty() {
        // The one body that the API's description calls optional.
        None
    } else {
        Some(Body::read(ask.request, "project_member", &MEMBER)?)
    };
    let project = required(ask, state, "member", "create")?.id;
    let body = body.ok_or_else(|| Refusal::bad_request("the project member should provide"))?;
    let role = body.number("role_id");
    let entity = entity(state, &body)?;
    let (kind, id) = match &entity {
        Entity::Known(kind, id) => (*kind, *id),
        // The number is used up even if the role is refused below, and the group
        // is gone again then: the request is one transaction.
        Entity::NewGroup(_) => (MemberKind::Group, 0),
    };
    let member = state
        .members(project)
        .find(|member| member.kind == kind && member.entity_id == id);
    if member.is_some_and(|member| member.role_name().is_some()) {
        return Err(Refusal::conflict("The project member specified already exist"));
    }
    if !ROLES.iter().any(|(known, _)| *known == role) {
        if matches!(entity, Entity::NewGroup(_)) {
            state.skip_group_number();
        }
        return Err(Refusal::bad_request(
            "Failed to update project member, role is not in 1,2,3",
        ));
    }
    let id = match entity {
        Entity::Known(_, id) => id,
        Entity::NewGroup(name) => state
            .insert_group(&name, 3, "")
            .map_err(|_| Refusal::internal())?,
    };
    let member = state.insert_member(project, kind, id, role);
    let project = NameOrId::of(ask)?;
    Ok(Answer::new(201).header(
        "location",
        format!("/api/v2.0/projects/{project}/members/{member}"),
    ))
}

/// Who is to be a member.
enum Entity {
    Known(MemberKind, i64),
    /// An OIDC group that nobody has named before.
    NewGroup(String),
}

fn entity(state: &State, body: &Body) -> Result<Entity, Refusal> {
    let oidc = state.settings().is_oidc();
    let (user, group) = (body.object("member_user"), body.object("member_group"));
    let unsupported = |name: &str| Refusal::not_found(format!("{name} not found: not supported"));
    if user.number("user_id") > 0 {
        let id = user.number("user_id");
        return match state.user(id) {
            Some(_) => Ok(Entity::Known(MemberKind::User, id)),
            None => Err(Refusal::not_modelled("members by the number of no user")),
        };
    }
    if group.number("id") > 0 {
        let id = group.number("id");
        return match state.group(id) {
            Some(_) => Ok(Entity::Known(MemberKind::Group, id)),
            None => Err(Refusal::not_modelled("members by the number of no group")),
        };
    }
    let name = user.text("username");
    if !name.is_empty() {
        return match state.user_named(name) {
            Some(user) => Ok(Entity::Known(MemberKind::User, user.id)),
            None if oidc => Err(unsupported(name)),
            None => Err(Refusal::internal()),
        };
    }
    if !group.text("ldap_group_dn").is_empty() {
        return Err(Refusal::not_modelled("LDAP groups"));
    }
    let name = group.text("group_name");
    if name.is_empty() || name.chars().count() > LONGEST_NAME {
        return Err(Refusal::internal());
    }
    match state.group_named(name) {
        Some(found) if found.kind == group.number("group_type") || (oidc && found.kind == 3) => {
            Ok(Entity::Known(MemberKind::Group, found.id))
        }
        _ if oidc => Ok(Entity::NewGroup(name.to_owned())),
        _ => Err(unsupported(name)),
    }
}

/// Sets a role, whatever the number, and says nothing about a member who is none.
pub(super) fn update(ask: &Ask, state: &mut State) -> Outcome {
    let id = ask.number(1, "mid")?;
    let body = if ask.request.body.is_empty() {
        None
    } else {
        Some(Body::read(ask.request, "role", &ROLE)?)
    };
    let project = required(ask, state, "member", "update")?.id;
    let body = body.ok_or_else(|| Refusal::bad_request("role can not be empty"))?;
    if id == 0 {
        return Err(Refusal::bad_request("member id can not be empty"));
    }
    state.set_role(project, id, body.number("role_id"));
    Ok(Answer::new(200))
}

pub(super) fn delete(ask: &Ask, state: &mut State) -> Outcome {
    let id = ask.number(1, "mid")?;
    let project = required(ask, state, "member", "delete")?.id;
    if id == 0 {
        return Err(Refusal::bad_request("the project member id is required."));
    }
    state.remove_member(project, id);
    Ok(Answer::new(200))
}
