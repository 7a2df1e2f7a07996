//! What others do to what harborage made, and how it is mended.

use std::sync::Arc;

use kube::api::DeleteParams;
use reqwest::Method;
use serde_json::{Value, json};

use crate::check::{SECRETS, bytes};
use crate::harborage::{PATIENCE, Program};
use crate::stage::Stage;
use crate::suite::{Scenario, scenario};
use crate::values::Values;

pub(crate) fn all() -> Vec<Scenario> {
    vec![
        scenario!("a Secret that was deleted is made again", secret_deleted),
        scenario!("a Secret whose password was altered works again", secret_altered),
        scenario!("a Secret of the wrong type is replaced", secret_of_wrong_type),
        scenario!(
            "a Secret with the login of another registry gets ours",
            secret_of_another_registry
        ),
        scenario!("a robot that was deleted is made again", robot_deleted),
        scenario!("a robot that was disabled is enabled", robot_disabled),
        scenario!(
            "a robot that was given other permissions is given its own",
            robot_with_other_permissions
        ),
        scenario!(
            "a member that was removed or given another role is put right",
            members_changed
        ),
        scenario!("a running daemon finds drift by itself on its schedule", swept),
    ]
}

/// A team that has all it should.
async fn provisioned(stage: &Stage) -> (String, Values, Program) {
    let team = stage.team_with_namespace("blue").await;
    let values = stage.values(&[&team]);
    let program = stage.program_for(&values).await;
    program.apply().await;
    stage.assert_provisioned(&team).await;
    (team, values, program)
}

/// One pass, which must write, after which all is right, and another, which must write nothing.
async fn mend(stage: &Stage, team: &str, program: &Program) {
    let before = program.calls();
    stage.took(program.apply().await);
    assert_ne!(program.calls().since(before).writes, 0, "nothing was mended");
    stage.assert_provisioned(team).await;
    let before = program.calls();
    program.apply().await;
    assert_eq!(
        program.calls().since(before).writes,
        0,
        "what is mended is written again"
    );
}

async fn secret_deleted(stage: Arc<Stage>) {
    let (team, _values, program) = provisioned(&stage).await;
    let secrets = stage.kubernetes().secrets(&format!("team-{team}"));
    secrets
        .delete("harbor-pullsecret", &DeleteParams::default())
        .await
        .unwrap();
    mend(&stage, &team, &program).await;
}

/// A password that is not ours.
const FOREIGN: &str = "Somebody1Wrote2This3";

fn auth(user: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(format!("{user}:{FOREIGN}"))
}

/// Writes a docker configuration in place of what a Secret holds.
async fn overwrite(stage: &Stage, team: &str, secret: &str, host: &str, user: &str) {
    let config = json!({"auths": {host: {"auth": auth(user)}}}).to_string();
    let kind = "kubernetes.io/dockerconfigjson";
    let namespace = format!("team-{team}");
    stage
        .kubernetes()
        .put_secret(&namespace, secret, kind, &[(".dockerconfigjson", &config)])
        .await;
}

async fn secret_altered(stage: Arc<Stage>) {
    let (team, _values, program) = provisioned(&stage).await;
    let user = format!("otomi-team-{team}-push");
    overwrite(&stage, &team, "harbor-pushsecret", &stage.registry_host(), &user).await;
    mend(&stage, &team, &program).await;
}

async fn secret_of_wrong_type(stage: Arc<Stage>) {
    let (team, _values, program) = provisioned(&stage).await;
    stage
        .kubernetes()
        .put_secret(
            &format!("team-{team}"),
            "harbor-pullsecret",
            "Opaque",
            &[("a", "b")],
        )
        .await;
    mend(&stage, &team, &program).await;
}

