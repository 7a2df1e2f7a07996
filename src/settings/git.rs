//! How a values repository of another host is fetched.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::{Settings, SettingsError, duration, positive, read_optional};

/// A secret, or the file that holds it, which is read whenever the secret is needed.
#[derive(Debug, Clone)]
pub enum GivenSecret {
    /// It came by the environment.
    Text(SecretString),
    /// It is in a file.
    File(PathBuf),
}

/// How a git host is signed in to, and how long it may take.
#[derive(Debug, Clone, Default)]
pub struct GitAccess {
    /// Who signs in.
    pub username: Option<String>,
    /// The password, or a token that stands for one.
    pub password: Option<GivenSecret>,
    /// A bearer token.
    pub token: Option<GivenSecret>,
    /// PEM of a certificate authority to trust beside the system's.
    pub ca: Option<Vec<u8>>,
    /// The private key for ssh.
    pub ssh_key: Option<PathBuf>,
    /// The keys of ssh hosts.
    pub known_hosts: Option<PathBuf>,
    /// How long a fetch may take in all.
    pub timeout: Duration,
    /// How many bytes a fetch may bring.
    pub limit: u64,
}

impl Settings {
    /// How a git host is reached.
    ///
    /// # Errors
    /// When a file can't be read or a value can't be.
    pub fn git(&self) -> Result<GitAccess, SettingsError> {
        let said = &self.said;
        let secret = |file: &Option<PathBuf>, text: &Option<SecretString>| match (file, text) {
            (Some(path), _) => Some(GivenSecret::File(path.clone())),
            (None, text) => text.clone().map(GivenSecret::Text),
        };
        let limit = positive("git-limit", said.git_limit, 1024)?;
        Ok(GitAccess {
            username: said.git_username.clone(),
            password: secret(&said.git_password_file, &self.secrets.git_password),
            token: secret(&said.git_token_file, &self.secrets.git_token),
            ca: read_optional("the git CA file", said.git_ca_file.as_deref())?,
            ssh_key: said.git_ssh_key_file.clone(),
            known_hosts: said.git_known_hosts_file.clone(),
            timeout: duration(
                "git-timeout",
                said.git_timeout.as_deref(),
                Duration::from_secs(300),
            )?,
            limit: (limit as u64).saturating_mul(1 << 20),
        })
    }
}
