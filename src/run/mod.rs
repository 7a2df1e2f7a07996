//! Carrying steps out: job declarations, lanes, retries, records.

mod attempt;
pub mod board;
pub mod calendar;
mod cause;
pub mod chance;
pub mod declaration;
pub mod engine;
pub mod explain;
mod failure;
pub mod identity;
pub mod journal;
mod lane;
pub mod meter;
mod observe;
mod perform;
pub mod record;
pub mod retry;
pub mod target;
mod template;
pub mod transition;
pub mod yaml;

pub use failure::chain;
pub use lane::Rules;

/// Locks what is changed by single assignments, inserts and removals alone: a panic elsewhere leaves it whole.
pub(crate) fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod fake;
