//! The servers that all scenarios share. Each starts when it is first needed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use harborage::rehearsal::harbor::SigningKey;
use tokio::sync::OnceCell;

use super::apache::Apache;
use super::gitea::Gitea;
use super::harbor::Harbor;
use super::harborage::file;
use super::keycloak::Keycloak;
use super::kubernetes::Kubernetes;
use super::options::Options;
use super::postgresql::PostgreSql;
use super::process::run;
use super::ssh::SshServer;
use super::stage::Stage;

/// Harbor's group of those who may administer every team's project.
const ADMINS: &str = "all-teams-admin";

/// Servers of a kind, as a scenario names those that must be the suite's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Harbor,
    Kubernetes,
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// A server that runs, or why it could not be started, which is not tried again.
type Cell<T> = OnceCell<Result<T, String>>;

/// All servers.
pub(crate) struct World {
    options: Options,
    /// Tells this run's objects from those that another left behind.
    run: String,
    folder: PathBuf,
    signing_key: SigningKey,
    named_harbor: Cell<NamedHarbor>,
    /// That of the scenario which began last.
    newest_harbor: Mutex<Option<Arc<Harbor>>>,
    /// Those that have something on a server.
    stages: Mutex<Vec<Arc<Stage>>>,
    kubernetes: Cell<Kubernetes>,
    admitted: Cell<()>,
    apache: Cell<Apache>,
    gitea: Cell<Gitea>,
    ssh: Cell<SshServer>,
    keycloak: Cell<Keycloak>,
    realm: Cell<()>,
    postgresql: Cell<PostgreSql>,
}

struct NamedHarbor {
    harbor: Arc<Harbor>,
    /// Whether the group was there before the suite.
    had_admins: bool,
}

