//! Stand-ins of Harbor and Kubernetes that speak real HTTP on loopback.

pub mod harbor;
pub mod kubernetes;
