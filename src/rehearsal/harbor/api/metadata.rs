//! `/projects/{}/metadatas`.

use serde_json::json as value;

use super::{
    Ask, json,
    projects::required,
    refusal::{Outcome, Refusal},
};
use crate::rehearsal::{Answer, harbor::state::State};

pub(super) fn list(ask: &Ask, state: &State) -> Outcome {
    let project = required(ask, state, "metadata", "list")?;
    Ok(json(200, &value!(project.metadata)))
}

pub(super) fn get(ask: &Ask, state: &State) -> Outcome {
    let project = required(ask, state, "metadata", "read")?;
    let key = name(ask);
    // One that is not there is no error but nothing.
    Ok(json(
        200,
        &project
            .metadata
            .get(key)
            .map_or(value!({}), |text| value!({key: text})),
    ))
}

pub(super) fn add(ask: &Ask, state: &mut State) -> Outcome {
    let pairs = pairs(ask)?;
    let project = required(ask, state, "metadata", "create")?;
    let [(key, text)] = pairs.as_slice() else {
        return Err(Refusal::bad_request("only allow one key/value pair"));
    };
    let text = checked(key, text)?;
    let id = project.id;
    if project.metadata.contains_key(key) {
        return Err(Refusal::conflict(format!(
            "project metadata {key} already exists"
        )));
    }
    set(state, ask, id, key, text);
    Ok(Answer::new(200))
}

pub(super) fn update(ask: &Ask, state: &mut State) -> Outcome {
    let pairs = pairs(ask)?;
    let id = required(ask, state, "metadata", "update")?.id;
    let key = name(ask);
    let text = pairs
        .iter()
        .find(|(other, _)| other == key)
        .map_or("", |(_, text)| text.as_str());
    let text = checked(key, text)?;
    set(state, ask, id, key, text);
    Ok(Answer::new(200))
}

pub(super) fn delete(ask: &Ask, state: &mut State) -> Outcome {
    let id = required(ask, state, "metadata", "delete")?.id;
    if let Some(project) = state.project_mut(id) {
        project.metadata.remove(name(ask));
    }
    Ok(Answer::new(200))
}

fn name<'a>(ask: &'a Ask) -> &'a str {
    ask.values.get(1).map_or("", String::as_str)
}

fn set(state: &mut State, ask: &Ask, id: i64, key: &str, text: String) {
    if let Some(project) = state.project_mut(id) {
        project.metadata.insert(key.to_owned(), text);
        project.updated = ask.now;
    }
}

fn pairs(ask: &Ask) -> Result<Vec<(String, String)>, Refusal> {
    let parsed: Result<std::collections::BTreeMap<String, String>, _> =
        serde_json::from_slice(&ask.request.body);
    if ask.request.body.is_empty() {
        return Ok(Vec::new());
    }
    // What the decoder says about other shapes was never recorded.
    parsed
        .map(|map| map.into_iter().collect())
        .map_err(|_| Refusal::not_modelled("metadata that are no text"))
}

fn checked(key: &str, text: &str) -> Result<String, Refusal> {
    let invalid = || Refusal::bad_request(format!("invalid value: {text}"));
    match key {
        "public"
        | "enable_content_trust"
        | "enable_content_trust_cosign"
        | "prevent_vul"
        | "auto_scan"
        | "auto_sbom_generation"
        | "reuse_sys_cve_allowlist" => match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok("true".to_owned()),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok("false".to_owned()),
            _ => Err(invalid()),
        },
        "severity" => match text.to_lowercase().as_str() {
            known @ ("none" | "low" | "medium" | "high" | "critical" | "negligible") => Ok(known.to_owned()),
            _ => Err(invalid()),
        },
        _ => Err(Refusal::bad_request(format!("invalid key: {key}"))),
    }
}
