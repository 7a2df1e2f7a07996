//! Looks at every server, permission and setting, and says what to change.

mod judge;

use std::path::Path;

use futures::future::join_all;

pub use self::judge::{Finding, Verdict};
use self::judge::{found, good, judge_harbor, judge_reading, judge_rights, needed, refused};
use super::connect;
use super::source::{Reading, Source, SourceError};
use crate::edge::kubernetes::{ClusterClient, Right};
use crate::run::chain;
use crate::run::engine::Intent;
use crate::run::target::{Harbor as _, TargetError};
use crate::serve::status;
use crate::settings::Settings;

/// Looks at everything. Writes nothing but a file in the state folder, which it takes away again.
pub async fn examine(settings: &Settings) -> Vec<Finding> {
    let (mut findings, reading) = repository(settings).await;
    findings.extend(harbor(settings).await);
    let intent = reading.as_ref().and_then(|reading| reading.intent.as_ref());
    findings.extend(kubernetes(settings, intent).await);
    findings.extend(state(&settings.state()).await);
    findings
}

async fn repository(settings: &Settings) -> (Vec<Finding>, Option<Reading>) {
    const SUBJECT: &str = "repository";
    let wrong = |error: &dyn std::error::Error, remedy: &str| {
        (
            vec![found(
                SUBJECT,
                Verdict::Wrong,
                format!("{}.", chain(error)),
                remedy,
            )],
            None,
        )
    };
    let opened = settings
        .repository()
        .and_then(|location| Ok((location, settings.source()?)));
    let (location, sources) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            return wrong(
                &error,
                "set what is missing; `harborage settings` shows what holds",
            );
        }
    };
    // A copy of its own: a running daemon has the one in the state folder.
    let source = match Source::open(&location, &sources, None) {
        Ok(source) => source,
        Err(error) => return wrong(&error, "see that --repository is right"),
    };
    match source.read_head().await {
        Err(SourceError::Refused { revision, faults }) => {
            let told = format!(
                "{} is refused: {} faults in what all teams share.",
                revision.short(),
                faults.len()
            );
            let remedy = "mend them; `harborage check` shows each with its place";
            (vec![found(SUBJECT, Verdict::Wrong, told, remedy)], None)
        }
        Err(error) => wrong(
            &error,
            "see that the host is reached, and that the login and --reference are right",
        ),
        Ok(reading) => (judge_reading(&reading), Some(reading)),
    }
}

async fn harbor(settings: &Settings) -> Vec<Finding> {
    const SUBJECT: &str = "Harbor";
    let access = match settings.harbor() {
        Ok(access) => access,
        Err(error) => {
            let remedy = "set what is missing; `harborage settings` shows what holds";
            return vec![found(
                SUBJECT,
                Verdict::Wrong,
                format!("{}.", chain(&error)),
                remedy,
            )];
        }
    };
    let asked = async { connect::harbor(&access)?.observe_platform(&[]).await };
    match asked.await {
        Ok(observed) => {
            let has_secret = settings.run().is_ok_and(|run| run.oidc_client_secret.is_some());
            judge_harbor(&access.url, &access.username, &observed, has_secret)
        }
        Err(error) => vec![refused(SUBJECT, &error)],
    }
}

async fn kubernetes(settings: &Settings, intent: Option<&Intent>) -> Vec<Finding> {
    const SUBJECT: &str = "Kubernetes";
    let unreached = |error: &dyn std::error::Error, remedy: &str| {
        vec![found(
            SUBJECT,
            Verdict::Wrong,
            format!("{}.", chain(error)),
            remedy,
        )]
    };
    let access = match settings.kubernetes() {
        Ok(access) => access,
        Err(error) => return unreached(&error, "see that the file is there and can be read"),
    };
    let client = match connect::cluster(&access).await {
        Ok(client) => client,
        Err(error) => return unreached(&error, "give --kubeconfig, or run in a cluster"),
    };
    let needed = needed(intent);
    let everything = Right {
        verb: "list",
        resource: "secrets",
        name: None,
    };
    match lacking(&client, &needed).await {
        Ok(lacking) => {
            let too_much = client.has(&everything).await.unwrap_or(false);
            judge_rights(needed.len(), &lacking, too_much)
        }
        Err(error) => vec![refused(SUBJECT, &error)],
    }
}

async fn lacking(client: &ClusterClient, needed: &[Right]) -> Result<Vec<Right>, TargetError> {
    let answers = join_all(needed.iter().map(|right| client.has(right))).await;
    let mut lacking = Vec::new();
    for (right, answer) in needed.iter().zip(answers) {
        if !answer? {
            lacking.push(right.clone());
        }
    }
    Ok(lacking)
}

async fn state(folder: &Path) -> Vec<Finding> {
    const SUBJECT: &str = "state";
    let probe = folder.join(".doctor");
    let shown = folder.display();
    let tried = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&probe, "x"))
        .and_then(|()| std::fs::remove_file(&probe));
    let mut findings = vec![match tried {
        Ok(()) => good(SUBJECT, format!("{shown} can be written.")),
        Err(error) => {
            let told = format!("{shown} can't be written: {error}.");
            found(
                SUBJECT,
                Verdict::Wrong,
                told,
                "give a folder that we own, by --state",
            )
        }
    }];
    match status::ask(folder).await {
        Ok(Some(_)) => findings.push(good(SUBJECT, "A daemon works with it.".to_owned())),
        Ok(None) => {}
        Err(error) => {
            let told = format!("{}.", chain(&error));
            findings.push(found(
                SUBJECT,
                Verdict::Wrong,
                told,
                "see which harborage runs there, and of which version",
            ));
        }
    }
    findings
}
