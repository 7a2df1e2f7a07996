//! When a lane tries again, by what went wrong.
//!
//! Waits are spread by full jitter (uniform between nothing and the backoff), so that lanes that
//! failed together do not come back together. Pure: the random number is handed in.

use std::time::Duration;

use super::target::ErrorClass;

/// A conflict is answered by looking again at once, this often; after that it backs off like any other.
const CONFLICTS_AT_ONCE: u32 = 3;

/// A server that asks for more patience than this is asked again all the same.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// Who was kept out for long looks again after no more than this, to see rights that were given back. Guesses
/// at Harbor's door are not made more often by it: its client keeps a gate of its own.
const LONGEST_KEPT_OUT: Duration = Duration::from_secs(60);

/// How a job retries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// The backoff after the first attempt.
    pub first: Duration,
    /// What the backoff is multiplied with after each further attempt, at least 1.
    pub factor: f64,
    /// The longest backoff, at least `first`.
    pub max: Duration,
    /// Attempts altogether, at least 1; the lane parks after the last.
    pub attempts: u32,
}

/// What an attempt failed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What follows from it.
    pub class: ErrorClass,
    /// How long the server asks us to wait.
    pub retry_after: Option<Duration>,
}

/// What follows from a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Try again after this long.
    Again(Duration),
    /// Retrying can't help: the request will never be accepted as it is.
    Refused,
    /// All attempts are used up.
    Exhausted,
}

impl RetryPolicy {
    /// Decides after a failed attempt. `attempt` counts from 1 and includes the one that failed: those that
    /// were kept out ([`ErrorClass::Auth`]) by themselves, and all others. `random` is uniform in `0.0..1.0`.
    ///
    /// Being kept out is not the lane's fault: it is retried until somebody lets us in.
    #[must_use]
    pub fn decide(&self, failure: Failure, attempt: u32, random: f64) -> Decision {
        let asked = failure.retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
        // On top of what the server asked for: others were told the same.
        let again = |wait: Duration| Decision::Again(asked.saturating_add(wait));
        match failure.class {
            ErrorClass::Rejected => Decision::Refused,
            ErrorClass::Auth => again(share(self.backoff(attempt).min(LONGEST_KEPT_OUT), random)),
            ErrorClass::Transient | ErrorClass::Conflict if attempt >= self.attempts => Decision::Exhausted,
            ErrorClass::Conflict if attempt <= CONFLICTS_AT_ONCE => again(Duration::ZERO),
            ErrorClass::Transient | ErrorClass::Conflict => again(share(self.backoff(attempt), random)),
        }
    }

    /// The longest wait after this attempt, counted from 1.
    #[must_use]
    pub fn backoff(&self, attempt: u32) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.first.as_secs_f64() * self.factor.powi(exponent);
        // Beyond what a duration can hold, which is far beyond `max`.
        Duration::try_from_secs_f64(seconds)
            .unwrap_or(self.max)
            .min(self.max)
    }
}

fn share(of: Duration, random: f64) -> Duration {
    let random = if random.is_finite() {
        random.clamp(0.0, 1.0)
    } else {
        1.0
    };
    of.mul_f64(random)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: RetryPolicy = RetryPolicy {
        first: Duration::from_secs(1),
        factor: 2.0,
        max: Duration::from_secs(300),
        attempts: 10,
    };

    fn failure(class: ErrorClass) -> Failure {
        Failure {
            class,
            retry_after: None,
        }
    }

    #[test]
    fn the_backoff_doubles_up_to_its_limit() {
        let seconds: Vec<_> = (1..=10)
            .map(|attempt| POLICY.backoff(attempt).as_secs())
            .collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(POLICY.backoff(u32::MAX), POLICY.max);
    }

    #[test]
    fn a_transient_failure_waits_its_share_of_the_backoff() {
        let decide = |random| POLICY.decide(failure(ErrorClass::Transient), 4, random);
        assert_eq!(decide(0.0), Decision::Again(Duration::ZERO));
        assert_eq!(decide(0.25), Decision::Again(Duration::from_secs(2)));
        assert_eq!(decide(f64::NAN), Decision::Again(Duration::from_secs(8)));
    }

    #[test]
    fn a_rejected_request_is_never_repeated() {
        assert_eq!(
            POLICY.decide(failure(ErrorClass::Rejected), 1, 0.5),
            Decision::Refused
        );
    }

    #[test]
    fn conflicts_are_looked_at_again_at_once_and_then_back_off() {
        for attempt in 1..=3 {
            let decision = POLICY.decide(failure(ErrorClass::Conflict), attempt, 0.5);
            assert_eq!(decision, Decision::Again(Duration::ZERO));
        }
        let fourth = POLICY.decide(failure(ErrorClass::Conflict), 4, 0.5);
        assert_eq!(fourth, Decision::Again(Duration::from_secs(4)));
    }

    #[test]
    fn attempts_run_out_but_not_for_one_who_is_kept_out() {
        assert_eq!(
            POLICY.decide(failure(ErrorClass::Transient), 10, 0.5),
            Decision::Exhausted
        );
        assert_eq!(
            POLICY.decide(failure(ErrorClass::Conflict), 10, 0.5),
            Decision::Exhausted
        );
        let kept_out = POLICY.decide(failure(ErrorClass::Auth), 1000, 0.5);
        assert_eq!(kept_out, Decision::Again(Duration::from_secs(30)));
        let kept_out = POLICY.decide(failure(ErrorClass::Auth), 1, 0.5);
        assert_eq!(kept_out, Decision::Again(Duration::from_millis(500)));
    }

    #[test]
    fn the_server_is_asked_again_at_the_earliest_when_it_said() {
        let asked = |seconds| Failure {
            class: ErrorClass::Transient,
            retry_after: Some(Duration::from_secs(seconds)),
        };
        assert_eq!(
            POLICY.decide(asked(30), 1, 0.5),
            Decision::Again(Duration::from_millis(30_500))
        );
        assert_eq!(
            POLICY.decide(asked(u64::MAX), 1, 0.0),
            Decision::Again(Duration::from_secs(3600))
        );
    }

    proptest! {
        #[test]
        fn no_wait_is_longer_than_the_limit(attempt in 0_u32..9, random in 0.0_f64..1.0) {
            match POLICY.decide(failure(ErrorClass::Transient), attempt, random) {
                Decision::Again(wait) => prop_assert!(wait <= POLICY.backoff(attempt)),
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
