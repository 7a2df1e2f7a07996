//! `harborage` gives every team of an Otomi platform its place in Harbor.
//!
//! A values repository goes in; every team gets its Harbor project, members
//! and robots, and its Kubernetes namespace gets the Secrets with their logins.
//! The flow has one direction, and so have the layers:
//!
//! ```text
//! values <- snapshot <- plan <- run <- edge, rehearsal <- daemon <- cli <- main
//! ```
//!
//! - [`values`], [`snapshot`] and [`plan`] are pure: no network, no files, no clock.
//! - [`run`] owns durability: lanes, retries, records, and the traits that the edges implement.
//! - [`edge`] talks to the world: git, Harbor, Kubernetes, the journal's store.
//! - [`rehearsal`] stands in for Harbor and Kubernetes over real HTTP.
//! - [`daemon`] is where all of these are put together.
//!
//! ARCHITECTURE.md walks through one commit.

pub mod cli;
pub mod daemon;
pub mod edge;
pub mod plan;
pub mod rehearsal;
pub mod run;
pub mod serve;
pub mod settings;
pub mod shutdown;
pub mod snapshot;
pub mod telemetry;
pub mod values;
