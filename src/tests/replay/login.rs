//! Logins of the recording. A browser went through the identity provider, which is
//! not there now, so the claims are handed to the stand-in. The recording does not
//! have them: they are drawn from what the rows around show of the user.

use harborage::rehearsal::harbor::OidcLogin;
use serde_json::{Value, json};

use super::{
    database::{ISSUER, Replay},
    recording::{Reply, Row},
};

/// Whether a row is the end of a login: the provider sent the browser back, or a new
/// user has chosen a name.
pub(super) fn is_end(path: &str) -> bool {
    path.starts_with("/c/oidc/callback") || path.starts_with("/c/oidc/onboard")
}

fn path(row: &Row) -> &str {
    row.request.as_ref().map_or("", |request| request.path.as_str())
}

fn body(reply: &Reply) -> Value {
    reply
        .body
        .as_deref()
        .and_then(|body| serde_json::from_str(body).ok())
        .unwrap_or_default()
}

/// The name and the address in the message of a conflict.
fn conflict(row: &Row) -> Option<(String, String)> {
    let body = body(row.response.as_ref()?);
    let message = body.pointer("/errors/0/message")?.as_str()?;
    let names = message.strip_prefix("failed to create user record: user ")?;
    let (name, email) = names.strip_suffix(" already exists")?.split_once(" or email ")?;
    Some((name.to_owned(), email.to_owned()))
}

/// The user that the rows up to the next login show, and its identity.
fn shown(later: &[Row]) -> Option<Value> {
    let until = later
        .iter()
        .take_while(|row| !path(row).starts_with("/c/oidc/callback"));
    until
        .filter_map(|row| row.response.as_ref().map(body))
        .find(|user| user["oidc_user_meta"].is_object())
}

impl Replay {
    fn claims(&self, subject: &str, name: &str, email: &str) -> Value {
        let claim = self.harbor.look(|state| state.settings().text("oidc_user_claim"));
        let mut claims = json!({"sub": subject, "iss": ISSUER, "name": name, "email": email});
        if !claim.is_empty() {
            claims[claim] = json!(name);
        }
        claims
    }

    /// The claims of the login that ends with a row.
    fn claims_of(&self, row: &Row, later: &[Row]) -> Option<Value> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        if row.label.contains("email was changed") {
            let mut claims = self.login.clone();
            claims["email"] = json!("changed@example.com");
            return Some(claims);
        }
        if row.label.contains("updated in SQL") || row.label.contains("after its Harbor user was deleted") {
            return Some(self.login.clone());
        }
        if let Some((name, email)) = conflict(row) {
            return Some(self.claims(&format!("anew-{}", row.n), &name, &email));
        }
        if let Some(user) = shown(later) {
            let subiss = text(&user["oidc_user_meta"]["subiss"]);
            let (name, email) = (text(&user["username"]), text(&user["email"]));
            let mut claims = self.claims(subiss.strip_suffix(ISSUER)?, &name, &email);
            if user["admin_role_in_auth"] == true {
                claims["groups"] = json!(["platform-admin"]);
            }
            return Some(claims);
        }
        // Whoever is in the way of the next login came by this one.
        let (name, email) = later.iter().find_map(conflict)?;
        let local = email.split('@').next().unwrap_or_default();
        let name = if name.contains('@') { &email } else { local };
        Some(self.claims(&format!("first-{}", row.n), name, &email))
    }

    /// Logs in as a row did, and returns what came of it otherwise than recorded;
    /// none if this is no login that Harbor looked at.
    pub(super) fn log_in(&mut self, row: &Row, later: &[Row]) -> Option<Vec<String>> {
        let recorded = row.response.as_ref()?;
        let refused = body(recorded)["errors"][0]["message"].clone();
        if refused == "State mismatch" || path(row).is_empty() {
            return None;
        }
        let login = if path(row).starts_with("/c/oidc/onboard") {
            let chosen: Value = serde_json::from_str(row.request.as_ref()?.body.as_deref()?).ok()?;
            self.harbor
                .onboard_through_oidc(&self.login, chosen["username"].as_str()?)
        } else {
            self.login = self.claims_of(row, later)?;
            if row.label.contains("updated in SQL") {
                self.cure();
            }
            if recorded.headers.get("location").is_some_and(|to| to == "/") {
                // The call that switched it on again was not recorded.
                self.presuppose("oidc_auto_onboard", &json!(true));
            }
            self.harbor.log_in_through_oidc(&self.login)
        };
        // Some session, with nobody in it, unless the user got in.
        self.sid = self.harbor.open_session(0);
        let location = recorded.headers.get("location").map_or("", String::as_str);
        let same = match &login {
            OidcLogin::Through { user, sid } => {
                sid.clone_into(&mut self.sid);
                self.learn_secret(*user);
                (recorded.status == 302 && location == "/") || (recorded.status == 200 && refused.is_null())
            }
            OidcLogin::Choose { username } => {
                recorded.status == 302
                    && location == format!("/oidc-onboard?username={username}&redirect_url=")
            }
            OidcLogin::Refused { status, message } => {
                *status == recorded.status && refused == message.as_str()
            }
        };
        let difference = format!(
            "login: recorded {} {location} {refused}, ours {login:?}",
            recorded.status
        );
        Some(if same { Vec::new() } else { vec![difference] })
    }

    /// Gives the user in the way the new identity, as an operator with SQL does.
    fn cure(&self) {
        let subiss = format!("{}{ISSUER}", self.login["sub"].as_str().unwrap());
        self.harbor.alter(|state| {
            let id = state.user_named(self.login["name"].as_str().unwrap()).unwrap().id;
            state.user_mut(id).unwrap().identity.as_mut().unwrap().subiss = subiss;
        });
    }

    fn learn_secret(&mut self, user: i64) {
        let (name, secret) = self.harbor.look(|state| {
            let user = state.user(user).unwrap();
            (
                user.username.clone(),
                user.identity.as_ref().unwrap().secret.clone(),
            )
        });
        self.users.insert(name, secret);
    }
}
