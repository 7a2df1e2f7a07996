//! git over ssh, with a key and a checked host.
//!
//! # Guarantees
//! - Nothing is sent to a host whose key is not in the file of known hosts, or is revoked there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use git2::transport::Service;
use russh::client::{self, AuthResult, Handle, Msg};
use russh::keys::known_hosts::known_host_keys_path;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, Disconnect, Preferred};

use super::{Exchange, Patience, RemoteSettings, Wire, hand_out, unreachable};
use crate::edge::git::fetch_error::{Cause, FetchError};
use crate::edge::git::location::RemoteUrl;
use crate::run::meter::{CallEnd, Meter, MeteredCall, Server};

/// What a remote may say to its standard error, in bytes.
const MESSAGE: usize = 2048;

pub(super) struct SshWire {
    host: String,
    port: u16,
    user: String,
    /// What runs there: git, with the path quoted for its shell.
    command: String,
    key: Arc<PrivateKey>,
    known_hosts: PathBuf,
    connect_timeout: Duration,
    patience: Patience,
    meter: Arc<dyn Meter>,
}

impl SshWire {
    pub(super) fn new(
        url: &RemoteUrl,
        settings: &RemoteSettings,
        patience: Patience,
        meter: Arc<dyn Meter>,
    ) -> Result<Self, FetchError> {
        let missing = |what| FetchError::SettingMissing { what };
        let key = settings.ssh_key.as_ref().ok_or(missing("git-ssh-key-file"))?;
        let known_hosts = settings
            .known_hosts
            .clone()
            .ok_or(missing("git-known-hosts-file"))?;
        let unusable = |what: &str, path: &Path, source: Cause| FetchError::Setting {
            what: format!("{what} {}", path.display()),
            source,
        };
        // The library takes a file that is not there for one that knows nobody.
        std::fs::metadata(&known_hosts).map_err(|source| {
            unusable(
                "the known hosts file (git-known-hosts-file)",
                &known_hosts,
                source.into(),
            )
        })?;
        let key = russh::keys::load_secret_key(key, None)
            .map_err(|source| unusable("the private key (git-ssh-key-file)", key, source.into()))?;
        Ok(Self {
            host: url
                .url()
                .host_str()
                .unwrap_or_default()
                .trim_matches(['[', ']'])
                .to_lowercase(),
            port: url.url().port().unwrap_or(22),
            user: settings
                .username
                .as_deref()
                .or(url.user())
                .unwrap_or("git")
                .to_owned(),
            command: format!("git-upload-pack {}", quoted(&url.path_on_host())),
            key: Arc::new(key),
            known_hosts,
            connect_timeout: settings.timeout.min(Duration::from_secs(10)),
            patience,
            meter,
        })
    }

    async fn connect(&self) -> Result<(Handle<Guard>, Channel<Msg>), FetchError> {
        let address = (self.host.as_str(), self.port);
        let known = known_host_keys_path(&self.host, self.port, &self.known_hosts)
            .map_err(|source| FetchError::Setting {
                what: format!("the known hosts file {}", self.known_hosts.display()),
                source: source.into(),
            })?
            .into_iter()
            .map(|(_, key)| key)
            .collect::<Vec<_>>();
        let config = client::Config {
            preferred: preferred(&known),
            ..client::Config::default()
        };
        let guard = Guard {
            known,
            revoked: revoked(&self.known_hosts),
            known_hosts: self.known_hosts.clone(),
        };
        let connecting = client::connect(Arc::new(config), address, guard);
        let mut session = tokio::time::timeout(self.connect_timeout, connecting)
            .await
            .map_err(unreachable)?
            .map_err(|error| error.0)?;
        let hash = session
            .best_supported_rsa_hash()
            .await
            .map_err(unreachable)?
            .flatten();
        let key = PrivateKeyWithHashAlg::new(self.key.clone(), hash);
        let answer = session
            .authenticate_publickey(&self.user, key)
            .await
            .map_err(unreachable)?;
        if !matches!(answer, AuthResult::Success) {
            return Err(FetchError::LoginRefused);
        }
        let channel = session.channel_open_session().await.map_err(unreachable)?;
        channel
            .exec(true, self.command.as_bytes())
            .await
            .map_err(unreachable)?;
        Ok((session, channel))
    }
}

impl Wire for SshWire {
    fn is_stateless(&self) -> bool {
        false
    }

    fn login(&self) -> Option<u64> {
        None
    }

    fn begin(self: Arc<Self>, _: Service) -> Result<Box<dyn Exchange>, FetchError> {
        let call = MeteredCall::begin(self.meter.as_ref(), Server::Git, "ssh", &self.command);
        let connected = self.patience.wait(self.connect());
        call.end(match &connected {
            Ok(_) => CallEnd::Ok,
            Err(FetchError::LoginRefused) => CallEnd::Auth,
            Err(FetchError::HostKey { .. }) => CallEnd::Rejected,
            Err(_) => CallEnd::Unanswered,
        });
        let (session, channel) = connected?;
        tracing::debug!(
            ssh.host = self.host,
            ssh.command = self.command,
            "the git host runs {}",
            self.command
        );
        Ok(Box::new(SshExchange {
            patience: self.patience.clone(),
            session,
            channel,
            come: Bytes::new(),
            message: Vec::new(),
            ended: false,
        }))
    }
}

