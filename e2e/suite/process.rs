//! A server's process: started, waited for, stopped. And programs that are run to their end.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long a server may take to stop, before it is killed.
const PARTING: Duration = Duration::from_secs(30);
/// How long a program may run that is to end by itself.
const ERRAND: Duration = Duration::from_secs(120);

/// A running server. Dropping it stops it.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a server that writes to `NAME.log` in a folder.
    pub(crate) fn start(name: &str, folder: &Path, command: &mut Command) -> Self {
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            // A group of its own, so that its children end with it and Ctrl-C leaves it to us.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} can't be started: {error}"));
        Self {
            name: name.to_owned(),
            child,
            log,
        }
    }

    /// Waits until a probe says that the server is ready.
    pub(crate) async fn until(&mut self, ready: impl AsyncFn() -> bool) {
        let began = Instant::now();
        while !ready().await {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{} ended with {status}:\n{}", self.name, self.last_words());
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{} is not ready after {PATIENCE:?}:\n{}",
                self.name,
                self.last_words()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Asks it to end, and waits until it did.
    pub(crate) fn stop(&mut self) {
        self.signal("-TERM");
        self.signal("-CONT"); // Where it is frozen.
        let began = Instant::now();
        while self.is_running() && began.elapsed() < PARTING {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        if self.is_running() {
            self.signal("-KILL");
            // Where there is no program to signal a group with, its leader ends all the same.
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }

    /// Has it do nothing more, and not even end, until it is killed.
    pub(crate) fn freeze(&mut self) {
        self.signal("-STOP");
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().ok().flatten().is_none()
    }

    fn signal(&mut self, signal: &str) {
        if self.is_running() {
            let group = format!("-{}", self.child.id());
            Command::new("kill").args([signal, "--", &group]).status().ok();
        }
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port of the loopback address that nobody listens on now. It is below those that the system gives to
/// clients, so that it is still free when a server that was stopped comes back to it.
pub(crate) fn free_port() -> u16 {
    std::iter::repeat_with(|| rand::random_range(20_000..32_000))
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

/// Runs a program to its end, which must be a good one; answers what it printed.
pub(crate) async fn run(command: &mut Command) -> String {
    let shown = format!("{command:?}");
    let output = finish(command).await;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{shown} ended with {}:\n{printed}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    printed
}

/// Runs a program to its end, whatever that is. No thread waits for it, so that it can be given up.
pub(crate) async fn finish(command: &mut Command) -> Output {
    let shown = format!("{command:?}");
    let mut command = tokio::process::Command::from(std::mem::replace(command, Command::new("")));
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    tokio::time::timeout(ERRAND, output)
        .await
        .unwrap_or_else(|_| panic!("{shown} does not end"))
        .unwrap_or_else(|error| panic!("{shown} can't be started: {error}"))
}

/// Makes a folder that no other user can look into.
pub(crate) fn private_folder(path: &Path) {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .unwrap();
}
