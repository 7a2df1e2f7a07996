//! The integration tests, one binary.

mod binary;
mod declared;
mod end_state;
mod flow;
mod harbor_edge;
mod kubernetes_edge;
mod layers;
mod replay;
mod repository;
mod support;
mod values_trees;
