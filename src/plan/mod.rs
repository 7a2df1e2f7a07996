//! Differences between what a commit asks for and what the servers hold, as steps.

pub mod desired;
pub mod docker_config;
pub mod observed;
pub mod step;
