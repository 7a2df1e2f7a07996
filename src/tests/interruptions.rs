//! Every call made to fail in every way, and the process killed at every call.

use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use harborage::daemon::pass::{self, Outcome, Surroundings};
use harborage::daemon::source::Source;
use harborage::edge::harbor::HarborClient;
use harborage::edge::store::MemoryJournal;
use harborage::rehearsal::{Call, Failure};
use harborage::settings::{RunSettings, SourceSettings};
use tokio_util::sync::CancellationToken;

use super::binary::{Folder, harborage, run};
use super::end_state::{assert_provisioned, end_state};
use super::repository::ValuesRepository;
use super::support::Stage;

const TEAM: &str = "blue";
const HOST: &str = "harbor.demo.example.com";

fn run_settings() -> RunSettings {
    RunSettings {
        state: std::path::PathBuf::new(),
        poll: Duration::from_secs(1),
        lanes: 4,
        stop_deadline: Duration::from_secs(5),
        create_namespaces: false,
        oidc_client_secret: Some("a-client-secret".into()),
    }
}

/// One pass inside this process, with clients that give up on a call that hangs.
async fn apply(repository: &ValuesRepository, stage: &Stage) -> Outcome {
    let source = Source::open(repository.path(), &SourceSettings::default(), None).unwrap();
    let reading = source.read_head().await.unwrap();
    let harbor = HarborClient::new(stage.harbor_settings()).unwrap();
    let cluster = stage.cluster_client().await;
    let surroundings = Surroundings::new(
        Arc::new(harbor),
        Arc::new(cluster),
        Arc::new(MemoryJournal::default()),
    );
    let stop = CancellationToken::new();
    pass::apply(&source, reading, surroundings, &run_settings(), &stop)
        .await
        .unwrap()
        .outcome
}

/// How many calls an undisturbed pass makes to Harbor and to Kubernetes.
async fn calls(repository: &ValuesRepository) -> (u64, u64) {
    let stage = Stage::with_namespaces(&[TEAM]).await;
    assert_eq!(apply(repository, &stage).await, Outcome::Converged);
    assert_provisioned(&stage, &[TEAM], HOST);
    (stage.harbor.counts().total, stage.kubernetes.counts().total)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_call_fails_in_whatever_way_the_next_passes_converge() {
    let repository = ValuesRepository::with_teams(&[TEAM]);
    let (of_harbor, of_kubernetes) = calls(&repository).await;
    assert!(
        of_harbor >= 15 && of_kubernetes >= 7,
        "{of_harbor} and {of_kubernetes} calls"
    );
    let harbors = (0..of_harbor).map(|number| (true, number));
    let kubernetes = (0..of_kubernetes).map(|number| (false, number));
    let cases = harbors
        .chain(kubernetes)
        .flat_map(|case| Failure::ALL.map(|failure| (case, failure)));
    stream::iter(cases)
        .for_each_concurrent(12, |((on_harbor, number), failure)| {
            let repository = &repository;
            async move {
                let stage = Stage::with_namespaces(&[TEAM]).await;
                let server = if on_harbor {
                    &*stage.harbor
                } else {
                    &*stage.kubernetes
                };
                server.inject_nth(number, failure);
                let mut outcome = apply(repository, &stage).await;
                // A single pass does not wait to be let in again, nor for ever for an answer; the next one converges.
                if outcome != Outcome::Converged {
                    assert!(
                        matches!(failure, Failure::Unauthorized | Failure::Hang),
                        "{failure:?} at {number}: {outcome:?}"
                    );
                    outcome = apply(repository, &stage).await;
                }
                assert_eq!(
                    outcome,
                    Outcome::Converged,
                    "{failure:?} at {number}, Harbor: {on_harbor}"
                );
                assert_provisioned(&stage, &[TEAM], HOST);
            }
        })
        .await;
}

/// Kills a child when either server receives its call of this number, counted over both.
fn kill_at(stage: &Stage, number: u64, child: u32) {
    let seen = Arc::new(AtomicU64::new(0));
    let killed = Arc::new(Mutex::new(false));
    let observer = move |_: &Call| {
        let mut killed = killed.lock().unwrap();
        if seen.fetch_add(1, Ordering::SeqCst) == number && !*killed {
            *killed = true;
            let status = std::process::Command::new("kill")
                .args(["-KILL", &child.to_string()])
                .stderr(Stdio::null())
                .status();
            assert!(status.is_ok());
        }
    };
    let observer = Arc::new(observer);
    let other = observer.clone();
    stage.harbor.on_call(move |call| observer(call));
    stage.kubernetes.on_call(move |call| other(call));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_between_any_two_calls_is_finished_by_the_next() {
    let repository = ValuesRepository::with_teams(&[TEAM]);
    let undisturbed = {
        let stage = Stage::with_namespaces(&[TEAM]).await;
        let folder = Folder::new(&stage);
        assert_eq!(
            run(harborage("apply", &repository, &stage, &folder)).await.status,
            Some(0)
        );
        let calls = stage.harbor.counts().total + stage.kubernetes.counts().total;
        (end_state(&stage, &[TEAM], HOST), calls)
    };
    let (expected, calls) = undisturbed;
    assert!(calls > 20, "{calls} calls");
    let mut interrupted = 0;
    for number in 0..calls {
        let stage = Stage::with_namespaces(&[TEAM]).await;
        let folder = Folder::new(&stage);
        let mut child = harborage("apply", &repository, &stage, &folder).spawn().unwrap();
        kill_at(&stage, number, child.id().unwrap());
        interrupted += usize::from(!child.wait().await.unwrap().success());
        stage.harbor.clear_injections();
        stage.kubernetes.clear_injections();
        let ended = run(harborage("apply", &repository, &stage, &folder)).await;
        assert_eq!(
            ended.status,
            Some(0),
            "killed at call {number}: {}{}",
            ended.stdout,
            ended.stderr
        );
        assert_eq!(
            end_state(&stage, &[TEAM], HOST),
            expected,
            "killed at call {number}"
        );
        let robots = stage.harbor.look(|state| state.robots().count());
        assert_eq!(
            robots, 3,
            "killed at call {number}: no robot is left that nobody knows"
        );
    }
    assert!(
        interrupted as u64 >= calls - 1,
        "{interrupted} of {calls} runs were killed"
    );
}
