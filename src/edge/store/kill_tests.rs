//! A process that is killed while it writes. The child is this test program itself, told by its environment.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::SledJournal;
use super::tests::record;
use crate::run::journal::Journal as _;

const STATE: &str = "HARBORAGE_TEST_KILL_STATE";
const FIRST: &str = "HARBORAGE_TEST_KILL_FIRST";

/// Puts records of two lanes until it is killed, and prints the number of each pair that is durable.
#[tokio::test]
#[ignore = "the child of the test below"]
async fn writes_until_it_is_killed() {
    let Some(state) = std::env::var_os(STATE) else {
        return;
    };
    let first: u32 = std::env::var(FIRST).unwrap().parse().unwrap();
    let journal = SledJournal::open(Path::new(&state)).unwrap().journal;
    for number in first.. {
        let commit = format!("c{number}");
        let (a, b) = (record("a", &commit), record("b", &commit));
        let (one, two) = futures::join!(journal.put_lane(&a), journal.put_lane(&b));
        one.and(two).unwrap();
        println!("\ndurable {number}");
    }
}

#[tokio::test]
async fn no_acknowledged_record_is_lost_when_the_process_is_killed_while_it_writes() {
    let state = tempfile::tempdir().unwrap();
    let mut first = 0_u32;
    for round in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "--nocapture",
                "edge::store::kill_tests::writes_until_it_is_killed",
            ])
            .env(STATE, state.path())
            .env(FIRST, first.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let acknowledged = output
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("durable ")?.parse::<u32>().ok())
            .nth(20 + round * 7);
        child.kill().unwrap();
        child.wait().unwrap();
        let acknowledged = acknowledged.expect("the child wrote until it was killed");

        let opened = SledJournal::open(state.path()).unwrap();
        assert_eq!(opened.moved_aside, None, "a killed process is no damage");
        let lanes = opened.journal.load().await.unwrap().1;
        assert_eq!(lanes.len(), 2);
        for lane in lanes {
            let number: u32 = lane.revision.as_str().trim_start_matches('c').parse().unwrap();
            assert!(
                number >= acknowledged,
                "{} is at {number}, {acknowledged} was acknowledged",
                lane.lane
            );
            first = first.max(number + 1);
        }
    }
}
