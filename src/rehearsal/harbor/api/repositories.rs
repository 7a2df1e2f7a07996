//! `/repositories` and those of a project: which there are, not what is in them.

use serde_json::{Value, json as value};

use super::{
    Ask, json,
    projects::is_listed,
    query::{Cell, Query, Row},
    refusal::{Outcome, Refusal},
    time,
};
use crate::rehearsal::harbor::state::{Repository, State};

impl Row for Repository {
    fn column(&self, name: &str) -> Option<Cell> {
        Some(match name {
            "repository_id" | "RepositoryID" => Cell::Number(self.id),
            "name" | "Name" => Cell::Text(self.name.clone()),
            "project_id" | "ProjectID" => Cell::Number(self.project_id),
            "creation_time" | "CreationTime" | "update_time" | "UpdateTime" => Cell::Time(self.created),
            _ => return None,
        })
    }
}

/// Each holds one image that nobody has pulled.
fn render(repository: &Repository) -> Value {
    value!({
        "artifact_count": 1,
        "creation_time": time(repository.created),
        "id": repository.id,
        "name": repository.name,
        "project_id": repository.project_id,
        "pull_count": 0,
        "update_time": time(repository.created),
    })
}

fn listed<'a>(ask: &Ask, query: &Query, rows: impl Iterator<Item = &'a Repository>) -> Outcome {
    let mut rows = query.filter(rows)?;
    // The newest first.
    rows.sort_by_key(|repository| std::cmp::Reverse(repository.id));
    query.sort(&mut rows);
    let shown = query.cut(&rows).iter().map(|row| render(row)).collect();
    Ok(query.headers(ask, rows.len(), json(200, &Value::Array(shown))))
}

/// Those of all projects that one sees.
pub(super) fn list_all(ask: &Ask, state: &State) -> Outcome {
    let query = Query::read(ask)?;
    let projects = state.projects().filter(|project| is_listed(ask, state, project));
    listed(ask, &query, projects.flat_map(|project| &project.repositories))
}

/// Those of one project, which is called by its name even if that is a number.
pub(super) fn list(ask: &Ask, state: &State) -> Outcome {
    let query = Query::read(ask)?;
    let name = ask.values.first().map_or("", String::as_str);
    let project = state.project_named(name);
    ask.who.require_in(state, project, "repository", "list")?;
    let project = project.ok_or_else(|| Refusal::not_found(format!("project {name} not found")))?;
    listed(ask, &query, project.repositories.iter())
}
