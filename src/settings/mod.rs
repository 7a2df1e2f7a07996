//! Settings: flags, then `HARBORAGE_*`, then a file, then defaults, checked once.
//!
//! [`Said`] is what was said, each part of it optional; [`Settings`] is what holds.

mod downloads;
mod git;
mod said;
mod serving;
mod traces;

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

pub use downloads::DownloadSettings;
pub use git::{GitAccess, GivenSecret};
pub use said::{
    Colour, DownloadArgs, GitArgs, HarborArgs, KubernetesArgs, OutputArgs, RepositoryArgs, RunningArgs, Said,
    ServingArgs,
};
pub use serving::ServeSettings;

use crate::values::names::{NameError, RegistryHost};

/// Settings that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The settings file or a file that holds a secret can't be read.
    #[error("failed to read {what} {}", path.display())]
    Read {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The settings file says something that is not a setting.
    #[error("failed to understand the settings file {}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// A setting has a value that can't be.
    #[error("{name} can't be {value:?}: {hint}")]
    Value {
        /// The setting, as its flag is spelt.
        name: &'static str,
        /// What was given.
        value: String,
        /// What it should be.
        hint: String,
    },
    /// A setting that this command needs is missing.
    #[error("{name} is not set: give --{name}, {variable} or a line in the settings file ({hint})")]
    Missing {
        /// The setting, as its flag is spelt.
        name: &'static str,
        /// Its environment variable.
        variable: &'static str,
        /// What it is for.
        hint: &'static str,
    },
}

/// The values that hold where nothing is said, by flag.
pub const DEFAULTS: [(&str, &str); 15] = [
    ("reference", "HEAD"),
    ("git-timeout", "5m"),
    ("git-limit", "1024"),
    ("harbor-username", "admin"),
    ("harbor-writes", "4"),
    ("harbor-reads", "16"),
    ("call-timeout", "30s"),
    ("kubernetes-writes", "16"),
    ("kubernetes-reads", "16"),
    ("state", "harborage-state"),
    ("poll", "30s"),
    ("lanes", "64"),
    ("stop-deadline", "25s"),
    ("log-format", "text"),
    ("colour", "auto"),
];

/// Where the values come from.
#[derive(Debug, Clone, Default)]
pub struct SourceSettings {
    /// The branch, tag or commit; `None` for HEAD.
    pub reference: Option<String>,
    /// Whether the working tree is read instead of a commit.
    pub working_tree: bool,
    /// The folder below which `env/` is.
    pub root: Option<String>,
    /// The layout, when forced.
    pub layout: Option<String>,
    /// `cloud/name`, for a repository of many clusters.
    pub cluster: Option<String>,
    /// The registry's host, when it does not follow from the repository.
    pub registry_host: Option<RegistryHost>,
    /// A folder of job files.
    pub jobs: Option<PathBuf>,
    /// How it is fetched, where it is behind a URL.
    pub git: GitAccess,
}

/// How Harbor is reached.
#[derive(Debug, Clone)]
pub struct HarborAccess {
    /// Base URL.
    pub url: String,
    /// The administrator.
    pub username: String,
    /// Its password.
    pub password: SecretString,
    /// PEM of a certificate authority to trust beside the system's.
    pub ca: Option<Vec<u8>>,
    /// Writes in flight at most.
    pub writes: usize,
    /// Reads in flight at most.
    pub reads: usize,
    /// How long one call may take.
    pub timeout: Duration,
}

/// How Kubernetes is reached.
#[derive(Debug, Clone)]
pub struct KubernetesAccess {
    /// A kubeconfig file.
    pub kubeconfig: Option<PathBuf>,
    /// Its context.
    pub context: Option<String>,
    /// The API server, instead of a kubeconfig file.
    pub url: Option<String>,
    /// The bearer token for that URL.
    pub token: Option<SecretString>,
    /// PEM of that URL's certificate authority.
    pub ca: Option<Vec<u8>>,
    /// Reads in flight at most.
    pub reads: usize,
    /// Writes in flight at most.
    pub writes: usize,
    /// How long one call may take.
    pub timeout: Duration,
}

