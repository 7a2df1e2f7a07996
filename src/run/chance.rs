//! Randomness and the clock, handed in so that a run can be repeated in a test.

use chrono::{DateTime, Utc};
use secrecy::SecretString;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The present time.
    fn now(&self) -> DateTime<Utc>;
}

/// Gives random numbers that are fit for secrets.
pub trait Chance: Send + Sync {
    /// The next 64 random bits.
    fn bits(&self) -> u64;

    /// A number in `0.0..1.0`, for jitter.
    fn unit(&self) -> f64 {
        // The upper 53 bits are what a double can hold exactly.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
        let numerator = (self.bits() >> 11) as f64;
        numerator / 9_007_199_254_740_992.0
    }
}

/// The classes of characters that Harbor demands one of each from.
const CLASSES: [&[u8]; 3] = [
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"abcdefghijklmnopqrstuvwxyz",
    b"0123456789",
];
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const LENGTH: usize = 32;

/// Chooses a robot's secret: 32 letters and digits (190 bits), with an upper case letter, a lower
/// case letter and a digit, as Harbor demands of 8 to 128 characters.
#[must_use]
pub fn choose_robot_secret(chance: &dyn Chance) -> SecretString {
    loop {
        let text: String = (0..LENGTH).map(|_| char::from(pick(chance, ALPHABET))).collect();
        if CLASSES
            .iter()
            .all(|class| text.bytes().any(|byte| class.contains(&byte)))
        {
            return SecretString::from(text);
        }
    }
}

/// Picks one of the bytes, each as likely as the others.
fn pick(chance: &dyn Chance, from: &[u8]) -> u8 {
    let count = from.len() as u64;
    // Numbers past the last whole multiple would favour the first bytes.
    let limit = u64::MAX - u64::MAX % count;
    loop {
        let bits = chance.bits();
        if bits < limit
            && let Ok(index) = usize::try_from(bits % count)
        {
            return from[index];
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use secrecy::ExposeSecret;

    use super::*;

    struct Counting(AtomicU64);

    impl Chance for Counting {
        fn bits(&self) -> u64 {
            self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
        }
    }

    #[test]
    fn a_chosen_secret_meets_harbors_rule() {
        let chance = Counting(AtomicU64::new(7));
        for _ in 0..200 {
            let secret = choose_robot_secret(&chance);
            let text = secret.expose_secret();
            assert_eq!(text.len(), 32);
            assert!(text.bytes().any(|b| b.is_ascii_uppercase()));
            assert!(text.bytes().any(|b| b.is_ascii_lowercase()));
            assert!(text.bytes().any(|b| b.is_ascii_digit()));
        }
    }

    #[test]
    fn a_unit_is_below_one() {
        struct Most;
        impl Chance for Most {
            fn bits(&self) -> u64 {
                u64::MAX
            }
        }
        assert!(Most.unit() < 1.0);
    }
}
