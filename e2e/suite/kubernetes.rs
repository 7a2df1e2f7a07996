//! A Kubernetes API server over etcd, with RBAC and an audit log; or one that runs already.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::certificates::Authority;
use super::process::{Process, free_port};

/// What the suite calls its service account, role and namespace.
const OURS: &str = "harborage-e2e";
/// Who harborage is to the API server.
const USER: &str = "system:serviceaccount:harborage-e2e:harborage-e2e";

/// An API server, and an administrator's client of it.
pub(crate) struct Kubernetes {
    folder: PathBuf,
    pub(crate) url: String,
    pub(crate) ca: PathBuf,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) client: Client,
    /// None where it runs already.
    own: Option<Own>,
}

struct Own {
    programs: PathBuf,
    flags: Flags,
    processes: Mutex<Vec<Process>>,
}

/// What the processes are started with.
struct Flags {
    etcd: u16,
    peer: u16,
    secure: u16,
    pki: PathBuf,
}

impl Kubernetes {
    /// Starts one.
    pub(crate) async fn start(folder: &Path, programs: &Path) -> Self {
        let folder = folder.join("kubernetes");
        let pki = folder.join("pki");
        let authority = Authority::new(&pki);
        authority.issue("server", "/CN=kube-apiserver");
        authority.issue("admin", "/O=system:masters/CN=admin");
        authority.issue("manager", "/CN=system:kube-controller-manager");
        authority.issue("front", "/CN=front-proxy");
        authority.issue("accounts", "/CN=service-accounts");
        let flags = Flags {
            etcd: free_port(),
            peer: free_port(),
            secure: free_port(),
            pki: pki.clone(),
        };
        let url = format!("https://127.0.0.1:{}", flags.secure);
        let kubeconfig = folder.join("admin.kubeconfig");
        std::fs::write(&kubeconfig, kubeconfig_text(&url, &pki, "admin")).unwrap();
        std::fs::write(
            folder.join("manager.kubeconfig"),
            kubeconfig_text(&url, &pki, "manager"),
        )
        .unwrap();
        // One line a call, when it is answered.
        let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived, ResponseStarted, Panic]\n\
                      rules: [{level: Metadata}]\n";
        std::fs::write(folder.join("audit-policy.yaml"), policy).unwrap();
        let kubernetes = Self {
            client: client(&kubeconfig).await,
            ca: authority.certificate(),
            folder,
            url,
            kubeconfig,
            own: Some(Own {
                programs: programs.to_owned(),
                flags,
                processes: Mutex::default(),
            }),
        };
        kubernetes.resume().await;
        kubernetes.admit().await;
        kubernetes
    }

    /// Takes one that runs already.
    pub(crate) async fn use_running(folder: &Path, kubeconfig: &Path) -> Self {
        let folder = folder.join("kubernetes");
        std::fs::create_dir_all(&folder).unwrap();
        let config = config(kubeconfig).await;
        let ca = folder.join("ca.crt");
        let mut pem = String::new();
        for der in config.root_cert.iter().flatten() {
            let text = STANDARD.encode(der);
            writeln!(
                pem,
                "-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----"
            )
            .unwrap();
        }
        std::fs::write(&ca, pem).unwrap();
        let kubernetes = Self {
            url: config.cluster_url.to_string(),
            client: Client::try_from(config).unwrap(),
            ca,
            folder,
            kubeconfig: kubeconfig.to_owned(),
            own: None,
        };
        kubernetes.admit().await;
        kubernetes
    }

    /// Starts what is stopped, and waits until it answers.
    pub(crate) async fn resume(&self) {
        let own = self.own.as_ref().expect("it runs already");
        let mut processes = own.processes.lock().await;
        let mut etcd = Process::start("etcd", &self.folder, &mut self.etcd(&own.flags));
        let health = format!("http://127.0.0.1:{}/health", own.flags.etcd);
        etcd.until(async || reqwest::get(&health).await.is_ok()).await;
        let mut server = self.apiserver(own);
        let mut server = Process::start("kube-apiserver", &self.folder, &mut server);
        server
            .until(async || self.client.apiserver_version().await.is_ok() && self.is_ready().await)
            .await;
        let mut manager = Command::new(own.programs.join("kube-controller-manager"));
        let account_key = own.flags.pki.join("accounts.key");
        manager
            .arg(format!("--kubeconfig={}", self.folder.join("manager.kubeconfig").display()))
            .arg(format!("--service-account-private-key-file={}", account_key.display()))
            .arg(format!("--root-ca-file={}", self.ca.display()))
            .args([
                "--bind-address=127.0.0.1",
                "--secure-port=0",
                "--leader-elect=false",
                "--use-service-account-credentials=true",
                "--controllers=namespace-controller,serviceaccount-controller,serviceaccount-token-controller,\
                 garbage-collector-controller,clusterrole-aggregation-controller",
            ]);
        let manager = Process::start("kube-controller-manager", &self.folder, &mut manager);
        // Stopped in this order.
        *processes = vec![manager, server, etcd];
    }

    /// Stops it; what it holds stays on disk.
    pub(crate) async fn stop(&self) {
        let own = self.own.as_ref().expect("it is not ours to stop");
        for process in own.processes.lock().await.iter_mut() {
            process.stop();
        }
    }

    async fn is_ready(&self) -> bool {
        let request = http::Request::get("/readyz").body(Vec::new()).unwrap();
        self.client.request_text(request).await.is_ok()
    }

    fn etcd(&self, flags: &Flags) -> Command {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let mut command = Command::new("etcd");
        command
            .arg("--data-dir")
            .arg(self.folder.join("etcd"))
            .args(["--listen-client-urls", &url(flags.etcd)])
            .args(["--advertise-client-urls", &url(flags.etcd)])
            .args(["--listen-peer-urls", &url(flags.peer)])
            .args(["--initial-advertise-peer-urls", &url(flags.peer)])
            .args(["--initial-cluster", &format!("default={}", url(flags.peer))]);
        command
    }

    fn apiserver(&self, own: &Own) -> Command {
        let flags = &own.flags;
        let pki = |file: &str| flags.pki.join(file).display().to_string();
        let mut command = Command::new(own.programs.join("kube-apiserver"));
        command
            .arg(format!("--etcd-servers=http://127.0.0.1:{}", flags.etcd))
            .arg(format!("--secure-port={}", flags.secure))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            .args([
                "--endpoint-reconciler-type=none",
                "--service-cluster-ip-range=10.96.0.0/24",
            ])
            .args(["--authorization-mode=Node,RBAC", "--profiling=false"])
            .arg(format!("--client-ca-file={}", pki("ca.crt")))
            .arg(format!("--tls-cert-file={}", pki("server.crt")))
            .arg(format!("--tls-private-key-file={}", pki("server.key")))
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(format!("--service-account-key-file={}", pki("accounts.key")))
            .arg(format!(
                "--service-account-signing-key-file={}",
                pki("accounts.key")
            ))
            .arg(format!("--requestheader-client-ca-file={}", pki("ca.crt")))
            .arg("--requestheader-allowed-names=front-proxy")
            .arg("--requestheader-username-headers=X-Remote-User")
            .arg("--requestheader-group-headers=X-Remote-Group")
            .arg("--requestheader-extra-headers-prefix=X-Remote-Extra-")
            .arg(format!("--proxy-client-cert-file={}", pki("front.crt")))
            .arg(format!("--proxy-client-key-file={}", pki("front.key")))
            .arg(format!(
                "--audit-policy-file={}",
                self.folder.join("audit-policy.yaml").display()
            ))
            .arg(format!("--audit-log-path={}", self.audit_log().display()));
        command
    }

    fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    /// The calls of harborage so far, reads and writes, by the audit log; none where the log is not ours.
    pub(crate) fn calls(&self) -> Option<usize> {
        self.own.as_ref()?;
        let log = std::fs::read_to_string(self.audit_log()).unwrap_or_default();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Some(lines.filter(|call| call["user"]["username"] == USER).count())
    }

    /// Gives harborage a service account with the role of `deploy/`.
    async fn admit(&self) {
        self.make_namespace(OURS).await;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), OURS);
        let account = ServiceAccount {
            metadata: named(OURS),
            ..ServiceAccount::default()
        };
        existing_is_fine(accounts.create(&PostParams::default(), &account).await);
        self.grant().await;
    }

    /// Binds the role of `deploy/rbac.yaml` to the service account.
    pub(crate) async fn grant(&self) {
        for document in role() {
            let name = document["metadata"]["name"].as_str().unwrap().to_owned();
            let how = PatchParams::apply(OURS).force();
            match document["kind"].as_str().unwrap() {
                "ClusterRole" => {
                    let roles: Api<ClusterRole> = Api::all(self.client.clone());
                    roles.patch(&name, &how, &Patch::Apply(&document)).await.unwrap();
                }
                "ClusterRoleBinding" => {
                    let bindings: Api<ClusterRoleBinding> = Api::all(self.client.clone());
                    bindings
                        .patch(&name, &how, &Patch::Apply(&document))
                        .await
                        .unwrap();
                }
                _ => {}
            }
        }
    }

    /// Takes the role away.
    pub(crate) async fn withdraw(&self) {
        let bindings: Api<ClusterRoleBinding> = Api::all(self.client.clone());
        bindings.delete(OURS, &DeleteParams::default()).await.unwrap();
    }

    /// Takes away the service account and its role.
    pub(crate) async fn dismiss(&self) {
        let roles: Api<ClusterRole> = Api::all(self.client.clone());
        self.withdraw().await;
        roles.delete(OURS, &DeleteParams::default()).await.unwrap();
        self.remove_namespace(OURS).await;
    }

    /// A file with a token of harborage's service account, good for an hour.
    pub(crate) async fn token_file(&self) -> PathBuf {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), OURS);
        let request = TokenRequest {
            metadata: ObjectMeta::default(),
            spec: TokenRequestSpec {
                expiration_seconds: Some(3600),
                ..TokenRequestSpec::default()
            },
            status: None,
        };
        let answer = accounts
            .create_token_request(OURS, &PostParams::default(), &request)
            .await
            .unwrap();
        let path = self.folder.join("token");
        std::fs::write(&path, answer.status.unwrap().token).unwrap();
        path
    }

    /// Makes a namespace, with the service account that a controller gives it.
    pub(crate) async fn make_namespace(&self, name: &str) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = Namespace {
            metadata: named(name),
            ..Namespace::default()
        };
        existing_is_fine(namespaces.create(&PostParams::default(), &namespace).await);
        let accounts = self.accounts(name);
        for _ in 0..200 {
            if accounts.get_opt("default").await.unwrap().is_some() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no controller made the default service account of {name}");
    }

    pub(crate) async fn has_namespace(&self, name: &str) -> bool {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.get_opt(name).await.unwrap().is_some()
    }

    /// Begins to remove a namespace.
    pub(crate) async fn remove_namespace(&self, name: &str) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        namespaces.delete(name, &DeleteParams::default()).await.ok();
    }

    pub(crate) fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }

    pub(crate) fn accounts(&self, namespace: &str) -> Api<ServiceAccount> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Makes a Secret in place of what is there.
    pub(crate) async fn put_secret(&self, namespace: &str, name: &str, kind: &str, data: &[(&str, &str)]) {
        let secrets = self.secrets(namespace);
        secrets.delete(name, &DeleteParams::default()).await.ok();
        let data: BTreeMap<&str, &str> = data.iter().copied().collect();
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": name}, "type": kind, "stringData": data,
        }))
        .unwrap();
        secrets.create(&PostParams::default(), &secret).await.unwrap();
    }
}

