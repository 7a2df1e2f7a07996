//! A Kubernetes API server: the suite's own, or one that runs already.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use super::control_plane::ControlPlane;
use super::harborage::{PATIENCE, file};
use super::process::private_folder;

/// An API server, and an administrator's client of it.
pub(crate) struct Kubernetes {
    folder: PathBuf,
    pub(crate) url: String,
    /// None where the system's authorities vouch for it.
    pub(crate) ca: Option<PathBuf>,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) client: Client,
    /// What the suite calls its service account, role and namespace.
    ours: String,
    /// Namespaces that something keeps from ending.
    held: Mutex<Vec<String>>,
    /// None where it runs already.
    own: Option<ControlPlane>,
}

impl Kubernetes {
    /// Starts one.
    pub(crate) async fn start(folder: &Path, programs: &Path, run: &str) -> Self {
        let folder = folder.join("kubernetes");
        private_folder(&folder);
        let plane = ControlPlane::new(&folder, programs).await;
        let kubeconfig = plane.kubeconfig("admin");
        let kubernetes = Self {
            client: Client::try_from(config(&kubeconfig).await).unwrap(),
            ca: Some(plane.ca()),
            folder,
            url: plane.url(),
            kubeconfig,
            ours: format!("harborage-e2e-{run}"),
            held: Mutex::default(),
            own: Some(plane),
        };
        kubernetes.resume().await;
        kubernetes
    }

    /// Takes one that runs already.
    pub(crate) async fn use_running(folder: &Path, kubeconfig: &Path, run: &str) -> Self {
        let folder = folder.join("kubernetes");
        private_folder(&folder);
        let config = config(kubeconfig).await;
        let ca = config.root_cert.as_ref().map(|certificates| {
            let mut pem = String::new();
            for der in certificates {
                let text = STANDARD.encode(der);
                writeln!(
                    pem,
                    "-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----"
                )
                .unwrap();
            }
            file(&folder, "ca.crt", &pem)
        });
        Self {
            url: config.cluster_url.to_string(),
            client: Client::try_from(config).unwrap(),
            ca,
            folder,
            kubeconfig: kubeconfig.to_owned(),
            ours: format!("harborage-e2e-{run}"),
            held: Mutex::default(),
            own: None,
        }
    }

    /// Starts what is stopped, and waits until it answers.
    pub(crate) async fn resume(&self) {
        if let Some(plane) = &self.own {
            plane.resume(&self.client).await;
        }
    }

    /// Ends the API server without a warning; what it holds stays on disk.
    pub(crate) async fn stop(&self) {
        self.own.as_ref().expect("it is not ours to stop").stop().await;
    }

    /// Undoes what a scenario does to it: starts what is stopped, gives rights back, lets namespaces end.
    pub(crate) async fn mend(&self) {
        self.resume().await;
        self.grant().await;
        let held = self.held.lock().unwrap().clone();
        for namespace in held {
            self.release(&namespace).await;
        }
    }

    /// The calls of harborage so far, reads and writes, by the audit log; none where the log is not ours.
    pub(crate) fn calls(&self) -> Option<usize> {
        let user = format!("system:serviceaccount:{0}:{0}", self.ours);
        self.own.as_ref().map(|plane| plane.calls(&user))
    }

    /// Gives harborage a service account with the role of `deploy/`.
    pub(crate) async fn admit(&self) {
        self.make_namespace(&self.ours).await;
        self.make_account(&self.ours, json!({"metadata": {"name": self.ours}}))
            .await;
        self.grant().await;
    }

    /// Binds the role of `deploy/rbac.yaml` to the service account.
    pub(crate) async fn grant(&self) {
        let how = PatchParams::apply("harborage-e2e").force();
        for document in role(&self.ours) {
            match document["kind"].as_str().unwrap() {
                "ClusterRole" => {
                    let change = Patch::Apply(&document);
                    self.roles().patch(&self.ours, &how, &change).await.unwrap();
                }
                "ClusterRoleBinding" => {
                    let change = Patch::Apply(&document);
                    self.bindings().patch(&self.ours, &how, &change).await.unwrap();
                }
                _ => {}
            }
        }
    }

    /// Takes the role away.
    pub(crate) async fn withdraw(&self) {
        gone_is_fine(self.bindings().delete(&self.ours, &DeleteParams::default()).await);
    }

    /// Takes away the service account and its role.
    pub(crate) async fn dismiss(&self) {
        std::fs::remove_file(self.token_path()).ok();
        self.withdraw().await;
        gone_is_fine(self.roles().delete(&self.ours, &DeleteParams::default()).await);
        self.remove_namespace(&self.ours).await;
    }

