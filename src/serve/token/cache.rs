//! The issuer's keys, kept between requests.
//!
//! # Guarantees
//! - The issuer is asked at most once in [`PAUSE`], whatever tokens come.
//! - A token of a key that was just made is good at once: an unknown key makes the keys be read anew.
//! - A key that the issuer withdrew is good for [`FRESH`] more, or for [`LASTING`] where the issuer is away.

use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};

use super::keys::{KeySet, KeySetError};
use super::verify::{Claims, Policy, Refusal, verify};
use crate::run::chance::Clock;
use crate::run::identity::{KeySource, KeySourceError};
use crate::run::{chain, lock};

/// How long the issuer is left alone after it was asked.
pub(super) const PAUSE: TimeDelta = TimeDelta::seconds(10);
/// How long keys are taken as they are.
pub(super) const FRESH: TimeDelta = TimeDelta::minutes(5);
/// How long keys are good that can't be read anew.
pub(super) const LASTING: TimeDelta = TimeDelta::hours(1);

/// A token that is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is not good.
    #[error("the token was refused")]
    Refused(#[source] Refusal),
    /// Nobody knows: the issuer's keys can't be had.
    #[error("the token can't be verified: the issuer's keys can't be had")]
    KeysAway,
}

/// Keys could not be read; the log says why.
#[derive(Debug, Clone, Copy)]
struct Away;

/// Keys of one issuer at a time.
#[derive(Clone)]
pub struct KeyCache(Arc<Inner>);

struct Inner {
    source: Arc<dyn KeySource>,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
    /// Held while the issuer is asked.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Held {
    issuer: String,
    keys: Option<(Arc<KeySet>, DateTime<Utc>)>,
    /// When the issuer was asked last, and whether that failed.
    asked: Option<DateTime<Utc>>,
    failed: bool,
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Source(#[from] KeySourceError),
    #[error(transparent)]
    Set(#[from] KeySetError),
}

impl KeyCache {
    /// An empty cache.
    #[must_use]
    pub fn new(source: Arc<dyn KeySource>, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            source,
            clock,
            held: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }))
    }

    /// Judges a token by the keys of the policy's issuer.
    ///
    /// # Errors
    /// When it is not good, or the keys can't be had.
    pub async fn verify(&self, token: &str, policy: &Policy) -> Result<Claims, TokenError> {
        let keys = self.keys(&policy.issuer).await?;
        match verify(token, &keys, policy, self.0.clock.now()) {
            Err(Refusal::UnknownKey) => {
                let newer = self.read_anew(&policy.issuer, Some(keys.clone())).await;
                let newer = newer.map_err(|Away| TokenError::KeysAway)?;
                verify(token, &newer, policy, self.0.clock.now()).map_err(TokenError::Refused)
            }
            judged => judged.map_err(TokenError::Refused),
        }
    }

    async fn keys(&self, issuer: &str) -> Result<Arc<KeySet>, TokenError> {
        let Some((keys, read)) = self.0.held(issuer) else {
            let read = self.read_anew(issuer, None).await;
            return read.map_err(|Away| TokenError::KeysAway);
        };
        let age = self.0.clock.now() - read;
        if age < FRESH {
            return Ok(keys);
        }
        match self.read_anew(issuer, Some(keys.clone())).await {
            Ok(newer) => Ok(newer),
            Err(Away) if age < LASTING => Ok(keys),
            Err(Away) => Err(TokenError::KeysAway),
        }
    }

    /// Reads the keys in a task of its own: whoever asks may hang up, and would keep the keys from being read
    /// by doing that again and again.
    async fn read_anew(&self, issuer: &str, known: Option<Arc<KeySet>>) -> Result<Arc<KeySet>, Away> {
        let (inner, issuer) = (self.0.clone(), issuer.to_owned());
        let reading = tokio::spawn(async move { inner.read_anew(&issuer, known).await });
        reading.await.unwrap_or(Err(Away))
    }
}

impl Inner {
    fn held(&self, issuer: &str) -> Option<(Arc<KeySet>, DateTime<Utc>)> {
        let held = lock(&self.held);
        held.keys.clone().filter(|_| held.issuer == issuer)
    }

    /// The issuer's keys in place of those that are known, unless it was asked only just now.
    async fn read_anew(&self, issuer: &str, known: Option<Arc<KeySet>>) -> Result<Arc<KeySet>, Away> {
        let _one_at_a_time = self.asking.lock().await;
        if let Some(decided) = self.decided_without_asking(issuer, known.as_ref()) {
            return decided;
        }
        let read = self.read(issuer).await;
        let mut held = lock(&self.held);
        held.failed = read.is_err();
        match read {
            Ok(keys) => {
                let keys = Arc::new(keys);
                held.keys = Some((keys.clone(), self.clock.now()));
                Ok(keys)
            }
            Err(error) => {
                let error = chain(&error);
                tracing::warn!(
                    oidc.issuer = issuer,
                    "tokens can't be verified by new keys: {error}"
                );
                Err(Away)
            }
        }
    }

    /// Where the issuer need not or must not be asked; otherwise notes that it is.
    fn decided_without_asking(
        &self,
        issuer: &str,
        known: Option<&Arc<KeySet>>,
    ) -> Option<Result<Arc<KeySet>, Away>> {
        let now = self.clock.now();
        let mut held = lock(&self.held);
        if held.issuer != issuer {
            *held = Held {
                issuer: issuer.to_owned(),
                ..Held::default()
            };
        }
        let keys = held.keys.as_ref().map(|(keys, _)| keys.clone());
        // Somebody else had them read while this request waited.
        if let Some(keys) = keys
            .as_ref()
            .filter(|keys| known.is_none_or(|known| !Arc::ptr_eq(known, keys)))
        {
            return Some(Ok(keys.clone()));
        }
        let since = held.asked.map(|asked| now - asked);
        if since.is_some_and(|since| TimeDelta::zero() <= since && since < PAUSE) {
            return Some(keys.filter(|_| !held.failed).ok_or(Away));
        }
        held.asked = Some(now);
        None
    }

    async fn read(&self, issuer: &str) -> Result<KeySet, ReadError> {
        Ok(KeySet::parse(&self.source.key_set(issuer).await?)?)
    }
}
