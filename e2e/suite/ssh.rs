//! Debian's git over ssh.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Process, free_port, private_folder, run};

/// An ssh server that lets one key in.
pub(crate) struct SshServer {
    folder: PathBuf,
    port: u16,
    user: String,
    _process: Process,
}

impl SshServer {
    pub(crate) async fn start(folder: &Path) -> Self {
        let folder = folder.join("ssh");
        private_folder(&folder);
        for name in ["host", "user", "stranger"] {
            run(Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(folder.join(name)))
            .await;
        }
        let port = free_port();
        let configuration = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n\
             StrictModes no\nUsePAM yes\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nPidFile none\n",
            folder = folder.display(),
        );
        std::fs::write(folder.join("sshd.conf"), configuration).unwrap();
        // The server locks its unprivileged part in here.
        std::fs::create_dir_all("/run/sshd").unwrap();
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(folder.join("sshd.conf"));
        let mut process = Process::start("sshd", &folder, &mut command);
        process
            .until(async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok())
            .await;
        let key = std::fs::read_to_string(folder.join("host.pub")).unwrap();
        std::fs::write(folder.join("known_hosts"), format!("[127.0.0.1]:{port} {key}")).unwrap();
        let other = std::fs::read_to_string(folder.join("stranger.pub")).unwrap();
        std::fs::write(folder.join("other_hosts"), format!("[127.0.0.1]:{port} {other}")).unwrap();
        let user = run(Command::new("id").arg("-un")).await.trim().to_owned();
        Self {
            folder,
            port,
            user,
            _process: process,
        }
    }

    /// The URL of a path on this machine.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("ssh://{}@127.0.0.1:{}{path}", self.user, self.port)
    }

    /// The key that is let in.
    pub(crate) fn key(&self) -> PathBuf {
        self.folder.join("user")
    }

    /// A key that is not.
    pub(crate) fn other_key(&self) -> PathBuf {
        self.folder.join("stranger")
    }

    /// The host's key, as a client knows it.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// Another key for the same host, as if somebody else answered.
    pub(crate) fn other_hosts(&self) -> PathBuf {
        self.folder.join("other_hosts")
    }
}