    fn roles(&self) -> Api<ClusterRole> {
        Api::all(self.client.clone())
    }

    fn bindings(&self) -> Api<ClusterRoleBinding> {
        Api::all(self.client.clone())
    }

    /// Where the last token is that was asked for.
    pub(crate) fn token_path(&self) -> PathBuf {
        self.folder.join("token")
    }

    /// A file with a token of harborage's service account, good for an hour.
    pub(crate) async fn token_file(&self) -> PathBuf {
        let request = TokenRequest {
            metadata: ObjectMeta::default(),
            spec: TokenRequestSpec {
                expiration_seconds: Some(3600),
                ..TokenRequestSpec::default()
            },
            status: None,
        };
        let answer = self
            .accounts(&self.ours)
            .create_token_request(&self.ours, &PostParams::default(), &request)
            .await
            .unwrap();
        file(&self.folder, "token", &answer.status.unwrap().token);
        self.token_path()
    }

    /// Makes a namespace, with the service account that a controller gives it.
    pub(crate) async fn make_namespace(&self, name: &str) {
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        existing_is_fine(self.namespaces().create(&PostParams::default(), &namespace).await);
        let accounts = self.accounts(name);
        let began = Instant::now();
        while accounts.get_opt("default").await.unwrap().is_none() {
            assert!(
                began.elapsed() < PATIENCE,
                "no controller made the default service account of {name}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }

    pub(crate) async fn has_namespace(&self, name: &str) -> bool {
        self.namespaces().get_opt(name).await.unwrap().is_some()
    }

    /// Begins to remove a namespace, where it is there.
    pub(crate) async fn remove_namespace(&self, name: &str) {
        gone_is_fine(self.namespaces().delete(name, &DeleteParams::default()).await);
    }

    /// Keeps a namespace from ending once it is removed: with a finalizer that nobody serves.
    pub(crate) async fn hold(&self, namespace: &str) {
        self.held.lock().unwrap().push(namespace.to_owned());
        let held = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "held", "finalizers": ["e2e.harborage.dev/held"]},
        });
        let how = PatchParams::apply("harborage-e2e").force();
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        maps.patch("held", &how, &Patch::Apply(&held)).await.unwrap();
    }

    /// Lets a namespace end that was held.
    pub(crate) async fn release(&self, namespace: &str) {
        let free = json!({"metadata": {"finalizers": null}});
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        gone_is_fine(
            maps.patch("held", &PatchParams::default(), &Patch::Merge(&free))
                .await,
        );
        self.held.lock().unwrap().retain(|held| held != namespace);
    }

    pub(crate) fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }

    pub(crate) fn accounts(&self, namespace: &str) -> Api<ServiceAccount> {
        Api::namespaced(self.client.clone(), namespace)
    }

    pub(crate) async fn make_account(&self, namespace: &str, account: Value) {
        let account = serde_json::from_value(account).unwrap();
        existing_is_fine(
            self.accounts(namespace)
                .create(&PostParams::default(), &account)
                .await,
        );
    }

    /// Makes a Secret in place of what is there.
    pub(crate) async fn put_secret(&self, namespace: &str, name: &str, kind: &str, data: &[(&str, &str)]) {
        let secrets = self.secrets(namespace);
        gone_is_fine(secrets.delete(name, &DeleteParams::default()).await);
        let data: BTreeMap<&str, &str> = data.iter().copied().collect();
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": name}, "type": kind, "stringData": data,
        }))
        .unwrap();
        secrets.create(&PostParams::default(), &secret).await.unwrap();
    }
}

/// The documents of `deploy/rbac.yaml`, under a name of the suite's.
fn role(ours: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/rbac.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    text.split("\n---\n")
        .map(|document| {
            let mut document: Value = harborage::run::yaml::from_text(document).unwrap();
            document["metadata"]["name"] = json!(ours);
            if let Some(subjects) = document.get_mut("subjects") {
                *subjects = json!([{"kind": "ServiceAccount", "name": ours, "namespace": ours}]);
                document["roleRef"]["name"] = json!(ours);
            }
            document
        })
        .collect()
}

fn existing_is_fine<T>(result: kube::Result<T>) {
    all_but(409, result);
}

fn gone_is_fine<T>(result: kube::Result<T>) {
    all_but(404, result);
}

/// Panics for any error but one with this status.
fn all_but<T>(expected: u16, result: kube::Result<T>) {
    match result {
        Err(kube::Error::Api(status)) if status.code == expected => {}
        result => drop(result.unwrap()),
    }
}

async fn config(kubeconfig: &Path) -> Config {
    harborage::edge::tls::install_crypto_provider();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap()
}
