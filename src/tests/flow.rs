//! From a commit to the servers, by the program itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harborage::plan::desired::StorageQuota;
use harborage::rehearsal::kubernetes::Kind;
use serde_json::json;

use super::binary::{Folder, harborage, run};
use super::end_state::{SECRETS, assert_provisioned, end_state, login};
use super::repository::ValuesRepository;
use super::support::Stage;

const HOST: &str = "harbor.demo.example.com";

#[tokio::test]
async fn a_new_platform_is_provisioned_from_a_commit_and_then_left_alone() {
    let teams = ["admin", "blue", "green"];
    let repository = ValuesRepository::with_teams(&teams);
    let stage = Stage::with_namespaces(&teams).await;
    let folder = Folder::new(&stage);
    let first = run(harborage("apply", &repository, &stage, &folder)).await;
    assert_eq!(first.status, Some(0), "{}{}", first.stdout, first.stderr);
    assert_provisioned(&stage, &teams, HOST);
    let counts = stage.harbor.counts();
    // Three teams of six, the robot prefix, the configuration and the shared group.
    assert_eq!(counts.writes, 3 * 6 + 3);

    // With the journal and without it.
    for _ in 0..2 {
        stage.harbor.reset_counts();
        stage.kubernetes.reset_counts();
        let again = run(harborage("apply", &repository, &stage, &folder)).await;
        assert_eq!(again.status, Some(0), "{}", again.stderr);
        assert_eq!(
            (stage.harbor.counts().writes, stage.kubernetes.counts().writes),
            (0, 0)
        );
        std::fs::remove_dir_all(folder.state()).unwrap();
    }
}

#[tokio::test]
async fn a_plan_writes_nothing_and_says_what_would_be() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let stage = Stage::with_namespaces(&["blue"]).await;
    let folder = Folder::new(&stage);
    let plan = run(harborage("plan", &repository, &stage, &folder)).await;
    assert_eq!(plan.status, Some(3), "{}", plan.stderr);
    assert!(
        plan.stdout.contains("+ robot team-blue-push: it does not exist"),
        "{}",
        plan.stdout
    );
    assert_eq!(
        (stage.harbor.counts().writes, stage.kubernetes.counts().writes),
        (0, 0)
    );
    run(harborage("apply", &repository, &stage, &folder)).await;
    let mut json = harborage("plan", &repository, &stage, &folder);
    json.arg("--json");
    let plan = run(json).await;
    assert_eq!(plan.status, Some(0), "{}", plan.stdout);
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(plan["teams"][0]["team"], "blue");
    assert_eq!(
        plan["summary"].as_object().unwrap().keys().collect::<Vec<_>>(),
        ["keep"]
    );
}

/// Something that happens to the servers behind our back.
type Drift<'a> = Box<dyn Fn() + 'a>;

/// What Otomi's own operator leaves: robots whose secret it chose, Secrets without a mark, and both Secrets
/// among the pull secrets of the service account, beside one of somebody else's.
async fn provisioned_by_otomi(repository: &ValuesRepository, team: &str) -> Stage {
    let stage = Stage::with_namespaces(&[team]).await;
    let folder = Folder::new(&stage);
    assert_eq!(
        run(harborage("apply", repository, &stage, &folder)).await.status,
        Some(0)
    );
    let namespace = format!("team-{team}");
    stage.kubernetes.alter(|state| {
        for (secret, key) in SECRETS {
            let value = state.secret_value(&namespace, secret, key).unwrap();
            let kind = state.secret_type(&namespace, secret).unwrap();
            state.delete_secret(&namespace, secret);
            state.put_secret(&namespace, secret, &kind, &[(key, &value)]);
        }
        state.edit(Kind::ServiceAccount, &namespace, "default", |account| {
            account["imagePullSecrets"] =
                json!([{"name": "harbor-pullsecret"}, {"name": "harbor-pushsecret"}, {"name": "registry.example.org"}]);
        });
    });
    stage.harbor.reset_counts();
    stage.kubernetes.reset_counts();
    stage
}

