//! The spans that a collector is sent, and what a collector that is away changes: nothing.

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use super::binary::{Folder, harborage, run};
use super::daemon::until_status_is_ready;
use super::end_state::{SECRETS, login};
use super::git_server::GitServer;
use super::repository::ValuesRepository;
use super::support::Stage;

const HOST: &str = "harbor.demo.example.com";
/// How long anything may take before the test is given up: far more than it ever takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A collector on loopback.
struct Collector {
    url: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    async fn start() -> Self {
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = axum::Router::new()
            .route("/v1/traces", axum::routing::post(take))
            .with_state(spans.clone());
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { url, spans }
    }
}

async fn take(State(spans): State<Arc<Mutex<Vec<Span>>>>, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let sent = request
        .resource_spans
        .into_iter()
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans);
    spans.lock().unwrap().extend(sent);
}

/// The text of an attribute.
fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// The names from a span up to its root.
fn path(span: &Span, by_id: &HashMap<Vec<u8>, &Span>) -> String {
    let mut names = vec![span.name.as_str()];
    let mut span = span;
    while let Some(parent) = by_id.get(&span.parent_span_id) {
        assert_eq!(parent.trace_id, span.trace_id);
        names.push(&parent.name);
        span = parent;
    }
    assert_eq!(
        span.parent_span_id,
        Vec::<u8>::new(),
        "{} lost its parent",
        span.name
    );
    names.reverse();
    names.join(" > ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_can_be_followed_from_the_poke_to_each_call() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let commit = repository.commit("the one that is followed");
    let host = GitServer::serve(repository.path()).await;
    let stage = Stage::with_namespaces(&["blue"]).await;
    let folder = Folder::new(&stage);
    let collector = Collector::start().await;
    let mut program = harborage("run", host.url(), &stage, &folder);
    // What the log leaves out is no less sent.
    program
        .args([
            "--poll",
            "1h",
            "--log",
            "error",
            "--otlp-endpoint",
            &collector.url,
        ])
        .stdout(Stdio::null());
    let child = program.spawn().unwrap();
    until_status_is_ready(&folder).await;
    let id = child.id().unwrap().to_string();
    std::process::Command::new("kill")
        .args(["-TERM", &id])
        .status()
        .unwrap();
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ended.status.code(), Some(0));

    let spans = collector.spans.lock().unwrap().clone();
    let sent = format!("{spans:?}");
    for (secret, key) in SECRETS {
        let (_, password) = login(&stage, "blue", secret, key, HOST).unwrap();
        assert!(!sent.contains(&password), "a span holds a secret");
    }
    let by_id: HashMap<Vec<u8>, &Span> = spans.iter().map(|span| (span.span_id.clone(), span)).collect();
    let at =
        |place: &str| -> Vec<&Span> { spans.iter().filter(|span| path(span, &by_id) == place).collect() };
    let all: Vec<String> = spans.iter().map(|span| path(span, &by_id)).collect();
    for place in ["poke", "poke > snapshot", "poke > lane"] {
        let found = at(place);
        assert!(!found.is_empty(), "no {place} in {all:#?}");
        for span in found {
            assert_eq!(attribute(span, "commit"), Some(commit.as_str()), "{place}");
        }
    }
    let calls_of_git = at("poke > snapshot > call");
    assert_eq!(calls_of_git.len(), host.asked().len());
    assert!(
        calls_of_git
            .iter()
            .all(|call| attribute(call, "call.target") == Some("git"))
    );
    let lanes: Vec<_> = at("poke > lane")
        .iter()
        .map(|lane| attribute(lane, "lane"))
        .collect();
    assert!(
        lanes.contains(&Some("blue")) && lanes.contains(&Some("platform")),
        "{lanes:?}"
    );
    let writes = at("poke > lane > attempt > step > call")
        .iter()
        .filter(|call| attribute(call, "http.method") != Some("GET"))
        .count() as u64;
    let counted = stage.harbor.counts().writes + stage.kubernetes.counts().writes;
    assert_eq!(writes, counted, "each write is part of its step: {all:#?}");
    assert!(
        !at("poke > lane > attempt > observe > call").is_empty(),
        "{all:#?}"
    );
}

#[tokio::test]
async fn a_collector_that_is_away_is_told_once_and_log_lines_stay_as_they_are() {
    let repository = ValuesRepository::with_teams(&["blue"]);
    let stage = Stage::with_namespaces(&["blue"]).await;
    let folder = Folder::new(&stage);
    let mut program = harborage("apply", &repository, &stage, &folder);
    program.args(["--log", "info", "--otlp-endpoint", "http://127.0.0.1:9"]);
    let ended = run(program).await;
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(
        ended.stderr.matches("spans can't be sent").count(),
        1,
        "{}",
        ended.stderr
    );
    let ready = ended
        .stderr
        .lines()
        .find(|line| line.contains("blue is ready"))
        .unwrap();
    let (_, message) = ready.split_once("INFO ").unwrap();
    assert!(message.starts_with("blue is ready lane=blue commit="), "{ready}");
}
