//! Platforms and their teams, as commits change them.

use std::sync::Arc;

use futures::future::join_all;
use harborage::serve::status::StatusReport;
use serde_json::{Value, json};

use crate::check::logins;
use crate::harborage::Calls;
use crate::operator;
use crate::stage::Stage;
use crate::suite::{Scenario, scenario};
use crate::values::LAYOUTS;
use crate::world::Server;

pub(crate) fn all() -> Vec<Scenario> {
    vec![
        scenario!("a new platform is provisioned from nothing", new_platform),
        scenario!(
            "a platform that Otomi's operator provisioned is adopted without a changed credential",
            adopted
        ),
        scenario!(
            "a team that is added, renamed and removed gets what it needs and loses nothing",
            teams_change
        ),
        scenario!(
            "a namespace that appears late is filled when it appears",
            late_namespace
        ),
        scenario!(
            "a changed domain moves every login and changes no password",
            domain_changes
        ),
        scenario!("two commits in a second end in the second", two_commits),
        scenario!("a hundred teams at once are all provisioned", hundred_teams),
        scenario!(
            "a repository that is migrated from layout to layout keeps every credential",
            layouts
        ),
    ]
}

async fn new_platform(stage: Arc<Stage>) {
    let teams = [
        stage.team_with_namespace("blue").await,
        stage.team_with_namespace("green").await,
    ];
    let values = stage.values(&[&teams[0], &teams[1]]);
    let commit = values.commit("the same again");
    let program = stage.program_for(&values).await;
    let before = stage.kubernetes().calls();
    let daemon = program.start();
    stage.took(program.until_ready(&commit).await);
    daemon.stop().await;

    // The table is made of what harborage says; the servers count for themselves.
    let calls = program.calls();
    if let (Some(before), Some(after)) = (before, stage.kubernetes().calls()) {
        assert_eq!(
            calls.kubernetes,
            after - before,
            "the API server's audit log counts otherwise"
        );
    }
    if let Some(counted) = stage.harbor().calls().await {
        assert_eq!(calls.harbor, counted, "Harbor counts otherwise");
    }
    for team in &teams {
        stage.assert_provisioned(team).await;
    }
    let configuration = stage.harbor().get("/configurations").await.unwrap();
    for (key, value) in [
        ("auth_mode", "oidc_auth"),
        ("robot_name_prefix", "otomi-"),
        ("oidc_client_id", "otomi"),
    ] {
        assert_eq!(configuration[key]["value"], value, "{key}");
    }
    // A second look at what is right writes nothing.
    program.apply().await;
    assert_eq!(program.calls().since(calls).writes, 0);
}

async fn adopted(stage: Arc<Stage>) {
    let team = stage.team_with_namespace("blue").await;
    let values = stage.values(&[&team]);
    operator::configure(&stage, &values.domain).await;
    // On a Harbor or Kubernetes that was named, the operator may have a robot and Secret of that name.
    let is_own = ![Server::Harbor, Server::Kubernetes]
        .map(|server| stage.world.is_named(server))
        .contains(&true);
    let robot = if is_own {
        Some(operator::sign_in(&stage).await)
    } else {
        None
    };
    operator::prepare(&stage, &team).await;
    operator::provision(&stage, &team).await;
    let before = of_otomi(&stage, &team, robot.as_ref()).await;
    let logins_before = logins(&stage, &team).await;
    let robots_before = robot_ids(&stage, &team).await;
    let program = stage.program_for(&values).await;
    stage.took(program.apply().await);
    stage.assert_provisioned(&team).await;
    assert_eq!(logins(&stage, &team).await, logins_before);
    assert_eq!(robot_ids(&stage, &team).await, robots_before);
    assert_eq!(of_otomi(&stage, &team, robot.as_ref()).await, before);
    // The operator lets every pod push; that ends.
    let account = stage
        .kubernetes()
        .accounts(&format!("team-{team}"))
        .get("default")
        .await
        .unwrap();
    let pulls: Vec<String> = account
        .image_pull_secrets
        .into_iter()
        .flatten()
        .map(|secret| secret.name)
        .collect();
    assert_eq!(pulls, ["harbor-pullsecret"]);
}

/// What is Otomi's own, and stays as it is.
async fn of_otomi(stage: &Stage, team: &str, robot: Option<&Value>) -> Vec<Value> {
    let (kubernetes, name) = (stage.kubernetes(), format!("team-{team}"));
    let account = kubernetes
        .accounts(&name)
        .get(&format!("sa-team-{team}"))
        .await
        .unwrap();
    let namespace = kubernetes.namespaces().get(&name).await.unwrap();
    let mut found = vec![json!(account), json!(namespace.metadata.labels)];
    if let Some(id) = robot {
        found.push(stage.harbor().get(&format!("/robots/{id}")).await.unwrap());
        found.push(json!(
            kubernetes.secrets("harbor").get(operator::ROBOT).await.unwrap()
        ));
    }
    found
}

async fn robot_ids(stage: &Stage, team: &str) -> Vec<String> {
    let robots = stage.harbor().robots(&format!("team-{team}-")).await;
    let mut ids: Vec<String> = robots.iter().map(|robot| robot["id"].to_string()).collect();
    ids.sort();
    ids
}