async fn secret_of_another_registry(stage: Arc<Stage>) {
    let (team, _values, program) = provisioned(&stage).await;
    let (secret, kind, key, ..) = SECRETS[0];
    overwrite(&stage, &team, secret, "registry.example.org", "somebody").await;
    mend(&stage, &team, &program).await;
    // The other login stays, and its password is not given to the robot, as Otomi's operator does.
    let name = format!("team-{team}");
    let config = bytes(&stage, &name, secret, kind, key).await;
    let config: Value = serde_json::from_slice(&config).unwrap();
    let kept = &config["auths"]["registry.example.org"]["auth"];
    assert_eq!(kept, &auth("somebody"), "{:?}", config["auths"]);
    let robot = format!("otomi-{name}-pull");
    let allowed = stage.harbor().allows(&name, &robot, FOREIGN).await;
    assert!(
        allowed.is_none_or(|actions| actions.is_empty()),
        "the robot has the foreign password"
    );
}

async fn robot_deleted(stage: Arc<Stage>) {
    let (team, _values, program) = provisioned(&stage).await;
    let robot = stage.harbor().robot(&format!("team-{team}-push")).await.unwrap();
    stage.harbor().delete_robot(&robot).await;
    mend(&stage, &team, &program).await;
}

async fn robot_disabled(stage: Arc<Stage>) {
    let (team, _values, program) = provisioned(&stage).await;
    let mut robot = stage.harbor().robot(&format!("team-{team}-pull")).await.unwrap();
    robot["disable"] = json!(true);
    stage.harbor().put_robot(&robot).await;
    mend(&stage, &team, &program).await;
}

async fn robot_with_other_permissions(stage: Arc<Stage>) {
    let (team, _values, program) = provisioned(&stage).await;
    let mut robot = stage.harbor().robot(&format!("team-{team}-pull")).await.unwrap();
    robot["permissions"][0]["access"] =
        json!([{"resource": "repository", "action": "pull"}, {"resource": "repository", "action": "push"}]);
    stage.harbor().put_robot(&robot).await;
    mend(&stage, &team, &program).await;
}

async fn members_changed(stage: Arc<Stage>) {
    let (team, _values, program) = provisioned(&stage).await;
    let name = format!("team-{team}");
    let members = stage
        .harbor()
        .get(&format!("/projects/{name}/members"))
        .await
        .unwrap();
    for member in members.as_array().unwrap() {
        let path = format!("/projects/{name}/members/{}", member["id"]);
        if member["entity_name"] == name.as_str() {
            stage.harbor().ask(Method::DELETE, &path, None).await;
        } else if member["entity_name"] == "all-teams-admin" {
            stage
                .harbor()
                .ask(Method::PUT, &path, Some(json!({"role_id": 3})))
                .await;
        }
    }
    mend(&stage, &team, &program).await;
}

async fn swept(stage: Arc<Stage>) {
    let (team, values, mut program) = provisioned(&stage).await;
    let job = include_str!("../../../jobs/repair-drift.yaml");
    let schedule = job
        .lines()
        .find(|line| line.trim_start().starts_with("schedule:"))
        .unwrap();
    let often = job.replace(schedule, "  schedule: \"*/2 * * * * *\"");
    let jobs = stage.folder().join("jobs");
    program.set(
        "jobs",
        crate::harborage::file(&jobs, "repair-drift.yaml", &often)
            .parent()
            .unwrap(),
    );
    let daemon = program.start();
    program.until_ready(&values.commit("the same again")).await;
    let secrets = stage.kubernetes().secrets(&format!("team-{team}"));
    secrets
        .delete("harbor-pullsecret", &DeleteParams::default())
        .await
        .unwrap();
    let began = std::time::Instant::now();
    while secrets.get_opt("harbor-pullsecret").await.unwrap().is_none() {
        // A schedule's times are spread over half a minute.
        assert!(began.elapsed() < PATIENCE, "no sweep found what is missing");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    stage.took(began.elapsed());
    daemon.stop().await;
    stage.assert_provisioned(&team).await;
}
