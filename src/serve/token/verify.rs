//! Whether a token is good.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::keys::{Algorithm, KeySet};

/// The largest token that is looked at, in bytes. One with two hundred groups has about 6 kB.
pub const LARGEST_TOKEN: usize = 16 << 10;
/// How far apart our clock and the issuer's may be, in seconds.
const SKEW: i64 = 30;

/// What a token must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Who issued it: exactly this text.
    pub issuer: String,
    /// Whom it is for: one of its `aud`. Its `azp` says which client asked for it, not whom it is for, and is
    /// not looked at.
    pub audience: String,
    /// Whether an ID token is taken for an access token.
    pub id_tokens: bool,
}

/// What a good token says of whoever brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The issuer's own id of the user, which never changes.
    pub subject: String,
    /// The name that the user signs in with; the subject where the token has none.
    pub username: String,
    /// The groups, by their bare names.
    pub groups: Vec<String>,
}

/// Why a token is not good. Holds nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is larger than [`LARGEST_TOKEN`].
    #[error("it is too large")]
    TooLarge,
    /// It is no signed token, or a claim is missing or of another type.
    #[error("it is no token of three parts with the claims that it should have")]
    Malformed,
    /// Its header demands something that is not known here.
    #[error("its header has critical parameters")]
    Critical,
    /// Its algorithm is not one that is taken, or not one for its key.
    #[error("its algorithm is not one for its key")]
    Algorithm,
    /// It names a key that the issuer does not publish.
    #[error("its key is not one of the issuer's")]
    UnknownKey,
    /// Its signature is not that of its key.
    #[error("its signature is wrong")]
    Signature,
    /// Somebody else issued it.
    #[error("it is another issuer's")]
    Issuer,
    /// It is for somebody else.
    #[error("it is for another audience")]
    Audience,
    /// It is an ID token, a refresh token, or does not say what it is.
    #[error("it is no access token")]
    Kind,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// Its time has not come.
    #[error("it is not valid yet")]
    NotYet,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Present, whatever it is.
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

#[derive(Deserialize)]
struct Body {
    iss: String,
    aud: Audience,
    exp: i64,
    nbf: Option<i64>,
    /// Keycloak's word for what kind of token it is.
    typ: Option<String>,
    sub: String,
    preferred_username: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Value::deserialize(deserializer).map(|_| true)
}

/// Judges a token. Nothing in it is believed before its signature was verified, save for which key that is.
///
/// # Errors
/// The first reason for which it is not good.
pub fn verify(token: &str, keys: &KeySet, policy: &Policy, now: DateTime<Utc>) -> Result<Claims, Refusal> {
    if token.len() > LARGEST_TOKEN {
        return Err(Refusal::TooLarge);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
    let (header, body) = signed.split_once('.').ok_or(Refusal::Malformed)?;
    let header: Header = part(header)?;
    if header.crit {
        return Err(Refusal::Critical);
    }
    let algorithm = Algorithm::named(&header.alg).ok_or(Refusal::Algorithm)?;
    let id = header.kid.ok_or(Refusal::Malformed)?;
    let key = keys.get(&id).ok_or(Refusal::UnknownKey)?;
    if !key.is_for(algorithm) {
        return Err(Refusal::Algorithm);
    }
    if !key.signed(algorithm, signed.as_bytes(), &decoded(signature)?) {
        return Err(Refusal::Signature);
    }
    part::<Body>(body)?.judged(policy, now.timestamp())
}

fn decoded(text: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::Malformed)
}

fn part<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    serde_json::from_slice(&decoded(text)?).map_err(|_| Refusal::Malformed)
}

impl Body {
    fn judged(self, policy: &Policy, now: i64) -> Result<Claims, Refusal> {
        if self.iss != policy.issuer {
            return Err(Refusal::Issuer);
        }
        let ours = match &self.aud {
            Audience::One(one) => *one == policy.audience,
            Audience::Many(many) => many.contains(&policy.audience),
        };
        if !ours {
            return Err(Refusal::Audience);
        }
        match self.typ.as_deref() {
            Some("Bearer") => {}
            Some("ID") if policy.id_tokens => {}
            _ => return Err(Refusal::Kind),
        }
        if now >= self.exp.saturating_add(SKEW) {
            return Err(Refusal::Expired);
        }
        if self.nbf.is_some_and(|begin| now < begin.saturating_sub(SKEW)) {
            return Err(Refusal::NotYet);
        }
        if self.sub.is_empty() {
            return Err(Refusal::Malformed);
        }
        let username = self.preferred_username.filter(|name| !name.is_empty());
        Ok(Claims {
            username: username.unwrap_or_else(|| self.sub.clone()),
            subject: self.sub,
            groups: self.groups,
        })
    }
}
