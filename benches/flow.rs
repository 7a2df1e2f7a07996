//! What the flow costs, against the rehearsal servers, in calls and as ratios: `cargo bench --bench flow`.
//!
//! Ends with a failure when a bound is broken.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to say"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use harborage::edge::harbor::{HarborClient, HarborSettings};
use harborage::edge::kubernetes::{ClusterClient, ClusterSettings};
use harborage::edge::store::MemoryJournal;
use harborage::plan::PlanOptions;
use harborage::rehearsal::Weather;
use harborage::rehearsal::harbor::{HarborOptions, HarborStandIn};
use harborage::rehearsal::kubernetes::{KubernetesOptions, KubernetesStandIn};
use harborage::run::chance::{Chance, Clock};
use harborage::run::declaration::{JobDeclarations, PlatformInputs};
use harborage::run::engine::{Asked, Engine, EngineParts, Intent, Reach};
use harborage::run::meter::unmetered;
use harborage::run::record::RunState;
use harborage::values::Revision;

const WRITES_IN_FLIGHT: usize = 4;

struct Now;

impl Clock for Now {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

struct Dice(AtomicU64);

impl Chance for Dice {
    fn bits(&self) -> u64 {
        let bits = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits ^ (bits >> 31)
    }
}

/// Both servers and an engine between them.
struct Scene {
    harbor: HarborStandIn,
    kubernetes: KubernetesStandIn,
    engine: Engine,
    jobs: JobDeclarations,
}

impl Scene {
    async fn set(latency: Duration) -> Self {
        let weather = Weather {
            latency,
            ..Weather::default()
        };
        let options = HarborOptions {
            weather,
            ..HarborOptions::default()
        };
        let harbor = HarborStandIn::start(options).await.expect("Harbor starts");
        let options = KubernetesOptions {
            weather,
            ..KubernetesOptions::default()
        };
        let kubernetes = KubernetesStandIn::start(options)
            .await
            .expect("Kubernetes starts");
        let timeout = Duration::from_secs(30);
        let client = HarborClient::new(HarborSettings {
            url: harbor.base_url(),
            username: "admin".to_owned(),
            password: harbor.admin_password().clone(),
            ca: None,
            writes: WRITES_IN_FLIGHT,
            reads: 16,
            timeout,
            lockout: HarborSettings::LOCKOUT,
        });
        let cluster = ClusterClient::new(ClusterSettings {
            kubeconfig: None,
            context: None,
            url: Some(kubernetes.base_url()),
            token: None,
            ca: None,
            writes: 16,
            reads: 16,
            timeout,
        });
        let jobs = JobDeclarations::load(&[], Utc::now()).expect("the embedded jobs are good");
        let engine = Engine::start(EngineParts {
            harbor: Arc::new(client.expect("a client of Harbor")),
            cluster: Arc::new(cluster.await.expect("a client of Kubernetes")),
            journal: Arc::new(MemoryJournal::default()),
            clock: Arc::new(Now),
            chance: Arc::new(Dice(AtomicU64::new(1))),
            platform_rules: jobs.platform_rules(),
            team_rules: jobs.team_rules(),
            meter: unmetered(),
            plan_options: PlanOptions::default(),
            client_secret: Some("a-client-secret".into()),
            lanes: 64,
            persistent: true,
        });
        Self {
            harbor,
            kubernetes,
            engine: engine.await.expect("an engine"),
            jobs,
        }
    }

    /// What a commit with this many teams asks for; their namespaces are there.
    fn intent(&self, commit: &str, teams: usize) -> Intent {
        let host = "harbor.example.com".parse().expect("a host");
        let desired = (0..teams).map(|number| {
            let team = format!("t{number}").parse().expect("a team id");
            self.jobs.provision(&team, &host, None).expect("names")
        });
        let inputs = PlatformInputs {
            issuer: Some("https://keycloak.example.com/realms/otomi".to_owned()),
            client_id: "otomi".to_owned(),
            user_claim: "email".to_owned(),
            auto_onboard: true,
            verify_certificate: true,
        };
        let teams: Vec<_> = desired.collect();
        for team in &teams {
            self.kubernetes.add_namespace(team.namespace.as_str());
        }
        Intent {
            revision: Revision::commit(commit),
            asked: Asked {
                read: Utc::now(),
                committed: None,
            },
            platform: self.jobs.configure(&inputs),
            teams,
            held: BTreeMap::new(),
        }
    }

