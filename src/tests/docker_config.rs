//! `harborage docker-config`: a team's push login from a terminal.

use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::binary::{Ended, bare, run};
use super::repository::ValuesRepository;
use super::support::Stage;

const LOGIN: &str = "{ \"auths\":{\"harbor.demo.example.com\": {\"auth\":\"TWFya2Vy\"}} }";

/// `blue` may be downloaded, `green` may not; both have their Secrets, and `new` has none.
struct Platform {
    stage: Stage,
    repository: ValuesRepository,
    folder: TempDir,
}

impl Platform {
    async fn new() -> Self {
        let stage = Stage::with_namespaces(&["blue", "green", "new"]).await;
        let repository = ValuesRepository::with_teams(&["green", "new"]);
        for team in ["blue", "new"] {
            repository.write(
                &format!("env/teams/{team}/settings.yaml"),
                "spec:\n  selfService:\n    teamMembers:\n      downloadDockerLogin: true\n",
            );
        }
        repository.commit("blue may");
        stage.kubernetes.alter(|state| {
            for team in ["blue", "green"] {
                let kind = "kubernetes.io/dockerconfigjson";
                let data = [(".dockerconfigjson", LOGIN)];
                state.put_secret(&format!("team-{team}"), "harbor-pushsecret", kind, &data);
            }
            let data = [(".dockerconfigjson", LOGIN)];
            state.put_secret("team-new", "harbor-pushsecret", "Opaque", &data);
        });
        Self {
            stage,
            repository,
            folder: TempDir::new().unwrap(),
        }
    }

    async fn ask(&self, arguments: &[&str]) -> Ended {
        let mut program = bare();
        program
            .arg("docker-config")
            .args(arguments)
            .arg("--repository")
            .arg(&self.repository)
            .args(["--kubernetes-url", &self.stage.kubernetes.base_url()]);
        run(program).await
    }
}

#[tokio::test]
async fn an_operator_prints_the_login_of_a_team_whose_settings_allow_it() {
    let platform = Platform::new().await;
    let ended = platform.ask(&["blue"]).await;
    assert_eq!(
        (ended.status, ended.stdout),
        (Some(0), format!("{LOGIN}\n")),
        "{}",
        ended.stderr
    );
    assert_eq!(platform.stage.kubernetes.log().len(), 1);
}

#[tokio::test]
async fn an_administrator_prints_the_login_of_a_team_whose_settings_do_not() {
    let platform = Platform::new().await;
    let ended = platform.ask(&["green"]).await;
    assert_eq!(ended.status, Some(1));
    assert!(ended.stderr.contains("--as-admin"), "{}", ended.stderr);
    assert!(platform.stage.kubernetes.log().is_empty());
    let ended = platform.ask(&["green", "--as-admin"]).await;
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn a_team_without_a_login_is_told_apart_from_no_team() {
    let platform = Platform::new().await;
    for (team, part) in [
        (
            "new",
            "has no push login yet: there is no Secret team-new/harbor-pushsecret",
        ),
        ("no-team", "has no team \"no-team\""),
        ("No!", "has no team \"No!\""),
    ] {
        let ended = platform.ask(&[team, "--as-admin"]).await;
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(1), ""));
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_file_is_for_its_owner_and_overwrites_nothing() {
    let platform = Platform::new().await;
    let path = platform.folder.path().join("login.json");
    let arguments = ["blue", "--output", path.to_str().unwrap()];
    let ended = platform.ask(&arguments).await;
    assert_eq!(
        (ended.status, ended.stdout.as_str()),
        (Some(0), ""),
        "{}",
        ended.stderr
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), LOGIN);
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    std::fs::write(&path, "mine").unwrap();
    let ended = platform.ask(&arguments).await;
    assert_eq!(ended.status, Some(1));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}
