//! The Kubernetes client against the stand-in.

use std::sync::Arc;

use harborage::edge::kubernetes::{COMMIT, LOGIN_DIGEST, MANAGED_BY, ROBOT_ID, TEAM};
use harborage::plan::docker_config::{DockerConfig, Login};
use harborage::plan::observed::SecretMark;
use harborage::rehearsal::Failure;
use harborage::rehearsal::kubernetes::Kind;
use harborage::run::target::{Cluster as _, ErrorClass, Extent, Provenance};
use harborage::values::Revision;
use secrecy::SecretString;
use serde_json::json;

use super::declared::{HOST, team};
use super::support::Stage;

const NAMESPACE: &str = "team-demo";

fn login() -> Login {
    Login {
        username: "otomi-team-demo-pull".to_owned(),
        password: SecretString::from("Marker-Secret-1"),
    }
}

fn content() -> DockerConfig {
    DockerConfig::empty().with_login(&HOST.parse().unwrap(), &login())
}

fn provenance() -> Provenance {
    Provenance {
        team: "demo".parse().unwrap(),
        revision: Revision::commit("c1"),
        mark: SecretMark {
            robot_id: 7,
            robot_generation: 1,
            login_digest: "digest".to_owned(),
        },
    }
}

#[tokio::test]
async fn a_written_secret_is_read_back_with_its_mark() {
    let stage = Stage::with_namespaces(&["demo"]).await;
    let client = stage.cluster_client().await;
    let desired = team("demo");
    for credential in &desired.credentials {
        client
            .apply_secret(
                &desired.namespace,
                &credential.secrets[0],
                &content(),
                &provenance(),
                None,
            )
            .await
            .unwrap();
    }
    stage.kubernetes.look(|state| {
        let metadata = |part, key| state.metadata(Kind::Secret, NAMESPACE, "harbor-pullsecret", part, key);
        assert_eq!(metadata("labels", MANAGED_BY.0).as_deref(), Some("harborage"));
        assert_eq!(metadata("labels", TEAM).as_deref(), Some("demo"));
        assert_eq!(metadata("annotations", COMMIT).as_deref(), Some("c1"));
        assert_eq!(metadata("annotations", ROBOT_ID).as_deref(), Some("7"));
        assert_eq!(metadata("annotations", LOGIN_DIGEST).as_deref(), Some("digest"));
        assert_eq!(
            state
                .secret_type(NAMESPACE, "harbor-pushsecret-builds")
                .as_deref(),
            Some("Opaque")
        );
        assert!(
            state
                .secret_value(NAMESPACE, "harbor-pushsecret-builds", "config.json")
                .is_some()
        );
    });
    let teams = [Arc::new(desired.clone()), Arc::new(team("absent"))];
    for extent in [Extent::Single, Extent::Lists] {
        let sides = client.observe_teams(&teams, extent).await.unwrap();
        let side = &sides[&desired.team];
        assert!(side.namespace);
        assert_eq!(side.secrets.len(), 3);
        let secret = &side.secrets[&"harbor-pullsecret".parse().unwrap()];
        assert_eq!(secret.mark, Some(provenance().mark));
        let held = secret
            .content
            .as_ref()
            .unwrap()
            .as_ref()
            .unwrap()
            .login(&HOST.parse().unwrap())
            .unwrap();
        assert_eq!(held.username, login().username);
        assert!(side.service_accounts.contains_key(&"default".parse().unwrap()));
        assert!(!sides[&"absent".parse().unwrap()].namespace);
    }
}