/// How the engine runs.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// The folder of the journal.
    pub state: PathBuf,
    /// How often the repository is looked at.
    pub poll: Duration,
    /// Teams that are worked on at once.
    pub lanes: usize,
    /// How long a graceful stop may take.
    pub stop_deadline: Duration,
    /// Whether missing namespaces are created.
    pub create_namespaces: bool,
    /// The OIDC client secret for Harbor's configuration.
    pub oidc_client_secret: Option<SecretString>,
}

/// Secrets that came by the environment, since a flag would show in the process list.
#[derive(Debug, Clone, Default)]
pub struct SecretVariables {
    /// `HARBORAGE_HARBOR_PASSWORD`.
    pub harbor_password: Option<SecretString>,
    /// `HARBORAGE_OIDC_CLIENT_SECRET`.
    pub oidc_client_secret: Option<SecretString>,
    /// `HARBORAGE_GIT_PASSWORD`.
    pub git_password: Option<SecretString>,
    /// `HARBORAGE_GIT_TOKEN`.
    pub git_token: Option<SecretString>,
}

/// What holds, from what was said.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Everything that was said, file included.
    pub said: Said,
    secrets: SecretVariables,
}

impl Settings {
    /// Takes what was said on the command line and in the environment, and fills in from the file.
    ///
    /// # Errors
    /// When the file can't be read or understood.
    pub fn load(said: Said, file: Option<&Path>, secrets: SecretVariables) -> Result<Self, SettingsError> {
        let said = match file {
            None => said,
            Some(path) => said.or(read_file(path)?),
        };
        Ok(Self { said, secrets })
    }

    /// Where the repository is.
    ///
    /// # Errors
    /// When it is not set.
    pub fn repository(&self) -> Result<PathBuf, SettingsError> {
        self.said.repository.clone().ok_or(SettingsError::Missing {
            name: "repository",
            variable: "HARBORAGE_REPOSITORY",
            hint: "the path or URL of the values repository",
        })
    }

    /// How the repository is read.
    ///
    /// # Errors
    /// When the registry's host is no host, or what fetching needs can't be read.
    pub fn source(&self) -> Result<SourceSettings, SettingsError> {
        let registry_host =
            match &self.said.registry_host {
                None => None,
                Some(text) => Some(RegistryHost::new(text.clone()).map_err(|error: NameError| {
                    SettingsError::Value {
                        name: "registry-host",
                        value: text.clone(),
                        hint: error.rule.to_owned(),
                    }
                })?),
            };
        Ok(SourceSettings {
            reference: self.said.reference.clone(),
            working_tree: self.said.working_tree.unwrap_or(false),
            root: self.said.root.clone(),
            layout: self.said.layout.clone(),
            cluster: self.said.cluster.clone(),
            registry_host,
            jobs: self.said.jobs.clone(),
            git: self.git()?,
        })
    }

    /// How Harbor is reached.
    ///
    /// # Errors
    /// When URL or password are missing or can't be read.
    pub fn harbor(&self) -> Result<HarborAccess, SettingsError> {
        let url = self.said.harbor_url.clone().ok_or(SettingsError::Missing {
            name: "harbor-url",
            variable: "HARBORAGE_HARBOR_URL",
            hint: "Harbor's base URL, such as http://harbor-core.harbor",
        })?;
        let password = match (&self.said.harbor_password_file, &self.secrets.harbor_password) {
            (Some(path), _) => read_secret("the Harbor password file", path)?,
            (None, Some(password)) => password.clone(),
            (None, None) => {
                return Err(SettingsError::Missing {
                    name: "harbor-password-file",
                    variable: "HARBORAGE_HARBOR_PASSWORD",
                    hint: "the file with the Harbor administrator's password",
                });
            }
        };
        Ok(HarborAccess {
            url,
            username: self
                .said
                .harbor_username
                .clone()
                .unwrap_or_else(|| "admin".to_owned()),
            password,
            ca: read_optional("the Harbor CA file", self.said.harbor_ca_file.as_deref())?,
            writes: positive("harbor-writes", self.said.harbor_writes, 4)?,
            reads: positive("harbor-reads", self.said.harbor_reads, 16)?,
            timeout: duration(
                "call-timeout",
                self.said.call_timeout.as_deref(),
                Duration::from_secs(30),
            )?,
        })
    }

