//! `/quotas`.

use serde_json::{Value, json as value};

use super::{
    Ask,
    body::{Body, Kind, Shape},
    json,
    query::{Cell, Query, Row},
    refusal::{Outcome, Refusal},
    time,
};
use crate::rehearsal::{
    Answer,
    harbor::state::{Quota, State},
};

/// The most bytes that a limit can be.
const MOST: i64 = 1024 << 40;

static UPDATE: Shape = Shape {
    name: "QuotaUpdateReq",
    fields: &[("hard", Kind::Numbers)],
};

impl Row for Quota {
    fn column(&self, name: &str) -> Option<Cell> {
        Some(match name {
            "id" | "ID" => Cell::Number(self.id),
            "reference" => Cell::Text("project".to_owned()),
            "reference_id" => Cell::Text(self.project_id.to_string()),
            "hard.storage" => Cell::Number(self.storage),
            "used.storage" => Cell::Number(0),
            "creation_time" => Cell::Time(self.created),
            "update_time" => Cell::Time(self.updated),
            _ => return None,
        })
    }
}

fn render(state: &State, quota: &Quota) -> Value {
    let name = state
        .project(quota.project_id)
        .map(|project| project.name.as_str());
    value!({
        "creation_time": time(quota.created),
        "hard": {"storage": quota.storage},
        "id": quota.id,
        // The owner is looked up where quotas are not, and always empty.
        "ref": {"id": quota.project_id, "name": name, "owner_name": ""},
        "update_time": time(quota.updated),
        "used": {"storage": 0},
    })
}

/// What is wrong with a limit, in Harbor's words.
pub(super) fn check_limit(bytes: i64) -> Result<(), String> {
    match bytes {
        -1 | 1..=MOST => Ok(()),
        ..=0 => Err(format!(
            "invalid non-positive value for quota limit, value={bytes}"
        )),
        _ => Err(format!("exceeded 1024TB, which is {MOST} Bytes, value={bytes}")),
    }
}

pub(super) fn list(ask: &Ask, state: &State) -> Outcome {
    let query = Query::read(ask)?;
    ask.who.require("quota", "list")?;
    let (reference, id) = (ask.parameter("reference"), ask.parameter("reference_id"));
    let mut rows: Vec<&Quota> = state
        .quotas()
        .filter(|_| reference.is_empty() || reference == "project")
        .filter(|quota| id.is_empty() || quota.project_id.to_string() == id)
        .collect();
    query.sort(&mut rows);
    let shown = query
        .cut(&rows)
        .iter()
        .map(|quota| render(state, quota))
        .collect();
    Ok(query.headers(ask, rows.len(), json(200, &Value::Array(shown))))
}

fn required<'a>(ask: &Ask, state: &'a State, action: &str) -> Result<&'a Quota, Refusal> {
    let id = ask.number(0, "id")?;
    ask.who.require("quota", action)?;
    state
        .quota(id)
        .ok_or_else(|| Refusal::not_found(format!("quota {id} not found")))
}

pub(super) fn get(ask: &Ask, state: &State) -> Outcome {
    let quota = required(ask, state, "read")?;
    Ok(json(200, &render(state, quota)))
}

pub(super) fn update(ask: &Ask, state: &mut State) -> Outcome {
    let body = Body::read(ask.request, "hard", &UPDATE)?;
    ask.number(0, "id")?;
    ask.who.require("quota", "update")?;
    let hard = body.object("hard");
    if hard.entries().next().is_none() {
        return Err(Refusal::bad_request("hard required in body"));
    }
    let id = required(ask, state, "update")?.id;
    if let Some((other, _)) = hard.entries().find(|(resource, _)| *resource != "storage") {
        return Err(Refusal::bad_request(format!("resource {other} not support")));
    }
    let storage = hard.number("storage");
    check_limit(storage).map_err(Refusal::bad_request)?;
    if let Some(quota) = state.quota_mut(id) {
        quota.storage = storage;
        quota.updated = ask.now;
    }
    Ok(Answer::new(200))
}
