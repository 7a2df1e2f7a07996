//! Every exchange of a recording of a real Harbor, asked again of the stand-in.
//!
//! The recording in the tree covers each route; `HARBORAGE_RECORDING` names another
//! one, whose rows come on top. Rows are replayed in order against three stand-ins,
//! for the three databases of the recording, and each answer must be the same: the
//! status, the headers that matter, and the body's shape and values. What the
//! stand-in does not model is named with the reason.

mod client;
mod compare;
mod database;
mod login;
mod recording;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use compare::differences;
use database::{Replay, SHORT_PENALTY};
use harborage::rehearsal::harbor::PENALTY;
use recording::{Row, read, shortened};

/// What the stand-in need not model, and why.
fn not_modelled(row: &Row) -> Option<&'static str> {
    let Some(request) = &row.request else {
        return Some("lines of core's log, no exchange");
    };
    if request.path.starts_with("/c/oidc/") {
        // What the login led to is looked at all the same.
        return Some("a browser on its way to or from the identity provider, where harborage never is");
    }
    if request
        .header("authorization")
        .is_some_and(|value| value.starts_with("Bearer <"))
    {
        return Some("a token that an identity provider signed, which harborage never has nor sends");
    }
    if shortened(&request.path).is_some_and(|(_, length)| length > 65_000) {
        return Some(
            "a request line of more than 64 kB, which harborage never sends and our HTTP library does not read",
        );
    }
    None
}

/// Which database of the recording a group ran against.
fn database(group: &str) -> usize {
    match group {
        "oidc-13674-sql" => 2,
        "robot-prefix" => 1,
        group if group.starts_with("oidc-") => 1,
        _ => 0,
    }
}

/// The rows in the order in which they were asked: the recording's numbers are in
/// the order of the answers, and a wrong password is answered late.
fn in_order(rows: BTreeMap<u64, Row>) -> Vec<Row> {
    let mut rows: Vec<Row> = rows.into_values().collect();
    rows.sort_by_key(|row| (database(&row.group), row.n));
    rows
}

#[tokio::test]
async fn the_stand_in_answers_as_the_recorded_harbor_did() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/harbor/exchanges.jsonl");
    let mut rows = read(&fixture);
    if let Some(other) = std::env::var_os("HARBORAGE_RECORDING") {
        rows.extend(read(&PathBuf::from(other)));
    }
    let rows = in_order(rows);
    let mut replay = Replay::start().await;
    let mut current = 0;
    let (mut equal, mut unmodelled, mut failures) = (0, Vec::new(), Vec::new());
    let mut index = 0;
    while index < rows.len() {
        let row = &rows[index];
        index += 1;
        if database(&row.group) != current {
            current = database(&row.group);
            replay = Replay::start().await;
            if current == 2 {
                // Its recording begins after that.
                replay.presuppose("auth_mode", &serde_json::json!("oidc_auth"));
                replay.presuppose("oidc_endpoint", &serde_json::json!(database::ISSUER));
            }
        }
        if let Some(reason) = not_modelled(row) {
            match replay_excused(&mut replay, row, &rows[index..]).await {
                (true, _) => unmodelled.push(format!("{} {}: {reason}", row.n, row.label)),
                (false, found) if found.is_empty() => equal += 1,
                (false, found) => failures.push(describe(row, &found)),
            }
            continue;
        }
        replay.presuppose_robot(row).await;
        replay.presuppose_load(row).await;
        let locked: Vec<&Row> = rows[index - 1..]
            .iter()
            .take_while(|row| row.group == "lockout")
            .collect();
        if locked.len() > 1 && locked.iter().any(|row| row.has_wrong_password()) {
            let (count, problems) = replay_lockout(&mut replay, &locked).await;
            index += count - 1;
            equal += count - problems.len();
            failures.extend(problems);
            continue;
        }
        match replay.replay(row).await {
            found if found.is_empty() => equal += 1,
            found => failures.push(describe(row, &found)),
        }
    }
    println!(
        "{equal} replayed and equal, {} not modelled, {} different",
        unmodelled.len(),
        failures.len()
    );
    for line in &unmodelled {
        println!("  not modelled: {line}");
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn describe(row: &Row, found: &[String]) -> String {
    let request = row.request.as_ref().unwrap();
    let path: String = request.path.chars().take(120).collect();
    format!(
        "row {} ({}), {} {path}:\n    {}",
        row.n,
        row.label,
        request.method,
        found.join("\n    ")
    )
}

/// Asks what need not be modelled. Only 501 is an excuse: any other answer must be
/// the recorded one, and what a login led to must be too. Returns whether it was
/// excused, and what differs.
async fn replay_excused(replay: &mut Replay, row: &Row, later: &[Row]) -> (bool, Vec<String>) {
    let (Some(request), Some(recorded)) = (&row.request, &row.response) else {
        return (true, Vec::new());
    };
    if shortened(&request.path).is_some() {
        return (true, Vec::new());
    }
    let actual = replay.ask(row, request).await;
    replay.learn(request, &actual);
    if actual.status == 501 {
        let login = login::is_end(&request.path).then(|| replay.log_in(row, later));
        return match login.flatten() {
            Some(found) => (false, found),
            None => (true, Vec::new()),
        };
    }
    (
        false,
        differences(&request.path, None, recorded, &actual, &mut replay.numbers),
    )
}

/// Replays the rows about a locked name: the wrong password is asked first and
/// answered last, and until then the right one is refused.
async fn replay_lockout(replay: &mut Replay, rows: &[&Row]) -> (usize, Vec<String>) {
    let wrong = rows.iter().position(|row| row.has_wrong_password()).unwrap();
    replay.harbor.set_penalty(PENALTY);
    let (sender, mut asked) = tokio::sync::mpsc::unbounded_channel();
    replay.harbor.on_call(move |call| {
        sender.send(call.number).ok();
    });
    let row = rows[wrong];
    let request = row.request.as_ref().unwrap();
    let (address, target) = (replay.harbor.address(), replay.target(request));
    let headers = replay.headers(row, request);
    let method = request.method.clone();
    let pending = tokio::spawn(async move { client::ask(address, &method, &target, &headers, b"").await });
    asked.recv().await.unwrap();
    replay.harbor.clear_injections();
    // It has been told of, and the name is locked before another call gets its turn.
    let mut problems = Vec::new();
    for row in &rows[..wrong] {
        let found = replay.replay(row).await;
        if !found.is_empty() {
            problems.push(describe(row, &found));
        }
    }
    let actual = pending.await.unwrap();
    let recorded = row.response.as_ref().unwrap();
    let found = differences(&request.path, None, recorded, &actual, &mut replay.numbers);
    if !found.is_empty() {
        problems.push(describe(row, &found));
    }
    replay.harbor.set_penalty(SHORT_PENALTY);
    (wrong + 1, problems)
}
