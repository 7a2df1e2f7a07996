//! Carrying steps out: job declarations, lanes, retries, records.

mod attempt;
pub mod board;
pub mod chance;
pub mod engine;
pub mod journal;
mod lane;
mod observe;
mod perform;
pub mod record;
pub mod retry;
pub mod target;
pub mod transition;

pub use lane::Rules;

#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod fake;
