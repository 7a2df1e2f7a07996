//! `/users`.

use serde_json::{Value, json as value};

use super::{
    Ask,
    access::Principal,
    body::{Body, Kind, Shape},
    json,
    query::{Cell, Pattern, Query, Row},
    refusal::{Outcome, Refusal},
    time,
};
use crate::rehearsal::{
    Answer,
    harbor::state::{State, StoredSecret, User, generate_secret, is_acceptable},
};

static CREATE: Shape = Shape {
    name: "UserCreationReq",
    fields: &[
        ("email", Kind::Text),
        ("realname", Kind::Text),
        ("comment", Kind::Text),
        ("password", Kind::Text),
        ("username", Kind::Text),
    ],
};
static SYSADMIN: Shape = Shape {
    name: "UserSysAdminFlag",
    fields: &[("sysadmin_flag", Kind::Flag)],
};
static CLI_SECRET: Shape = Shape {
    name: "OIDCCliSecretReq",
    fields: &[("secret", Kind::Text)],
};

impl Row for User {
    fn column(&self, name: &str) -> Option<Cell> {
        Some(match name {
            "user_id" | "UserID" => Cell::Number(self.id),
            "username" | "Username" => Cell::Text(self.username.clone()),
            "email" | "Email" => Cell::Text(self.email.clone().unwrap_or_default()),
            "realname" | "Realname" => Cell::Text(self.realname.clone()),
            "comment" | "Comment" => Cell::Text(self.comment.clone()),
            "sysadmin_flag" | "SysAdminFlag" => Cell::Flag(self.sysadmin),
            "creation_time" | "CreationTime" => Cell::Time(self.created),
            "update_time" | "UpdateTime" => Cell::Time(self.updated),
            _ => return None,
        })
    }
}

/// What the login said of a user's role is known of oneself only.
fn render(ask: &Ask, user: &User, with_identity: bool) -> Value {
    let mut rendered = value!({
        "admin_role_in_auth": is_self(ask, user.id) && user.admin_by_group,
        "creation_time": time(user.created),
        "realname": user.realname,
        "sysadmin_flag": user.sysadmin,
        "update_time": time(user.updated),
        "user_id": user.id,
        "username": user.username,
    });
    if let Some(email) = &user.email {
        rendered["email"] = value!(email);
    }
    if !user.comment.is_empty() {
        rendered["comment"] = value!(user.comment);
    }
    if let Some(identity) = user.identity.as_ref().filter(|_| with_identity) {
        rendered["oidc_user_meta"] = value!({
            "creation_time": time(identity.created),
            "id": identity.id,
            "secret": identity.secret,
            "subiss": identity.subiss,
            "update_time": time(identity.updated),
            "user_id": user.id,
        });
    }
    rendered
}

/// Users but for the administrator that Harbor is born with, by name.
fn others(state: &State) -> Vec<&User> {
    let mut users: Vec<&User> = state.users().filter(|user| user.id > 1).collect();
    users.sort_by(|one, other| one.username.cmp(&other.username));
    users
}

pub(super) fn list(ask: &Ask, state: &State) -> Outcome {
    let mut query = Query::read(ask)?;
    ask.who.require("user", "list")?;
    for key in ["username", "email"] {
        let part = ask.parameter(key);
        if !part.is_empty() {
            query
                .keywords
                .push((key.to_owned(), Pattern::Fuzzy(part.to_owned())));
        }
    }
    let mut rows = query.filter(others(state).into_iter())?;
    query.sort(&mut rows);
    let shown: Vec<Value> = query
        .cut(&rows)
        .iter()
        .map(|user| render(ask, user, false))
        .collect();
    Ok(query.headers(ask, rows.len(), json(200, &Value::Array(shown))))
}

/// Finds users by a part of the name. Counted are those that have it in any case and
/// are not the administrator, listed those that have it as written.
pub(super) fn search(ask: &Ask, state: &State) -> Outcome {
    let part = ask.parameter("username");
    if part.is_empty() {
        return Err(Refusal::invalid(&["username in query is required".to_owned()]));
    }
    let query = Query::read_page(ask)?;
    ask.who.require_authenticated()?;
    let lower = part.to_lowercase();
    let total = others(state)
        .iter()
        .filter(|user| user.username.to_lowercase().contains(&lower))
        .count();
    if total == 0 {
        return Ok(query.headers(ask, 0, json(200, &value!([]))));
    }
    let found = query.best(state.users(), |user| &user.username, part)?;
    let shown = found
        .iter()
        .map(|user| value!({"user_id": user.id, "username": user.username}))
        .collect();
    Ok(query.headers(ask, total, json(200, &Value::Array(shown))))
}

pub(super) fn current(ask: &Ask, state: &State) -> Outcome {
    match &ask.who {
        Principal::Anonymous => Err(Refusal::unauthorized()),
        Principal::Robot(..) => Err(Refusal::precondition(
            "get current user not available for security context: robot",
        )),
        Principal::User(user) => shown(ask, state, user.id),
    }
}

fn shown(ask: &Ask, state: &State, id: i64) -> Outcome {
    let user = state
        .user(id)
        .ok_or_else(|| Refusal::not_found(format!("user {id} not found")))?;
    let with_identity = state.settings().is_oidc() && id > 1;
    if with_identity && user.identity.is_none() {
        // A user without an identity is one that Harbor cannot show in this mode.
        return Err(Refusal::internal());
    }
    Ok(json(200, &render(ask, user, with_identity)))
}

fn is_self(ask: &Ask, id: i64) -> bool {
    matches!(&ask.who, Principal::User(user) if user.id == id)
}

