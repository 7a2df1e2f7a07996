//! Debian's git, without the configuration of whoever runs the suite.

use std::path::Path;
use std::process::Command;

use super::process::run;

/// Runs git in a folder. Answers what it printed.
pub(crate) async fn git(folder: &Path, arguments: &[&str]) -> String {
    run(&mut command(folder, arguments)).await
}

/// git in a folder, as a person of the suite's.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs(["AUTHOR", "COMMITTER"].map(|role| (format!("GIT_{role}_NAME"), "e2e")))
        .envs(["AUTHOR", "COMMITTER"].map(|role| (format!("GIT_{role}_EMAIL"), "e2e@example.com")))
        // The git hosts are on loopback.
        .args(["-c", "http.proxy=", "-C"])
        .arg(folder)
        .args(arguments);
    command
}

/// Makes a bare repository whose default branch is `main`.
pub(crate) async fn bare(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    git(folder, &["init", "--quiet", "--bare", "--initial-branch=main"]).await;
}

/// Pushes the branch of a repository to another, by force.
pub(crate) async fn push(from: &Path, to: &str) {
    git(from, &["push", "--quiet", "--force", to, "main"]).await;
}

/// The commit that is checked out.
pub(crate) async fn head(folder: &Path) -> String {
    git(folder, &["rev-parse", "HEAD"]).await.trim().to_owned()
}