#[tokio::test]
async fn a_platform_that_otomi_provisioned_is_adopted_without_a_changed_credential() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let stage = provisioned_by_otomi(&repository, "blue").await;
    let folder = Folder::new(&stage);
    let logins = || SECRETS.map(|(secret, key)| login(&stage, "blue", secret, key, HOST).unwrap());
    let before = logins();
    let plan = run(harborage("plan", &repository, &stage, &folder)).await;
    assert_eq!(plan.stdout.matches("@ Secret").count(), 3, "{}", plan.stdout);
    let adopted = run(harborage("apply", &repository, &stage, &folder)).await;
    assert_eq!(adopted.status, Some(0), "{}{}", adopted.stdout, adopted.stderr);
    assert_eq!(logins(), before);
    assert_eq!(stage.harbor.counts().writes, 0);
    let writes = stage.kubernetes.counts().writes;
    assert_eq!(
        writes, 4,
        "the Secrets are marked, and pods lose the login for pushing"
    );
    let pulls = stage
        .kubernetes
        .look(|state| state.pull_secrets("team-blue", "default"));
    assert_eq!(
        pulls,
        ["harbor-pullsecret", "registry.example.org"],
        "others' entries stay"
    );
}

#[tokio::test]
async fn a_hundred_teams_at_once_cost_few_reads() {
    let names: Vec<String> = (0..100).map(|number| format!("t{number}")).collect();
    let teams: Vec<&str> = names.iter().map(String::as_str).collect();
    let repository = ValuesRepository::with_teams(&teams);
    let stage = Stage::with_namespaces(&teams).await;
    let folder = Folder::new(&stage);
    let applied = run(harborage("apply", &repository, &stage, &folder)).await;
    assert_eq!(applied.status, Some(0), "{}", applied.stderr);
    let counts = stage.harbor.counts();
    assert_eq!(counts.writes, 603);
    assert!(counts.reads + counts.sign_ins <= 20, "{} reads", counts.reads);
    assert!(counts.peak_writes <= 4);
    assert_provisioned(&stage, &["t0", "t99"], HOST);

    // A look for drift: only reads, one a team and the lists.
    stage.harbor.reset_counts();
    std::fs::remove_dir_all(folder.state()).unwrap();
    run(harborage("apply", &repository, &stage, &folder)).await;
    let counts = stage.harbor.counts();
    assert_eq!(counts.writes, 0);
    assert!(counts.reads <= 100 * 11 / 10 + 10, "{} reads", counts.reads);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of drifts")]
async fn whatever_drifted_is_repaired() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let stage = Stage::with_namespaces(&["blue"]).await;
    let folder = Folder::new(&stage);
    run(harborage("apply", &repository, &stage, &folder)).await;
    let (harbor, kubernetes) = (&stage.harbor, &stage.kubernetes);
    let robot = |name: &str| harbor.look(|state| state.robot_called(&format!("otomi-{name}")).unwrap().id);
    let foreign = r#"{"auths":{"docker.io":{"username":"somebody","password":"else"}}}"#;
    let kind = "kubernetes.io/dockerconfigjson";
    let put = |kind: &'static str, value: &'static str| -> Drift<'_> {
        Box::new(move || {
            kubernetes.alter(|state| {
                state.delete_secret("team-blue", "harbor-pushsecret");
                state.put_secret(
                    "team-blue",
                    "harbor-pushsecret",
                    kind,
                    &[(".dockerconfigjson", value)],
                );
            });
        })
    };
    let drifts: Vec<(&str, Drift<'_>)> = vec![
        (
            "a Secret is deleted",
            Box::new(|| kubernetes.alter(|state| state.delete_secret("team-blue", "harbor-pullsecret"))),
        ),
        ("a Secret has the wrong type", put("Opaque", "{}")),
        ("a Secret has another registry's login", put(kind, foreign)),
        ("a Secret has no JSON object", put(kind, "[]")),
        (
            "a robot is deleted",
            Box::new(|| {
                let id = robot("team-blue-pull");
                harbor.alter(|state| state.remove_robot(id));
            }),
        ),
        (
            "a robot is disabled",
            Box::new(|| {
                let id = robot("team-blue-push");
                harbor.alter(|state| state.robot_mut(id).unwrap().disabled = true);
            }),
        ),
        (
            "a robot may do something else",
            Box::new(|| {
                let id = robot("team-blue-pull");
                harbor.alter(|state| {
                    state.robot_mut(id).unwrap().grants[0].access[0].action = "push".to_owned();
                });
            }),
        ),
        (
            "a robot expires",
            Box::new(|| {
                let id = robot("team-blue-builds");
                harbor.alter(|state| state.robot_mut(id).unwrap().set_duration(30));
            }),
        ),
        (
            "the project is public",
            Box::new(|| {
                harbor.alter(|state| {
                    let id = state.project_named("team-blue").unwrap().id;
                    state
                        .project_mut(id)
                        .unwrap()
                        .metadata
                        .insert("public".to_owned(), "true".to_owned());
                });
            }),
        ),
        (
            "a member is gone",
            Box::new(|| {
                harbor.alter(|state| {
                    let project = state.project_named("team-blue").unwrap().id;
                    let member = state
                        .members(project)
                        .find(|member| state.member_name(member) == Some("team-blue"))
                        .unwrap()
                        .id;
                    state.remove_member(project, member);
                });
            }),
        ),
        (
            "the service account lost its list",
            Box::new(|| {
                kubernetes.alter(|state| {
                    state.edit(Kind::ServiceAccount, "team-blue", "default", |account| {
                        account["imagePullSecrets"] = json!([]);
                    });
                });
            }),
        ),
    ];
    for (what, drift) in drifts {
        drift();
        let applied = run(harborage("apply", &repository, &stage, &folder)).await;
        assert_eq!(
            applied.status,
            Some(0),
            "{what}: {}{}",
            applied.stdout,
            applied.stderr
        );
        assert_provisioned(&stage, &["blue"], HOST);
    }
    let kept = kubernetes
        .look(|state| state.secret_value("team-blue", "harbor-pushsecret", ".dockerconfigjson"))
        .unwrap();
    assert!(
        !kept.contains("docker.io"),
        "the Secret was replaced since: {kept}"
    );
}