struct SshExchange {
    patience: Patience,
    session: Handle<Guard>,
    channel: Channel<Msg>,
    come: Bytes,
    /// What the remote's git said beside the protocol.
    message: Vec<u8>,
    /// Whether the remote said that nothing more comes.
    ended: bool,
}

impl Exchange for SshExchange {
    fn send(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        let sent = self.channel.data_bytes(bytes.to_vec());
        self.patience.wait(async { sent.await.map_err(unreachable) })
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, FetchError> {
        while self.come.is_empty() {
            let channel = &mut self.channel;
            match self.patience.wait(async { Ok(channel.wait().await) })? {
                Some(ChannelMsg::Data { data }) => self.come = data,
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    let room = MESSAGE.saturating_sub(self.message.len());
                    self.message.extend_from_slice(&data[..data.len().min(room)]);
                }
                Some(ChannelMsg::ExitStatus { exit_status }) if exit_status != 0 => {
                    return Err(FetchError::Remote {
                        message: self.told(exit_status),
                    });
                }
                Some(ChannelMsg::Failure) => {
                    return Err(FetchError::Remote {
                        message: "it runs no git for this login".to_owned(),
                    });
                }
                Some(ChannelMsg::Eof | ChannelMsg::ExitStatus { .. }) => self.ended = true,
                Some(_) => {}
                None if self.ended => return Ok(0),
                None => return Err(unreachable("the connection ended")),
            }
        }
        Ok(hand_out(&mut self.come, buffer))
    }
}

impl SshExchange {
    fn told(&self, exit_status: u32) -> String {
        let message = String::from_utf8_lossy(&self.message);
        // It is printed on terminals, which some characters steer.
        let line = message.trim().replace(char::is_control, " ");
        if line.is_empty() {
            format!("its git ended with status {exit_status}")
        } else {
            line
        }
    }
}

impl Drop for SshExchange {
    fn drop(&mut self) {
        // The host notices by itself where this can't be said.
        let parting = self.session.disconnect(Disconnect::ByApplication, "", "");
        let _ = self.patience.wait(async { parting.await.map_err(unreachable) });
    }
}

/// Lets in hosts that are known.
struct Guard {
    known: Vec<PublicKey>,
    revoked: Vec<PublicKey>,
    known_hosts: PathBuf,
}

/// The library wants an error type of ours to carry its own.
#[derive(Debug)]
struct GuardError(FetchError);

impl From<russh::Error> for GuardError {
    fn from(error: russh::Error) -> Self {
        Self(unreachable(error))
    }
}

impl client::Handler for Guard {
    type Error = GuardError;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, GuardError> {
        let same = |other: &PublicKey, key: &PublicKey| other.key_data() == key.key_data();
        let (fingerprint, verdict) = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => {
                let known = self.known.iter().any(|other| same(other, key));
                let revoked = self.revoked.iter().any(|other| same(other, key));
                let verdict = match (revoked, known) {
                    (true, _) => "revoked in",
                    (false, true) => return Ok(true),
                    (false, false) if self.known.is_empty() => "not in",
                    (false, false) if self.known.iter().all(|other| other.algorithm().is_rsa()) => {
                        "of another kind than RSA, which is all there is, and which this build can't check, in"
                    }
                    (false, false) => "not the one in",
                };
                (key.fingerprint(HashAlg::Sha256).to_string(), verdict)
            }
            PublicKeyOrCertificate::Certificate(_) => ("of a certificate".to_owned(), "not in"),
        };
        Err(GuardError(FetchError::HostKey {
            fingerprint,
            verdict,
            known_hosts: self.known_hosts.clone(),
        }))
    }
}

/// Asks for a key of a kind that is known, as a host has several.
fn preferred(known: &[PublicKey]) -> Preferred {
    let defaults = Preferred::default();
    let mut algorithms: Vec<Algorithm> = defaults.key.to_vec();
    algorithms.sort_by_key(|algorithm| !known.iter().any(|key| key.algorithm() == *algorithm));
    Preferred {
        key: algorithms.into(),
        ..defaults
    }
}

/// The keys that the file says are not to be trusted, whoever shows them.
fn revoked(known_hosts: &Path) -> Vec<PublicKey> {
    std::fs::read_to_string(known_hosts)
        .unwrap_or_default()
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            words.next().filter(|mark| *mark == "@revoked")?;
            let mut words = words.skip(1);
            let key = format!("{} {}", words.next()?, words.next()?);
            PublicKey::from_openssh(&key).ok()
        })
        .collect()
}

/// One word for the remote's shell.
fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''").replace('!', r"'\!'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_to_the_remotes_shell() {
        assert_eq!(quoted("/a b.git"), "'/a b.git'");
        assert_eq!(quoted("/x'; rm -rf ~'"), r"'/x'\''; rm -rf ~'\'''");
        assert_eq!(quoted("/!x"), r"'/'\!'x'");
    }

    #[test]
    fn a_revoked_key_is_found_whatever_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEChAlz4Qpb7HhBYwzJnbhcbWwOTXDsdLdGbLu2bYH";
        std::fs::write(
            &path,
            format!("# a comment\n@revoked * {key} old\nexample.com {key}\n"),
        )
        .unwrap();
        let revoked = revoked(&path);
        assert_eq!(revoked.len(), 1);
        let known = known_host_keys_path("example.com", 22, &path).unwrap();
        assert_eq!(known[0].1.key_data(), revoked[0].key_data());
    }
}
