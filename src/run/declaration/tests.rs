use std::fmt::Write as _;

use super::*;
use crate::plan::desired::{RobotLifetime, StorageQuota};
use crate::values::names::TeamId;

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + chrono::Duration::days(20_000)
}

fn embedded(name: &str) -> String {
    EMBEDDED
        .iter()
        .find(|(file, _)| *file == name)
        .unwrap()
        .1
        .to_owned()
}

fn team(id: &str) -> TeamId {
    id.parse().unwrap()
}

#[test]
fn the_embedded_jobs_give_a_team_what_otomi_gives_it() {
    let jobs = JobDeclarations::load(&[], now()).unwrap();
    let desired = jobs
        .provision(&team("demo"), &"harbor.example.com".parse().unwrap(), None)
        .unwrap();
    assert_eq!(desired.project.name.as_str(), "team-demo");
    assert_eq!(desired.project.metadata["public"], "false");
    assert_eq!(desired.project.storage_quota, None);
    let members: Vec<_> = desired
        .members
        .iter()
        .map(|m| (m.group.as_str(), m.role.id()))
        .collect();
    assert_eq!(members, [("team-demo", 2), ("all-teams-admin", 1)]);
    let mut robots = String::new();
    for credential in &desired.credentials {
        let access: Vec<_> = credential.robot.access.iter().map(ToString::to_string).collect();
        let secret = &credential.secrets[0];
        assert_eq!(
            (credential.secrets.len(), credential.robot.lifetime),
            (1, RobotLifetime::Never)
        );
        let (name, key) = (&credential.robot.name, secret.form.key());
        writeln!(
            robots,
            "{name} {} {} {} {key}",
            access.join("+"),
            secret.name,
            secret.form.secret_type()
        )
        .unwrap();
    }
    let expected = "\
team-demo-pull repository:pull harbor-pullsecret kubernetes.io/dockerconfigjson .dockerconfigjson
team-demo-push repository:pull+repository:push harbor-pushsecret kubernetes.io/dockerconfigjson .dockerconfigjson
team-demo-builds repository:pull+repository:push harbor-pushsecret-builds Opaque config.json
";
    assert_eq!(robots, expected);
    assert_eq!(desired.service_accounts.len(), 1);
    assert_eq!(
        desired.service_accounts[0].pull_secrets,
        ["harbor-pullsecret".parse().unwrap()]
    );
}

#[test]
fn a_teams_own_quota_goes_before_the_jobs() {
    let text =
        embedded("provision-team.yaml").replace("    # storage_quota: 100Gi ", "    storage_quota: 100Gi #");
    let jobs = JobDeclarations::load(&[("provision-team.yaml".to_owned(), text)], now()).unwrap();
    let host = "harbor.example.com".parse().unwrap();
    let quota = |own| {
        jobs.provision(&team("demo"), &host, own)
            .unwrap()
            .project
            .storage_quota
    };
    assert_eq!(quota(None), Some(StorageQuota::Bytes(100 << 30)));
    assert_eq!(
        quota(Some(StorageQuota::Unlimited)),
        Some(StorageQuota::Unlimited)
    );
}

#[test]
fn harbor_is_configured_as_otomi_configures_it() {
    let jobs = JobDeclarations::load(&[], now()).unwrap();
    let inputs = PlatformInputs {
        issuer: Some("https://keycloak.example.com/realms/otomi".to_owned()),
        client_id: "otomi".to_owned(),
        user_claim: "email".to_owned(),
        auto_onboard: true,
        verify_certificate: false,
    };
    let desired = jobs.configure(&inputs);
    let expected = serde_json::json!({
        "auth_mode": "oidc_auth", "primary_auth_mode": true, "oidc_name": "otomi",
        "oidc_endpoint": "https://keycloak.example.com/realms/otomi", "oidc_client_id": "otomi",
        "oidc_scope": "openid", "oidc_groups_claim": "groups", "oidc_admin_group": "platform-admin",
        "oidc_user_claim": "email", "oidc_auto_onboard": true, "oidc_verify_cert": false,
        "project_creation_restriction": "adminonly", "self_registration": false,
    });
    assert_eq!(serde_json::to_value(&desired.configuration).unwrap(), expected);
    assert_eq!(desired.robot_prefix.as_deref(), Some("otomi-"));
    assert_eq!(desired.shared_groups, ["all-teams-admin".parse().unwrap()]);
    let without = jobs.configure(&PlatformInputs {
        issuer: None,
        ..inputs
    });
    assert_eq!(
        without.configuration.keys().collect::<Vec<_>>(),
        ["project_creation_restriction", "self_registration"]
    );
}

