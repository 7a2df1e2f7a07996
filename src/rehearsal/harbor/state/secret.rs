//! Secrets at rest: salted and hashed once, since a stand-in has to be fast.

use rand::RngExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A secret that can be checked but not read.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct StoredSecret {
    salt: String,
    hash: String,
}

impl std::fmt::Debug for StoredSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("StoredSecret(…)")
    }
}

impl StoredSecret {
    /// Stores a secret.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        let salt = random_text(16);
        let hash = digest(&salt, secret);
        Self { salt, hash }
    }

    /// Whether this is the secret that was stored.
    #[must_use]
    pub fn matches(&self, secret: &str) -> bool {
        digest(&self.salt, secret) == self.hash
    }
}

fn digest(salt: &str, secret: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(salt.as_bytes());
    hash.update([0]);
    hash.update(secret.as_bytes());
    hex::encode(hash.finalize())
}

/// Random letters and digits.
fn random_text(length: usize) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = rand::rng();
    (0..length)
        .map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]))
        .collect()
}

/// A secret as Harbor makes them: 32 letters and digits, one of each class at least.
#[must_use]
pub fn generate_secret() -> String {
    loop {
        let secret = random_text(32);
        if is_acceptable(&secret) {
            return secret;
        }
    }
}

/// Harbor's rule for passwords and secrets: 8 to 128 bytes with an upper case
/// letter, a lower case letter and a digit, all three of ASCII.
#[must_use]
pub fn is_acceptable(secret: &str) -> bool {
    (8..=128).contains(&secret.len())
        && secret.bytes().any(|byte| byte.is_ascii_uppercase())
        && secret.bytes().any(|byte| byte.is_ascii_lowercase())
        && secret.bytes().any(|byte| byte.is_ascii_digit())
}
