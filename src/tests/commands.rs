//! The commands that need no server.

use super::binary::{Folder, bare, harborage, run};
use super::repository::ValuesRepository;
use super::support::Stage;

async fn command(arguments: &[&str]) -> super::binary::Ended {
    let mut program = bare();
    program.args(arguments);
    run(program).await
}

#[tokio::test]
async fn a_doctor_says_what_is_well_and_what_is_to_be_changed() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let stage = Stage::with_namespaces(&["blue"]).await;
    let folder = Folder::new(&stage);
    let well = run(harborage("doctor", &repository, &stage, &folder)).await;
    assert_eq!(well.status, Some(0), "{}{}", well.stdout, well.stderr);
    for part in [
        "layout dirs, 1 teams",
        "lets admin in",
        "allows all 20 things",
        "can be written",
    ] {
        assert!(well.stdout.contains(part), "no {part:?} in {}", well.stdout);
    }
    // The stand-in has no authorisation.
    assert!(well.stdout.contains("read every Secret"), "{}", well.stdout);
    assert_eq!(stage.harbor.counts().writes, 0);

    std::fs::write(folder.path().join("password"), "wrong").unwrap();
    repository.write("env/settings/cluster.yaml", "spec: [broken");
    repository.commit("break it");
    let ill = run(harborage("doctor", &repository, &stage, &folder)).await;
    assert_eq!(ill.status, Some(4), "{}", ill.stdout);
    for part in [
        "is refused",
        "harborage check",
        "refuses the password",
        "to do: see that the login",
    ] {
        assert!(ill.stdout.contains(part), "no {part:?} in {}", ill.stdout);
    }
}

#[tokio::test]
async fn a_rehearsal_needs_no_server_and_tells_what_it_did() {
    let repository = ValuesRepository::with_teams(&["blue", "green"]);
    let path = repository.path().to_str().unwrap();
    let ended = command(&["rehearse", path]).await;
    assert_eq!(ended.status, Some(0), "{}{}", ended.stdout, ended.stderr);
    for part in [
        "+ project team-blue",
        "green",
        "ready",
        "POST /api/v2.0/robots",
        "Kubernetes",
    ] {
        assert!(ended.stdout.contains(part), "no {part:?} in {}", ended.stdout);
    }
}

#[tokio::test]
async fn a_rehearsal_in_bad_weather_converges_and_repeats() {
    let repository = ValuesRepository::with_teams(&["blue", "green", "red"]);
    let path = repository.path().to_str().unwrap();
    let ended = command(&[
        "rehearse",
        path,
        "--fail",
        "0.2",
        "--seed",
        "7",
        "--latency",
        "1ms",
    ])
    .await;
    assert_eq!(ended.status, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("ready"));
}

#[tokio::test]
async fn a_rehearsal_replays_commits_and_starts_from_a_saved_state() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    repository.write_team("green");
    let second = repository.commit("green comes");
    repository.remove_team("blue");
    repository.commit("blue leaves");
    let path = repository.path().to_str().unwrap();
    let saved = tempfile::NamedTempFile::new().unwrap();
    let saved = saved.path().to_str().unwrap();
    let first = command(&["rehearse", path, "--reference", &second, "--save", saved]).await;
    assert_eq!(first.status, Some(0), "{}", first.stderr);
    let again = command(&["rehearse", path, "--reference", &second, "--from", saved]).await;
    assert_eq!(again.status, Some(0), "{}", again.stderr);
    assert!(
        again.stdout.contains("0 to create, 0 to change, 0 to adopt"),
        "{}",
        again.stdout
    );
    let replay = command(&[
        "rehearse",
        path,
        "--commits",
        &format!("{second}..HEAD"),
        "--from",
        saved,
    ])
    .await;
    assert_eq!(replay.status, Some(0), "{}", replay.stderr);
    let bad = command(&["rehearse", path, "--commits", "nonsense"]).await;
    assert_eq!(bad.status, Some(1));
}

#[tokio::test]
async fn check_tells_faults_by_its_status() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let path = repository.path().to_str().unwrap();
    let good = command(&["check", path]).await;
    assert_eq!(good.status, Some(0), "{}", good.stderr);
    assert!(good.stdout.contains("harbor.demo.example.com"));
    repository.write("env/teams/blue/settings.yaml", "a: 1\na: 2\n");
    let committed = command(&["check", path]).await;
    assert_eq!(committed.status, Some(0), "what is not committed is not checked");
    let bad = command(&["check", path, "--working-tree"]).await;
    assert_eq!(bad.status, Some(1));
    assert!(
        bad.stderr.contains("env/teams/blue/settings.yaml:2"),
        "{}",
        bad.stderr
    );
    let json = command(&["check", path, "--working-tree", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["faults"][0]["line"], 2);
}

#[tokio::test]
async fn jobs_are_shown_with_their_next_run_and_checked() {
    let shown = command(&["jobs"]).await;
    assert_eq!(shown.status, Some(0));
    for part in [
        "configure-harbor",
        "provision-team",
        "repair-drift",
        "*/30 * * * * UTC",
    ] {
        assert!(shown.stdout.contains(part), "{}", shown.stdout);
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("provision-team.yaml"),
        "name: provision-team\nsteps: 1\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("other.yaml"), "").unwrap();
    let bad = command(&["jobs", "--jobs", folder.path().to_str().unwrap()]).await;
    assert_eq!(bad.status, Some(1));
    assert!(
        bad.stderr.contains("provision-team.yaml:2") && bad.stderr.contains("other.yaml:1"),
        "{}",
        bad.stderr
    );
}

#[tokio::test]
async fn settings_come_from_flags_then_the_environment_then_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.yaml");
    std::fs::write(&file, "poll: 1m\nlanes: 3\nharbor-url: http://file\n").unwrap();
    let mut program = bare();
    program
        .args(["settings", "--json", "--poll", "3m", "--config"])
        .arg(&file);
    program
        .env("HARBORAGE_POLL", "2m")
        .env("HARBORAGE_LANES", "2")
        .env("HARBORAGE_HARBOR_PASSWORD", "Marker-Secret");
    let ended = run(program).await;
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    let told: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let of = |name: &str| {
        (
            told[name]["value"].clone(),
            told[name]["from"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(of("poll"), ("3m".into(), "flag".to_owned()));
    assert_eq!(of("lanes"), (2.into(), "environment".to_owned()));
    assert_eq!(of("harbor-url"), ("http://file".into(), "file".to_owned()));
    assert_eq!(of("state"), ("harborage-state".into(), "default".to_owned()));
    assert!(!ended.stdout.contains("Marker-Secret"));

    std::fs::write(&file, "poll: 1m\nlane: 3\n").unwrap();
    let mut program = bare();
    program.args(["settings", "--config"]).arg(&file);
    let bad = run(program).await;
    assert_eq!(bad.status, Some(1));
    assert!(
        bad.stderr.contains("line 2") && bad.stderr.contains("lane"),
        "{}",
        bad.stderr
    );
    let bad = command(&["settings", "--poll", "soon"]).await;
    assert!(bad.stderr.contains("poll can't be \"soon\""), "{}", bad.stderr);
}

#[tokio::test]
async fn what_is_missing_is_named_with_all_ways_to_give_it() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let ended = command(&["apply", repository.path().to_str().unwrap()]).await;
    assert_eq!(ended.status, Some(1));
    for part in ["harbor-url is not set", "--harbor-url", "HARBORAGE_HARBOR_URL"] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
    let completions = command(&["completions", "bash"]).await;
    assert!(completions.stdout.contains("complete -F"));
}