/// The documents of `deploy/rbac.yaml`, under the suite's names.
fn role() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/rbac.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    text.split("\n---\n")
        .map(|document| {
            let mut document: Value = harborage::run::yaml::from_text(document).unwrap();
            document["metadata"]["name"] = json!(OURS);
            if let Some(subjects) = document.get_mut("subjects") {
                *subjects = json!([{"kind": "ServiceAccount", "name": OURS, "namespace": OURS}]);
                document["roleRef"]["name"] = json!(OURS);
            }
            document
        })
        .collect()
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    }
}

fn existing_is_fine<T>(result: kube::Result<T>) {
    match result {
        Err(kube::Error::Api(status)) if status.code == 409 => {}
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

async fn client(kubeconfig: &Path) -> Client {
    Client::try_from(config(kubeconfig).await).unwrap()
}

fn kubeconfig_text(url: &str, pki: &Path, user: &str) -> String {
    let pki = pki.display();
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "e2e",
        "clusters": [{"name": "e2e", "cluster": {"server": url, "certificate-authority": format!("{pki}/ca.crt")}}],
        "users": [{"name": user, "user": {
            "client-certificate": format!("{pki}/{user}.crt"), "client-key": format!("{pki}/{user}.key"),
        }}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": user}}],
    })
    .to_string()
}