impl World {
    pub(crate) async fn new(options: Options, folder: &Path) -> Self {
        let key = folder.join("token.key");
        run(Command::new("openssl")
            .args("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=harbor-token-issuer".split(' '))
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(folder.join("token.crt")))
        .await;
        Self {
            signing_key: SigningKey::from_pem(&std::fs::read(key).unwrap()).unwrap(),
            named_harbor: OnceCell::new(),
            newest_harbor: Mutex::default(),
            stages: Mutex::default(),
            options,
            run: format!("{:06x}", rand::random_range(0..1 << 24)),
            folder: folder.to_owned(),
            kubernetes: OnceCell::new(),
            admitted: OnceCell::new(),
            apache: OnceCell::new(),
            gitea: OnceCell::new(),
            ssh: OnceCell::new(),
            keycloak: OnceCell::new(),
            realm: OnceCell::new(),
            postgresql: OnceCell::new(),
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    /// Keeps a stage until it is clean.
    pub(crate) fn keep(&self, stage: &Arc<Stage>) {
        self.stages.lock().unwrap().push(stage.clone());
    }

    /// Forgets a stage that is clean.
    pub(crate) fn forget(&self, stage: &Arc<Stage>) {
        self.stages
            .lock()
            .unwrap()
            .retain(|other| !Arc::ptr_eq(other, stage));
    }

    /// The stages that are yet to be cleaned.
    pub(crate) fn stages(&self) -> Vec<Arc<Stage>> {
        self.stages.lock().unwrap().clone()
    }

    /// Removes what the suite itself made on servers that stay.
    pub(crate) async fn leave(&self) -> Result<(), String> {
        let mut errors = Vec::new();
        if let (Some(kubernetes), true) = (running(&self.kubernetes), self.is_named(Server::Kubernetes)) {
            errors.extend(caught(kubernetes.dismiss()).await.err());
        }
        if let Some(named) = running(&self.named_harbor) {
            let ours = format!("team-e2e-{}-", self.run);
            let remove = |group: &str| group.starts_with(&ours) || group == ADMINS && !named.had_admins;
            errors.extend(caught(named.harbor.remove_groups(remove)).await.err());
        }
        if let (Some(keycloak), true) = (running(&self.keycloak), self.options.keycloak.is_some()) {
            errors.extend(caught(keycloak.dismiss()).await.err());
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors.join("\n"))
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn binary(&self) -> &Path {
        &self.options.program
    }

    /// The certificate that registry tokens are verified with.
    pub(crate) fn token_certificate(&self) -> PathBuf {
        self.folder.join("token.crt")
    }

    /// Whether a server is one that was named, and so must not be broken.
    pub(crate) fn is_named(&self, server: Server) -> bool {
        match server {
            Server::Harbor => self.options.harbor.is_some(),
            Server::Kubernetes => self.options.kubeconfig.is_some(),
        }
    }

    /// The Harbor that was named, or a new one.
    pub(crate) async fn harbor(&self) -> Arc<Harbor> {
        if let Some(url) = &self.options.harbor {
            let named = started(&self.named_harbor, async {
                let password = self.options.harbor_admin_password_file.as_ref().unwrap();
                let harbor = Harbor::use_running(url, password, self.options.harbor_ca_file.as_deref());
                NamedHarbor {
                    had_admins: harbor.has_group(ADMINS).await,
                    harbor: Arc::new(harbor),
                }
            });
            return named.await.harbor.clone();
        }
        let harbor = Arc::new(Harbor::start(&self.signing_key).await);
        *self.newest_harbor.lock().unwrap() = Some(harbor.clone());
        harbor
    }

    /// Kubernetes, started where it has to be.
    pub(crate) async fn kubernetes(&self) -> &Kubernetes {
        let kubernetes = started(&self.kubernetes, async {
            let programs = self.options.servers.join("kubernetes");
            match &self.options.kubeconfig {
                Some(path) => Kubernetes::use_running(&self.folder, path, &self.run).await,
                None => Kubernetes::start(&self.folder, &programs, &self.run).await,
            }
        })
        .await;
        // Apart from the start: what is half made of it is taken away too.
        started(&self.admitted, kubernetes.admit()).await;
        kubernetes
    }

    pub(crate) fn kubernetes_that_runs(&self) -> &Kubernetes {
        running(&self.kubernetes).expect("every scenario starts with Kubernetes")
    }

    pub(crate) async fn apache(&self) -> &Apache {
        started(&self.apache, Apache::start(&self.folder)).await
    }

    pub(crate) async fn gitea(&self) -> &Gitea {
        let programs = self.options.servers.join("gitea");
        started(&self.gitea, Gitea::start(&self.folder, &programs)).await
    }

    /// Starts Gitea where a scenario left it stopped.
    pub(crate) async fn mend_gitea(&self) {
        if let Some(gitea) = running(&self.gitea) {
            gitea.resume().await;
        }
    }

    pub(crate) async fn ssh(&self) -> &SshServer {
        started(&self.ssh, SshServer::start(&self.folder)).await
    }

    pub(crate) async fn keycloak(&self) -> &Keycloak {
        let keycloak = started(&self.keycloak, async {
            let options = &self.options;
            if let Some(url) = &options.keycloak {
                let password = options.keycloak_admin_password_file.as_ref().unwrap();
                let ca = options.keycloak_ca_file.as_deref();
                return Keycloak::use_running(url, password, ca, &self.run);
            }
            Keycloak::start(&self.folder, &options.servers.join("keycloak"), &self.run).await
        })
        .await;
        started(&self.realm, keycloak.make_realm()).await;
        keycloak
    }

    pub(crate) async fn postgresql(&self) -> &PostgreSql {
        started(&self.postgresql, PostgreSql::start(&self.folder)).await
    }

    /// Where the servers are that were started.
    pub(crate) fn addresses(&self) -> Vec<(&'static str, String)> {
        let mut addresses = Vec::new();
        if let Some(harbor) = &*self.newest_harbor.lock().unwrap() {
            let folder = self.folder.join("harbor");
            let password = file(&folder, "password", harbor.password());
            let address = format!("{} (admin's password: {})", harbor.url, password.display());
            addresses.push(("the last Harbor", address));
        }
        let mut add =
            |name, address: Option<String>| addresses.extend(address.map(|address| (name, address)));
        let kubeconfig = |server: &Kubernetes| format!("KUBECONFIG={}", server.kubeconfig.display());
        add("Kubernetes", running(&self.kubernetes).map(kubeconfig));
        add(
            "Gitea",
            running(&self.gitea).map(|server| server.url().to_owned()),
        );
        let url = running(&self.apache).map(|server| server.url().to_owned());
        add("git over https", url);
        add("git over ssh", running(&self.ssh).map(|server| server.url("")));
        add(
            "Keycloak",
            running(&self.keycloak).map(|server| server.url().to_owned()),
        );
        add("PostgreSQL", running(&self.postgresql).map(PostgreSql::url));
        addresses
    }
}

fn running<T>(cell: &Cell<T>) -> Option<&T> {
    cell.get().and_then(|result| result.as_ref().ok())
}

/// The server of a cell, which is started once, whatever comes of it.
async fn started<T>(cell: &Cell<T>, start: impl Future<Output = T>) -> &T {
    match cell.get_or_init(|| caught(start)).await {
        Ok(server) => server,
        Err(why) => panic!("{why}"),
    }
}

/// What a panic says, as an error.
pub(crate) async fn caught<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let result = std::panic::AssertUnwindSafe(future).catch_unwind().await;
    result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        text.unwrap_or_else(|| "it panicked".to_owned())
    })
}
