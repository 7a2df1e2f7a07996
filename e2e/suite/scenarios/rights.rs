//! What harborage may do, and what the API server makes of what it does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use harborage::serve::status::StatusReport;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
};
use kube::{Client, Config};
use serde_json::json;

use crate::harborage::PATIENCE;
use crate::stage::Stage;
use crate::suite::{Scenario, scenario};

pub(crate) fn all() -> Vec<Scenario> {
    vec![
        scenario!(
            "the manifests of deploy/ are accepted by the API server",
            manifests
        ),
        scenario!(
            "with the role of deploy/ no other object can be read or written",
            nothing_else
        ),
        scenario!(
            "an apply with an old version or of a deleted account is refused and makes nothing",
            preconditions
        ),
        scenario!(
            "the doctor finds that all is well, and names rights that lack",
            doctor
        ),
        scenario!(
            "rights that are withdrawn stop the work and rights given back resume it",
            withdrawn
        ),
        scenario!(
            "a namespace that is being deleted is left alone and does not hold up others",
            terminating
        ),
    ]
}

async fn manifests(stage: Arc<Stage>) {
    let kubernetes = stage.kubernetes();
    let text = include_str!("../../../deploy/deployment.yaml");
    let team = stage.team_with_namespace("deploy").await;
    for document in text.split("\n---\n") {
        let object: DynamicObject = harborage::run::yaml::from_text(document).unwrap();
        let kind = object.types.clone().unwrap();
        let (group, version) = kind
            .api_version
            .split_once('/')
            .unwrap_or(("", &kind.api_version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind.kind));
        let objects: Api<DynamicObject> =
            Api::namespaced_with(kubernetes.client.clone(), &format!("team-{team}"), &resource);
        let how = PatchParams {
            dry_run: true,
            ..PatchParams::apply("e2e").validation_strict()
        };
        let name = object.metadata.name.clone().unwrap();
        objects.patch(&name, &how, &Patch::Apply(&object)).await.unwrap();
    }
}

/// A client with harborage's own token.
async fn as_harborage(stage: &Stage) -> Client {
    let kubernetes = stage.kubernetes();
    let token = std::fs::read_to_string(kubernetes.token_file().await).unwrap();
    let mut config = Config::new(kubernetes.url.parse().unwrap());
    if let Some(ca) = &kubernetes.ca {
        config.root_cert = Some(certificates(&std::fs::read(ca).unwrap()));
    }
    config.auth_info.token = Some(token.into());
    Client::try_from(config).unwrap()
}

/// The certificates of a PEM file, as DER.
fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    let text = std::str::from_utf8(pem).unwrap();
    let blocks = text.split("-----BEGIN CERTIFICATE-----").skip(1);
    blocks
        .map(|block| {
            let text: String = block
                .split("-----END")
                .next()
                .unwrap()
                .split_whitespace()
                .collect();
            base64::engine::general_purpose::STANDARD.decode(text).unwrap()
        })
        .collect()
}

/// Whether the API server refused a call for want of rights.
fn is_forbidden<T: std::fmt::Debug>(result: kube::Result<T>) -> bool {
    matches!(result, Err(kube::Error::Api(status)) if status.code == 403)
}

async fn nothing_else(stage: Arc<Stage>) {
    let team = stage.team_with_namespace("blue").await;
    let namespace = format!("team-{team}");
    stage
        .kubernetes()
        .put_secret(&namespace, "private", "Opaque", &[("a", "b")])
        .await;
    let client = as_harborage(&stage).await;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
    let everywhere: Api<Secret> = Api::all(client.clone());
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    let named = |name: &str| ListParams::default().fields(&format!("metadata.name={name}"));

    assert!(is_forbidden(secrets.get("private").await));
    assert!(is_forbidden(secrets.list(&ListParams::default()).await));
    assert!(is_forbidden(everywhere.list(&ListParams::default()).await));
    assert!(is_forbidden(everywhere.list(&named("private")).await));
    assert!(is_forbidden(
        secrets.delete("private", &DeleteParams::default()).await
    ));
    assert!(is_forbidden(accounts.list(&ListParams::default()).await));
    assert!(is_forbidden(accounts.get("other").await));
    assert!(is_forbidden(
        accounts.delete("default", &DeleteParams::default()).await
    ));
    assert!(is_forbidden(maps.list(&ListParams::default()).await));
    let other = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "private"}});
    let how = PatchParams::apply("harborage");
    assert!(is_forbidden(
        secrets.patch("private", &how, &Patch::Apply(&other)).await
    ));

    // And what it needs is allowed: lists by name, and an apply that creates.
    everywhere.list(&named("harbor-pullsecret")).await.unwrap();
    let ours = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "harbor-pullsecret"}});
    secrets
        .patch("harbor-pullsecret", &how, &Patch::Apply(&ours))
        .await
        .unwrap();
    secrets
        .delete("harbor-pullsecret", &DeleteParams::default())
        .await
        .unwrap();
}

