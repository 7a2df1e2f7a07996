//! The stand-in by itself, asked as an API server is.

use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::state::KubernetesState;
use super::{KubernetesOptions, KubernetesStandIn, api::Service};
use crate::rehearsal::{Handler as _, Request};

const SECRETS: &str = "/api/v1/namespaces/a/secrets";

struct Cluster(Service, Arc<Mutex<KubernetesState>>);

impl Cluster {
    fn with_namespace() -> Self {
        let mut state = KubernetesState::default();
        state.add_namespace("a");
        let state = Arc::new(Mutex::new(state));
        Self(Service::new(Arc::clone(&state)), state)
    }

    fn ask(&self, method: &str, path: &str, query: &str, body: &Value) -> (u16, Value) {
        let mut headers = HeaderMap::new();
        let kind = if method == "PATCH" {
            "application/apply-patch+yaml"
        } else {
            "application/json"
        };
        headers.insert("content-type", HeaderValue::from_static(kind));
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body,
        };
        let answer = self.0.answer(&request);
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }

    fn apply(&self, manager: &str, force: bool, data: &Value) -> (u16, Value) {
        let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data});
        self.ask(
            "PATCH",
            &format!("{SECRETS}/s"),
            &format!("fieldManager={manager}&force={force}"),
            &object,
        )
    }
}

#[test]
fn an_apply_owns_what_it_sends_until_somebody_forces_it() {
    let cluster = Cluster::with_namespace();
    assert_eq!(
        cluster.apply("one", false, &json!({"x": "MQ==", "y": "MQ=="})).0,
        201
    );
    // The same value is shared, another one is a conflict.
    assert_eq!(cluster.apply("two", false, &json!({"x": "MQ=="})).0, 200);
    let (status, refusal) = cluster.apply("two", false, &json!({"x": "Mg=="}));
    assert_eq!((status, refusal["reason"].as_str()), (409, Some("Conflict")));
    let (status, object) = cluster.apply("two", true, &json!({"x": "Mg=="}));
    assert_eq!(
        (status, &object["data"]),
        (200, &json!({"x": "Mg==", "y": "MQ=="}))
    );
    // What a manager no longer sends goes, unless another owns it.
    let (_, object) = cluster.apply("one", false, &json!({"z": "MQ=="}));
    assert_eq!(object["data"], json!({"x": "Mg==", "z": "MQ=="}));
}

#[test]
fn what_others_put_there_is_theirs() {
    let cluster = Cluster::with_namespace();
    cluster
        .1
        .lock()
        .unwrap()
        .put_secret("a", "s", "Opaque", &[("x", "1")]);
    assert_eq!(cluster.apply("one", false, &json!({"x": "Mg=="})).0, 409);
    assert_eq!(cluster.apply("one", true, &json!({"x": "Mg=="})).0, 200);
}

#[test]
fn versions_rise_with_changes_alone() {
    let cluster = Cluster::with_namespace();
    let version = |answer: (u16, Value)| {
        answer.1["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let first = version(cluster.apply("one", false, &json!({"x": "MQ=="})));
    assert_eq!(version(cluster.apply("one", false, &json!({"x": "MQ=="}))), first);
    assert!(version(cluster.apply("one", false, &json!({"x": "Mg=="}))) > first);
}

#[test]
fn a_version_locks_an_object_but_only_a_uid_keeps_it_from_being_created() {
    let cluster = Cluster::with_namespace();
    let apply = |metadata: Value| {
        let object = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata});
        let path = format!(
            "/api/v1/namespaces/a/serviceaccounts/{}",
            metadata["name"].as_str().unwrap()
        );
        cluster
            .ask("PATCH", &path, "fieldManager=one&force=true", &object)
            .0
    };
    assert_eq!(apply(json!({"name": "default", "resourceVersion": "999"})), 409);
    assert_eq!(apply(json!({"name": "default", "uid": "another"})), 422);
    assert_eq!(
        apply(json!({"name": "new", "resourceVersion": "999", "uid": "some"})),
        409
    );
    assert_eq!(apply(json!({"name": "new", "resourceVersion": "999"})), 201);
}

#[test]
fn a_deletion_holds_to_its_preconditions() {
    let cluster = Cluster::with_namespace();
    let (_, object) = cluster.apply("one", false, &json!({}));
    let path = format!("{SECRETS}/s");
    for wrong in [json!({"uid": "another"}), json!({"resourceVersion": "999"})] {
        assert_eq!(
            cluster
                .ask("DELETE", &path, "", &json!({"preconditions": wrong}))
                .0,
            409
        );
    }
    let right =
        json!({"uid": object["metadata"]["uid"], "resourceVersion": object["metadata"]["resourceVersion"]});
    assert_eq!(
        cluster
            .ask("DELETE", &path, "", &json!({"preconditions": right}))
            .0,
        200
    );
    assert_eq!(cluster.ask("DELETE", &path, "", &Value::Null).0, 404);
}

#[test]
fn what_is_not_modelled_is_never_made_up() {
    let cluster = Cluster::with_namespace();
    for (method, path, query) in [
        ("GET", "/api/v1/pods", ""),
        ("GET", "/apis/apps/v1/deployments", ""),
        ("GET", SECRETS, "watch=true"),
        ("GET", SECRETS, "labelSelector=a%3Db"),
        ("GET", SECRETS, "fieldSelector=type%3DOpaque"),
        ("PUT", "/api/v1/namespaces/a/secrets/s", ""),
        ("POST", SECRETS, ""),
        ("DELETE", "/api/v1/namespaces/a", ""),
    ] {
        let (status, answer) = cluster.ask(method, path, query, &Value::Null);
        assert_eq!(
            (status, answer["kind"].as_str()),
            (501, Some("Status")),
            "{method} {path}?{query}"
        );
    }
}

#[test]
fn a_saved_state_comes_back_whole() {
    let cluster = Cluster::with_namespace();
    cluster.apply("one", false, &json!({"x": "MQ=="}));
    let saved = serde_json::to_string(&*cluster.1.lock().unwrap()).unwrap();
    let restored = Arc::new(Mutex::new(
        serde_json::from_str::<KubernetesState>(&saved).unwrap(),
    ));
    let restored = Cluster(Service::new(Arc::clone(&restored)), restored);
    assert_eq!(
        restored.ask("GET", SECRETS, "", &Value::Null),
        cluster.ask("GET", SECRETS, "", &Value::Null)
    );
    assert_eq!(
        restored.apply("two", false, &json!({"x": "Mg=="})).0,
        409,
        "owners are saved too"
    );
}

#[tokio::test]
async fn a_cluster_that_starts_again_is_where_it_was_as_it_was() {
    let cluster = KubernetesStandIn::start(KubernetesOptions::default())
        .await
        .unwrap();
    cluster.add_namespace("a");
    let (address, held) = (
        cluster.address(),
        serde_json::to_value(cluster.snapshot()).unwrap(),
    );
    let again = KubernetesStandIn::start(cluster.stop().await).await.unwrap();
    assert_eq!(again.address(), address);
    assert_eq!(serde_json::to_value(again.snapshot()).unwrap(), held);
}
