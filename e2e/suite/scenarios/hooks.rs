//! Webhooks that a real git host sends.

use std::sync::Arc;

use crate::git::{git, push};
use crate::harborage::{Program, file};
use crate::process::free_port;
use crate::stage::Stage;
use crate::suite::{Scenario, scenario};

pub(crate) fn all() -> Vec<Scenario> {
    vec![scenario!(
        "Gitea's webhooks poke the daemon, those of other branches and with another secret do not",
        hooks
    )]
}

/// How many deliveries of Gitea ended so, by the daemon's metrics.
async fn deliveries(metrics: &str, outcome: &str) -> usize {
    let text = reqwest::get(format!("{metrics}/metrics"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let series = format!("harborage_hook_deliveries_total{{host=\"gitea\",outcome=\"{outcome}\"}} ");
    let found = text.lines().find_map(|line| line.strip_prefix(&series));
    found.map_or(0, |number| number.parse().unwrap())
}

async fn until_deliveries(metrics: &str, outcome: &str, number: usize) {
    let waiting = async {
        while deliveries(metrics, outcome).await < number {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let patience = std::time::Duration::from_secs(60);
    assert!(
        tokio::time::timeout(patience, waiting).await.is_ok(),
        "fewer than {number} deliveries were {outcome}"
    );
}

async fn hooks(stage: Arc<Stage>) {
    let gitea = stage.world.gitea().await;
    let teams = [
        stage.team_with_namespace("first").await,
        stage.team_with_namespace("second").await,
        stage.team_with_namespace("third").await,
    ];
    let mut values = stage.values(&[&teams[0]]);
    let url = gitea.repository("hooked").await;
    let to = gitea.push_url("hooked");
    push(values.folder(), &to).await;
    let mut program: Program = stage.program(&url).await;
    let (public, private) = (free_port(), free_port());
    let token = gitea.token("hooked").await;
    program.set("git-password-file", file(stage.folder(), "token", &token));
    program.set("poll", "1h");
    program.set("listen", format!("127.0.0.1:{public}"));
    program.set("metrics-listen", format!("127.0.0.1:{private}"));
    program.set(
        "webhook-secret-file",
        file(stage.folder(), "hook-secrets", "an-old-secret\na-secret\n"),
    );
    let metrics = format!("http://127.0.0.1:{private}");
    let target = format!("http://127.0.0.1:{public}/hooks");
    let daemon = program.start();
    let commit = git(values.folder(), &["rev-parse", "HEAD"])
        .await
        .trim()
        .to_owned();
    program.until_ready(&commit).await;

    // A push, and one by force.
    gitea.hook("hooked", &target, "a-secret").await;
    values.add(&teams[1]);
    let commit = values.commit("one more");
    push(values.folder(), &to).await;
    stage.took(program.until_ready(&commit).await);
    stage.assert_provisioned(&teams[1]).await;
    values.add(&teams[2]);
    git(values.folder(), &["reset", "--quiet", "--soft", "HEAD~1"]).await;
    let commit = values.commit("another history");
    push(values.folder(), &to).await;
    stage.took(program.until_ready(&commit).await);
    until_deliveries(&metrics, "accepted", 2).await;

    // What is not followed: a branch, its deletion.
    git(
        values.folder(),
        &["push", "--quiet", &to, "main:refs/heads/other"],
    )
    .await;
    git(values.folder(), &["push", "--quiet", &to, ":refs/heads/other"]).await;
    until_deliveries(&metrics, "not_ours", 1).await;

    // What the host's page sends to try it, and what somebody sends who has no secret of ours.
    gitea.try_hook("hooked").await;
    until_deliveries(&metrics, "tested", 1).await;
    gitea.hook("hooked", &target, "a-secret-of-somebody-elses").await;
    values.commit("the same again");
    push(values.folder(), &to).await;
    until_deliveries(&metrics, "refused", 1).await;
    assert_eq!(deliveries(&metrics, "malformed").await, 0);
    daemon.stop().await;
}
