//! The daemon: commits, files, signals, its status and its journal.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::sync::Notify;

use super::binary::{Folder, bare, harborage, run};
use super::end_state::{assert_provisioned, end_state};
use super::git_server::{GitServer, Manners};
use super::repository::ValuesRepository;
use super::support::Stage;

const HOST: &str = "harbor.demo.example.com";
/// How long anything may take before a test is given up: far more than it ever takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn daemon(repository: impl AsRef<std::ffi::OsStr>, stage: &Stage, folder: &Folder) -> Child {
    let mut program = harborage("run", repository, stage, folder);
    // A long poll: what is noticed in time is noticed by watching.
    program
        .args(["--poll", "1h", "--log-format", "json"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    program.spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    let id = child.id().unwrap().to_string();
    assert!(
        std::process::Command::new("kill")
            .args([name, &id])
            .status()
            .unwrap()
            .success()
    );
}

/// Waits until the stage is as it should be, looking after each call that it receives.
pub(crate) async fn until(stage: &Stage, what: &str, holds: impl Fn() -> bool) {
    let called = Arc::new(Notify::new());
    let (first, second) = (called.clone(), called.clone());
    stage.harbor.on_call(move |_| first.notify_one());
    stage.kubernetes.on_call(move |_| second.notify_one());
    let waiting = async {
        while !holds() {
            // The observer is told before a call takes effect, so the last one has no successor to wait for.
            let _ = tokio::time::timeout(Duration::from_millis(20), called.notified()).await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, waiting).await.is_ok(),
        "waited in vain until {what}"
    );
}

pub(crate) fn ready(stage: &Stage, team: &str) -> bool {
    end_state(stage, &[team], HOST).matches("works: true").count() == 3
        && !stage
            .kubernetes
            .look(|state| state.pull_secrets(&format!("team-{team}"), "default"))
            .is_empty()
}

async fn status(folder: &Folder, arguments: &[&str]) -> super::binary::Ended {
    ask("status", folder, arguments).await
}

/// A command that asks the daemon of a folder.
async fn ask(command: &str, folder: &Folder, arguments: &[&str]) -> super::binary::Ended {
    let mut program: Command = bare();
    program
        .arg(command)
        .args(arguments)
        .arg("--state")
        .arg(folder.state());
    run(program).await
}

/// Waits until the status is as it should be.
async fn until_status(
    folder: &Folder,
    what: &str,
    holds: impl Fn(&super::binary::Ended) -> bool,
) -> super::binary::Ended {
    let waiting = async {
        loop {
            let told = status(folder, &[]).await;
            if holds(&told) {
                return told;
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Waits until the daemon says that every team is ready: its journal is written after its last call.
pub(crate) async fn until_status_is_ready(folder: &Folder) -> super::binary::Ended {
    until_status(folder, "a status that is ready", |told| told.status == Some(0)).await
}

/// Waits until the status has a part.
pub(crate) async fn until_told(folder: &Folder, part: &str) -> super::binary::Ended {
    until_status(folder, part, |told| told.stdout.contains(part)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_follows_commits_and_stops_when_asked() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let stage = Stage::with_namespaces(&["blue", "green"]).await;
    let folder = Folder::new(&stage);
    let mut child = daemon(&repository, &stage, &folder);
    until(&stage, "the first team is ready", || ready(&stage, "blue")).await;
    let told = until_status_is_ready(&folder).await;
    assert!(
        told.stdout.contains("a daemon is running") && told.stdout.contains("blue"),
        "{}",
        told.stdout
    );

    stage.harbor.reset_counts();
    repository.write_team("green");
    repository.commit("green comes");
    until(&stage, "the second team is ready", || ready(&stage, "green")).await;
    until_status_is_ready(&folder).await;
    assert_provisioned(&stage, &["blue", "green"], HOST);
    let counts = stage.harbor.counts();
    assert_eq!(
        counts.writes, 6,
        "the other team costs nothing: {:?}",
        counts.by_route
    );

    // A second daemon on the same journal would work against the first.
    let second = run(harborage("run", &repository, &stage, &folder)).await;
    assert_eq!(second.status, Some(1));
    assert!(second.stderr.contains("another harborage"), "{}", second.stderr);

    signal(&child, "-TERM");
    let ended = tokio::time::timeout(PATIENCE, child.wait())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended.code(), Some(0));
    let told = status(&folder, &["green"]).await;
    assert_eq!(told.status, Some(0));
    assert!(told.stdout.contains("no daemon is running"), "{}", told.stdout);
    let unknown = status(&folder, &["nobody"]).await;
    assert_eq!(unknown.status, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_appears_late_is_filled_by_the_running_daemon() {
    let repository = ValuesRepository::with_teams(&["late"]);
    let stage = Stage::empty().await;
    let folder = Folder::new(&stage);
    let child = daemon(&repository, &stage, &folder);
    until(&stage, "the project is there", || {
        stage
            .harbor
            .look(|state| state.project_named("team-late").is_some())
    })
    .await;
    assert_eq!(
        stage.harbor.look(|state| state.robots().count()),
        0,
        "nobody could write its secret down"
    );
    stage.kubernetes.add_namespace("team-late");
    until(&stage, "the team is ready", || ready(&stage, "late")).await;
    drop(child);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_commit_changes_nothing_and_is_told() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let stage = Stage::with_namespaces(&["blue", "green"]).await;
    let folder = Folder::new(&stage);
    let mut child = daemon(&repository, &stage, &folder);
    until(&stage, "the team is ready", || ready(&stage, "blue")).await;
    until_status_is_ready(&folder).await;
    stage.harbor.reset_counts();
    repository.write("env/settings/cluster.yaml", "spec: [broken");
    repository.remove_team("blue");
    repository.commit("break everything");
    let told = until_told(&folder, "refused").await;
    assert!(
        told.stdout.contains("env/settings/cluster.yaml"),
        "{}",
        told.stdout
    );
    assert_eq!(stage.harbor.counts().total, 0);

    // The next start falls back to the last good commit, and the repaired repository goes on.
    signal(&child, "-TERM");
    child.wait().await.unwrap();
    stage
        .kubernetes
        .alter(|state| state.delete_secret("team-blue", "harbor-pullsecret"));
    let mut child = daemon(&repository, &stage, &folder);
    until(&stage, "the team is ready again", || ready(&stage, "blue")).await;
    repository.set_domain("demo.example.com");
    repository.write_team("blue");
    repository.write_team("green");
    repository.commit("mend everything");
    until(&stage, "the new team is ready", || ready(&stage, "green")).await;
    signal(&child, "-INT");
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_behind_a_url_is_followed_and_what_it_said_last_holds_while_it_is_away() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let host = GitServer::serve(repository.path()).await;
    host.behave(Manners {
        // echo -n git:hunter2 | base64
        login: Some("Basic Z2l0Omh1bnRlcjI=".to_owned()),
        ..Manners::default()
    });
    let stage = Stage::with_namespaces(&["blue", "green"]).await;
    let folder = Folder::new(&stage);
    let start = || {
        let mut program = harborage("run", host.url(), &stage, &folder);
        program
            .args(["--poll", "100ms"])
            .env("HARBORAGE_GIT_PASSWORD", "hunter2")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        program.spawn().unwrap()
    };
    let mut child = start();
    until(&stage, "the first team is ready", || ready(&stage, "blue")).await;
    until_status_is_ready(&folder).await;
    host.behave(Manners {
        status: Some(503),
        ..Manners::default()
    });
    until_told(&folder, "the repository can't be read since").await;

    signal(&child, "-TERM");
    child.wait().await.unwrap();
    stage
        .kubernetes
        .alter(|state| state.delete_secret("team-blue", "harbor-pullsecret"));
    let child = start();
    until(&stage, "the team is mended by what is known", || {
        ready(&stage, "blue")
    })
    .await;

    repository.write_team("green");
    repository.commit("green comes");
    host.behave(Manners {
        login: Some("Basic Z2l0Omh1bnRlcjI=".to_owned()),
        ..Manners::default()
    });
    until(&stage, "the new team is ready", || ready(&stage, "green")).await;
    let told = until_status_is_ready(&folder).await;
    assert!(!told.stdout.contains("can't be read"), "{}", told.stdout);
    drop(child);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_is_followed_at_once_and_a_team_that_waits_is_explained() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let host = GitServer::serve(repository.path()).await;
    let stage = Stage::with_namespaces(&["blue"]).await;
    let folder = Folder::new(&stage);
    let mut program = harborage("run", host.url(), &stage, &folder);
    program
        .args(["--poll", "1h"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = program.spawn().unwrap();
    until(&stage, "the first team is ready", || ready(&stage, "blue")).await;
    let watched = status(&folder, &["--watch", "--until-settled"]).await;
    assert_eq!(watched.status, Some(0), "{}", watched.stdout);
    let why = ask("why", &folder, &["blue"]).await;
    assert_eq!(why.status, Some(0));
    assert!(why.stdout.starts_with("blue is ready since"), "{}", why.stdout);

    repository.write_team("late");
    repository.commit("a team without a namespace");
    let poked = ask("trigger", &folder, &[]).await;
    assert_eq!(poked.status, Some(0), "{}", poked.stderr);
    until_told(&folder, "late").await;
    until_told(&folder, "waiting").await;
    let why = ask("why", &folder, &["late"]).await;
    assert_eq!(why.status, Some(3));
    for part in [
        "late is not ready",
        "namespace",
        "Next: it is tried again",
        "To do: ",
    ] {
        assert!(why.stdout.contains(part), "no {part:?} in {}", why.stdout);
    }
    let unknown = ask("why", &folder, &["nobody"]).await;
    assert_eq!(unknown.status, Some(1));
    drop(child);
    let nobody = ask("trigger", &Folder::new(&stage), &[]).await;
    assert_eq!(nobody.status, Some(1));
    assert!(
        nobody.stderr.contains("no daemon works with"),
        "{}",
        nobody.stderr
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_that_comes_more_often_than_the_schedule_does_not_put_the_sweep_off() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let stage = Stage::with_namespaces(&["blue"]).await;
    let folder = Folder::new(&stage);
    let jobs = folder.path().join("jobs");
    std::fs::create_dir_all(&jobs).unwrap();
    let job = include_str!("../../jobs/repair-drift.yaml").replace("*/30 * * * *", "* * * * * *");
    std::fs::write(jobs.join("repair-drift.yaml"), job).unwrap();
    let mut program = harborage("run", &repository, &stage, &folder);
    program
        .args(["--poll", "20ms", "--jobs"])
        .arg(&jobs)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = program.spawn().unwrap();
    until(&stage, "the team is ready", || ready(&stage, "blue")).await;
    until_status_is_ready(&folder).await;
    stage
        .kubernetes
        .alter(|state| state.delete_secret("team-blue", "harbor-pullsecret"));
    until(&stage, "a sweep mended it", || ready(&stage, "blue")).await;
    drop(child);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_working_tree_is_followed_without_a_commit() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let stage = Stage::with_namespaces(&["blue", "green"]).await;
    let folder = Folder::new(&stage);
    let mut program = harborage("run", &repository, &stage, &folder);
    program
        .args(["--poll", "1h", "--working-tree"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = program.spawn().unwrap();
    until(&stage, "the first team is ready", || ready(&stage, "blue")).await;
    repository.write_team("green");
    until(&stage, "the team of the working tree is ready", || {
        ready(&stage, "green")
    })
    .await;
    drop(child);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_printed_holds_a_secret() {
    use base64::Engine as _;
    use secrecy::ExposeSecret as _;
    let repository = ValuesRepository::with_teams(&["blue"]);
    let stage = Stage::with_namespaces(&["blue"]).await;
    let folder = Folder::new(&stage);
    let host = GitServer::serve(repository.path()).await;
    let mut program = harborage("apply", host.url(), &stage, &folder);
    program
        .args(["--log", "trace"])
        .env("HARBORAGE_GIT_PASSWORD", "a-git-password");
    let ended = run(program).await;
    assert_eq!(ended.status, Some(0));
    let login = base64::engine::general_purpose::STANDARD.encode("git:a-git-password");
    assert!(host.asked().iter().all(|asked| asked.ends_with(&login)));
    let mut secrets = vec![
        "a-git-password".to_owned(),
        login,
        stage.harbor.admin_password().expose_secret().to_owned(),
        "a-client-secret".to_owned(),
    ];
    for (secret, key) in super::end_state::SECRETS {
        secrets.push(
            super::end_state::login(&stage, "blue", secret, key, HOST)
                .unwrap()
                .1,
        );
    }
    let journal: Vec<u8> = std::fs::read_dir(folder.state().join("journal"))
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.unwrap().path()).ok())
        .flatten()
        .collect();
    let journal = String::from_utf8_lossy(&journal);
    assert!(
        ended.stderr.len() > 10_000,
        "the log is a real one: {} bytes",
        ended.stderr.len()
    );
    for secret in secrets {
        assert!(!ended.stderr.contains(&secret), "a log line holds a secret");
        assert!(!ended.stdout.contains(&secret) && !journal.contains(&secret));
    }
}
