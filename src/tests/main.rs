//! The integration tests, one binary.

#[cfg(test)]
mod binary;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod daemon;
#[cfg(test)]
mod declared;
#[cfg(test)]
mod deploy;
#[cfg(test)]
mod docker_config;
#[cfg(test)]
mod end_state;
#[cfg(test)]
mod flow;
#[cfg(test)]
mod git_copy;
#[cfg(test)]
mod git_network;
#[cfg(test)]
mod git_server;
#[cfg(test)]
mod harbor_edge;
#[cfg(test)]
mod interruptions;
#[cfg(test)]
mod keycloak_edge;
#[cfg(test)]
mod kubernetes_edge;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod repository;
#[cfg(test)]
mod serving;
#[cfg(test)]
mod support;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod values_trees;
