//! Bearer tokens of the identity provider: whether one is good, and who brings it.
//!
//! - [`verify()`] judges a token by keys, a policy and the time. It is pure.
//! - [`KeySet`] holds the keys of an issuer, each with the one use that it is good for.
//! - [`KeyCache`] keeps the keys, and reads them anew when they age or a token names one that is not there.
//!
//! # Why this is written here
//! The checks that matter are ours with a library too: `jsonwebtoken` 11 knows neither `crit` nor a clock that is
//! handed in, takes a missing issuer for a good one unless told otherwise, and its signatures would still be verified
//! by ring through a provider of ours, which is set process-wide. What remains is base64 and JSON.

mod cache;
mod keys;
mod verify;

#[cfg(test)]
mod cache_tests;
#[cfg(test)]
pub(crate) mod issuer_fake;
#[cfg(test)]
mod verify_tests;

pub use cache::{KeyCache, TokenError};
pub use keys::{KeySet, KeySetError};
pub use verify::{Claims, LARGEST_TOKEN, Policy, Refusal, verify};