#[tokio::test]
async fn a_foreign_login_in_a_secret_is_kept() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let stage = Stage::with_namespaces(&["blue"]).await;
    let folder = Folder::new(&stage);
    let auth = STANDARD.encode("somebody:else");
    let foreign = format!(r#"{{"auths":{{"docker.io":{{"auth":"{auth}"}}}}}}"#);
    stage.kubernetes.alter(|state| {
        state.put_secret(
            "team-blue",
            "harbor-pullsecret",
            "kubernetes.io/dockerconfigjson",
            &[(".dockerconfigjson", &foreign)],
        );
    });
    let applied = run(harborage("apply", &repository, &stage, &folder)).await;
    assert_eq!(applied.status, Some(0), "{}", applied.stderr);
    assert_provisioned(&stage, &["blue"], HOST);
    let value = stage
        .kubernetes
        .look(|state| state.secret_value("team-blue", "harbor-pullsecret", ".dockerconfigjson"))
        .unwrap();
    let value: serde_json::Value = serde_json::from_str(&value).unwrap();
    assert_eq!(value["auths"]["docker.io"]["auth"], auth.as_str());
}

#[tokio::test]
async fn a_changed_domain_changes_the_registry_and_no_credential() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let stage = Stage::with_namespaces(&["blue"]).await;
    let folder = Folder::new(&stage);
    run(harborage("apply", &repository, &stage, &folder)).await;
    let before = SECRETS.map(|(secret, key)| login(&stage, "blue", secret, key, HOST).unwrap());
    repository.set_domain("new.example.com");
    repository.commit("move");
    let applied = run(harborage("apply", &repository, &stage, &folder)).await;
    assert_eq!(applied.status, Some(0), "{}{}", applied.stdout, applied.stderr);
    let host = "harbor.new.example.com";
    assert_provisioned(&stage, &["blue"], host);
    assert_eq!(
        SECRETS.map(|(secret, key)| login(&stage, "blue", secret, key, host).unwrap()),
        before
    );
    assert!(
        SECRETS
            .iter()
            .all(|(secret, key)| login(&stage, "blue", secret, key, HOST).is_none())
    );
}

