//! What a robot is to be allowed: how it is asked for, checked and stored.

use super::{body::Body, catalogue, refusal::Refusal};
use crate::rehearsal::harbor::state::{Access, Grant, Project, Robot, Scope, State};

/// One permission as it is asked for.
pub(super) struct Wish {
    kind: String,
    pub(super) namespace: String,
    access: Vec<Access>,
}

/// A project as a robot's permission names it: by name, whatever it looks like.
pub(super) fn namespace<'a>(state: &'a State, name: &str) -> Result<&'a Project, Refusal> {
    state
        .project_named(name)
        .ok_or_else(|| Refusal::not_found(format!("project {name} not found")))
}

fn wishes(body: &Body) -> Result<Vec<Wish>, Refusal> {
    // A null among them is what Harbor does not survive: it answers with nothing.
    let crash = || Refusal::bare(500);
    let mut wishes = Vec::new();
    for permission in body.list("permissions") {
        let permission = permission.ok_or_else(crash)?;
        let mut access = Vec::new();
        for wish in permission.list("access") {
            let wish = wish.ok_or_else(crash)?;
            access.push(Access {
                resource: wish.text("resource").to_owned(),
                action: wish.text("action").to_owned(),
                effect: wish.text("effect").to_owned(),
            });
        }
        wishes.push(Wish {
            kind: permission.text("kind").to_owned(),
            namespace: permission.text("namespace").to_owned(),
            access,
        });
    }
    Ok(wishes)
}

/// Harbor's checks of what is asked for, in its order.
pub(super) fn check(duration: i64, level: &str, body: &Body) -> Result<Vec<Wish>, Refusal> {
    let refused = |message: String| Err(Refusal::bad_request(message));
    if duration != -1 && !(1..i64::from(i32::MAX)).contains(&duration) {
        return refused(format!(
            "bad request error duration input: {duration}, duration must be either -1(Never) or a positive integer"
        ));
    }
    if level != "system" && level != "project" {
        return refused(format!("bad request error level input: {level}"));
    }
    let wishes = wishes(body)?;
    if wishes.is_empty() {
        return refused("bad request empty permission".to_owned());
    }
    if wishes.iter().any(|wish| wish.access.is_empty()) {
        return refused("bad request empty access".to_owned());
    }
    if level == "project" && wishes.len() > 1 {
        return refused("bad request permission".to_owned());
    }
    for wish in &wishes {
        let catalogue = match wish.kind.as_str() {
            "system" => catalogue::SYSTEM,
            "project" => catalogue::PROJECT,
            other => return refused(format!("bad request permission level: {other}")),
        };
        let unknown = wish
            .access
            .iter()
            .find(|access| !catalogue::contains(catalogue, &access.resource, &access.action));
        if let Some(Access { resource, action, .. }) = unknown {
            return refused(format!("bad request permission: {resource}:{action}"));
        }
    }
    Ok(wishes)
}

/// Permissions as they are stored: one grant a scope, in order.
pub(super) fn grants(state: &State, wishes: Vec<Wish>) -> Result<Vec<Grant>, Refusal> {
    let mut grants: Vec<Grant> = Vec::new();
    for wish in wishes {
        let scope = match (wish.kind.as_str(), wish.namespace.as_str()) {
            ("system", "/") => Scope::System,
            ("system", _) => return Err(Refusal::bad_request("unknown namespace")),
            (_, "*") => Scope::AllProjects,
            (_, name) => Scope::Project(namespace(state, name)?.id),
        };
        match grants.iter_mut().find(|grant| grant.scope == scope) {
            Some(grant) => grant.access.extend(wish.access),
            None => grants.push(Grant {
                scope,
                access: wish.access,
            }),
        }
    }
    Ok(grants)
}

/// Whether a robot that creates another one gives away no more than it has. What it
/// has in a project hides what it has in all; and an effect that is written out is
/// another one than the same effect left out.
pub(super) fn covers(creator: &Robot, grants: &[Grant]) -> bool {
    let held = |scope: Scope| creator.grants.iter().find(|grant| grant.scope == scope);
    grants.iter().all(|wanted| {
        let in_all = || match wanted.scope {
            Scope::Project(_) => held(Scope::AllProjects),
            Scope::System | Scope::AllProjects => None,
        };
        held(wanted.scope)
            .or_else(in_all)
            .is_some_and(|held| wanted.access.iter().all(|access| held.access.contains(access)))
    })
}
