//! The servers that all scenarios share. Each starts when it is first needed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use harborage::rehearsal::harbor::SigningKey;
use tokio::sync::OnceCell;

use super::apache::Apache;
use super::gitea::Gitea;
use super::harbor::{Harbor, Surroundings};
use super::keycloak::Keycloak;
use super::kubernetes::Kubernetes;
use super::options::Options;
use super::postgresql::PostgreSql;
use super::process::run;
use super::ssh::SshServer;

/// Servers of a kind, as a scenario names those that it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Harbor,
    Kubernetes,
    Keycloak,
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// All servers.
pub(crate) struct World {
    options: Options,
    /// Tells this run's objects from those that another left behind.
    run: String,
    folder: PathBuf,
    surroundings: Surroundings,
    named_harbor: Option<Arc<Harbor>>,
    /// That of the scenario which began last.
    newest_harbor: Mutex<Option<Arc<Harbor>>>,
    kubernetes: OnceCell<Kubernetes>,
    apache: OnceCell<Apache>,
    gitea: OnceCell<Gitea>,
    ssh: OnceCell<SshServer>,
    keycloak: OnceCell<Keycloak>,
    postgresql: OnceCell<PostgreSql>,
}

impl World {
    pub(crate) fn new(options: Options, folder: &Path) -> Self {
        let key = folder.join("token.key");
        run(Command::new("openssl")
            .args("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=harbor-token-issuer".split(' '))
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(folder.join("token.crt")));
        let named_harbor = options.harbor.as_ref().map(|url| {
            let password = options
                .harbor_admin_password_file
                .as_ref()
                .expect("--harbor needs --harbor-admin-password-file");
            Arc::new(Harbor::use_running(
                url,
                password,
                options.harbor_ca_file.as_deref(),
            ))
        });
        Self {
            surroundings: Surroundings {
                signing_key: Some(SigningKey::from_pem(&std::fs::read(key).unwrap()).unwrap()),
                issuers: Vec::new(),
            },
            named_harbor,
            newest_harbor: Mutex::default(),
            options,
            run: format!("{:04x}", rand::random::<u16>()),
            folder: folder.to_owned(),
            kubernetes: OnceCell::new(),
            apache: OnceCell::new(),
            gitea: OnceCell::new(),
            ssh: OnceCell::new(),
            keycloak: OnceCell::new(),
            postgresql: OnceCell::new(),
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    /// Removes what the suite itself made on servers that stay.
    pub(crate) async fn leave(&self) {
        if let (Some(kubernetes), true) = (self.kubernetes.get(), self.is_named(Server::Kubernetes)) {
            kubernetes.dismiss().await;
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
            Server::Keycloak => self.options.keycloak.is_some(),
        }
    }

    /// The Harbor that was named, or a new one.
    pub(crate) async fn harbor(&self) -> Arc<Harbor> {
        if let Some(harbor) = &self.named_harbor {
            return harbor.clone();
        }
        let harbor = Arc::new(Harbor::start(&self.surroundings).await);
        *self.newest_harbor.lock().unwrap() = Some(harbor.clone());
        harbor
    }

    /// Kubernetes, started where it has to be.
    pub(crate) async fn kubernetes(&self) -> &Kubernetes {
        self.kubernetes
            .get_or_init(async || match &self.options.kubeconfig {
                Some(path) => Kubernetes::use_running(&self.folder, path).await,
                None => Kubernetes::start(&self.folder, &self.options.servers.join("kubernetes")).await,
            })
            .await
    }

    pub(crate) fn kubernetes_that_runs(&self) -> &Kubernetes {
        self.kubernetes
            .get()
            .expect("every scenario starts with Kubernetes")
    }

    pub(crate) async fn apache(&self) -> &Apache {
        self.apache
            .get_or_init(async || Apache::start(&self.folder).await)
            .await
    }

    pub(crate) async fn gitea(&self) -> &Gitea {
        let programs = self.options.servers.join("gitea");
        self.gitea
            .get_or_init(async || Gitea::start(&self.folder, &programs).await)
            .await
    }

    pub(crate) async fn ssh(&self) -> &SshServer {
        self.ssh
            .get_or_init(async || SshServer::start(&self.folder).await)
            .await
    }

    pub(crate) async fn keycloak(&self) -> &Keycloak {
        self.keycloak
            .get_or_init(async || match &self.options.keycloak {
                Some(url) => {
                    let password = self
                        .options
                        .keycloak_admin_password_file
                        .as_ref()
                        .expect("--keycloak needs --keycloak-admin-password-file");
                    Keycloak::use_running(url, password).await
                }
                None => Keycloak::start(&self.folder, &self.options.servers.join("keycloak")).await,
            })
            .await
    }

    pub(crate) async fn postgresql(&self) -> &PostgreSql {
        self.postgresql
            .get_or_init(async || PostgreSql::start(&self.folder).await)
            .await
    }

    /// Where the servers are that were started.
    pub(crate) fn addresses(&self) -> Vec<(&'static str, String)> {
        let mut addresses = Vec::new();
        if let Some(harbor) = &*self.newest_harbor.lock().unwrap() {
            let password = self.folder.join("harbor-password");
            std::fs::write(&password, harbor.password()).unwrap();
            let address = format!("{} (admin's password: {})", harbor.url, password.display());
            addresses.push(("the last Harbor", address));
        }
        if let Some(kubernetes) = self.kubernetes.get() {
            addresses.push((
                "Kubernetes",
                format!("KUBECONFIG={}", kubernetes.kubeconfig.display()),
            ));
        }
        if let Some(gitea) = self.gitea.get() {
            addresses.push(("Gitea", gitea.url().to_owned()));
        }
        if let Some(apache) = self.apache.get() {
            addresses.push(("git over https", apache.url().to_owned()));
        }
        if let Some(ssh) = self.ssh.get() {
            addresses.push(("git over ssh", ssh.url("")));
        }
        if let Some(keycloak) = self.keycloak.get() {
            addresses.push(("Keycloak", keycloak.url().to_owned()));
        }
        if let Some(postgresql) = self.postgresql.get() {
            addresses.push(("PostgreSQL", postgresql.url()));
        }
        addresses
    }
}
