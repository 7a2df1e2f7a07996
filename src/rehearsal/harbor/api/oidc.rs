//! What a login through the identity provider leads to, from its claims on.

use serde_json::Value;

use super::refusal::Refusal;
use crate::rehearsal::harbor::state::{Moment, State, User, generate_secret};

/// What a name that a user chooses must not have in it.
const ILLEGAL: &str = ",\"~#%$";
/// The most characters that the database takes of a name or an address.
const LONGEST: usize = 255;

/// How a login goes on.
pub(in crate::rehearsal::harbor) enum Step {
    /// The user is signed in.
    Through(i64),
    /// The user is new and has to choose a name; this one is proposed.
    Choose(String),
}

/// Signs in whom the claims are about. Who is new is onboarded, where that is set.
pub(in crate::rehearsal::harbor) fn log_in(
    state: &mut State,
    claims: &Value,
    now: Moment,
) -> Result<Step, Refusal> {
    let info = Info::read(state, claims)?;
    let known = state.user_of_identity(&info.subiss).map(|user| user.id);
    let id = match known {
        Some(id) => {
            info.renew_groups(state, id);
            id
        }
        None if !state.settings().flag("oidc_auto_onboard") => return Ok(Step::Choose(info.username)),
        None if info.username.is_empty() => return Err(Refusal::internal()),
        None => {
            let id = info.insert_user(state, &info.username, now)?;
            // This is no transaction: without the identity the user stays all the same.
            info.insert_identity(state, id, now)?;
            id
        }
    };
    if let Some(identity) = state.user_mut(id).and_then(|user| user.identity.as_mut()) {
        identity.updated = now;
    }
    Ok(Step::Through(id))
}

/// Onboards whom the claims are about under a name of their choice.
pub(in crate::rehearsal::harbor) fn onboard(
    state: &mut State,
    claims: &Value,
    username: &str,
    now: Moment,
) -> Result<i64, Refusal> {
    let info = Info::read(state, claims)?;
    if !(1..=LONGEST).contains(&username.len()) {
        return Err(Refusal::bad_request("username with illegal length"));
    }
    if username.contains(|c| ILLEGAL.contains(c)) {
        return Err(Refusal::bad_request(format!(
            "username {username} contains illegal characters: {ILLEGAL}"
        )));
    }
    let id = info.insert_user(state, username, now)?;
    info.insert_identity(state, id, now)
        .inspect_err(|_| state.discard_user(id))?;
    Ok(id)
}

/// What Harbor reads out of the claims.
struct Info {
    /// Subject and issuer, one after the other with nothing between.
    subiss: String,
    username: String,
    email: Option<String>,
    groups: Vec<String>,
    is_admin: bool,
}

impl Info {
    fn read(state: &State, claims: &Value) -> Result<Self, Refusal> {
        let settings = state.settings();
        if !settings.is_oidc() {
            let mode = settings.text("auth_mode");
            return Err(Refusal::wrong_mode(format!(
                "auth mode: {mode} is not OIDC based"
            )));
        }
        if !settings.text("oidc_group_filter").is_empty() {
            return Err(Refusal::not_modelled("a filter of the provider's groups"));
        }
        let text = |claim: &str| claims[claim].as_str().unwrap_or_default();
        let chosen = text(&settings.text("oidc_user_claim"));
        let username = if chosen.is_empty() { text("name") } else { chosen };
        let groups = claims[settings.text("oidc_groups_claim")].as_array();
        let groups: Vec<String> = groups
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect();
        Ok(Self {
            subiss: format!("{}{}", text("sub"), text("iss")),
            username: username.replace([' ', ','], "_"),
            // Without an address there is none to be taken.
            email: Some(text("email").to_owned()).filter(|email| !email.is_empty()),
            is_admin: groups.contains(&settings.text("oidc_admin_group")),
            groups,
        })
    }

    /// Makes the groups that are not there yet, also for a user who is then refused.
    fn insert_user(&self, state: &mut State, username: &str, now: Moment) -> Result<i64, Refusal> {
        let groups = state.onboard_groups(&self.groups);
        let email = self.email.clone();
        if username.chars().count() > LONGEST || email.iter().any(|email| email.chars().count() > LONGEST) {
            return Err(Refusal::internal());
        }
        let inserted = state.insert_user(|id| User {
            id,
            username: username.to_owned(),
            email,
            realname: username.to_owned(),
            comment: "Onboarded via OIDC provider".to_owned(),
            sysadmin: false,
            password: None,
            identity: None,
            groups,
            admin_by_group: self.is_admin,
            deleted: false,
            created: now,
            updated: now,
        });
        inserted.map_err(|_| {
            let email = self.email.as_deref().unwrap_or_default();
            Refusal::wrapped_conflict(format!(
                "failed to create user record: user {username} or email {email} already exists"
            ))
        })
    }

    fn insert_identity(&self, state: &mut State, user: i64, now: Moment) -> Result<(), Refusal> {
        let subiss = &self.subiss;
        let inserted = state.insert_identity(user, subiss, generate_secret(), now);
        inserted.map_err(|_| {
            Refusal::wrapped_conflict(format!(
                "failed to create OIDC metadata record: The OIDC info for user {user} exists, subissuer: {subiss}"
            ))
        })
    }

    fn renew_groups(&self, state: &mut State, id: i64) {
        let groups = state.onboard_groups(&self.groups);
        if let Some(user) = state.user_mut(id) {
            user.groups = groups;
            user.admin_by_group = self.is_admin;
        }
    }
}
