//! Carrying steps out: job declarations, lanes, retries, records.

pub mod journal;
pub mod record;
pub mod target;
