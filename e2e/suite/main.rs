//! The end-to-end suite: the release binary against real servers on loopback.
//!
//! `e2e/run` provides the servers' programs and starts this. A scenario is a function with a sentence
//! for a name; it is given a [`world::World`] of servers, which start when the first one needs them.

#[cfg(test)]
mod apache;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod check;
#[cfg(test)]
mod client;
#[cfg(test)]
mod control_plane;
#[cfg(test)]
mod git;
#[cfg(test)]
mod gitea;
#[cfg(test)]
mod harbor;
#[cfg(test)]
mod harborage;
#[cfg(test)]
mod keycloak;
#[cfg(test)]
mod kubernetes;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod options;
#[cfg(test)]
mod postgresql;
#[cfg(test)]
mod process;
#[cfg(test)]
mod registry;
#[cfg(test)]
mod report;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod ssh;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod values;
#[cfg(test)]
mod world;

#[cfg(test)]
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> std::process::ExitCode {
    suite::main().await
}

#[cfg(not(test))]
fn main() {}
