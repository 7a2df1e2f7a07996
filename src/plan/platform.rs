//! The plan of the platform: Harbor's own configuration and the shared groups.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::desired::DesiredPlatform;
use super::observed::ObservedPlatform;
use super::step::{Action, Operation, Step, Verdict};

const PREFIX_KEY: &str = "robot_name_prefix";

/// Keys that name the OIDC client: when one of them changes, the client's secret goes along,
/// since Harbor never shows it and so it can't be compared.
const CLIENT_KEYS: [&str; 3] = ["auth_mode", "oidc_endpoint", "oidc_client_id"];

/// What becomes of the platform's objects.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlatformPlan {
    /// A line for each object.
    pub steps: Vec<Step>,
}

/// Plans the platform. `client_secret_known` tells whether the OIDC client's secret is configured.
#[must_use]
pub fn plan_platform(
    desired: &DesiredPlatform,
    observed: &ObservedPlatform,
    client_secret_known: bool,
) -> PlatformPlan {
    let mut steps = Vec::new();
    let mut changes = BTreeMap::new();
    let mut kept = 0_usize;
    for (key, value) in desired.configuration.iter().filter(|(key, _)| *key != PREFIX_KEY) {
        let Some(held) = observed.configuration.get(key) else {
            continue;
        };
        if held.value == *value {
            kept += 1;
        } else if held.editable {
            changes.insert(key.clone(), value.clone());
        } else {
            let why = format!(
                "it is {}, not {value}, and Harbor does not let it be changed: it is set from outside, \
                 by CONFIG_OVERWRITE_JSON for instance",
                held.value
            );
            steps.push(step(format!("configuration {key}"), Verdict::Report, &why, None));
        }
    }
    let with_client_secret = CLIENT_KEYS.iter().any(|key| changes.contains_key(*key));
    if with_client_secret && !client_secret_known {
        changes.retain(|key, _| !is_oidc(key));
        steps.push(step(
            "configuration of OIDC".to_owned(),
            Verdict::Report,
            "it differs, and the OIDC client secret is not configured (oidc-client-secret-file)",
            None,
        ));
    }
    steps.extend(prefix(desired, observed));
    steps.push(if changes.is_empty() {
        step(
            "configuration".to_owned(),
            Verdict::Keep,
            &format!("{kept} keys are as declared"),
            None,
        )
    } else {
        let why = changes
            .iter()
            .map(|(key, value)| match observed.configuration.get(key) {
                Some(held) => format!("{key} is {}, not {value}", held.value),
                None => format!("{key} is not {value}"),
            })
            .collect::<Vec<_>>()
            .join(", ");
        let with_client_secret = with_client_secret && client_secret_known;
        let action = Some(Action::WriteConfiguration {
            changes,
            with_client_secret,
        });
        step("configuration".to_owned(), Verdict::Change, &why, action)
    });
    groups(desired, observed, &mut steps);
    PlatformPlan { steps }
}

fn is_oidc(key: &str) -> bool {
    key == "auth_mode" || key == "primary_auth_mode" || key.starts_with("oidc_")
}

/// The robot prefix is applied when Harbor reads a robot, so a new one renames every robot there is, and
/// every login in use stops working. It is written by itself, before any robot is made, so that nothing
/// else that Harbor may refuse keeps it back.
fn prefix(desired: &DesiredPlatform, observed: &ObservedPlatform) -> Option<Step> {
    let wanted = desired.robot_prefix.as_ref()?;
    let held = observed.robot_prefix();
    if held == wanted {
        return None;
    }
    let editable = observed
        .configuration
        .get(PREFIX_KEY)
        .is_some_and(|item| item.editable);
    let (verdict, why, action) = if !editable {
        (
            Verdict::Report,
            format!("it is {held:?}, not {wanted:?}, and Harbor does not let it be changed"),
            None,
        )
    } else if observed.has_robots {
        // Robots keep their names and their logins work: nothing is wrong that a person has to mend.
        (
            Verdict::Keep,
            format!("it is {held:?}; {wanted:?} would rename the robots that exist"),
            None,
        )
    } else {
        let changes = BTreeMap::from([(PREFIX_KEY.to_owned(), Value::from(wanted.as_str()))]);
        let action = Action::WriteConfiguration {
            changes,
            with_client_secret: false,
        };
        (
            Verdict::Change,
            format!("it is {held:?}, not {wanted:?}, and there is no robot yet"),
            Some(action),
        )
    };
    Some(step("robot name prefix".to_owned(), verdict, &why, action))
}

fn groups(desired: &DesiredPlatform, observed: &ObservedPlatform, steps: &mut Vec<Step>) {
    for group in &desired.shared_groups {
        let object = format!("group {group}");
        let (verdict, why, action) = if observed.groups.contains(group.as_str()) {
            (Verdict::Keep, "it exists".to_owned(), None)
        } else if let Some(kind) = observed.foreign_groups.get(group.as_str()) {
            let kind = match kind {
                1 => "an LDAP group".to_owned(),
                2 => "an HTTP group".to_owned(),
                other => format!("a group of type {other}"),
            };
            let why = format!("it exists as {kind}, and Harbor allows a name only once: delete that group");
            (Verdict::Report, why, None)
        } else {
            let action = Some(Action::CreateGroup { group: group.clone() });
            (Verdict::Create, "it does not exist".to_owned(), action)
        };
        steps.push(Step {
            operation: Operation::EnsureSharedGroups,
            object,
            verdict,
            why,
            action,
        });
    }
}

fn step(object: String, verdict: Verdict, why: &str, action: Option<Action>) -> Step {
    Step {
        operation: Operation::EnsureConfiguration,
        object,
        verdict,
        why: why.to_owned(),
        action,
    }
}
