//! The release binary, run as a user runs it.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use harborage::serve::status::StatusReport;
use serde_json::Value;
use tokio::process::{Child, Command};

use super::process::private_folder;

/// How long teams may take to be ready.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The calls that the program says it made, by its log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) harbor: usize,
    pub(crate) kubernetes: usize,
    pub(crate) git: usize,
    /// Of those to Harbor and Kubernetes.
    pub(crate) writes: usize,
}

/// The program with a folder of its own: settings, state and log.
pub(crate) struct Program {
    pub(crate) binary: PathBuf,
    pub(crate) folder: PathBuf,
    /// Arguments for the servers and the repository.
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) log_filter: String,
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) printed: String,
}

impl Program {
    pub(crate) fn set(&mut self, flag: &str, value: impl AsRef<OsStr>) {
        let flag = format!("--{flag}");
        let value = value.as_ref().to_str().unwrap().to_owned();
        if let Some(at) = self.arguments.iter().position(|argument| *argument == flag) {
            self.arguments[at + 1] = value;
        } else {
            self.arguments.extend([flag, value]);
        }
    }

    pub(crate) fn unset(&mut self, flag: &str) {
        let flag = format!("--{flag}");
        let at = self
            .arguments
            .iter()
            .position(|argument| *argument == flag)
            .unwrap();
        self.arguments.drain(at..at + 2);
    }

    pub(crate) fn set_variable(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("harborage.log")
    }

    fn command(&self, subcommand: &str) -> Command {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log())
            .unwrap();
        let mut command = Command::new(&self.binary);
        command
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .arg(subcommand)
            .args(&self.arguments)
            .arg("--state")
            .arg(self.state())
            .args(["--log-format", "json", "--log", &self.log_filter])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, subcommand: &str) -> Ended {
        let running = self.command(subcommand).spawn().unwrap().wait_with_output();
        let output = tokio::time::timeout(PATIENCE, running)
            .await
            .expect("the command does not end")
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &self.last_words();
        Ended {
            status: output.status.code(),
            printed,
        }
    }

    /// Makes one pass, which must reach everything. Answers how long it took.
    pub(crate) async fn apply(&self) -> Duration {
        let began = Instant::now();
        let ended = self.run("apply").await;
        assert_eq!(
            ended.status,
            Some(0),
            "apply did not converge:\n{}",
            ended.printed
        );
        began.elapsed()
    }

    /// Starts the daemon.
    pub(crate) fn start(&self) -> Daemon {
        let mut command = self.command("run");
        command.stdout(Stdio::null());
        Daemon {
            child: command.spawn().unwrap(),
        }
    }

    /// The status of the daemon, or of its journal.
    pub(crate) async fn status(&self) -> Option<StatusReport> {
        let mut command = Command::new(&self.binary);
        command
            .env_clear()
            .args(["status", "--json", "--state"])
            .arg(self.state())
            .stdin(Stdio::null());
        let output = command.output().await.unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Waits until the daemon says that all teams of a commit are ready. Answers how long that took.
    pub(crate) async fn until_ready(&self, commit: &str) -> Duration {
        let ready = |report: &StatusReport| {
            let revision = report.daemon.revision.as_ref().map(ToString::to_string);
            let settled = report.lanes.iter().all(|lane| {
                let removed = matches!(lane.held, Some(harborage::run::record::Held::Removed { .. }));
                removed || lane.state == harborage::run::record::RunState::Done && lane.held.is_none()
            });
            revision.as_deref() == Some(commit) && settled && !report.lanes.is_empty()
        };
        self.until(&format!("all is ready with {commit}"), ready).await
    }

    /// Waits until the status is as it should be.
    pub(crate) async fn until(&self, what: &str, holds: impl Fn(&StatusReport) -> bool) -> Duration {
        let began = Instant::now();
        loop {
            let report = self.status().await;
            if report.as_ref().is_some_and(&holds) {
                return began.elapsed();
            }
            assert!(
                began.elapsed() < PATIENCE,
                "waited in vain until {what}: {report:#?}\n{}",
                self.last_words()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// All that it logged.
    pub(crate) fn logged(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn last_words(&self) -> String {
        let log = self.logged();
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains("\"DEBUG\"")).collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// The calls of all its runs so far.
    pub(crate) fn calls(&self) -> Calls {
        Calls::in_log(&self.log())
    }
}

impl Calls {
    /// The calls that a log tells of.
    pub(crate) fn in_log(log: &Path) -> Self {
        let mut calls = Self::default();
        for line in std::fs::read_to_string(log).unwrap_or_default().lines() {
            let Ok(line) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            let call = line["http.method"].as_str().or(line["ssh.command"].as_str());
            let (Some(target), Some(method)) = (line["target"].as_str(), call) else {
                continue;
            };
            let server = match target.split("::").nth(2) {
                Some("harbor") => &mut calls.harbor,
                Some("kubernetes") => &mut calls.kubernetes,
                Some("git") => &mut calls.git,
                _ => continue,
            };
            *server += 1;
            let is_sign_in = line["http.path"]
                .as_str()
                .is_some_and(|path| path.starts_with("c/"));
            if method != "GET" && !target.contains("::git") && !is_sign_in {
                calls.writes += 1;
            }
        }
        calls
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            harbor: self.harbor + other.harbor,
            kubernetes: self.kubernetes + other.kubernetes,
            git: self.git + other.git,
            writes: self.writes + other.writes,
        }
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            harbor: self.harbor - before.harbor,
            kubernetes: self.kubernetes - before.kubernetes,
            git: self.git - before.git,
            writes: self.writes - before.writes,
        }
    }
}

/// A running daemon. Dropping it kills it.
pub(crate) struct Daemon {
    child: Child,
}

impl Daemon {
    /// Ends it without a warning.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Asks it to stop, which it must do well.
    pub(crate) async fn stop(mut self) {
        let id = self.child.id().expect("it ended by itself").to_string();
        std::process::Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap();
        let ended = tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .expect("it does not stop")
            .unwrap();
        assert_eq!(ended.code(), Some(0));
    }
}

/// Writes a file for a setting, which nobody else can read.
pub(crate) fn file(folder: &Path, name: &str, text: &str) -> PathBuf {
    private_folder(folder);
    let path = folder.join(name);
    let mut options = std::fs::File::options();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
    path
}