pub(super) fn get(ask: &Ask, state: &State) -> Outcome {
    let id = ask.number(0, "user_id")?;
    ask.who.require_authenticated()?;
    if !is_self(ask, id) && !ask.who.can("user", "read") {
        return Err(Refusal::forbidden(format!("Not authorized to read user: {id}")));
    }
    shown(ask, state, id)
}

pub(super) fn create(ask: &Ask, state: &mut State) -> Outcome {
    let body = Body::read(ask.request, "userReq", &CREATE)?;
    let mut complaints = Vec::new();
    for field in ["email", "username"] {
        if body.text(field).chars().count() > 255 {
            complaints.push(format!("{field} in body should be at most 255 chars long"));
        }
    }
    if !complaints.is_empty() {
        let inner = format!("validation failure list:\n{}", complaints.join("\n"));
        return Err(Refusal::invalid(&[inner]));
    }
    let mode = state.settings().text("auth_mode");
    if mode != "db_auth" {
        let message = format!("creating local user is not allowed under auth mode: {mode}");
        return Err(Refusal::forbidden(message));
    }
    if state.settings().flag("self_registration") && ask.who.require("user", "create").is_err() {
        return Err(Refusal::forbidden(
            "self-registration cannot be triggered via API",
        ));
    }
    ask.who.require("user", "create")?;
    check_secret(body.text("password"))?;
    check_profile(&body)?;
    let (username, email) = (body.text("username"), body.text("email"));
    let id = state
        .insert_user(|id| User {
            id,
            username: username.to_owned(),
            email: Some(email.to_owned()),
            realname: body.text("realname").to_owned(),
            comment: body.text("comment").to_owned(),
            sysadmin: false,
            password: Some(StoredSecret::new(body.text("password"))),
            identity: None,
            groups: Vec::new(),
            admin_by_group: false,
            deleted: false,
            created: ask.now,
            updated: ask.now,
        })
        .map_err(|_| Refusal::conflict(format!("user {username} or email {email} already exists")))?;
    Ok(Answer::new(201).header("location", ask.location(&id.to_string())))
}

fn check_secret(secret: &str) -> Result<(), Refusal> {
    if is_acceptable(secret) {
        return Ok(());
    }
    Err(Refusal::bad_request(
        "the password or secret must be 8-128, inclusively, characters long with at least 1 uppercase letter, 1 lowercase letter and 1 number",
    ))
}

fn check_profile(body: &Body) -> Result<(), Refusal> {
    let (email, realname) = (body.text("email"), body.text("realname"));
    let refused = |message: &str| Err(Refusal::bad_request(message));
    if email.is_empty() {
        return refused("email can't be empty");
    }
    if !is_address(email) {
        return refused("email with illegal format");
    }
    if !(1..=255).contains(&realname.len()) {
        return refused("realname with illegal length");
    }
    if realname.contains([',', '~', '#', '$', '%']) {
        return refused("realname contains illegal characters");
    }
    if body.text("comment").len() > 30 {
        return refused("comment with illegal length");
    }
    Ok(())
}

/// Whether a text has the shape of a mail address: dotted words, an at sign, and a
/// host name of two labels at least, the last one of two letters at least.
fn is_address(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else {
        return false;
    };
    let forbidden = |c: char| c.is_whitespace() || "<>()[]\\.,;:@\"".contains(c);
    let words = local
        .split('.')
        .all(|word| !word.is_empty() && !word.contains(forbidden));
    let Some((labels, top)) = host.rsplit_once('.') else {
        return false;
    };
    let labels = labels.split('.').all(|label| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    words && labels && top.len() >= 2 && top.bytes().all(|byte| byte.is_ascii_alphabetic())
}

pub(super) fn delete(ask: &Ask, state: &mut State) -> Outcome {
    let id = ask.number(0, "user_id")?;
    ask.who.require_authenticated()?;
    if !ask.who.can("user", "delete") {
        return Err(Refusal::forbidden("Not authorized to delete users"));
    }
    if id == 1 || is_self(ask, id) {
        return Err(Refusal::forbidden(format!("User with ID {id} cannot be deleted")));
    }
    if state.user(id).is_none() {
        return Err(Refusal::not_found(format!("user {id} not found")));
    }
    state.remove_user(id, ask.now);
    Ok(Answer::new(200))
}

pub(super) fn set_sysadmin(ask: &Ask, state: &mut State) -> Outcome {
    let id = ask.number(0, "user_id")?;
    let body = Body::read(ask.request, "sysadmin_flag", &SYSADMIN)?;
    ask.who.require("user", "update")?;
    let user = state
        .user_mut(id)
        .ok_or_else(|| Refusal::not_found(format!("user {id} not found")))?;
    user.sysadmin = body.flag("sysadmin_flag");
    user.updated = ask.now;
    Ok(Answer::new(200))
}

pub(super) fn set_cli_secret(ask: &Ask, state: &mut State) -> Outcome {
    let id = ask.number(0, "user_id")?;
    let body = Body::read(ask.request, "secret", &CLI_SECRET)?;
    let mode = state.settings().text("auth_mode");
    if mode != "oidc_auth" {
        return Err(Refusal::precondition(format!(
            "unable to update CLI secret under authmode: {mode}"
        )));
    }
    ask.who.require_authenticated()?;
    if !is_self(ask, id) && !ask.who.can("user", "update") {
        return Err(Refusal::forbidden(format!(
            "Not authorized to update the CLI secret for user: {id}"
        )));
    }
    let mut secret = body.text("secret").to_owned();
    if secret.is_empty() {
        secret = generate_secret();
    }
    check_secret(&secret)?;
    let identity = state.user_mut(id).and_then(|user| user.identity.as_mut());
    let identity =
        identity.ok_or_else(|| Refusal::not_found(format!("oidc info for user {id} not found")))?;
    identity.secret = secret;
    identity.updated = ask.now;
    Ok(Answer::new(200))
}
