//! `/configurations`.

use serde_json::{Map, Value, json as value};

use super::{
    Ask,
    body::{Body, Kind, Shape},
    json,
    refusal::{Outcome, Refusal},
};
use crate::rehearsal::{
    Answer,
    harbor::state::{SETTINGS, SettingKind, State},
};

/// The largest number of the settings that are durations.
const LARGEST: i64 = 9_999_999_999;

/// The ways to sign in.
const MODES: [&str; 5] = ["db_auth", "ldap_auth", "uaa_auth", "http_auth", "oidc_auth"];

/// Whether the way to sign in can be changed: only while there is nobody but the
/// administrator.
fn auth_mode_is_free(state: &State) -> bool {
    state.users().all(|user| user.id == 1)
}

pub(super) fn show(ask: &Ask, state: &State) -> Outcome {
    ask.who.require("configuration", "read")?;
    let settings = state.settings();
    let mut shown = Map::new();
    for setting in SETTINGS
        .iter()
        .filter(|setting| setting.kind != SettingKind::Secret)
    {
        let editable = !settings.is_locked() && (setting.name != "auth_mode" || auth_mode_is_free(state));
        let entry = value!({"editable": editable, "value": settings.value(setting.name)});
        shown.insert(setting.name.to_owned(), entry);
    }
    shown.insert("scan_all_policy".to_owned(), value!({}));
    Ok(json(200, &Value::Object(shown)))
}

/// The shape of the body, made from the settings once.
fn shape() -> &'static Shape {
    static SHAPE: std::sync::LazyLock<Shape> = std::sync::LazyLock::new(|| {
        let fields = SETTINGS.iter().map(|setting| {
            let kind = match setting.kind {
                SettingKind::Text | SettingKind::Secret => Kind::Text,
                SettingKind::Number => Kind::Number,
                SettingKind::Flag => Kind::Flag,
            };
            (setting.name, kind)
        });
        // Lives as long as the process, as a table written out would.
        Shape {
            name: "Configurations",
            fields: Box::leak(fields.collect::<Vec<_>>().into_boxed_slice()),
        }
    });
    &SHAPE
}

pub(super) fn update(ask: &Ask, state: &mut State) -> Outcome {
    let body = Body::read(ask.request, "configurations", shape())?;
    ask.who.require("configuration", "update")?;
    if state.settings().is_locked() {
        return Err(Refusal::forbidden(
            "current config is init by env variable: CONFIG_OVERWRITE_JSON, it cannot be updated",
        ));
    }
    check(&body, state)?;
    for (name, value) in body.entries() {
        state.settings_mut().set(name, value.clone());
    }
    Ok(Answer::new(200))
}

fn check(body: &Body, state: &State) -> Result<(), Refusal> {
    let mode = body.text("auth_mode");
    if body.has("auth_mode") && mode != state.settings().text("auth_mode") && !auth_mode_is_free(state) {
        return Err(Refusal::bad_request(
            "the auth mode cannot be modified as new users have been inserted into database",
        ));
    }
    let item = |name: &str, why: &str| {
        Err(Refusal::bad_request(format!(
            "bad request: item name {name}: {why}"
        )))
    };
    if body.has("auth_mode") && !MODES.contains(&mode) {
        let why = format!("invalid auth_mode, shoud be one of {}", MODES.join(", "));
        return item("auth_mode", &why);
    }
    let restriction = body.text("project_creation_restriction");
    if body.has("project_creation_restriction") && !matches!(restriction, "adminonly" | "everyone") {
        let why = "invalid project_creation_restriction, should be adminonly or everyone";
        return item("project_creation_restriction", why);
    }
    for name in ["token_expiration", "robot_token_duration", "session_timeout"] {
        let number = body.number(name);
        if body.has(name) && number <= 0 {
            return Err(Refusal::bad_request(format!("the {name} value must be positive")));
        }
        if number > LARGEST {
            let message = format!("the {name} value is over the limit value: {LARGEST}");
            return Err(Refusal::bad_request(message));
        }
    }
    Ok(())
}
