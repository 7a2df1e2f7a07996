//! Differences between what a commit asks for and what the servers hold, as steps.

mod credential;
pub mod desired;
pub mod docker_config;
pub mod lint;
pub mod observed;
mod platform;
mod robot;
pub mod show;
pub mod step;
mod team;

pub use credential::{LoginToProve, logins_to_prove};
pub use platform::{PlatformPlan, plan_platform};
pub use team::{PlanOptions, TeamPlan, plan_team};

#[cfg(test)]
mod convergence_tests;
#[cfg(test)]
mod credential_tests;
#[cfg(test)]
mod drawn;
#[cfg(test)]
mod model;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