#[tokio::test]
async fn a_declared_quota_is_kept() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    repository.write_team_with_quota("blue", "5Gi");
    repository.commit("a quota");
    let stage = Stage::with_namespaces(&["blue"]).await;
    let folder = Folder::new(&stage);
    let storage = || {
        stage.harbor.look(|state| {
            let id = state.project_named("team-blue").unwrap().id;
            state
                .quotas()
                .find(|quota| quota.project_id == id)
                .unwrap()
                .storage
        })
    };
    run(harborage("apply", &repository, &stage, &folder)).await;
    assert_eq!(storage(), StorageQuota::Bytes(5 << 30).as_harbor());
    repository.write_team_with_quota("blue", "unlimited");
    repository.commit("no quota");
    let applied = run(harborage("apply", &repository, &stage, &folder)).await;
    assert_eq!((applied.status, storage()), (Some(0), -1), "{}", applied.stderr);
}

#[tokio::test]
async fn a_fault_in_one_team_holds_that_team_and_no_other() {
    let repository = ValuesRepository::with_teams(&["blue", "green"]);
    let stage = Stage::with_namespaces(&["blue", "green", "new"]).await;
    let folder = Folder::new(&stage);
    run(harborage("apply", &repository, &stage, &folder)).await;
    let before = end_state(&stage, &["blue"], HOST);
    repository.write("env/teams/blue/settings.yaml", "spec: [broken");
    repository.write_team("new");
    repository.commit("break blue");
    let applied = run(harborage("apply", &repository, &stage, &folder)).await;
    assert_eq!(applied.status, Some(4), "{}", applied.stderr);
    assert!(
        applied.stderr.contains("env/teams/blue/settings.yaml"),
        "{}",
        applied.stderr
    );
    assert_provisioned(&stage, &["green", "new"], HOST);
    assert_eq!(end_state(&stage, &["blue"], HOST), before);
}

#[tokio::test]
async fn a_fault_in_what_all_share_refuses_the_commit() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let stage = Stage::with_namespaces(&["blue"]).await;
    let folder = Folder::new(&stage);
    repository.write("env/settings/cluster.yaml", "spec: [broken");
    repository.commit("break all");
    let applied = run(harborage("apply", &repository, &stage, &folder)).await;
    assert_eq!(applied.status, Some(1), "{}", applied.stderr);
    assert!(
        applied.stderr.contains("env/settings/cluster.yaml:"),
        "{}",
        applied.stderr
    );
    assert_eq!(
        (stage.harbor.counts().total, stage.kubernetes.counts().total),
        (0, 0)
    );
}

#[tokio::test]
async fn a_removed_team_keeps_what_it_has() {
    let repository = ValuesRepository::with_teams(&["blue", "green"]);
    let stage = Stage::with_namespaces(&["blue", "green"]).await;
    let folder = Folder::new(&stage);
    run(harborage("apply", &repository, &stage, &folder)).await;
    repository.remove_team("green");
    repository.commit("green leaves");
    let applied = run(harborage("apply", &repository, &stage, &folder)).await;
    assert_eq!(applied.status, Some(0), "{}", applied.stderr);
    assert_provisioned(&stage, &["blue", "green"], HOST);
    assert!(applied.stdout.contains("removed"), "{}", applied.stdout);
}