#[tokio::test]
async fn what_others_wrote_on_a_secret_survives() {
    let stage = Stage::with_namespaces(&["demo"]).await;
    let client = stage.cluster_client().await;
    let desired = team("demo");
    let kind = "kubernetes.io/dockerconfigjson";
    stage.kubernetes.alter(|state| {
        state.put_secret(
            NAMESPACE,
            "harbor-pullsecret",
            kind,
            &[(".dockerconfigjson", "{}"), ("other", "data")],
        );
        state.edit(Kind::Secret, NAMESPACE, "harbor-pullsecret", |secret| {
            secret["metadata"]["labels"] = json!({"someone": "else"});
        });
    });
    let secret = &desired.credentials[0].secrets[0];
    client
        .apply_secret(&desired.namespace, secret, &content(), &provenance(), None)
        .await
        .unwrap();
    stage.kubernetes.look(|state| {
        assert_eq!(
            state
                .secret_value(NAMESPACE, "harbor-pullsecret", "other")
                .as_deref(),
            Some("data")
        );
        let label = state.metadata(Kind::Secret, NAMESPACE, "harbor-pullsecret", "labels", "someone");
        assert_eq!(label.as_deref(), Some("else"));
        let written = state
            .secret_value(NAMESPACE, "harbor-pullsecret", ".dockerconfigjson")
            .unwrap();
        assert!(written.contains(HOST));
    });
}

#[tokio::test]
async fn a_secret_of_another_type_or_that_is_immutable_is_replaced() {
    let desired = team("demo");
    let secret = &desired.credentials[0].secrets[0];
    for immutable in [false, true] {
        let stage = Stage::with_namespaces(&["demo"]).await;
        let client = stage.cluster_client().await;
        let kind = if immutable {
            "kubernetes.io/dockerconfigjson"
        } else {
            "Opaque"
        };
        stage.kubernetes.alter(|state| {
            state.put_secret(
                NAMESPACE,
                "harbor-pullsecret",
                kind,
                &[(".dockerconfigjson", "{}")],
            );
            state.edit(Kind::Secret, NAMESPACE, "harbor-pullsecret", |held| {
                held["immutable"] = json!(immutable);
            });
        });
        let blindly = client
            .apply_secret(&desired.namespace, secret, &content(), &provenance(), None)
            .await;
        assert_eq!(blindly.unwrap_err().class, ErrorClass::Rejected);
        let sides = client
            .observe_teams(&[Arc::new(desired.clone())], Extent::Single)
            .await
            .unwrap();
        let former = &sides[&desired.team].secrets[&secret.name];
        // Somebody replaced it after it was seen: theirs is not deleted.
        stage.kubernetes.alter(|state| {
            state.put_secret(
                NAMESPACE,
                "harbor-pullsecret",
                kind,
                &[(".dockerconfigjson", "{}")],
            );
        });
        let late = client
            .apply_secret(
                &desired.namespace,
                secret,
                &content(),
                &provenance(),
                Some(former),
            )
            .await;
        assert_eq!(late.unwrap_err().class, ErrorClass::Conflict);

        let sides = client
            .observe_teams(&[Arc::new(desired.clone())], Extent::Single)
            .await
            .unwrap();
        let mut former = sides[&desired.team].secrets[&secret.name].clone();
        former.immutable = immutable;
        client
            .apply_secret(
                &desired.namespace,
                secret,
                &content(),
                &provenance(),
                Some(&former),
            )
            .await
            .unwrap();
        let kind = stage
            .kubernetes
            .look(|state| state.secret_type(NAMESPACE, "harbor-pullsecret"));
        assert_eq!(kind.as_deref(), Some("kubernetes.io/dockerconfigjson"));
    }
}

#[tokio::test]
async fn a_list_of_pull_secrets_that_changed_meanwhile_is_a_conflict() {
    let stage = Stage::with_namespaces(&["demo"]).await;
    let client = stage.cluster_client().await;
    let desired = team("demo");
    let account = &desired.service_accounts[0];
    let observe = async || {
        let sides = client
            .observe_teams(&[Arc::new(desired.clone())], Extent::Single)
            .await
            .unwrap();
        sides[&desired.team].service_accounts[&account.name].clone()
    };
    let seen = observe().await;
    let other = |name: &str| {
        let entry = json!([{"name": name}]);
        stage.kubernetes.alter(|state| {
            state.edit(Kind::ServiceAccount, NAMESPACE, "default", |held| {
                held["imagePullSecrets"] = entry;
            });
        });
    };
    other("registry-of-somebody");
    let set = async |version: &str, names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
        client
            .set_pull_secrets(&desired.namespace, &account.name, &names, version)
            .await
    };
    let late = set(&seen.resource_version, &["harbor-pullsecret"]).await;
    assert_eq!(late.unwrap_err().class, ErrorClass::Conflict);
    let seen = observe().await;
    assert_eq!(seen.pull_secrets, ["registry-of-somebody".parse().unwrap()]);
    set(
        &seen.resource_version,
        &["registry-of-somebody", "harbor-pullsecret"],
    )
    .await
    .unwrap();
    let held = stage
        .kubernetes
        .look(|state| state.pull_secrets(NAMESPACE, "default"));
    assert_eq!(held, ["registry-of-somebody", "harbor-pullsecret"]);
}

