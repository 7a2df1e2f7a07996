//! Requests that do not come to an end, on a real connection.

use std::time::Duration;

use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::sender_tests::*;
use super::*;

/// A connection that is still open after this is never closed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Serves hooks on a port of 127.0.0.1, with limits that are soon reached.
async fn serve() -> (World, std::net::SocketAddr) {
    let limits = Limits {
        head: Duration::from_millis(200),
        body: Duration::from_millis(200),
        ..Limits::default()
    };
    let world = World::of(Subject::default(), limits, Arc::new(MemoryDeliveries::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = world.router.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(router.clone());
            let connection = limits
                .connection()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    (world, address)
}

/// Sends some bytes, then nothing, and reads until the other side closes.
async fn answer_to(address: std::net::SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut answer = Vec::new();
    // A reset closes it too, be it while bytes are still sent.
    stream.write_all(bytes).await.ok();
    let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    closed.expect("the connection stays open").ok();
    String::from_utf8(answer).unwrap()
}

fn head(delivery: &Delivery) -> String {
    let mut head = format!(
        "POST /hooks HTTP/1.1\r\nhost: harborage\r\ncontent-length: {}\r\n",
        delivery.body.len()
    );
    for (name, value) in &delivery.headers {
        head.extend([name.as_str(), ": ", value.to_str().unwrap(), "\r\n"]);
    }
    head + "\r\n"
}

#[tokio::test]
async fn a_whole_delivery_is_answered_and_the_silence_after_it_ends_the_connection() {
    let (world, address) = serve().await;
    let delivery = Delivery::fixture("github/push");
    let bytes = [head(&delivery).as_bytes(), &delivery.body].concat();
    let answer = answer_to(address, &bytes).await;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert!(world.was_poked());
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut() {
    let (world, address) = serve().await;
    let head = head(&Delivery::fixture("github/push"));
    for part in ["", "POST", &head[..head.len() / 2], &head[..head.len() - 2]] {
        let answer = answer_to(address, part.as_bytes()).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408"),
            "{answer}"
        );
    }
    assert!(world.counts.each().all(|(_, _, count)| count == 0));
}

#[tokio::test]
async fn a_body_that_does_not_end_is_cut() {
    let (world, address) = serve().await;
    let delivery = Delivery::fixture("github/push");
    let bytes = [head(&delivery).as_bytes(), &delivery.body[..100]].concat();
    let answer = answer_to(address, &bytes).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(world.counts.total(Outcome::Cut), 1);
    assert!(!world.was_poked());
}

#[tokio::test]
async fn a_head_without_measure_is_refused() {
    let (world, address) = serve().await;
    let delivery = Delivery::fixture("github/push");
    let filler = format!("\r\nx-filler: {}\r\n", "a".repeat(64 << 10));
    let head = head(&delivery).replacen("\r\n", &filler, 1);
    let bytes = [head.as_bytes(), &delivery.body].concat();
    let answer = answer_to(address, &bytes).await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    assert!(!world.was_poked());
}

#[tokio::test]
async fn lengths_that_contradict_are_refused() {
    let (world, address) = serve().await;
    let delivery = Delivery::fixture("github/push");
    let whole = head(&delivery);
    for extra in ["content-length: 1\r\n", "transfer-encoding: gzip\r\n"] {
        let head = whole.replacen("\r\n", &format!("\r\n{extra}"), 1);
        let bytes = [head.as_bytes(), &delivery.body].concat();
        let answer = answer_to(address, &bytes).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{extra}: {answer}");
    }
    assert!(!world.was_poked());
}
