//! Harbor's configuration: which settings there are, and what they are at first.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a setting holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// Text.
    Text,
    /// Text that is never shown.
    Secret,
    /// A whole number.
    Number,
    /// Yes or no.
    Flag,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its key.
    pub name: &'static str,
    /// What it holds.
    pub kind: SettingKind,
    /// Its first value, as JSON.
    default: &'static str,
}

const fn text(name: &'static str, default: &'static str) -> Setting {
    Setting {
        name,
        kind: SettingKind::Text,
        default,
    }
}

const fn secret(name: &'static str) -> Setting {
    Setting {
        name,
        kind: SettingKind::Secret,
        default: r#""""#,
    }
}

const fn number(name: &'static str, default: &'static str) -> Setting {
    Setting {
        name,
        kind: SettingKind::Number,
        default,
    }
}

const fn flag(name: &'static str, default: &'static str) -> Setting {
    Setting {
        name,
        kind: SettingKind::Flag,
        default,
    }
}

const EMPTY: &str = r#""""#;

/// Every setting that version 2.15 shows or takes.
pub const SETTINGS: &[Setting] = &[
    text("audit_log_forward_endpoint", EMPTY),
    text("auth_mode", r#""db_auth""#),
    text("banner_message", EMPTY),
    text("disabled_audit_log_event_types", EMPTY),
    text("http_authproxy_admin_groups", EMPTY),
    text("http_authproxy_admin_usernames", EMPTY),
    text("http_authproxy_endpoint", EMPTY),
    text("http_authproxy_server_certificate", EMPTY),
    flag("http_authproxy_skip_search", "false"),
    text("http_authproxy_tokenreview_endpoint", EMPTY),
    flag("http_authproxy_verify_cert", "true"),
    text("ldap_base_dn", EMPTY),
    text("ldap_filter", EMPTY),
    text("ldap_group_admin_dn", EMPTY),
    flag("ldap_group_attach_parallel", "false"),
    text("ldap_group_attribute_name", EMPTY),
    text("ldap_group_base_dn", EMPTY),
    text("ldap_group_membership_attribute", r#""memberof""#),
    text("ldap_group_search_filter", EMPTY),
    number("ldap_group_search_scope", "2"),
    number("ldap_scope", "2"),
    text("ldap_search_dn", EMPTY),
    secret("ldap_search_password"),
    number("ldap_timeout", "5"),
    text("ldap_uid", r#""cn""#),
    text("ldap_url", EMPTY),
    flag("ldap_verify_cert", "true"),
    flag("notification_enable", "true"),
    text("oidc_admin_group", EMPTY),
    flag("oidc_auto_onboard", "false"),
    text("oidc_client_id", EMPTY),
    secret("oidc_client_secret"),
    text("oidc_endpoint", EMPTY),
    text("oidc_extra_redirect_parms", r#""{}""#),
    text("oidc_group_filter", EMPTY),
    text("oidc_groups_claim", EMPTY),
    flag("oidc_logout", "false"),
    text("oidc_name", EMPTY),
    text("oidc_scope", EMPTY),
    text("oidc_user_claim", EMPTY),
    flag("oidc_verify_cert", "true"),
    flag("primary_auth_mode", "false"),
    text("project_creation_restriction", r#""everyone""#),
    flag("quota_per_project_enable", "true"),
    flag("read_only", "false"),
    text("robot_name_prefix", r#""robot$""#),
    number("robot_token_duration", "30"),
    flag("scanner_skip_update_pulltime", "false"),
    flag("self_registration", "false"),
    number("session_timeout", "60"),
    flag("skip_audit_log_database", "false"),
    number("storage_per_project", "-1"),
    number("token_expiration", "30"),
    text("uaa_client_id", EMPTY),
    text("uaa_client_secret", EMPTY),
    text("uaa_endpoint", EMPTY),
    flag("uaa_verify_cert", "false"),
];

/// The values that were set; all others are as at first.
#[derive(Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Settings {
    set: BTreeMap<String, Value>,
    /// Settings that an operator fixed from outside and the API cannot change.
    #[serde(default)]
    locked: bool,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secrets.
        formatter.debug_set().entries(self.set.keys()).finish()
    }
}

impl Settings {
    /// A setting's value; null for one that does not exist.
    #[must_use]
    pub fn value(&self, name: &str) -> Value {
        if let Some(value) = self.set.get(name) {
            return value.clone();
        }
        let setting = SETTINGS.iter().find(|setting| setting.name == name);
        setting
            .and_then(|setting| serde_json::from_str(setting.default).ok())
            .unwrap_or(Value::Null)
    }

    /// Sets a value. Keys that do not exist are ignored, as Harbor does.
    pub fn set(&mut self, name: &str, value: Value) {
        if SETTINGS.iter().any(|setting| setting.name == name) {
            self.set.insert(name.to_owned(), value);
        }
    }

    /// A setting as text; empty when it is none.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        self.value(name).as_str().unwrap_or_default().to_owned()
    }

    /// A setting as yes or no.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        self.value(name) == json!(true)
    }

    /// A setting as a number; 0 when it is none.
    #[must_use]
    pub fn number(&self, name: &str) -> i64 {
        self.value(name).as_i64().unwrap_or_default()
    }

    /// What stands before every robot's name.
    #[must_use]
    pub fn robot_prefix(&self) -> &str {
        self.set
            .get("robot_name_prefix")
            .and_then(Value::as_str)
            .unwrap_or("robot$")
    }

    /// Whether users come by OIDC.
    #[must_use]
    pub fn is_oidc(&self) -> bool {
        self.text("auth_mode") == "oidc_auth"
    }

    /// Whether the configuration is fixed from outside: shown as not editable, and
    /// every change refused.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// Fixes the configuration from outside, or frees it.
    pub fn lock(&mut self, locked: bool) {
        self.locked = locked;
    }
}