#[tokio::test]
async fn a_service_account_that_changes_or_goes_between_two_calls_is_a_conflict() {
    for goes in [false, true] {
        let stage = Arc::new(Stage::with_namespaces(&["demo"]).await);
        let client = stage.cluster_client().await;
        let desired = team("demo");
        let account = &desired.service_accounts[0];
        let sides = client
            .observe_teams(&[Arc::new(desired.clone())], Extent::Single)
            .await
            .unwrap();
        let version = &sides[&desired.team].service_accounts[&account.name].resource_version;
        let other = Arc::clone(&stage);
        stage.kubernetes.on_call(move |call| {
            if call.method == "PATCH" {
                other.kubernetes.alter(|state| {
                    if goes {
                        state.delete_service_account(NAMESPACE, "default");
                    } else {
                        state.edit(Kind::ServiceAccount, NAMESPACE, "default", |held| {
                            held["secrets"] = json!([]);
                        });
                    }
                });
            }
        });
        let error = client
            .set_pull_secrets(&desired.namespace, &account.name, &account.pull_secrets, version)
            .await
            .unwrap_err();
        stage.kubernetes.clear_injections();
        assert_eq!(
            (error.class, error.status),
            (ErrorClass::Conflict, Some(409)),
            "{error}"
        );
        let sides = client
            .observe_teams(&[Arc::new(desired.clone())], Extent::Single)
            .await
            .unwrap();
        assert_eq!(
            sides[&desired.team].service_accounts.is_empty(),
            goes,
            "it must not come back by our doing"
        );
        if goes {
            let gone = client
                .set_pull_secrets(&desired.namespace, &account.name, &account.pull_secrets, version)
                .await;
            assert_eq!(gone.unwrap_err().class, ErrorClass::Conflict);
        }
    }
}

