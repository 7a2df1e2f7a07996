//! The program itself, run as a user runs it.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::process::Command;

use super::support::Stage;

/// A folder with the files that the program is given.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new(stage: &Stage) -> Self {
        let folder = TempDir::new().unwrap();
        let password = stage.harbor.admin_password().expose_secret();
        std::fs::write(folder.path().join("password"), format!("{password}\n")).unwrap();
        std::fs::write(folder.path().join("client-secret"), "a-client-secret\n").unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn state(&self) -> std::path::PathBuf {
        self.0.path().join("state")
    }
}

/// The program with a command, a path or URL, and settings that lead to the stage.
pub(crate) fn harborage(
    command: &str,
    repository: impl AsRef<OsStr>,
    stage: &Stage,
    folder: &Folder,
) -> Command {
    let mut program = bare();
    program
        .arg(command)
        .arg(repository)
        .args(["--harbor-url", &stage.harbor.base_url()])
        .args(["--kubernetes-url", &stage.kubernetes.base_url()])
        .arg("--harbor-password-file")
        .arg(folder.path().join("password"))
        .arg("--oidc-client-secret-file")
        .arg(folder.path().join("client-secret"))
        .arg("--state")
        .arg(folder.state());
    program
}

/// The program without arguments, and without what the environment of the tests would say.
pub(crate) fn bare() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_harborage"));
    program
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    program
}

/// How a run ended: its exit status, and what it printed.
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) async fn run(mut program: Command) -> Ended {
    let output = program.output().await.unwrap();
    Ended {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