#[test]
fn a_fourth_robot_needs_no_rust() {
    let text = embedded("provision-team.yaml").replace(
        "  service_accounts:",
        "    - name: scan-{team}\n      access: [\"scan:create\"]\n      expires: 90d\n      secrets:\n        - {name: scan-login, form: opaque, key: auth.json}\n\n  service_accounts:",
    );
    let jobs = JobDeclarations::load(&[("provision-team.yaml".to_owned(), text)], now()).unwrap();
    let desired = jobs
        .provision(&team("demo"), &"h".parse().unwrap(), None)
        .unwrap();
    let fourth = &desired.credentials[3];
    assert_eq!(fourth.robot.name.as_str(), "scan-demo");
    assert_eq!(fourth.robot.lifetime, RobotLifetime::Days(90));
    assert_eq!(fourth.secrets[0].form.key(), "auth.json");
}

/// The faults of a job file in which something was replaced.
fn faults_of(file: &str, from: &str, to: &str) -> Vec<JobFault> {
    let text = embedded(file);
    assert!(text.contains(from), "{file} has no {from:?}");
    JobDeclarations::load(&[(file.to_owned(), text.replacen(from, to, 1))], now())
        .unwrap_err()
        .0
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of faults")]
fn every_fault_is_told_with_its_place() {
    let provision = "provision-team.yaml";
    for (file, from, to, word) in [
        (provision, "timeout: 1m", "timeout: soon", "no duration"),
        (provision, "timeout: 1m", "timeout: 0s", "no duration"),
        (provision, "timeout: 1m", "time: 1m", "unknown field"),
        (provision, "attempts: 10", "attempts: 0", "no attempts"),
        (provision, "factor: 2", "factor: 0.5", "factor"),
        (provision, "max: 5m", "max: 1ms", "shorter than first"),
        (provision, "scope: team", "scope: platform", "another scope"),
        (
            provision,
            "operation: ensure-quota",
            "operation: ensure-quotas",
            "unknown variant",
        ),
        (
            provision,
            "operation: ensure-quota",
            "operation: ensure-configuration",
            "not for this job",
        ),
        (
            provision,
            "operation: ensure-quota",
            "operation: ensure-project",
            "comes twice",
        ),
        (
            provision,
            "needs: [ensure-project]",
            "needs: [ensure-members]",
            "does not come before",
        ),
        (
            provision,
            "needs: [ensure-project]",
            "needs: [ensure-quota]",
            "needs itself",
        ),
        (
            provision,
            "group: team-{team}",
            "group: team-{tema}",
            "unknown placeholder",
        ),
        (
            provision,
            "group: all-teams-admin",
            "group: team-{team}",
            "comes twice",
        ),
        (provision, "role: developer", "role: owner", "unknown variant"),
        (provision, "name: team-{team}-pull", "name: pull", "same robot"),
        (
            provision,
            "name: team-{team}-pull",
            "name: Team-{team}-pull",
            "robot name",
        ),
        (
            provision,
            "name: team-{team}-pull",
            &format!("name: {}-{{team}}", "x".repeat(200)),
            "robot name",
        ),
        (
            provision,
            "name: team-{team}-pull",
            "name: team-{team}-{team}",
            "more than once",
        ),
        (
            provision,
            "name: team-{team}-builds",
            "name: team-{team}-ci-pull",
            "teams x-ci and x would share",
        ),
        (
            provision,
            "group: all-teams-admin",
            "group: other-admin",
            "shares the group",
        ),
        (
            provision,
            "access: [\"repository:pull\"]",
            "access: [pull]",
            "resource:action",
        ),
        (
            provision,
            "access: [\"repository:pull\"]",
            "access: []",
            "may do nothing",
        ),
        (provision, "expires: never", "expires: 0d", "no lifetime"),
        (
            provision,
            "name: harbor-pushsecret\n",
            "name: harbor-pullsecret\n",
            "comes twice",
        ),
        (
            provision,
            "name: harbor-pushsecret\n",
            "name: Push\n",
            "Secret name",
        ),
        (provision, "key: config.json", "key: a/b", "no key"),
        (
            provision,
            "pull_secrets: [harbor-pullsecret]",
            "pull_secrets: [other]",
            "no robot publishes",
        ),
        (
            provision,
            "pull_secrets: [harbor-pullsecret]",
            "pull_secrets: [harbor-pushsecret-builds]",
            "can't pull",
        ),
        (
            "configure-harbor.yaml",
            "\"{issuer}\"",
            "\"{isuer}\"",
            "unknown placeholder",
        ),
        (
            "configure-harbor.yaml",
            "oidc_name: otomi",
            "robot_name_prefix: x",
            "no setting like others",
        ),
        (
            "configure-harbor.yaml",
            "oidc_name: otomi",
            "oidc_name:",
            "no value that Harbor takes",
        ),
        (
            "configure-harbor.yaml",
            "oidc_name: otomi",
            "oidc_name: [a]",
            "no value that Harbor takes",
        ),
        (
            "configure-harbor.yaml",
            "oidc_name: otomi",
            "oidc_client_secret: x",
            "is a secret",
        ),
        (
            provision,
            "commit: true",
            "commit: false",
            "nothing would trigger",
        ),
        (
            provision,
            "  commit: true",
            "  commit: true\n  schedule: \"@daily\"",
            "on commits alone",
        ),
        ("repair-drift.yaml", "*/30 * * * *", "0 0 31 2 *", "never comes"),
        (
            "repair-drift.yaml",
            "[configure-harbor, provision-team]",
            "[provision-team]",
            "not among",
        ),
        (
            "repair-drift.yaml",
            "[configure-harbor, provision-team]",
            "[provision-teams]",
            "no job",
        ),
    ] {
        let faults = faults_of(file, from, to);
        let found = faults.iter().find(|fault| fault.to_string().contains(word));
        let fault = found.unwrap_or_else(|| panic!("{to:?}: no fault with {word:?} in {faults:?}"));
        assert_eq!(fault.file, file);
        let wanted = embedded(file)
            .lines()
            .position(|line| from.lines().next().is_some_and(|from| line.contains(from)))
            .unwrap()
            + 1;
        assert!(
            fault.line.abs_diff(wanted as u64) <= 6,
            "{to:?}: {fault} is far from line {wanted}"
        );
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let text = embedded("provision-team.yaml")
        .replace("timeout: 1m", "timeout: soon")
        .replace("expires: never", "expires: maybe");
    let files = [
        ("provision-team.yaml".to_owned(), text),
        ("repair-drift.yaml".to_owned(), "name: repair-drift\n".to_owned()),
        ("surprise.yaml".to_owned(), String::new()),
    ];
    let faults = JobDeclarations::load(&files, now()).unwrap_err();
    assert_eq!(faults.0.len(), 1 + 3 + 1 + 1, "{faults}");
}

#[test]
fn the_schema_in_the_tree_is_current() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs/job.schema.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, schema()).unwrap();
    }
    let held = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        held == schema(),
        "jobs/job.schema.json is not current: run the tests once with UPDATE_SCHEMA=1"
    );
}

#[test]
fn the_push_login_is_the_first_that_may_push_and_docker_can_read() {
    let push_secret = |from: &str, to: &str| {
        let text = embedded("provision-team.yaml");
        assert!(text.contains(from), "{from:?} is not in the job");
        let file = ("provision-team.yaml".to_owned(), text.replacen(from, to, 1));
        let jobs = JobDeclarations::load(&[file], now()).unwrap();
        jobs.push_secret().map(|name| name.as_str().to_owned())
    };
    let embedded = push_secret("team-{team}-push", "team-{team}-push");
    assert_eq!(embedded.as_deref(), Some("harbor-pushsecret"));
    let renamed = push_secret("name: harbor-pushsecret\n", "name: own-push\n");
    assert_eq!(renamed.as_deref(), Some("own-push"));
    let push = "harbor-pushsecret\n          form: dockerconfigjson";
    let opaque = push_secret(
        push,
        "harbor-pushsecret\n          form: opaque\n          key: config.json",
    );
    assert_eq!(opaque, None, "the builds' Secret has no form that is handed out");
}