#[tokio::test]
async fn a_list_that_goes_stale_is_read_anew() {
    let stage = Arc::new(Stage::empty().await);
    let client = stage.cluster_client().await;
    let teams: Vec<_> = (0..600)
        .map(|number| Arc::new(team(&format!("t{number}"))))
        .collect();
    stage.kubernetes.alter(|state| {
        for team in &teams {
            state.add_namespace(team.namespace.as_str());
        }
    });
    let other = Arc::clone(&stage);
    let spoilt = std::sync::atomic::AtomicBool::new(false);
    stage.kubernetes.on_call(move |call| {
        let second_page = call.path == "/api/v1/namespaces" && call.query.contains("continue=");
        if second_page && !spoilt.swap(true, std::sync::atomic::Ordering::SeqCst) {
            other
                .kubernetes
                .alter(harborage::rehearsal::kubernetes::KubernetesState::expire_lists);
        }
    });
    let sides = client.observe_teams(&teams, Extent::Lists).await.unwrap();
    stage.kubernetes.clear_injections();
    assert!(sides.values().all(|side| side.namespace));
    // The stale page, and the two of the second reading, after the first.
    assert_eq!(stage.kubernetes.counts().of("GET", "/api/v1/namespaces"), 4);
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_concerns_its_team_alone() {
    let stage = Stage::with_namespaces(&["demo"]).await;
    let client = stage.cluster_client().await;
    let desired = team("demo");
    stage.kubernetes.alter(|state| {
        state.edit(Kind::Namespace, "", NAMESPACE, |namespace| {
            namespace["status"] = json!({"phase": "Terminating"});
        });
    });
    let secret = &desired.credentials[0].secrets[0];
    let error = client
        .apply_secret(&desired.namespace, secret, &content(), &provenance(), None)
        .await
        .unwrap_err();
    assert_eq!((error.class, error.status), (ErrorClass::Transient, Some(403)));
}

#[tokio::test]
async fn a_missing_namespace_is_waited_for_or_created() {
    let stage = Stage::empty().await;
    let client = stage.cluster_client().await;
    let desired = team("demo");
    let secret = &desired.credentials[0].secrets[0];
    let early = client
        .apply_secret(&desired.namespace, secret, &content(), &provenance(), None)
        .await;
    assert_eq!(early.unwrap_err().class, ErrorClass::Transient);
    client
        .create_namespace(&desired.namespace, &desired.team)
        .await
        .unwrap();
    let again = client
        .create_namespace(&desired.namespace, &desired.team)
        .await
        .unwrap_err();
    assert_eq!(again.class, ErrorClass::Conflict);
    client
        .apply_secret(&desired.namespace, secret, &content(), &provenance(), None)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_is_not_there() {
    let stage = Stage::with_namespaces(&["demo"]).await;
    let client = stage.cluster_client().await;
    stage.kubernetes.alter(|state| {
        state.edit(Kind::Namespace, "", NAMESPACE, |namespace| {
            namespace["status"] = json!({"phase": "Terminating"});
        });
    });
    for extent in [Extent::Single, Extent::Lists] {
        let sides = client
            .observe_teams(&[Arc::new(team("demo"))], extent)
            .await
            .unwrap();
        assert!(!sides[&"demo".parse().unwrap()].namespace);
    }
}

#[tokio::test]
async fn lists_are_paged_and_cost_no_call_a_team() {
    let stage = Stage::empty().await;
    let client = stage.cluster_client().await;
    let teams: Vec<_> = (0..1200)
        .map(|number| Arc::new(team(&format!("t{number}"))))
        .collect();
    stage.kubernetes.alter(|state| {
        for team in &teams {
            state.add_namespace(team.namespace.as_str());
            state.put_secret(team.namespace.as_str(), "harbor-pullsecret", "Opaque", &[]);
            state.put_secret(team.namespace.as_str(), "unrelated", "Opaque", &[]);
        }
    });
    let sides = client.observe_teams(&teams, Extent::Lists).await.unwrap();
    assert!(
        sides
            .values()
            .all(|side| side.namespace && side.secrets.len() == 1 && side.service_accounts.len() == 1)
    );
    let counts = stage.kubernetes.counts();
    assert_eq!(counts.of("GET", "/api/v1/namespaces"), 3);
    assert_eq!(counts.of("GET", "/api/v1/secrets"), 3 + 1 + 1);
    assert_eq!(counts.of("GET", "/api/v1/serviceaccounts"), 3);
    assert_eq!(counts.total, 11);
}

#[tokio::test]
async fn errors_have_their_class_and_no_secret() {
    let stage = Stage::with_namespaces(&["demo"]).await;
    let client = stage.cluster_client().await;
    let desired = team("demo");
    let secret = &desired.credentials[0].secrets[0];
    let fates = [
        (Failure::Unauthorized, ErrorClass::Auth),
        (Failure::ErrorBefore, ErrorClass::Transient),
        (Failure::Unavailable, ErrorClass::Transient),
        (Failure::TooMany, ErrorClass::Transient),
        (Failure::CutBefore, ErrorClass::Transient),
        (Failure::Hang, ErrorClass::Transient),
    ];
    for (failure, class) in fates {
        stage.kubernetes.clear_injections();
        stage.kubernetes.inject(move |_| Some(failure));
        let error = client
            .apply_secret(&desired.namespace, secret, &content(), &provenance(), None)
            .await
            .unwrap_err();
        assert_eq!(error.class, class, "{failure:?}: {error}");
        let wait = (failure == Failure::TooMany).then_some(std::time::Duration::from_secs(1));
        assert_eq!(error.retry_after, wait);
        assert!(!format!("{error} {error:?}").contains("Marker-Secret"));
    }
}
