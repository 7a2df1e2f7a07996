//! `/usergroups`.

use serde_json::{Value, json as value};

use super::{
    Ask,
    body::{Body, Kind, Shape},
    json,
    query::Query,
    refusal::{Outcome, Refusal},
};
use crate::rehearsal::{
    Answer,
    harbor::state::{Group, State},
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

fn render(group: &Group) -> Value {
    let mut rendered = value!({"group_name": group.name, "group_type": group.kind, "id": group.id});
    if !group.ldap_dn.is_empty() {
        rendered["ldap_group_dn"] = value!(group.ldap_dn);
    }
    rendered
}

pub(super) fn list(ask: &Ask, state: &State) -> Outcome {
    let query = Query::read_page(ask)?;
    ask.who.require("user-group", "list")?;
    let part = ask.parameter("group_name").to_lowercase();
    let rows: Vec<&Group> = state
        .groups()
        .filter(|group| group.name.to_lowercase().contains(&part))
        .collect();
    let shown = query.cut(&rows).iter().map(|group| render(group)).collect();
    Ok(query.headers(ask, rows.len(), json(200, &Value::Array(shown))))
}

/// Finds groups by a part of the name. Counted are those that have it in any case,
/// listed those that have it as written.
pub(super) fn search(ask: &Ask, state: &State) -> Outcome {
    let part = ask.parameter("groupname");
    if !ask.query.iter().any(|(key, _)| key == "groupname") {
        return Err(Refusal::invalid(&["groupname in query is required".to_owned()]));
    }
    let query = Query::read_page(ask)?;
    ask.who.require_authenticated()?;
    if part.is_empty() {
        return Err(Refusal::bad_request(
            "need to provide groupname to search user group",
        ));
    }
    let lower = part.to_lowercase();
    let total = state
        .groups()
        .filter(|group| group.name.to_lowercase().contains(&lower))
        .count();
    if total == 0 {
        return Ok(query.headers(ask, 0, json(200, &value!([]))));
    }
    let found = query.best(state.groups(), |group| &group.name, part)?;
    let shown = found.into_iter().map(render).collect();
    Ok(query.headers(ask, total, json(200, &Value::Array(shown))))
}

pub(super) fn create(ask: &Ask, state: &mut State) -> Outcome {
    let body = Body::read(ask.request, "usergroup", &GROUP)?;
    ask.who.require("user-group", "create")?;
    let (name, kind, dn) = (
        body.text("group_name"),
        body.number("group_type"),
        body.text("ldap_group_dn"),
    );
    if name.is_empty() {
        return Err(Refusal::bare(400));
    }
    if kind == 1 {
        return Err(Refusal::not_modelled("LDAP groups"));
    }
    if state.group_named(name).is_some_and(|group| group.kind == kind) {
        return Err(Refusal::conflict(format!(
            "duplicate user group, group name:{name}, group type: {kind}, ldap group DN: {dn}"
        )));
    }
    // Names are unique over all types, which only the database knows.
    let id = state
        .insert_group(name, kind, dn)
        .map_err(|_| Refusal::internal())?;
    Ok(Answer::new(201).header("location", ask.location(&id.to_string())))
}

fn required<'a>(ask: &Ask, state: &'a State, action: &str) -> Result<&'a Group, Refusal> {
    let id = ask.number(0, "group_id")?;
    ask.who.require("user-group", action)?;
    if id <= 0 {
        return Err(Refusal::bad_request("the group id should be provided"));
    }
    state
        .group(id)
        .ok_or_else(|| Refusal::not_found(format!("the user group with id {id} is not found")))
}

pub(super) fn get(ask: &Ask, state: &State) -> Outcome {
    let group = required(ask, state, "read")?;
    Ok(json(200, &render(group)))
}

pub(super) fn update(ask: &Ask, state: &mut State) -> Outcome {
    let body = Body::read(ask.request, "usergroup", &GROUP)?;
    let id = required(ask, state, "update")?.id;
    let name = body.text("group_name");
    if name.is_empty() {
        return Err(Refusal::bare(400));
    }
    state.rename_group(id, name).map_err(|_| Refusal::internal())?;
    Ok(Answer::new(200))
}

pub(super) fn delete(ask: &Ask, state: &mut State) -> Outcome {
    let id = required(ask, state, "delete")?.id;
    state.remove_group(id);
    Ok(Answer::new(200))
}