    /// Submits and waits. How long it took.
    async fn run(&self, intent: Intent, reach: Reach) -> Duration {
        self.harbor.reset_counts();
        self.kubernetes.reset_counts();
        let began = Instant::now();
        self.engine
            .submit(intent, reach)
            .await
            .expect("the journal takes it");
        self.engine.settled().await;
        let took = began.elapsed();
        assert!(
            self.engine
                .board()
                .records()
                .iter()
                .all(|lane| lane.state == RunState::Done),
            "every lane is done"
        );
        took
    }
}

/// A row of the table, and whether its bound holds.
struct Row {
    what: String,
    measured: String,
    bound: String,
    holds: bool,
}

fn row(what: impl Into<String>, measured: impl Into<String>, bound: impl Into<String>, holds: bool) -> Row {
    Row {
        what: what.into(),
        measured: measured.into(),
        bound: bound.into(),
        holds,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls are small")]
async fn rows() -> Vec<Row> {
    let mut rows = Vec::new();

    let scene = Scene::set(Duration::ZERO).await;
    // The platform's own calls are not a team's.
    scene.run(scene.intent("c0", 0), Reach::Changed).await;
    scene.run(scene.intent("c1", 100), Reach::Changed).await;
    let (harbor, kubernetes) = (scene.harbor.counts(), scene.kubernetes.counts());
    let (writes, reads) = (harbor.writes as f64 / 100.0, harbor.reads as f64 / 100.0);
    rows.push(row(
        "100 new teams: Harbor writes a team",
        format!("{writes:.2}"),
        "6",
        harbor.writes == 600,
    ));
    rows.push(row(
        "100 new teams: Harbor reads a team",
        format!("{reads:.2}"),
        "0.2",
        reads <= 0.2,
    ));
    let writes = kubernetes.writes as f64 / 100.0;
    rows.push(row(
        "100 new teams: Kubernetes writes a team",
        format!("{writes:.2}"),
        "4",
        kubernetes.writes == 400,
    ));

    scene.run(scene.intent("c2", 100), Reach::Changed).await;
    let calls = scene.harbor.counts().total + scene.kubernetes.counts().total;
    rows.push(row(
        "a commit that leaves 100 teams as they were: calls",
        calls.to_string(),
        "0",
        calls == 0,
    ));

    let teams = 1000;
    let scene = Scene::set(Duration::ZERO).await;
    scene.run(scene.intent("c1", teams), Reach::Everything).await;
    scene.run(scene.intent("c1", teams), Reach::Everything).await;
    let (harbor, kubernetes) = (scene.harbor.counts(), scene.kubernetes.counts());
    let writes = harbor.writes + kubernetes.writes;
    rows.push(row(
        "a look for drift of 1,000 healthy teams: writes",
        writes.to_string(),
        "0",
        writes == 0,
    ));
    let bound = teams as u64 * 11 / 10 + 10;
    let holds = harbor.reads <= bound;
    rows.push(row(
        "a look for drift of 1,000 healthy teams: Harbor reads",
        harbor.reads.to_string(),
        bound.to_string(),
        holds,
    ));

    let latency = Duration::from_millis(5);
    let scene = Scene::set(latency).await;
    scene.run(scene.intent("c0", 0), Reach::Changed).await;
    let took = scene.run(scene.intent("c1", teams), Reach::Changed).await;
    let counts = scene.harbor.counts();
    let least = latency.as_secs_f64() * counts.writes as f64 / WRITES_IN_FLIGHT as f64;
    let ratio = took.as_secs_f64() / least;
    let measured = format!("{:.2} s, {ratio:.3} times {least:.2} s", took.as_secs_f64());
    rows.push(row(
        "1,000 new teams at 5 ms a call, 4 writes in flight",
        measured,
        "1.15 times",
        ratio <= 1.15,
    ));
    rows
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its table")]
fn main() -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let rows = runtime.block_on(rows());
    println!("{:<58} {:>32}   {:<12}", "", "measured", "bound");
    for row in &rows {
        let verdict = if row.holds { "" } else { "  BROKEN" };
        println!(
            "{:<58} {:>32}   {:<12}{verdict}",
            row.what, row.measured, row.bound
        );
    }
    if rows.iter().all(|row| row.holds) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
