//! The server's own promises, over a stand-in that counts what it does.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::rehearsal::CallKind;

#[derive(Default)]
struct Counter(AtomicU64);

impl Handler for Counter {
    fn answer(&self, request: &Request) -> Answer {
        let value = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        Answer::new(200).body("text/plain", format!("{} {value}", request.path))
    }

    fn route(&self, _: &Request) -> String {
        "/{anything}".to_owned()
    }

    fn refusal(&self, _: &Request, status: u16) -> Answer {
        Answer::new(status).body("text/plain", "no")
    }
}

async fn start() -> (Arc<Counter>, ServerHandle) {
    let counter = Arc::new(Counter::default());
    let handle = serve(counter.clone(), Weather::default(), None).await.unwrap();
    (counter, handle)
}

/// Sends one request on a connection of its own and returns all that comes back.
async fn ask(handle: &ServerHandle, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(handle.address()).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A cut connection may end in an error instead of an end; both are "no answer".
    stream.read_to_end(&mut answer).await.ok();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_call_in_fair_weather_is_handled_once_and_counted() {
    let (counter, handle) = start().await;
    let answer = ask(&handle, "GET", "/a?b=c").await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("/a 1"),
        "{answer}"
    );
    ask(&handle, "POST", "/a").await;
    let counts = handle.counts();
    assert_eq!((counts.total, counts.reads, counts.writes), (2, 1, 1));
    assert_eq!(counts.of("GET", "/{anything}"), 1);
    let log = handle.log();
    assert_eq!(
        (log[0].call.query.as_str(), log[0].status, log[0].call.kind),
        ("b=c", Some(200), CallKind::Read)
    );
    assert_eq!(counter.0.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn each_failure_does_what_its_name_says() {
    let (counter, handle) = start().await;
    let plan = Arc::new(Mutex::new(None));
    let told = Arc::clone(&plan);
    handle.inject(move |_| *lock(&told));
    for failure in Failure::DRAWN {
        counter.0.store(0, Ordering::SeqCst);
        *lock(&plan) = Some(failure);
        let answer = ask(&handle, "POST", "/x").await;
        match failure.status() {
            Some(status) => assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{failure:?}: {answer}"
            ),
            None => assert_eq!(answer, "", "{failure:?}"),
        }
        assert_eq!(
            answer.contains("retry-after: 1"),
            failure == Failure::TooMany,
            "{answer}"
        );
        assert_eq!(
            counter.0.load(Ordering::SeqCst),
            u64::from(failure.takes_effect()),
            "{failure:?}"
        );
    }
    assert_eq!(handle.counts().struck, 7);
}

#[tokio::test]
async fn a_call_that_hangs_took_effect_and_ends_when_the_server_stops() {
    let (counter, handle) = start().await;
    handle.inject_nth(1, Failure::Hang);
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    handle.on_call(move |call| sender.send(call.number).unwrap());
    let mut stream = TcpStream::connect(handle.address()).await.unwrap();
    stream
        .write_all(b"POST /x HTTP/1.1\r\nHost: here\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(seen.recv().await, Some(1));
    handle.stop().await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok();
    assert_eq!(answer, b"");
    assert_eq!(counter.0.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_observer_is_told_before_the_call_has_an_effect() {
    let (counter, handle) = start().await;
    let before = Arc::new(AtomicU64::new(99));
    let (noted, watched) = (Arc::clone(&before), Arc::clone(&counter));
    handle.on_call(move |_| noted.store(watched.0.load(Ordering::SeqCst), Ordering::SeqCst));
    ask(&handle, "POST", "/x").await;
    assert_eq!(before.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_is_never_earlier_than_the_latency() {
    let (_, handle) = start().await;
    let latency = Duration::from_micros(3_500);
    handle.set_weather(Weather {
        latency,
        ..Weather::default()
    });
    let begun = Instant::now();
    ask(&handle, "GET", "/x").await;
    assert!(begun.elapsed() >= latency);
}

#[tokio::test]
async fn a_stopped_server_no_longer_listens() {
    let (_, handle) = start().await;
    let address = handle.address();
    ask(&handle, "GET", "/x").await;
    handle.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_stopped_server_keeps_no_connection_and_its_port_is_free_again() {
    let (counter, handle) = start().await;
    let address = handle.address();
    let whole = "GET /x HTTP/1.1\r\nHost: here\r\n\r\n";
    let mut open = Vec::new();
    // One that never asked, one between two calls, and two in the middle of a call.
    for sent in [
        "",
        whole,
        "GET /x HT",
        "POST /x HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\n1",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        if sent == whole {
            let mut answer = [0; 512];
            assert_ne!(stream.read(&mut answer).await.unwrap(), 0);
        }
        open.push(stream);
    }
    handle.stop().await;
    for mut stream in open {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.ok();
        assert_eq!(rest, b"");
    }
    let again = serve(counter, Weather::default(), Some(address.port()))
        .await
        .unwrap();
    assert_eq!(again.address(), address);
    assert!(ask(&again, "GET", "/x").await.ends_with("/x 2"));
}
