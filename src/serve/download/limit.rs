//! How often one user may ask.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Requests of one user within [`WINDOW`].
pub(super) const REQUESTS: u32 = 10;
/// The time for which requests are counted.
pub(super) const WINDOW: TimeDelta = TimeDelta::minutes(1);
/// Users that are counted at once, at most.
const USERS: usize = 10_000;

/// Counts requests by user. Users are those of verified tokens: nobody can fill it with names.
#[derive(Debug, Default)]
pub(super) struct RateLimit {
    /// When the user's window began, and the requests within it.
    users: HashMap<String, (DateTime<Utc>, u32)>,
}

impl RateLimit {
    /// Counts a request.
    ///
    /// # Errors
    /// How long the user has to wait, when it is one too many.
    pub(super) fn admit(&mut self, user: &str, now: DateTime<Utc>) -> Result<(), Duration> {
        if self.users.len() >= USERS && !self.users.contains_key(user) {
            self.users.retain(|_, (began, _)| is_open(*began, now));
            if self.users.len() >= USERS {
                return Err(wait(WINDOW));
            }
        }
        let window = self.users.entry(user.to_owned()).or_insert((now, 0));
        if !is_open(window.0, now) {
            *window = (now, 0);
        }
        if window.1 >= REQUESTS {
            return Err(wait(WINDOW - (now - window.0)));
        }
        window.1 += 1;
        Ok(())
    }
}

/// Whether a window still counts. One that begins in the future is of a clock that was set back.
fn is_open(began: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (TimeDelta::zero()..WINDOW).contains(&(now - began))
}

/// In whole seconds, as `Retry-After` says it, and not too few.
fn wait(time: TimeDelta) -> Duration {
    Duration::from_secs(time.num_seconds().unsigned_abs() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    #[test]
    fn a_user_waits_for_the_next_window_and_others_do_not() {
        let mut limit = RateLimit::default();
        for _ in 0..REQUESTS {
            limit.admit("a", at(0)).unwrap();
        }
        let wait = limit.admit("a", at(50)).unwrap_err();
        assert_eq!(wait, Duration::from_secs(11));
        limit.admit("b", at(50)).unwrap();
        limit.admit("a", at(60)).unwrap();
        // A clock that was set back locks nobody out.
        for _ in 0..REQUESTS {
            limit.admit("b", at(10)).unwrap();
        }
    }

    #[test]
    fn it_remembers_no_more_users_than_it_may() {
        let mut limit = RateLimit::default();
        for user in 0..USERS {
            limit.admit(&user.to_string(), at(0)).unwrap();
        }
        assert!(limit.admit("one more", at(1)).is_err());
        limit.admit("0", at(1)).unwrap();
        limit.admit("one more", at(61)).unwrap();
        assert_eq!(limit.users.len(), 1);
    }
}