    /// How Kubernetes is reached.
    ///
    /// # Errors
    /// When a file can't be read or a number can't be.
    pub fn kubernetes(&self) -> Result<KubernetesAccess, SettingsError> {
        let token = match &self.said.kubernetes_token_file {
            None => None,
            Some(path) => Some(read_secret("the Kubernetes token file", path)?),
        };
        Ok(KubernetesAccess {
            kubeconfig: self.said.kubeconfig.clone(),
            context: self.said.kube_context.clone(),
            url: self.said.kubernetes_url.clone(),
            token,
            ca: read_optional("the Kubernetes CA file", self.said.kubernetes_ca_file.as_deref())?,
            writes: positive("kubernetes-writes", self.said.kubernetes_writes, 16)?,
            reads: positive("kubernetes-reads", self.said.kubernetes_reads, 16)?,
            timeout: duration(
                "call-timeout",
                self.said.call_timeout.as_deref(),
                Duration::from_secs(30),
            )?,
        })
    }

    /// The folder of the journal.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.said
            .state
            .clone()
            .unwrap_or_else(|| PathBuf::from("harborage-state"))
    }

    /// How the engine runs.
    ///
    /// # Errors
    /// When a duration or number can't be, or the client secret's file can't be read.
    pub fn run(&self) -> Result<RunSettings, SettingsError> {
        let oidc_client_secret = match &self.said.oidc_client_secret_file {
            Some(path) => Some(read_secret("the OIDC client secret file", path)?),
            None => self.secrets.oidc_client_secret.clone(),
        };
        Ok(RunSettings {
            state: self.state(),
            poll: duration("poll", self.said.poll.as_deref(), Duration::from_secs(30))?,
            lanes: positive("lanes", self.said.lanes, 64)?,
            stop_deadline: duration(
                "stop-deadline",
                self.said.stop_deadline.as_deref(),
                Duration::from_secs(25),
            )?,
            create_namespaces: self.said.create_namespaces.unwrap_or(false),
            oidc_client_secret,
        })
    }
}

fn read_file(path: &Path) -> Result<Said, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read {
        what: "the settings file",
        path: path.to_owned(),
        source,
    })?;
    crate::run::yaml::from_text(&text).map_err(|misread| SettingsError::File {
        path: path.to_owned(),
        message: misread.to_string(),
    })
}

/// Reads a file that holds one secret; the line's end is not part of it.
fn read_secret(what: &'static str, path: &Path) -> Result<SecretString, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read {
        what,
        path: path.to_owned(),
        source,
    })?;
    Ok(SecretString::from(text.trim_end_matches(['\r', '\n'])))
}

fn read_optional(what: &'static str, path: Option<&Path>) -> Result<Option<Vec<u8>>, SettingsError> {
    path.map(|path| {
        std::fs::read(path).map_err(|source| SettingsError::Read {
            what,
            path: path.to_owned(),
            source,
        })
    })
    .transpose()
}

fn positive(name: &'static str, given: Option<usize>, default: usize) -> Result<usize, SettingsError> {
    match given {
        Some(0) => Err(SettingsError::Value {
            name,
            value: "0".to_owned(),
            hint: "at least 1".to_owned(),
        }),
        given => Ok(given.unwrap_or(default)),
    }
}

fn duration(name: &'static str, given: Option<&str>, default: Duration) -> Result<Duration, SettingsError> {
    let Some(text) = given else { return Ok(default) };
    let refused = |hint: String| SettingsError::Value {
        name,
        value: text.to_owned(),
        hint,
    };
    let duration = humantime::parse_duration(text)
        .map_err(|error| refused(format!("{error}; write it like 30s, 5m or 1h30m")))?;
    if duration.is_zero() {
        Err(refused("it must be longer than nothing".to_owned()))
    } else {
        Ok(duration)
    }
}
