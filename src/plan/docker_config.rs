//! The docker configuration that a Secret carries: read, merged and written here, never shown.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::values::names::RegistryHost;

/// A docker configuration that can't be read. Says nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DockerConfigError {
    /// The bytes are not a JSON object.
    #[error("the docker configuration is not a JSON object")]
    NotAnObject,
    /// `auths` is there but is not an object.
    #[error("the docker configuration's auths is not an object")]
    AuthsNotAnObject,
}

/// A login: what `docker login` asks for.
#[derive(Clone)]
pub struct Login {
    /// The user name; for a robot its prefixed name.
    pub username: String,
    /// Its password; for a robot its secret.
    pub password: SecretString,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// A docker configuration: logins by registry, beside whatever else it holds.
#[derive(Clone)]
pub struct DockerConfig {
    auths: BTreeMap<String, Value>,
    rest: Map<String, Value>,
}

impl fmt::Debug for DockerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerConfig")
            .field("registries", &self.auths.len())
            .finish_non_exhaustive()
    }
}

impl DockerConfig {
    /// A configuration with no login at all.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            auths: BTreeMap::new(),
            rest: Map::new(),
        }
    }

    /// Reads the bytes of a Secret's key.
    ///
    /// # Errors
    /// When they are no JSON object, or their `auths` is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, DockerConfigError> {
        let Ok(Value::Object(mut rest)) = serde_json::from_slice::<Value>(bytes) else {
            return Err(DockerConfigError::NotAnObject);
        };
        let auths = match rest.remove("auths") {
            None | Some(Value::Null) => BTreeMap::new(),
            Some(Value::Object(auths)) => auths.into_iter().collect(),
            Some(_) => return Err(DockerConfigError::AuthsNotAnObject),
        };
        Ok(Self { auths, rest })
    }

    /// The login for a registry, from `username` and `password`, or from `auth`.
    /// `None` when there is no entry for the registry or it can't be read.
    #[must_use]
    pub fn login(&self, host: &RegistryHost) -> Option<Login> {
        self.auths
            .iter()
            .find(|(registry, _)| names_host(registry, host))
            .and_then(|(_, entry)| read_login(entry))
    }

    /// The login that names this user: for the host, or else for whichever registry. Where the
    /// platform's domain changed, the robot's own login still stands under the former host.
    #[must_use]
    pub fn login_of(&self, host: &RegistryHost, username: &str) -> Option<Login> {
        let names_user = |login: &Login| login.username == username;
        self.login(host)
            .filter(names_user)
            .or_else(|| self.auths.values().filter_map(read_login).find(names_user))
    }

    /// The configuration with this login for the host. Entries of other registries are kept,
    /// save those that name the same user: they are the same robot's, under a former host.
    #[must_use]
    pub fn with_login(&self, host: &RegistryHost, login: &Login) -> Self {
        let mut auths = self.auths.clone();
        auths.retain(|registry, entry| {
            !names_host(registry, host)
                && read_login(entry).is_none_or(|other| other.username != login.username)
        });
        let password = login.password.expose_secret();
        auths.insert(
            host.to_string(),
            json!({
                "username": login.username,
                "password": password,
                // Otomi's own Secrets carry this address; consumers that demand one accept it.
                "email": "not@val.id",
                "auth": STANDARD.encode(format!("{}:{password}", login.username)),
            }),
        );
        Self {
            auths,
            rest: self.rest.clone(),
        }
    }

    /// Whether an entry other than the host's names this user.
    #[must_use]
    pub fn has_former_host(&self, host: &RegistryHost, username: &str) -> bool {
        self.auths.iter().any(|(registry, entry)| {
            !names_host(registry, host) && read_login(entry).is_some_and(|login| login.username == username)
        })
    }

    /// The bytes for a Secret's key.
    #[must_use]
    pub fn render(&self) -> SecretString {
        let mut object = self.rest.clone();
        object.insert(
            "auths".to_owned(),
            Value::Object(self.auths.clone().into_iter().collect()),
        );
        SecretString::from(Value::Object(object).to_string())
    }

    /// SHA-256 over the registry, the user and the password of the login for a host: the mark by which
    /// an untouched Secret is told without asking Harbor. It is kept on the Secret itself, beside the password.
    #[must_use]
    pub fn login_digest(&self, host: &RegistryHost) -> Option<String> {
        let login = self.login(host)?;
        let mut digest = Sha256::new();
        for part in [host.as_str(), &login.username, login.password.expose_secret()] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Some(hex::encode(digest.finalize()))
    }
}

/// Whether a key of `auths` stands for the host: docker also writes `https://host` and `https://host/v2/`.
fn names_host(registry: &str, host: &RegistryHost) -> bool {
    let bare = registry
        .strip_prefix("https://")
        .or_else(|| registry.strip_prefix("http://"))
        .unwrap_or(registry);
    bare.split('/').next() == Some(host.as_str())
}

fn read_login(entry: &Value) -> Option<Login> {
    let text = |key: &str| {
        entry
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    if let (Some(username), Some(password)) = (text("username"), text("password")) {
        return Some(Login {
            username: username.to_owned(),
            password: SecretString::from(password),
        });
    }
    let decoded = String::from_utf8(STANDARD.decode(text("auth")?).ok()?).ok()?;
    let (username, password) = decoded.split_once(':')?;
    Some(Login {
        username: username.to_owned(),
        password: SecretString::from(password),
    })
}
