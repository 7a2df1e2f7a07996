//! Servers and processes that end in the middle of the work.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use harborage::run::record::{LaneRecord, RunState};

use crate::git::push;
use crate::harborage::Program;
use crate::stage::Stage;
use crate::suite::{Scenario, scenario};
use crate::values::Values;
use crate::world::Server;

pub(crate) fn all() -> Vec<Scenario> {
    vec![
        scenario!("Harbor is stopped in the middle and started again", harbor_stops, breaks Harbor),
        scenario!("Kubernetes is stopped in the middle and started again", kubernetes_stops, breaks Kubernetes),
        scenario!(
            "the git host is stopped, and a commit is read once it is back",
            git_host_stops
        ),
        scenario!(
            "the daemon is killed in the middle, again and again",
            daemon_killed
        ),
        scenario!(
            "the journal is deleted, and nothing is written that is already right",
            journal_deleted
        ),
    ]
}

const TEAMS: usize = 10;

/// Ten teams with namespaces, and nothing else yet.
async fn ten_teams(stage: &Stage) -> (Vec<String>, Values, Program) {
    let teams: Vec<String> = (0..TEAMS)
        .map(|number| stage.team(&format!("t{number}")))
        .collect();
    let names: Vec<String> = teams.iter().map(|team| format!("team-{team}")).collect();
    join_all(names.iter().map(|name| stage.kubernetes().make_namespace(name))).await;
    let values = stage.values(&teams.iter().map(String::as_str).collect::<Vec<_>>());
    let mut program = stage.program_for(&values).await;
    // One after another, so that there is a middle.
    program.set("harbor-writes", "1");
    (teams, values, program)
}

/// How long a call to Harbor takes while the work must not come to its end.
const SLOW: Duration = Duration::from_millis(100);

/// Waits until so many of the robots are there.
async fn until_robots(stage: &Stage, teams: &[String], number: usize) {
    let common = teams[0].rsplit_once('-').unwrap().0;
    while stage.harbor().robots(&format!("team-{common}-")).await.len() < number {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Fails where all was done already, so that nothing was interrupted. A Harbor that was named may be that fast.
async fn assert_in_the_middle(stage: &Stage, program: &Program) {
    if stage.world.is_named(Server::Harbor) {
        return;
    }
    let report = program.status().await.unwrap();
    let is_done = |lane: &LaneRecord| lane.state == RunState::Done;
    assert!(!report.lanes.iter().all(is_done), "all was done already");
}

/// Every team has what it should, and no robot is there that nobody knows.
async fn assert_all(stage: &Stage, teams: &[String]) {
    for team in teams {
        stage.assert_provisioned(team).await;
        let robots = stage.harbor().robots(&format!("team-{team}-")).await;
        assert_eq!(robots.len(), 3, "{team}: {robots:?}");
    }
}

async fn harbor_stops(stage: Arc<Stage>) {
    let (teams, values, program) = ten_teams(&stage).await;
    let commit = values.commit("the same again");
    stage.harbor().slow_down(SLOW).await;
    let daemon = program.start();
    until_robots(&stage, &teams, 3).await;
    let stopped = stage.harbor().stop().await;
    assert_in_the_middle(&stage, &program).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    stage.harbor().resume(stopped).await;
    stage.harbor().slow_down(Duration::ZERO).await;
    stage.took(program.until_ready(&commit).await);
    daemon.stop().await;
    assert_all(&stage, &teams).await;
}

async fn kubernetes_stops(stage: Arc<Stage>) {
    let (teams, values, program) = ten_teams(&stage).await;
    let commit = values.commit("the same again");
    stage.harbor().slow_down(SLOW).await;
    let daemon = program.start();
    until_robots(&stage, &teams, 3).await;
    stage.kubernetes().stop().await;
    assert_in_the_middle(&stage, &program).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    stage.kubernetes().resume().await;
    stage.harbor().slow_down(Duration::ZERO).await;
    stage.took(program.until_ready(&commit).await);
    daemon.stop().await;
    assert_all(&stage, &teams).await;
}

async fn git_host_stops(stage: Arc<Stage>) {
    let gitea = stage.world.gitea().await;
    let teams = [
        stage.team_with_namespace("first").await,
        stage.team_with_namespace("second").await,
    ];
    let mut values = stage.values(&[&teams[0]]);
    let url = gitea.repository("stopped").await;
    push(values.folder(), &gitea.push_url("stopped")).await;
    let mut program = stage.program(&url).await;
    program.set_variable("HARBORAGE_GIT_PASSWORD", &gitea.token("stopped").await);
    let daemon = program.start();
    program
        .until("the first team is ready", |report| {
            report
                .lanes
                .iter()
                .any(|lane| lane.lane.to_string() == teams[0] && lane.state == RunState::Done)
        })
        .await;
    // It hangs while it is asked, and then its connections end.
    gitea.freeze_and_kill(Duration::from_secs(1)).await;
    program
        .until("the outage is told", |report| report.daemon.unreadable.is_some())
        .await;
    gitea.resume().await;
    values.add(&teams[1]);
    let commit = values.commit("one more");
    push(values.folder(), &gitea.push_url("stopped")).await;
    stage.took(program.until_ready(&commit).await);
    daemon.stop().await;
    stage.assert_provisioned(&teams[1]).await;
}

async fn daemon_killed(stage: Arc<Stage>) {
    let (teams, values, program) = ten_teams(&stage).await;
    let commit = values.commit("the same again");
    stage.harbor().slow_down(SLOW).await;
    for robots in [1, 4, 9, 16] {
        let daemon = program.start();
        until_robots(&stage, &teams, robots).await;
        daemon.kill().await;
        assert_in_the_middle(&stage, &program).await;
    }
    stage.harbor().slow_down(Duration::ZERO).await;
    let daemon = program.start();
    stage.took(program.until_ready(&commit).await);
    daemon.stop().await;
    assert_all(&stage, &teams).await;
}

async fn journal_deleted(stage: Arc<Stage>) {
    let (teams, _values, program) = ten_teams(&stage).await;
    program.apply().await;
    std::fs::remove_dir_all(program.state()).unwrap();
    let before = program.calls();
    stage.took(program.apply().await);
    assert_eq!(program.calls().since(before).writes, 0);
    assert_all(&stage, &teams).await;
}
