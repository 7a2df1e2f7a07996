//! The manifests of `deploy/`: that they parse, and that the role is what the client needs and no more.

use std::collections::BTreeSet;
use std::sync::Arc;

use harborage::plan::docker_config::DockerConfig;
use harborage::plan::observed::SecretMark;
use harborage::rehearsal::CallLog;
use harborage::rehearsal::kubernetes::Kind;
use harborage::run::target::{Cluster as _, Extent, Provenance, PushLogins as _};
use harborage::values::Revision;
use serde_json::{Value, json};

use super::declared::{push_secret, team};
use super::support::Stage;

const RBAC: &str = include_str!("../../deploy/rbac.yaml");
const DEPLOYMENT: &str = include_str!("../../deploy/deployment.yaml");

fn documents(text: &str) -> Vec<Value> {
    text.split("\n---\n")
        .map(|text| serde_yaml::from_str_with_options(text, serde_yaml::Options::default()).unwrap())
        .collect()
}

fn of_kind(text: &str, kind: &str) -> Value {
    documents(text)
        .into_iter()
        .find(|document| document["kind"] == kind)
        .unwrap()
}

fn texts(list: &Value) -> BTreeSet<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

/// Verb, resource and, where the rule names objects, name.
type Permission = (String, String, Option<String>);

fn granted() -> BTreeSet<Permission> {
    let role = of_kind(RBAC, "ClusterRole");
    let mut granted = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        assert_eq!(texts(&rule["apiGroups"]), BTreeSet::from([String::new()]));
        let names = texts(&rule["resourceNames"]);
        for resource in texts(&rule["resources"]) {
            for verb in texts(&rule["verbs"]) {
                if names.is_empty() {
                    granted.insert((verb, resource.clone(), None));
                } else {
                    granted.extend(
                        names
                            .iter()
                            .map(|name| (verb.clone(), resource.clone(), Some(name.clone()))),
                    );
                }
            }
        }
    }
    granted
}

/// What the API server would have authorised a call by. An apply that creates is authorised as both.
fn asked(log: &CallLog) -> Vec<Permission> {
    let path: Vec<&str> = log.call.path.trim_start_matches("/api/v1/").split('/').collect();
    let (resource, name) = match path.as_slice() {
        ["namespaces", _, resource, name] => (*resource, Some((*name).to_owned())),
        ["namespaces", _] => ("namespaces", None),
        [resource] => {
            let name = log
                .call
                .query
                .split('&')
                .find_map(|part| part.strip_prefix("fieldSelector=metadata.name%3D"));
            (*resource, name.map(str::to_owned))
        }
        other => panic!("a path that no rule is about: {other:?}"),
    };
    let verbs: &[&str] = match (log.call.method.as_str(), path.len()) {
        ("GET", 1) => &["list"],
        ("GET", _) => &["get"],
        ("PATCH", _) if log.status == Some(201) => &["patch", "create"],
        ("PATCH", _) => &["patch"],
        ("DELETE", _) => &["delete"],
        other => panic!("a call that no rule is about: {other:?}"),
    };
    verbs
        .iter()
        .map(|verb| ((*verb).to_owned(), resource.to_owned(), name.clone()))
        .collect()
}

#[test]
fn the_manifests_name_one_another() {
    let deployment = of_kind(DEPLOYMENT, "Deployment");
    let pod = &deployment["spec"]["template"];
    assert_eq!(
        deployment["spec"]["selector"]["matchLabels"],
        pod["metadata"]["labels"]
    );
    assert_eq!(
        pod["spec"]["serviceAccountName"],
        of_kind(RBAC, "ServiceAccount")["metadata"]["name"]
    );
    let claim = of_kind(DEPLOYMENT, "PersistentVolumeClaim");
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    assert!(
        volumes
            .iter()
            .any(|volume| volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"])
    );
    for container in pod["spec"]["containers"].as_array().unwrap() {
        assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
        for mount in container["volumeMounts"].as_array().unwrap() {
            assert!(
                volumes.iter().any(|volume| volume["name"] == mount["name"]),
                "{mount}"
            );
        }
    }
    let binding = of_kind(RBAC, "ClusterRoleBinding");
    assert_eq!(
        binding["roleRef"]["name"],
        of_kind(RBAC, "ClusterRole")["metadata"]["name"]
    );
    assert_eq!(binding["subjects"][0]["name"], pod["spec"]["serviceAccountName"]);
}

#[tokio::test]
async fn the_role_grants_what_the_client_asks_for_and_nothing_else() {
    let stage = Stage::with_namespaces(&["demo"]).await;
    let client = stage.cluster_client().await;
    let desired = Arc::new(team("demo"));
    let namespace = desired.namespace.as_str();
    let provenance = Provenance {
        team: desired.team.clone(),
        revision: Revision::commit("c1"),
        mark: SecretMark {
            robot_id: 1,
            robot_generation: 1,
            login_digest: "d".to_owned(),
        },
    };
    // Everything that ever happens to the objects of the default job: made, found immutable, made anew.
    for _ in 0..2 {
        let sides = client
            .observe_teams(std::slice::from_ref(&desired), Extent::Single)
            .await
            .unwrap();
        let side = &sides[&desired.team];
        for secret in desired
            .credentials
            .iter()
            .flat_map(|credential| &credential.secrets)
        {
            let former = side.secrets.get(&secret.name);
            client
                .apply_secret(
                    &desired.namespace,
                    secret,
                    &DockerConfig::empty(),
                    &provenance,
                    former,
                )
                .await
                .unwrap();
            stage.kubernetes.alter(|state| {
                state.edit(Kind::Secret, namespace, secret.name.as_str(), |held| {
                    held["immutable"] = json!(true);
                });
            });
        }
        for account in &desired.service_accounts {
            let version = &side.service_accounts[&account.name].resource_version;
            let set =
                client.set_pull_secrets(&desired.namespace, &account.name, &account.pull_secrets, version);
            set.await.unwrap();
        }
    }
    let download = client.docker_config(&desired.namespace, &push_secret()).await;
    assert!(download.unwrap().is_some());
    client.observe_teams(&[desired], Extent::Lists).await.unwrap();
    let asked: BTreeSet<Permission> = stage.kubernetes.log().iter().flat_map(asked).collect();
    assert_eq!(asked, granted());
}
