//! The integration tests, one binary.

mod declared;
mod harbor_edge;
mod kubernetes_edge;
mod layers;
mod replay;
mod support;
mod values_trees;
