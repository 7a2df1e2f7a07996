//! The effects: each edge talks to one part of the world and knows no other edge.

pub mod git;
pub mod harbor;
pub mod keycloak;
pub mod kubernetes;
pub mod store;
pub mod tls;
pub mod watch;
