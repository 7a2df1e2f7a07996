//! What was found, and what to change. Pure.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::daemon::source::Reading;
use crate::edge::kubernetes::Right;
use crate::plan::observed::ObservedPlatform;
use crate::run::chain;
use crate::run::engine::Intent;
use crate::run::target::{ErrorClass, TargetError};

/// How something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It works, and a person may want to know.
    Remark,
    /// It has to be changed.
    Wrong,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What: `repository`, `Harbor`, `Kubernetes`, `state`.
    pub subject: &'static str,
    /// How it was found.
    pub verdict: Verdict,
    /// What was found, as a sentence.
    pub told: String,
    /// What to change.
    pub remedy: Option<String>,
}

pub(super) fn good(subject: &'static str, told: String) -> Finding {
    Finding {
        subject,
        verdict: Verdict::Good,
        told,
        remedy: None,
    }
}

pub(super) fn found(subject: &'static str, verdict: Verdict, told: String, remedy: &str) -> Finding {
    Finding {
        subject,
        verdict,
        told,
        remedy: Some(remedy.to_owned()),
    }
}

pub(super) fn judge_reading(reading: &Reading) -> Vec<Finding> {
    const SUBJECT: &str = "repository";
    let snapshot = &reading.snapshot;
    let (commit, teams) = (snapshot.revision.short(), snapshot.teams.len());
    let mut findings = vec![good(
        SUBJECT,
        format!(
            "It is read at {commit}: layout {}, {teams} teams.",
            snapshot.layout
        ),
    )];
    if !snapshot.held.is_empty() {
        let told = format!(
            "{} teams are held, since their values are at fault.",
            snapshot.held.len()
        );
        let remedy = "mend them; `harborage check` shows each fault with its place";
        findings.push(found(SUBJECT, Verdict::Wrong, told, remedy));
    }
    if reading.intent.is_none() {
        let told =
            "Harbor is switched off in it, or its domain is not known: nothing would be done.".to_owned();
        let remedy = "set apps.harbor.enabled and the cluster's domainSuffix, or give --registry-host";
        findings.push(found(SUBJECT, Verdict::Remark, told, remedy));
    }
    findings
}

pub(super) fn judge_harbor(
    url: &str,
    username: &str,
    observed: &ObservedPlatform,
    has_secret: bool,
) -> Vec<Finding> {
    const SUBJECT: &str = "Harbor";
    let version = &observed.version;
    let mut findings = vec![good(SUBJECT, format!("{version} at {url} lets {username} in."))];
    if observed.read_only {
        let told = "It is in read-only mode and takes no write.".to_owned();
        let remedy = "switch that off in its system settings";
        findings.push(found(SUBJECT, Verdict::Wrong, told, remedy));
    }
    let mode = observed
        .configuration
        .get("auth_mode")
        .and_then(|item| item.value.as_str());
    if mode.is_some_and(|mode| mode != "oidc_auth") && !has_secret {
        let told = format!(
            "Its auth_mode is {}, and no client secret is given to change that.",
            mode.unwrap_or_default()
        );
        let remedy = "give --oidc-client-secret-file; until then groups can't be members";
        findings.push(found(SUBJECT, Verdict::Wrong, told, remedy));
    }
    findings
}

pub(super) fn refused(subject: &'static str, error: &TargetError) -> Finding {
    let remedy = match error.class {
        ErrorClass::Auth => "see that the login is right and is an administrator's",
        ErrorClass::Transient | ErrorClass::Conflict => "see that it runs and is reached from here",
        ErrorClass::Rejected => "see that its URL is right",
    };
    found(subject, Verdict::Wrong, format!("{}.", chain(error)), remedy)
}

/// What the role of `deploy/` allows, by the objects that teams get.
pub(super) fn needed(intent: Option<&Intent>) -> Vec<Right> {
    let teams = || intent.into_iter().flat_map(|intent| &intent.teams);
    let secrets: BTreeSet<String> = teams()
        .flat_map(|team| &team.credentials)
        .flat_map(|credential| &credential.secrets)
        .map(|secret| secret.name.to_string())
        .collect();
    let accounts: BTreeSet<String> = teams()
        .flat_map(|team| &team.service_accounts)
        .map(|account| account.name.to_string())
        .collect();
    let rights = |resource, verbs: &'static [&'static str], names: BTreeSet<String>| {
        names.into_iter().flat_map(move |name| {
            verbs.iter().map(move |verb| Right {
                verb,
                resource,
                name: Some(name.clone()),
            })
        })
    };
    ["get", "list"]
        .into_iter()
        .map(|verb| Right {
            verb,
            resource: "namespaces",
            name: None,
        })
        .chain(rights(
            "secrets",
            &["get", "list", "create", "patch", "delete"],
            secrets,
        ))
        .chain(rights("serviceaccounts", &["get", "list", "patch"], accounts))
        .collect()
}

pub(super) fn judge_rights(needed: usize, lacking: &[Right], too_much: bool) -> Vec<Finding> {
    const SUBJECT: &str = "Kubernetes";
    let mut findings = Vec::new();
    if lacking.is_empty() {
        findings.push(good(
            SUBJECT,
            format!("It answers, and allows all {needed} things that are needed."),
        ));
    } else {
        let names: Vec<String> = lacking.iter().map(ToString::to_string).collect();
        let told = format!("It does not let us {}.", names.join(", "));
        findings.push(found(
            SUBJECT,
            Verdict::Wrong,
            told,
            "apply deploy/rbac.yaml, and bind it to whom we are",
        ));
    }
    if too_much {
        let told = "It lets us read every Secret of the cluster, which is more than is needed.".to_owned();
        findings.push(found(
            SUBJECT,
            Verdict::Remark,
            told,
            "use a login with the role of deploy/rbac.yaml alone",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::observed::ConfigurationItem;

    fn observed(mode: &str, read_only: bool) -> ObservedPlatform {
        let item = ConfigurationItem {
            value: mode.into(),
            editable: true,
        };
        ObservedPlatform {
            version: "v2.15.2".to_owned(),
            read_only,
            configuration: BTreeMap::from([("auth_mode".to_owned(), item)]),
            groups: BTreeSet::new(),
            foreign_groups: BTreeMap::new(),
            has_robots: false,
        }
    }

    fn verdicts(findings: &[Finding]) -> Vec<Verdict> {
        findings.iter().map(|finding| finding.verdict).collect()
    }

    #[test]
    fn a_harbor_is_judged_by_what_stands_in_the_way() {
        let judge =
            |mode, read_only, secret| judge_harbor("https://h", "admin", &observed(mode, read_only), secret);
        assert_eq!(verdicts(&judge("oidc_auth", false, false)), [Verdict::Good]);
        assert_eq!(verdicts(&judge("db_auth", false, true)), [Verdict::Good]);
        assert_eq!(
            verdicts(&judge("db_auth", false, false)),
            [Verdict::Good, Verdict::Wrong]
        );
        assert_eq!(
            verdicts(&judge("oidc_auth", true, false)),
            [Verdict::Good, Verdict::Wrong]
        );
    }

    #[test]
    fn rights_that_lack_are_named_and_rights_too_many_are_remarked() {
        let right = Right {
            verb: "patch",
            resource: "secrets",
            name: Some("harbor-pullsecret".to_owned()),
        };
        let findings = judge_rights(3, &[right], true);
        assert_eq!(verdicts(&findings), [Verdict::Wrong, Verdict::Remark]);
        assert!(
            findings[0]
                .told
                .contains("patch secrets called harbor-pullsecret")
        );
        assert_eq!(verdicts(&judge_rights(3, &[], false)), [Verdict::Good]);
    }
}