async fn teams_change(stage: Arc<Stage>) {
    let old = stage.team_with_namespace("old").await;
    let mut values = stage.values(&[&old]);
    let program = stage.program_for(&values).await;
    let daemon = program.start();
    program.until_ready(&values.commit("as it is")).await;
    stage.assert_provisioned(&old).await;
    let before = logins(&stage, &old).await;

    let added = stage.team_with_namespace("added").await;
    values.add(&added);
    stage.took(program.until_ready(&values.commit("a team is added")).await);
    stage.assert_provisioned(&added).await;

    let renamed = stage.team_with_namespace("renamed").await;
    values.remove(&added);
    values.add(&renamed);
    stage.took(program.until_ready(&values.commit("it is renamed")).await);
    stage.assert_provisioned(&renamed).await;

    values.remove(&old);
    program.until_ready(&values.commit("a team is removed")).await;
    // Removal is not asked for: what the team had is there and works.
    stage.assert_provisioned(&old).await;
    stage.assert_provisioned(&added).await;
    assert_eq!(logins(&stage, &old).await, before);
    daemon.stop().await;
}

async fn late_namespace(stage: Arc<Stage>) {
    let team = stage.team("late");
    let values = stage.values(&[&team]);
    let commit = values.commit("the same again");
    let program = stage.program_for(&values).await;
    let daemon = program.start();
    let waits = |report: &StatusReport| {
        use harborage::run::record::RunState;
        report.lanes.iter().any(|lane| {
            lane.lane.to_string() == team
                && matches!(&lane.state, RunState::Waiting { why, .. } if why.contains("namespace"))
        })
    };
    program.until("the team waits for its namespace", waits).await;
    assert!(stage.harbor().project(&format!("team-{team}")).await.is_some());
    assert!(
        stage.harbor().robots(&format!("team-{team}-")).await.is_empty(),
        "nobody could keep their secrets"
    );
    stage.kubernetes().make_namespace(&format!("team-{team}")).await;
    // By itself: a commit would wake the team.
    stage.took(program.until_ready(&commit).await);
    stage.assert_provisioned(&team).await;
    daemon.stop().await;
}

async fn domain_changes(stage: Arc<Stage>) {
    let team = stage.team_with_namespace("blue").await;
    let mut values = stage.values(&[&team]);
    let program = stage.program_for(&values).await;
    program.apply().await;
    let before = logins(&stage, &team).await;
    values.domain = format!("moved.{}", values.domain);
    values.commit("another domain");
    stage.set_registry_host(&format!("harbor.{}", values.domain));
    stage.took(program.apply().await);
    stage.assert_provisioned(&team).await;
    assert_eq!(logins(&stage, &team).await, before);
}

async fn two_commits(stage: Arc<Stage>) {
    let teams = [
        stage.team_with_namespace("first").await,
        stage.team_with_namespace("second").await,
        stage.team_with_namespace("third").await,
    ];
    let mut values = stage.values(&[&teams[0]]);
    let program = stage.program_for(&values).await;
    let daemon = program.start();
    program.until_ready(&values.commit("as it is")).await;
    values.add(&teams[1]);
    values.commit("one more");
    values.remove(&teams[1]);
    values.add(&teams[2]);
    stage.took(program.until_ready(&values.commit("another in its place")).await);
    stage.assert_provisioned(&teams[0]).await;
    stage.assert_provisioned(&teams[2]).await;
    daemon.stop().await;
}

async fn hundred_teams(stage: Arc<Stage>) {
    let mut values = stage.values(&[]);
    let teams: Vec<String> = (0..100).map(|number| stage.team(&format!("t{number}"))).collect();
    for chunk in teams.chunks(10) {
        let namespaces: Vec<String> = chunk.iter().map(|team| format!("team-{team}")).collect();
        join_all(
            namespaces
                .iter()
                .map(|name| stage.kubernetes().make_namespace(name)),
        )
        .await;
    }
    for team in &teams {
        values.add(team);
    }
    let commit = values.commit("a hundred teams");
    let program = stage.program_for(&values).await;
    let daemon = program.start();
    stage.took(program.until_ready(&commit).await);
    daemon.stop().await;
    let first = program.calls();
    for team in teams.iter().step_by(9) {
        stage.assert_provisioned(team).await;
    }
    program.apply().await;
    let second = program.calls().since(first);
    assert_eq!(second.writes, 0, "{second:?}");
}

async fn layouts(stage: Arc<Stage>) {
    let team = stage.team_with_namespace("blue").await;
    let mut values = stage.values(&[&team]);
    let program = stage.program_for(&values).await;
    let mut daemon = None;
    let mut before: Option<(Vec<(String, String)>, Calls)> = None;
    for layout in LAYOUTS {
        values.layout = layout;
        let commit = values.commit(layout);
        daemon.get_or_insert_with(|| program.start());
        stage.took(program.until_ready(&commit).await);
        stage.assert_provisioned(&team).await;
        let now = logins(&stage, &team).await;
        if let Some((logins, calls)) = &before {
            assert_eq!(&now, logins, "{layout} changed a credential");
            let since = program.calls().since(*calls);
            // The issuer is another in the two oldest layouts; for the team nothing changes.
            assert!(since.writes <= 1, "{layout} cost {since:?}");
        }
        before = Some((now, program.calls()));
    }
    daemon.unwrap().stop().await;
}