async fn preconditions(stage: Arc<Stage>) {
    let team = stage.team_with_namespace("blue").await;
    let namespace = format!("team-{team}");
    let client = as_harborage(&stage).await;
    let refusal = |result: kube::Result<ServiceAccount>| match result {
        Err(kube::Error::Api(status)) => status,
        other => panic!("it was not refused: {other:?}"),
    };
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &namespace);
    let seen = accounts.get("default").await.unwrap().metadata;
    let how = PatchParams::apply("harborage").force();
    let apply = |uid: &str, version: &str| {
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": "default", "uid": uid, "resourceVersion": version},
            "imagePullSecrets": [{"name": "harbor-pullsecret"}],
        })
    };
    let (uid, version) = (seen.uid.unwrap(), seen.resource_version.unwrap());
    accounts
        .patch("default", &how, &Patch::Apply(&apply(&uid, &version)))
        .await
        .unwrap();
    let again = accounts
        .patch("default", &how, &Patch::Apply(&apply(&uid, &version)))
        .await;
    assert_eq!(refusal(again).code, 409);

    // Its controller makes another one at once: the uid tells them apart.
    stage
        .kubernetes()
        .accounts(&namespace)
        .delete("default", &DeleteParams::default())
        .await
        .unwrap();
    stage.kubernetes().make_namespace(&namespace).await;
    let now = accounts
        .get("default")
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap();
    let another = accounts
        .patch("default", &how, &Patch::Apply(&apply(&uid, &now)))
        .await;
    let another = refusal(another);
    assert_eq!(another.code, 422);
    assert_eq!(another.details.unwrap().causes[0].field, "metadata.uid");

    let secrets: Api<Secret> = Api::namespaced(client, &namespace);
    let ours = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "harbor-pullsecret"}});
    let made = secrets
        .patch("harbor-pullsecret", &how, &Patch::Apply(&ours))
        .await
        .unwrap()
        .metadata;
    let outdated = DeleteParams {
        preconditions: Some(kube::api::Preconditions {
            uid: made.uid,
            resource_version: Some("1".to_owned()),
        }),
        ..DeleteParams::default()
    };
    let refused = secrets.delete("harbor-pullsecret", &outdated).await;
    assert!(matches!(refused, Err(kube::Error::Api(status)) if status.code == 409));
}

async fn doctor(stage: Arc<Stage>) {
    let team = stage.team_with_namespace("blue").await;
    let values = stage.values(&[&team]);
    let program = stage.program_for(&values).await;
    let well = program.run("doctor").await;
    assert_eq!(well.status, Some(0), "{}", well.printed);
    assert!(well.printed.contains("allows all 20 things"), "{}", well.printed);
    assert!(!well.printed.contains("read every Secret"), "{}", well.printed);
    stage.kubernetes().withdraw().await;
    let client = as_harborage(&stage).await;
    let namespaces: Api<Namespace> = Api::all(client);
    while !is_forbidden(namespaces.list(&ListParams::default()).await) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let ill = program.run("doctor").await;
    assert_eq!(ill.status, Some(4), "{}", ill.printed);
    assert!(
        ill.printed.contains("get secrets called harbor-pullsecret"),
        "{}",
        ill.printed
    );
    assert!(ill.printed.contains("apply deploy/rbac.yaml"), "{}", ill.printed);
    stage.kubernetes().grant().await;
}

async fn withdrawn(stage: Arc<Stage>) {
    let teams = [
        stage.team_with_namespace("first").await,
        stage.team_with_namespace("second").await,
    ];
    let mut values = stage.values(&[&teams[0]]);
    let program = stage.program_for(&values).await;
    let daemon = program.start();
    program.until_ready(&values.commit("as it is")).await;
    stage.kubernetes().withdraw().await;
    // The API server knows a little later.
    let namespaces: Api<Namespace> = Api::all(as_harborage(&stage).await);
    let began = Instant::now();
    while !is_forbidden(namespaces.list(&ListParams::default()).await) {
        assert!(began.elapsed() < PATIENCE, "the rights are still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    values.add(&teams[1]);
    let commit = values.commit("one more");
    let told = |report: &StatusReport| {
        report.lanes.iter().any(|lane| {
            let waits = !matches!(lane.state, harborage::run::record::RunState::Done);
            lane.lane.to_string() == teams[1]
                && waits
                && lane.problems.iter().any(|p| p.message.contains("forbidden"))
        })
    };
    program.until("the second team's problem is told", told).await;
    stage.kubernetes().grant().await;
    stage.took(program.until_ready(&commit).await);
    stage.assert_provisioned(&teams[0]).await;
    stage.assert_provisioned(&teams[1]).await;
    daemon.stop().await;
}

async fn terminating(stage: Arc<Stage>) {
    let (stays, goes) = (
        stage.team_with_namespace("stays").await,
        stage.team_with_namespace("goes").await,
    );
    let namespace = format!("team-{goes}");
    stage.kubernetes().hold(&namespace).await;
    stage.kubernetes().remove_namespace(&namespace).await;
    let values = stage.values(&[&stays, &goes]);
    let commit = values.commit("the same again");
    let program = stage.program_for(&values).await;
    let daemon = program.start();
    let settled = |report: &StatusReport| {
        use harborage::run::record::RunState;
        let is = |team: &str, what: fn(&RunState) -> bool| {
            report
                .lanes
                .iter()
                .any(|lane| lane.lane.to_string() == team && what(&lane.state))
        };
        is(&stays, |state| *state == RunState::Done)
            && is(&goes, |state| matches!(state, RunState::Waiting { .. }))
    };
    stage.took(
        program
            .until("one team is ready and the other waits", settled)
            .await,
    );
    stage.assert_provisioned(&stays).await;
    let robots = stage.harbor().robots(&format!("team-{goes}-")).await;
    assert!(robots.is_empty(), "nobody can keep the secrets of {robots:?}");

    // It goes, comes back, and is filled, without a commit that would wake the team.
    stage.kubernetes().release(&namespace).await;
    while stage.kubernetes().has_namespace(&namespace).await {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    stage.kubernetes().make_namespace(&namespace).await;
    program.until_ready(&commit).await;
    stage.assert_provisioned(&goes).await;
    daemon.stop().await;
}
