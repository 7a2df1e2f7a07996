//! What a scrape says after real work.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use harborage::daemon::source::Source;
use harborage::edge::harbor::{HarborClient, HarborSettings};
use harborage::edge::store::SledJournal;
use harborage::plan::PlanOptions;
use harborage::run::chance::{Chance, Clock};
use harborage::run::engine::{Engine, EngineParts, Reach};
use harborage::run::meter::Meter;
use harborage::run::target::Harbor as _;
use harborage::serve::metrics::{Metrics, router};
use harborage::settings::{GitAccess, SourceSettings};

use super::git_server::GitServer;
use super::repository::ValuesRepository;
use super::support::Stage;

/// The file that the text is written to, for `promtool check metrics`.
const TEXT: &str = "HARBORAGE_METRICS_TEXT";

struct Now;

impl Clock for Now {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

struct Dice;

impl Chance for Dice {
    fn bits(&self) -> u64 {
        rand::random()
    }
}

/// Brings the teams of a repository behind a URL to the stage, metered.
async fn worked(host: &GitServer, stage: &Stage, folder: &Path, metrics: &Arc<Metrics>) -> Engine {
    let meter: Arc<dyn Meter> = metrics.clone();
    let settings = SourceSettings {
        git: GitAccess {
            timeout: Duration::from_secs(30),
            limit: 1 << 30,
            ..GitAccess::default()
        },
        ..SourceSettings::default()
    };
    let source = Source::open_metered(host.url().as_ref(), &settings, None, &meter).unwrap();
    let reading = source.read_head().await.unwrap();
    metrics.good_snapshot(reading.snapshot.faults.len());
    let engine = Engine::start(EngineParts {
        harbor: Arc::new(stage.harbor_client().metered(meter.clone())),
        cluster: Arc::new(stage.cluster_client().await.metered(meter.clone())),
        journal: Arc::new(SledJournal::open(folder).unwrap().journal),
        clock: Arc::new(Now),
        chance: Arc::new(Dice),
        platform_rules: source.platform_rules(),
        team_rules: source.team_rules(),
        plan_options: PlanOptions::default(),
        meter,
        client_secret: Some("a-client-secret".into()),
        lanes: 4,
        persistent: true,
    });
    let engine = engine.await.unwrap();
    engine
        .submit(reading.intent.unwrap(), Reach::Everything)
        .await
        .unwrap();
    engine.settled().await;
    engine
}

/// What a scraper is answered: the content type and the text.
async fn scrape(metrics: &Arc<Metrics>, engine: &Engine, accept: &str) -> (String, String) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    let served = router(metrics.clone(), engine.board().clone());
    let serving = tokio::spawn(async move { axum::serve(listener, served).await });
    harborage::edge::tls::install_crypto_provider();
    let answer = reqwest::Client::new()
        .get(url)
        .header("accept", accept)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    let text = answer.text().await.unwrap();
    serving.abort();
    (kind, text)
}

/// The value of a series.
#[track_caller]
fn value(text: &str, series: &str) -> f64 {
    text.lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
        .unwrap_or_else(|| panic!("no {series} in\n{text}"))
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_tells_of_calls_attempts_and_lanes_and_of_nobody_by_name() {
    let repository = ValuesRepository::with_teams(&["blue", "green"]);
    let stage = Stage::with_namespaces(&["blue", "green"]).await;
    let metrics = Arc::new(Metrics::new(Arc::new(Now)));
    let host = GitServer::serve(repository.path()).await;
    let folder = tempfile::tempdir().unwrap();
    let engine = worked(&host, &stage, folder.path(), &metrics).await;
    metrics.missed_hook(Some(Duration::from_secs(20)));
    metrics.tell_of_hooks(Arc::default());
    let (kind, text) = scrape(&metrics, &engine, "*/*").await;
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    if let Some(path) = std::env::var_os(TEXT) {
        std::fs::write(path, &text).unwrap();
    }

    for (series, expected) in [
        ("harborage_ready_seconds_count", 2.0),
        ("harborage_commit_ready_seconds_count", 2.0),
        (
            "harborage_attempts_total{job_name=\"provision-team\",outcome=\"parked\"}",
            0.0,
        ),
        ("harborage_lanes{job_name=\"provision-team\",state=\"done\"}", 2.0),
        (
            "harborage_lanes{job_name=\"configure-harbor\",state=\"done\"}",
            1.0,
        ),
        (
            "harborage_lanes{job_name=\"provision-team\",state=\"parked\"}",
            0.0,
        ),
        ("harborage_held_teams{because=\"faults\"}", 0.0),
        ("harborage_snapshot_faults", 0.0),
        ("harborage_missed_hooks_total", 1.0),
        ("harborage_missed_hook_unseen_seconds_sum", 20.0),
        (
            "harborage_hook_deliveries_total{host=\"gitea\",outcome=\"accepted\"}",
            0.0,
        ),
    ] {
        assert!(
            (value(&text, series) - expected).abs() < f64::EPSILON,
            "{series} is not {expected} in\n{text}"
        );
    }
    for (target, calls) in [
        ("harbor", stage.harbor.counts().total),
        ("kubernetes", stage.kubernetes.counts().total),
        ("git", host.asked().len() as u64),
    ] {
        let counted = format!("harborage_calls_total{{target=\"{target}\",class=\"ok\"}} {calls}\n");
        let timed = format!("harborage_call_seconds_count{{target=\"{target}\"}} {calls}\n");
        assert!(
            text.contains(&counted) && text.contains(&timed),
            "{counted}{timed} in\n{text}"
        );
    }
    for series in [
        "harborage_journal_bytes",
        "harborage_snapshot_age_seconds",
        "process_start_time_seconds",
        "harborage_attempts_total{job_name=\"provision-team\",outcome=\"reached\"}",
    ] {
        assert!(value(&text, series) > 0.0, "{series} in\n{text}");
    }
    let version = env!("CARGO_PKG_VERSION");
    assert!(text.contains(&format!("harborage_build_info{{version=\"{version}\"}} 1\n")));

    let head = engine.board().records()[0].revision.as_str().to_owned();
    for nobody in ["blue", "green", "team-", &head[..7], "admin", "env/", "127.0.0.1"] {
        assert!(!text.contains(nobody), "{nobody:?} is in\n{text}");
    }

    let (kind, text) = scrape(&metrics, &engine, "application/openmetrics-text;version=1.0.0").await;
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_counted() {
    // A port that was free a moment ago.
    let url = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let stage = Stage::empty().await;
    let metrics = Arc::new(Metrics::new(Arc::new(Now)));
    let settings = HarborSettings {
        url,
        ..stage.harbor_settings()
    };
    let client = HarborClient::new(settings).unwrap().metered(metrics.clone());
    client.observe_platform(&[]).await.unwrap_err();
    let journal = harborage::edge::store::MemoryJournal::default();
    let board = harborage::run::board::Board::load(Arc::new(journal))
        .await
        .unwrap();
    let text = metrics.text(&board, false);
    let series = "harborage_calls_total{target=\"harbor\",class=\"unanswered\"}";
    assert!(value(&text, series) >= 1.0, "{text}");
}
