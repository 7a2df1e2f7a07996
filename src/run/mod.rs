//! Carrying steps out: job declarations, lanes, retries, records.
