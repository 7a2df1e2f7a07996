//! Bad weather that can be repeated: which call fails, and how.
//!
//! The decision is a hash of the seed, the method, what the call is about and
//! how many times this was asked before. It does not depend on the order in which
//! calls of different objects arrive, so two runs of a concurrent client with the
//! same seed meet the same failures.

use std::time::Duration;

/// One way in which a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// 500, and nothing was done.
    ErrorBefore,
    /// 500, although it was done.
    ErrorAfter,
    /// The connection ends without an answer; nothing was done.
    CutBefore,
    /// The connection ends without an answer, although it was done.
    CutAfter,
    /// 503, and nothing was done.
    Unavailable,
    /// 429 with `Retry-After: 1`, and nothing was done.
    TooMany,
    /// 401 for a call that is well signed in; nothing was done.
    Unauthorized,
    /// It was done, and the answer never comes: the client must give up.
    Hang,
}

impl Failure {
    /// Those that [`Weather::fail_rate`] draws from: all but [`Failure::Hang`],
    /// which costs the client its whole timeout.
    pub const DRAWN: [Self; 7] = [
        Self::ErrorBefore,
        Self::ErrorAfter,
        Self::CutBefore,
        Self::CutAfter,
        Self::Unavailable,
        Self::TooMany,
        Self::Unauthorized,
    ];

    /// Every kind, for tests that go through all of them.
    pub const ALL: [Self; 8] = [
        Self::ErrorBefore,
        Self::ErrorAfter,
        Self::CutBefore,
        Self::CutAfter,
        Self::Unavailable,
        Self::TooMany,
        Self::Unauthorized,
        Self::Hang,
    ];

    /// Whether the call takes effect all the same.
    #[must_use]
    pub fn takes_effect(self) -> bool {
        matches!(self, Self::ErrorAfter | Self::CutAfter | Self::Hang)
    }

    /// The status that the client gets to see, if it gets an answer at all.
    #[must_use]
    pub fn status(self) -> Option<u16> {
        match self {
            Self::ErrorBefore | Self::ErrorAfter => Some(500),
            Self::Unavailable => Some(503),
            Self::TooMany => Some(429),
            Self::Unauthorized => Some(401),
            Self::CutBefore | Self::CutAfter | Self::Hang => None,
        }
    }
}

/// How a server treats all of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Weather {
    /// The least time between a request and its answer.
    pub latency: Duration,
    /// The share of calls that fail, 0.0 to 1.0.
    pub fail_rate: f64,
    /// What makes one storm differ from another.
    pub seed: u64,
}

impl Weather {
    /// The failure that strikes when `method` is asked about `subject` for the
    /// `nth` time, if one does.
    #[must_use]
    pub fn strike(&self, method: &str, subject: &str, nth: u64) -> Option<Failure> {
        if self.fail_rate <= 0.0 {
            return None;
        }
        let mut hash = Hash::new(self.seed);
        hash.feed(method.as_bytes());
        hash.feed(b" ");
        hash.feed(subject.as_bytes());
        hash.feed(&nth.to_le_bytes());
        if hash.unit() >= self.fail_rate {
            return None;
        }
        hash.feed(b"kind");
        let kinds = Failure::DRAWN;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the remainder is below the number of kinds"
        )]
        let index = (hash.value() % kinds.len() as u64) as usize;
        Some(kinds[index])
    }
}

/// FNV-1a with a finalizer. Written out because a storm that somebody noted down
/// must come back with the next release, which the standard library's hasher does
/// not promise.
struct Hash(u64);

impl Hash {
    fn new(seed: u64) -> Self {
        let mut hash = Self(0xcbf2_9ce4_8422_2325);
        hash.feed(&seed.to_le_bytes());
        hash
    }

    fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn value(&self) -> u64 {
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0.0 up to but not including 1.0.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what an f64 holds")]
    fn unit(&self) -> f64 {
        (self.value() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storm(seed: u64) -> Vec<Option<Failure>> {
        let weather = Weather {
            fail_rate: 0.3,
            seed,
            ..Weather::default()
        };
        (0..2000)
            .map(|n| weather.strike("POST", &format!("/projects/team-{}", n / 2), n % 2))
            .collect()
    }

    #[test]
    fn the_same_seed_brings_the_same_storm() {
        assert_eq!(storm(7), storm(7));
        assert_ne!(storm(7), storm(8));
    }

    #[test]
    fn the_share_of_failures_is_the_one_asked_for_and_every_kind_comes_up() {
        let struck: Vec<Failure> = storm(1).into_iter().flatten().collect();
        assert!(
            (480..720).contains(&struck.len()),
            "{} of 2000 at 0.3",
            struck.len()
        );
        for kind in Failure::DRAWN {
            assert!(struck.contains(&kind), "{kind:?} never came");
        }
    }

    #[test]
    fn fair_weather_never_strikes() {
        assert_eq!(Weather::default().strike("GET", "/", 0), None);
    }
}
