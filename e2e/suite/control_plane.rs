//! The processes of a Kubernetes control plane: etcd, the API server with RBAC and an audit log, the controllers.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::certificates::Authority;
use super::client::loopback;
use super::process::{Process, free_port};

/// A control plane in a folder.
pub(crate) struct ControlPlane {
    folder: PathBuf,
    pki: PathBuf,
    programs: PathBuf,
    etcd: u16,
    peer: u16,
    secure: u16,
    /// None while it is stopped.
    processes: Mutex<Option<Processes>>,
}

/// In the order in which they are stopped: a server waits for its clients.
struct Processes {
    _manager: Process,
    server: Process,
    _etcd: Process,
}

impl ControlPlane {
    /// Prepares one, which is yet to be started.
    pub(crate) async fn new(folder: &Path, programs: &Path) -> Self {
        let pki = folder.join("pki");
        let authority = Authority::new(&pki).await;
        for (name, subject) in [
            ("server", "/CN=kube-apiserver"),
            ("admin", "/O=system:masters/CN=admin"),
            ("manager", "/CN=system:kube-controller-manager"),
            ("front", "/CN=front-proxy"),
            ("accounts", "/CN=service-accounts"),
        ] {
            authority.issue(name, subject).await;
        }
        let plane = Self {
            folder: folder.to_owned(),
            pki,
            programs: programs.to_owned(),
            etcd: free_port(),
            peer: free_port(),
            secure: free_port(),
            processes: Mutex::default(),
        };
        for user in ["admin", "manager"] {
            std::fs::write(plane.kubeconfig(user), plane.kubeconfig_text(user)).unwrap();
        }
        // One line a call, when it is answered.
        let policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived, ResponseStarted, Panic]\n\
                      rules: [{level: Metadata}]\n";
        std::fs::write(folder.join("audit-policy.yaml"), policy).unwrap();
        plane
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.secure)
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.pki.join("ca.crt")
    }

    /// The file that leads a user here: `admin` or `manager`.
    pub(crate) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.folder.join(format!("{user}.kubeconfig"))
    }

    /// Starts it where it is stopped, and waits until the API server answers.
    pub(crate) async fn resume(&self, client: &kube::Client) {
        let mut processes = self.processes.lock().await;
        if processes.is_some() {
            return;
        }
        let mut etcd = Process::start("etcd", &self.folder, &mut self.etcd());
        let (http, health) = (loopback(), format!("http://127.0.0.1:{}/health", self.etcd));
        etcd.until(async || http.get(&health).send().await.is_ok()).await;
        let mut server = Process::start("kube-apiserver", &self.folder, &mut self.server());
        let is_ready = async || {
            let request = http::Request::get("/readyz").body(Vec::new()).unwrap();
            client.request_text(request).await.is_ok()
        };
        server.until(is_ready).await;
        let manager = Process::start("kube-controller-manager", &self.folder, &mut self.manager());
        *processes = Some(Processes {
            _manager: manager,
            server,
            _etcd: etcd,
        });
    }

    /// Ends the API server without a warning, and stops the rest; what it holds stays on disk.
    pub(crate) async fn stop(&self) {
        if let Some(mut processes) = self.processes.lock().await.take() {
            processes.server.kill();
        }
    }

    /// How many calls of a user the audit log has.
    pub(crate) fn calls(&self, user: &str) -> usize {
        let log = std::fs::read_to_string(self.audit_log()).unwrap_or_default();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|call| call["user"]["username"] == user).count()
    }

    fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    fn etcd(&self) -> Command {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let mut command = Command::new("etcd");
        command
            .arg("--data-dir")
            .arg(self.folder.join("etcd"))
            .args(["--listen-client-urls", &url(self.etcd)])
            .args(["--advertise-client-urls", &url(self.etcd)])
            .args(["--listen-peer-urls", &url(self.peer)])
            .args(["--initial-advertise-peer-urls", &url(self.peer)])
            .args(["--initial-cluster", &format!("default={}", url(self.peer))]);
        command
    }

    fn server(&self) -> Command {
        let pki = |flag: &str, file: &str| format!("--{flag}={}", self.pki.join(file).display());
        let mut command = Command::new(self.programs.join("kube-apiserver"));
        command
            .arg(format!("--etcd-servers=http://127.0.0.1:{}", self.etcd))
            .arg(format!("--secure-port={}", self.secure))
            .args([
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                "--endpoint-reconciler-type=none",
                "--service-cluster-ip-range=10.96.0.0/24",
                "--authorization-mode=Node,RBAC",
                "--profiling=false",
                "--service-account-issuer=https://kubernetes.default.svc",
                "--requestheader-allowed-names=front-proxy",
                "--requestheader-username-headers=X-Remote-User",
                "--requestheader-group-headers=X-Remote-Group",
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            ])
            .args([
                pki("client-ca-file", "ca.crt"),
                pki("tls-cert-file", "server.crt"),
                pki("tls-private-key-file", "server.key"),
                pki("service-account-key-file", "accounts.key"),
                pki("service-account-signing-key-file", "accounts.key"),
                pki("requestheader-client-ca-file", "ca.crt"),
                pki("proxy-client-cert-file", "front.crt"),
                pki("proxy-client-key-file", "front.key"),
            ])
            .arg(format!(
                "--audit-policy-file={}",
                self.folder.join("audit-policy.yaml").display()
            ))
            .arg(format!("--audit-log-path={}", self.audit_log().display()));
        command
    }

    fn manager(&self) -> Command {
        let mut command = Command::new(self.programs.join("kube-controller-manager"));
        let account_key = self.pki.join("accounts.key");
        command
            .arg(format!("--kubeconfig={}", self.kubeconfig("manager").display()))
            .arg(format!("--service-account-private-key-file={}", account_key.display()))
            .arg(format!("--root-ca-file={}", self.ca().display()))
            .args([
                "--bind-address=127.0.0.1",
                "--secure-port=0",
                "--leader-elect=false",
                "--use-service-account-credentials=true",
                "--controllers=namespace-controller,serviceaccount-controller,serviceaccount-token-controller,\
                 garbage-collector-controller,clusterrole-aggregation-controller",
            ]);
        command
    }

    fn kubeconfig_text(&self, user: &str) -> String {
        let pki = self.pki.display();
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "e2e",
            "clusters": [{"name": "e2e", "cluster": {
                "server": self.url(), "certificate-authority": format!("{pki}/ca.crt"),
            }}],
            "users": [{"name": user, "user": {
                "client-certificate": format!("{pki}/{user}.crt"), "client-key": format!("{pki}/{user}.key"),
            }}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": user}}],
        })
        .to_string()
    }
}
