//! The engine against servers in memory, on paused time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::chance::{Chance, Clock};
use super::declaration::JobDeclarations;
use super::engine::{Asked, Engine, EngineParts, Intent, Reach};
use super::fake::{Fake, Fate, Notebook};
use super::lane::Rules;
use super::meter::{AttemptEnd, CallEnd, Job, Meter, Server, unmetered};
use super::record::{Held, LaneId, LaneRecord, RunState};
use super::retry::RetryPolicy;
use super::target::ErrorClass;
use crate::plan::PlanOptions;
use crate::plan::desired::{DesiredPlatform, DesiredTeam};
use crate::plan::step::Operation;
use crate::values::Revision;
use crate::values::names::TeamId;

const HOST: &str = "harbor.example.com";

struct Dice(AtomicU64);

impl Chance for Dice {
    fn bits(&self) -> u64 {
        let mut bits = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

struct Noon;

impl Clock for Noon {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + chrono::Duration::hours(12)
    }
}

/// A team as `jobs/provision-team.yaml` declares it.
fn team(id: &str) -> DesiredTeam {
    let jobs = JobDeclarations::load(&[], DateTime::UNIX_EPOCH).unwrap();
    jobs.provision(&id.parse().unwrap(), &HOST.parse().unwrap(), None)
        .unwrap()
}

fn platform() -> DesiredPlatform {
    DesiredPlatform {
        configuration: BTreeMap::new(),
        robot_prefix: Some("otomi-".to_owned()),
        shared_groups: vec!["all-teams-admin".parse().unwrap()],
    }
}

fn intent(commit: &str, teams: Vec<DesiredTeam>) -> Intent {
    Intent {
        revision: Revision::commit(commit),
        asked: Asked {
            read: Noon.now() - Duration::from_secs(7),
            committed: Some(Noon.now() - Duration::from_secs(60)),
        },
        platform: platform(),
        teams,
        held: BTreeMap::new(),
    }
}

fn rules(steps: &[(Operation, &[Operation])]) -> Rules {
    Rules {
        steps: steps
            .iter()
            .map(|(operation, needs)| (*operation, needs.to_vec()))
            .collect(),
        retry: RetryPolicy {
            first: Duration::from_secs(1),
            factor: 2.0,
            max: Duration::from_secs(60),
            attempts: 30,
        },
        timeout: Duration::from_secs(60),
    }
}

async fn engine(servers: &Fake, notebook: &Notebook, persistent: bool) -> Engine {
    metered_engine(servers, notebook, persistent, unmetered()).await
}

async fn metered_engine(
    servers: &Fake,
    notebook: &Notebook,
    persistent: bool,
    meter: Arc<dyn Meter>,
) -> Engine {
    use Operation::{
        EnsureConfiguration, EnsureCredentials, EnsureMembers, EnsureNamespace, EnsureProject, EnsureQuota,
        EnsureServiceAccounts, EnsureSharedGroups,
    };
    Engine::start(EngineParts {
        harbor: Arc::new(servers.clone()),
        cluster: Arc::new(servers.clone()),
        journal: Arc::new(notebook.clone()),
        clock: Arc::new(Noon),
        chance: Arc::new(Dice(AtomicU64::new(1))),
        platform_rules: rules(&[(EnsureConfiguration, &[]), (EnsureSharedGroups, &[])]),
        team_rules: rules(&[
            (EnsureNamespace, &[]),
            (EnsureProject, &[]),
            (EnsureQuota, &[EnsureProject]),
            (EnsureMembers, &[EnsureProject]),
            (EnsureCredentials, &[EnsureNamespace, EnsureProject]),
            (EnsureServiceAccounts, &[EnsureNamespace]),
        ]),
        meter,
        plan_options: PlanOptions::default(),
        client_secret: None,
        lanes: 64,
        persistent,
    })
    .await
    .unwrap()
}

async fn settle(servers: &Fake, notebook: &Notebook, intent: Intent, reach: Reach) -> Engine {
    let engine = engine(servers, notebook, true).await;
    engine.submit(intent, reach).await.unwrap();
    engine.settled().await;
    engine
}

fn record(engine: &Engine, team: &str) -> LaneRecord {
    engine.board().get(&LaneId::Team(team.parse().unwrap())).unwrap()
}

#[track_caller]
fn assert_ready(servers: &Fake, engine: &Engine, desired: &DesiredTeam) {
    assert_eq!(record(engine, desired.team.as_str()).state, RunState::Done);
    assert_eq!(servers.state_of(desired), undisturbed(desired));
}

/// The state that a team is in after nothing went wrong.
fn undisturbed(desired: &DesiredTeam) -> String {
    let desired = desired.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let servers = Fake::with_namespaces(&[desired.team.as_str()]);
            let notebook = Notebook::default();
            settle(
                &servers,
                &notebook,
                intent("calm", vec![desired.clone()]),
                Reach::Everything,
            )
            .await;
            let state = servers.state_of(&desired);
            assert!(state.contains("true") && !state.contains("None"), "{state}");
            state
        })
    })
    .join()
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_new_team_costs_six_harbor_writes_and_four_of_kubernetes() {
    let servers = Fake::with_namespaces(&["demo", "dev"]);
    let notebook = Notebook::default();
    let teams = vec![team("demo"), team("dev")];
    let engine = settle(
        &servers,
        &notebook,
        intent("c1", teams.clone()),
        Reach::Everything,
    )
    .await;
    for desired in &teams {
        assert_ready(&servers, &engine, desired);
    }
    let writes = servers.writes();
    let count = |prefix: &str| writes.iter().filter(|call| call.starts_with(prefix)).count();
    assert_eq!(count("create group"), 1);
    assert_eq!(
        (
            count("create project"),
            count("add member"),
            count("create robot")
        ),
        (2, 4, 6)
    );
    assert_eq!((count("apply Secret"), count("set pull Secrets")), (6, 2));
    assert_eq!(writes.len(), 1 + 12 + 8, "{writes:#?}");
    let reads = servers.calls().len() - writes.len();
    assert_eq!(reads, 3, "one platform, one batch of each server");
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_leaves_a_team_as_it_was_costs_no_call() {
    let servers = Fake::with_namespaces(&["demo", "dev"]);
    let notebook = Notebook::default();
    let engine = settle(
        &servers,
        &notebook,
        intent("c1", vec![team("demo"), team("dev")]),
        Reach::Everything,
    )
    .await;
    servers.calm();
    let before = notebook.writes();
    engine
        .submit(intent("c2", vec![team("demo"), team("dev")]), Reach::Changed)
        .await
        .unwrap();
    engine.settled().await;
    assert_eq!(servers.calls(), Vec::<String>::new());
    assert_eq!(notebook.writes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_of_healthy_teams_reads_in_one_batch_and_writes_nothing() {
    let servers = Fake::with_namespaces(&["a", "b", "c", "d"]);
    let notebook = Notebook::default();
    let teams: Vec<_> = ["a", "b", "c", "d"].map(team).to_vec();
    let engine = settle(
        &servers,
        &notebook,
        intent("c1", teams.clone()),
        Reach::Everything,
    )
    .await;
    servers.calm();
    let before = notebook.writes();
    engine
        .submit(intent("c1", teams), Reach::Everything)
        .await
        .unwrap();
    engine.settled().await;
    assert_eq!(servers.writes(), Vec::<String>::new());
    assert_eq!(servers.calls().len(), 3, "{:?}", servers.calls());
    assert_eq!(notebook.writes(), before);
}

#[tokio::test(start_paused = true)]
async fn a_lost_journal_costs_no_write_on_the_servers() {
    let servers = Fake::with_namespaces(&["demo"]);
    settle(
        &servers,
        &Notebook::default(),
        intent("c1", vec![team("demo")]),
        Reach::Everything,
    )
    .await;
    servers.calm();
    let engine = settle(
        &servers,
        &Notebook::default(),
        intent("c1", vec![team("demo")]),
        Reach::Changed,
    )
    .await;
    assert_eq!(servers.writes(), Vec::<String>::new());
    assert_eq!(record(&engine, "demo").state, RunState::Done);
}

#[tokio::test(start_paused = true)]
async fn whatever_call_fails_the_team_becomes_ready_and_every_login_works() {
    let desired = team("demo");
    let fates = [
        Fate::Fails(ErrorClass::Transient),
        Fate::Fails(ErrorClass::Conflict),
        Fate::Fails(ErrorClass::Auth),
        Fate::Lost,
    ];
    let calls = {
        let servers = Fake::with_namespaces(&["demo"]);
        settle(
            &servers,
            &Notebook::default(),
            intent("c1", vec![desired.clone()]),
            Reach::Everything,
        )
        .await;
        servers.calls().len()
    };
    assert!(calls > 12);
    for number in 0..calls {
        for fate in fates {
            let servers = Fake::with_namespaces(&["demo"]);
            servers.decide(move |call, _| if call == number { fate } else { Fate::Answered });
            let engine = settle(
                &servers,
                &Notebook::default(),
                intent("c1", vec![desired.clone()]),
                Reach::Everything,
            )
            .await;
            assert_ready(&servers, &engine, &desired);
            let robots = servers
                .writes()
                .iter()
                .filter(|call| call.starts_with("create robot"))
                .count();
            assert!(robots <= 4, "call {number}, {fate:?}: {:#?}", servers.writes());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_killed_at_any_call_is_finished_by_the_next() {
    let desired = team("demo");
    for with_effect in [false, true] {
        for keep_journal in [false, true] {
            for number in 0..18 {
                let servers = Fake::with_namespaces(&["demo"]);
                let notebook = Notebook::default();
                let dying = notebook.clone();
                servers.decide(move |call, _| {
                    if call >= number {
                        dying.die();
                    }
                    match call.cmp(&number) {
                        std::cmp::Ordering::Less => Fate::Answered,
                        std::cmp::Ordering::Equal if with_effect => Fate::Lost,
                        _ => Fate::Fails(ErrorClass::Transient),
                    }
                });
                let first = engine(&servers, &notebook, true).await;
                let submitted = first
                    .submit(intent("c1", vec![desired.clone()]), Reach::Everything)
                    .await;
                assert!(submitted.is_ok());
                first.settled().await;
                drop(first);

                servers.calm();
                let found = if keep_journal {
                    notebook.reopened()
                } else {
                    Notebook::default()
                };
                let second = settle(
                    &servers,
                    &found,
                    intent("c1", vec![desired.clone()]),
                    Reach::Changed,
                )
                .await;
                assert_ready(&servers, &second, &desired);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_existing_platform_is_adopted_without_a_changed_credential() {
    let servers = Fake::with_namespaces(&["demo"]);
    settle(
        &servers,
        &Notebook::default(),
        intent("c1", vec![team("demo")]),
        Reach::Everything,
    )
    .await;
    servers.forget_marks();
    let before = servers.password("demo", "harbor-pushsecret", HOST).unwrap();
    servers.calm();
    let engine = settle(
        &servers,
        &Notebook::default(),
        intent("c1", vec![team("demo")]),
        Reach::Everything,
    )
    .await;
    assert_ready(&servers, &engine, &team("demo"));
    assert_eq!(
        servers.password("demo", "harbor-pushsecret", HOST).unwrap(),
        before
    );
    let writes = servers.writes();
    assert_eq!(
        writes.len(),
        3,
        "three Secrets are marked and nothing else: {writes:?}"
    );
    assert!(writes.iter().all(|call| call.starts_with("apply Secret")));
}

/// Something that happens to the servers behind our back.
type Drift = fn(&Fake);

#[tokio::test(start_paused = true)]
async fn drift_is_repaired_and_only_what_drifted() {
    let servers = Fake::with_namespaces(&["demo"]);
    let notebook = Notebook::default();
    let engine = settle(
        &servers,
        &notebook,
        intent("c1", vec![team("demo")]),
        Reach::Everything,
    )
    .await;
    let drifts: [(Drift, &[&str]); 3] = [
        (
            |servers| servers.delete_secret("demo", "harbor-pullsecret"),
            &[
                "apply Secret harbor-pullsecret in team-demo",
                "set robot secret",
                "apply Secret harbor-pullsecret in team-demo",
            ],
        ),
        (
            |servers| servers.delete_robot("otomi-team-demo-push"),
            &[
                "create robot team-demo-push",
                "apply Secret harbor-pushsecret in team-demo",
            ],
        ),
        (
            |servers| servers.disable_robot("otomi-team-demo-builds"),
            &["update robot team-demo-builds"],
        ),
    ];
    for (drift, repair) in drifts {
        drift(&servers);
        servers.calm();
        engine
            .submit(intent("c1", vec![team("demo")]), Reach::Everything)
            .await
            .unwrap();
        engine.settled().await;
        assert_eq!(servers.writes(), repair);
        assert_ready(&servers, &engine, &team("demo"));
    }
}

#[tokio::test(start_paused = true)]
async fn members_that_harbor_refuses_do_not_keep_the_pull_secret_back() {
    let servers = Fake::with_namespaces(&["demo"]);
    servers.decide(|_, call| {
        if call.starts_with("add member") {
            Fate::Fails(ErrorClass::Rejected)
        } else {
            Fate::Answered
        }
    });
    let engine = settle(
        &servers,
        &Notebook::default(),
        intent("c1", vec![team("demo")]),
        Reach::Everything,
    )
    .await;
    let record = record(&engine, "demo");
    assert!(
        matches!(record.state, RunState::Parked { .. }),
        "{:?}",
        record.state
    );
    assert_eq!(record.problems.len(), 2);
    assert!(servers.password("demo", "harbor-pullsecret", HOST).is_some());
    assert!(
        servers
            .writes()
            .iter()
            .any(|call| call.starts_with("set pull Secrets"))
    );
}

#[tokio::test(start_paused = true)]
async fn one_failing_team_harms_no_other() {
    let servers = Fake::with_namespaces(&["bad", "good"]);
    servers.decide(|_, call| {
        if call.contains("team-bad") {
            Fate::Fails(ErrorClass::Rejected)
        } else {
            Fate::Answered
        }
    });
    let engine = settle(
        &servers,
        &Notebook::default(),
        intent("c1", vec![team("bad"), team("good")]),
        Reach::Everything,
    )
    .await;
    assert!(matches!(record(&engine, "bad").state, RunState::Parked { .. }));
    assert_ready(&servers, &engine, &team("good"));
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_appears_late_is_waited_for() {
    let servers = Fake::with_namespaces(&[]);
    let notebook = Notebook::default();
    let engine = engine(&servers, &notebook, true).await;
    engine
        .submit(intent("c1", vec![team("late")]), Reach::Everything)
        .await
        .unwrap();
    // Long after a daemon would have given up on anything else.
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    let waiting = record(&engine, "late");
    assert!(
        matches!(waiting.state, RunState::Waiting { .. }),
        "{:?}",
        waiting.state
    );
    assert!(
        servers
            .writes()
            .iter()
            .any(|call| call == "create project team-late")
    );
    assert!(
        !servers
            .calls()
            .iter()
            .any(|call| call.starts_with("create robot"))
    );
    servers.add_namespace("late");
    engine.settled().await;
    assert_ready(&servers, &engine, &team("late"));
}

#[tokio::test(start_paused = true)]
async fn a_single_pass_does_not_wait_for_ever() {
    let servers = Fake::with_namespaces(&[]);
    let engine = engine(&servers, &Notebook::default(), false).await;
    engine
        .submit(intent("c1", vec![team("late")]), Reach::Everything)
        .await
        .unwrap();
    engine.settled().await;
    assert!(matches!(record(&engine, "late").state, RunState::Parked { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_newer_commit_takes_over_at_a_step_boundary() {
    let servers = Fake::with_namespaces(&["demo"]);
    servers.decide(|_, call| {
        if call.starts_with("add member") {
            Fate::Fails(ErrorClass::Transient)
        } else {
            Fate::Answered
        }
    });
    let engine = engine(&servers, &Notebook::default(), true).await;
    engine
        .submit(intent("c1", vec![team("demo")]), Reach::Everything)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(matches!(record(&engine, "demo").state, RunState::Waiting { .. }));
    let mut newer = team("demo");
    newer.members.truncate(1);
    servers.calm();
    engine
        .submit(intent("c2", vec![newer.clone()]), Reach::Changed)
        .await
        .unwrap();
    engine.settled().await;
    let record = record(&engine, "demo");
    assert_eq!(record.state, RunState::Done);
    assert_eq!(record.revision, Revision::commit("c2"));
    let added = servers
        .calls()
        .iter()
        .filter(|call| call.starts_with("add member"))
        .count();
    assert_eq!(added, 1);
}

#[tokio::test(start_paused = true)]
async fn a_held_team_stays_at_its_last_good_state_and_is_still_looked_after() {
    let servers = Fake::with_namespaces(&["demo", "dev"]);
    let notebook = Notebook::default();
    settle(
        &servers,
        &notebook,
        intent("c1", vec![team("demo"), team("dev")]),
        Reach::Everything,
    )
    .await;
    // A new process, which knows the last good state from the journal alone.
    let held = Intent {
        held: BTreeMap::from([(
            "demo".parse::<TeamId>().unwrap(),
            vec!["env/teams/demo: broken".to_owned()],
        )]),
        ..intent("c2", vec![team("dev")])
    };
    servers.delete_robot("otomi-team-demo-pull");
    let engine = settle(&servers, &notebook.reopened(), held, Reach::Everything).await;
    assert_ready(&servers, &engine, &team("demo"));
    assert!(matches!(record(&engine, "demo").held, Some(Held::Faults { .. })));
    // The values are mended: nothing holds the team any more, and nothing has to be done for it.
    servers.calm();
    engine
        .submit(intent("c3", vec![team("demo"), team("dev")]), Reach::Changed)
        .await
        .unwrap();
    engine.settled().await;
    assert_eq!(record(&engine, "demo").held, None);
    assert_eq!(servers.calls(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_removed_team_keeps_what_it_has() {
    let servers = Fake::with_namespaces(&["demo", "dev"]);
    let notebook = Notebook::default();
    let engine = settle(
        &servers,
        &notebook,
        intent("c1", vec![team("demo"), team("dev")]),
        Reach::Everything,
    )
    .await;
    servers.calm();
    engine
        .submit(intent("c2", vec![team("dev")]), Reach::Changed)
        .await
        .unwrap();
    engine.settled().await;
    assert_eq!(servers.calls(), Vec::<String>::new());
    assert!(matches!(record(&engine, "demo").held, Some(Held::Removed { .. })));
    assert_eq!(servers.state_of(&team("demo")), undisturbed(&team("demo")));
}

#[tokio::test(start_paused = true)]
async fn a_team_that_leaves_and_comes_back_while_it_is_worked_on_is_taken_up_again() {
    let servers = Fake::with_namespaces(&["demo"]);
    servers.decide(|_, call| {
        if call.starts_with("add member") {
            Fate::Fails(ErrorClass::Transient)
        } else {
            Fate::Answered
        }
    });
    let engine = engine(&servers, &Notebook::default(), true).await;
    engine
        .submit(intent("c1", vec![team("demo")]), Reach::Everything)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    servers.calm();
    engine
        .submit(intent("c2", Vec::new()), Reach::Changed)
        .await
        .unwrap();
    engine
        .submit(intent("c3", vec![team("demo")]), Reach::Changed)
        .await
        .unwrap();
    engine.settled().await;
    assert_ready(&servers, &engine, &team("demo"));
}

#[tokio::test(start_paused = true)]
async fn a_journal_that_cannot_be_written_stops_the_engine() {
    let servers = Fake::with_namespaces(&["demo"]);
    let notebook = Notebook::default();
    let dying = notebook.clone();
    servers.decide(move |call, _| {
        if call == 6 {
            dying.die();
        }
        Fate::Answered
    });
    let engine = engine(&servers, &notebook, true).await;
    engine
        .submit(intent("c1", vec![team("demo")]), Reach::Everything)
        .await
        .unwrap();
    let error = engine.failed().await;
    engine.settled().await;
    assert_eq!(error.to_string(), "failed to write");
    let calls = servers.calls();
    assert!(
        calls.len() <= 9,
        "nothing more is begun than the operation that was announced: {calls:#?}"
    );
}

mod random {
    use proptest::prelude::*;

    use super::*;

    /// What happens in turn: a commit with these teams, each in one of two variants, and calls that fail.
    #[derive(Debug, Clone)]
    struct Turn {
        teams: BTreeSet<(u8, bool)>,
        failures: BTreeMap<usize, u8>,
        kill: bool,
    }

    fn turn() -> impl Strategy<Value = Turn> {
        (
            prop::collection::btree_map(0..3_u8, any::<bool>(), 0..4),
            prop::collection::btree_map(0..40_usize, 0..4_u8, 0..12),
            prop::bool::weighted(0.3),
        )
            .prop_map(|(teams, failures, kill)| Turn {
                teams: teams.into_iter().collect(),
                failures,
                kill,
            })
    }

    fn wanted(teams: &BTreeSet<(u8, bool)>) -> Vec<DesiredTeam> {
        let variant = |(number, fewer): &(u8, bool)| {
            let mut desired = team(&format!("t{number}"));
            if *fewer {
                desired.credentials.truncate(2);
                desired.members.truncate(1);
            }
            desired
        };
        teams.iter().map(variant).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn any_sequence_of_commits_and_failures_ends_as_a_fresh_run_of_the_last(
            turns in prop::collection::vec(turn(), 1..5),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let servers = Fake::with_namespaces(&["t0", "t1", "t2"]);
                let mut notebook = Notebook::default();
                let mut running = engine(&servers, &notebook, true).await;
                let last = turns.len() - 1;
                for (number, turn) in turns.iter().enumerate() {
                    let failures = turn.failures.clone();
                    servers.decide(move |call, _| match failures.get(&call) {
                        Some(0) => Fate::Lost,
                        Some(1) => Fate::Fails(ErrorClass::Conflict),
                        Some(2) => Fate::Fails(ErrorClass::Auth),
                        Some(_) => Fate::Fails(ErrorClass::Transient),
                        None => Fate::Answered,
                    });
                    let commit = format!("c{number}");
                    running.submit(intent(&commit, wanted(&turn.teams)), Reach::Changed).await.unwrap();
                    if turn.kill && number != last {
                        tokio::time::sleep(Duration::from_millis(4)).await;
                        notebook.die();
                        running.stop(Duration::ZERO).await;
                        notebook = notebook.reopened();
                        running = engine(&servers, &notebook, true).await;
                    }
                }
                running.settled().await;
                for desired in wanted(&turns[last].teams) {
                    // The newest commit alone decides what the declared objects are like. A member that only an
                    // earlier one declared stays, so only the declared ones are compared.
                    assert_eq!(record(&running, desired.team.as_str()).state, RunState::Done);
                    let fresh = undisturbed(&desired);
                    for line in fresh.lines().filter(|line| !line.starts_with('{')) {
                        assert!(servers.state_of(&desired).contains(line), "{line}\nis not in\n{}", servers.state_of(&desired));
                    }
                }
            });
        }
    }
}

/// Notes what it is told.
#[derive(Default)]
struct Notes {
    attempts: std::sync::Mutex<Vec<(Job, AttemptEnd)>>,
    ready: std::sync::Mutex<Vec<(Duration, Option<Duration>)>>,
}

impl Meter for Notes {
    fn call(&self, _: Server, _: CallEnd, _: Duration) {}
    fn attempt(&self, job: Job, end: AttemptEnd) {
        self.attempts.lock().unwrap().push((job, end));
    }
    fn ready(&self, since_read: Duration, since_commit: Option<Duration>) {
        self.ready.lock().unwrap().push((since_read, since_commit));
    }
}

#[tokio::test(start_paused = true)]
async fn a_team_is_told_ready_once_a_commit_and_not_again_after_drift() {
    let notes = Arc::new(Notes::default());
    let servers = Fake::with_namespaces(&["demo"]);
    let engine = metered_engine(&servers, &Notebook::default(), true, notes.clone()).await;
    engine
        .submit(intent("c1", vec![team("demo")]), Reach::Changed)
        .await
        .unwrap();
    engine.settled().await;
    let seconds = Duration::from_secs;
    assert_eq!(
        *notes.ready.lock().unwrap(),
        [(seconds(7), Some(seconds(60)))],
        "the platform's lane is no team"
    );

    servers.delete_robot("otomi-team-demo-pull");
    engine
        .submit(intent("c1", vec![team("demo")]), Reach::Everything)
        .await
        .unwrap();
    engine.settled().await;
    assert_ready(&servers, &engine, &team("demo"));
    assert_eq!(notes.ready.lock().unwrap().len(), 1);
    let reached = |job| {
        let attempts = notes.attempts.lock().unwrap();
        attempts
            .iter()
            .filter(|told| **told == (job, AttemptEnd::Reached))
            .count()
    };
    assert_eq!(
        (reached(Job::ConfigureHarbor), reached(Job::ProvisionTeam)),
        (2, 2)
    );
}
