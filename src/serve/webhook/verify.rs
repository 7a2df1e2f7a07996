//! Whether a delivery proves that its sender knows a secret.
//!
//! Every comparison takes the same time whatever is compared: signatures by `hmac`, tokens and passwords by
//! their digests, so that not even a secret's length shows. All secrets are tried each time.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;

use super::host::{Host, single};

/// How far the clock of a host that signs its time may be away, as the Standard Webhooks libraries have it.
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);
/// How many signatures one header may list. A host lists two while its key changes.
const SIGNATURES: usize = 4;
/// What the key of a signing GitLab starts with.
const SIGNING_KEY: &str = "whsec_";

/// What a sender claims to prove. It has the right form; whether it holds needs the body.
pub(super) enum Claim {
    /// HMAC-SHA256 of the body.
    Sha256(Vec<u8>),
    /// HMAC-SHA512 of the body.
    Sha512(Vec<u8>),
    /// Standard Webhooks, which GitLab signs by: HMAC-SHA256 of id, time and body.
    Standard {
        id: String,
        timestamp: i64,
        signatures: Vec<Vec<u8>>,
    },
    /// A secret that was sent as it is, by its digest.
    Token([u8; 32]),
}

impl Claim {
    /// Reads the claim of a host's form. None when it is missing, malformed, there twice, or of an algorithm
    /// that proves too little (SHA-1, MD5).
    pub(super) fn read(host: Host, headers: &HeaderMap) -> Option<Self> {
        match host {
            Host::GitHub => sha256(single(headers, "x-hub-signature-256")?.strip_prefix("sha256=")?),
            Host::Gitea => sha256(single(headers, "x-gitea-signature")?),
            Host::Forgejo => sha256(single(headers, "x-forgejo-signature")?),
            Host::BitbucketCloud | Host::BitbucketDataCenter => {
                sha256(single(headers, "x-hub-signature")?.strip_prefix("sha256=")?)
            }
            // A signature that is there counts: one that fails is not rescued by a token.
            Host::GitLab if headers.contains_key("webhook-signature") => standard(headers),
            Host::GitLab => Some(token(single(headers, "x-gitlab-token")?)),
            Host::AzureDevOps => basic(single(headers, "authorization")?),
            Host::Generic => match single(headers, "x-signature")?.split_once('=')? {
                ("sha256", digest) => sha256(digest),
                ("sha512", digest) => hexadecimal(digest, 64).map(Self::Sha512),
                _ => None,
            },
        }
    }

    /// Whether one of the secrets proves the claim for that body.
    pub(super) fn holds(&self, body: &[u8], secrets: &[SecretString], now: DateTime<Utc>) -> bool {
        if let Self::Standard { timestamp, .. } = self {
            let recent = DateTime::from_timestamp(*timestamp, 0)
                .is_some_and(|sent| now.signed_duration_since(sent).abs() <= TOLERANCE);
            if !recent {
                return false;
            }
        }
        // No short cut: which secret it was, and how many there are, is nobody's business.
        secrets
            .iter()
            .filter(|secret| !secret.expose_secret().is_empty())
            .fold(false, |held, secret| {
                held | self.proves(body, secret.expose_secret())
            })
    }

    fn proves(&self, body: &[u8], secret: &str) -> bool {
        match self {
            Self::Sha256(tag) => mac::<Hmac<Sha256>>(secret.as_bytes(), &[body])
                .is_some_and(|mac| mac.verify_slice(tag).is_ok()),
            Self::Sha512(tag) => mac::<Hmac<Sha512>>(secret.as_bytes(), &[body])
                .is_some_and(|mac| mac.verify_slice(tag).is_ok()),
            Self::Standard {
                id,
                timestamp,
                signatures,
            } => {
                let key = secret.strip_prefix(SIGNING_KEY).map(|key| STANDARD.decode(key));
                let Some(Ok(key)) = key else { return false };
                if key.is_empty() {
                    return false;
                }
                let head = format!("{id}.{timestamp}.");
                mac::<Hmac<Sha256>>(&key, &[head.as_bytes(), body]).is_some_and(|mac| {
                    signatures
                        .iter()
                        .fold(false, |held, tag| held | mac.clone().verify_slice(tag).is_ok())
                })
            }
            Self::Token(given) => given.ct_eq(&digest_of(secret)).into(),
        }
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Option<M> {
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac)
}

fn digest_of(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn token(text: &str) -> Claim {
    Claim::Token(digest_of(text))
}

fn hexadecimal(text: &str, length: usize) -> Option<Vec<u8>> {
    hex::decode(text).ok().filter(|bytes| bytes.len() == length)
}

fn sha256(text: &str) -> Option<Claim> {
    hexadecimal(text, 32).map(Claim::Sha256)
}

fn standard(headers: &HeaderMap) -> Option<Claim> {
    let id = single(headers, "webhook-id")?.to_owned();
    let text = single(headers, "webhook-timestamp")?;
    let timestamp: i64 = text.parse().ok()?;
    // What is signed is the text, and `+1` or `01` would be read as 1.
    if timestamp.to_string() != text {
        return None;
    }
    // `v1a`, a public key's signature, is for others.
    let signatures: Vec<_> = single(headers, "webhook-signature")?
        .split(' ')
        .filter_map(|entry| STANDARD.decode(entry.strip_prefix("v1,")?).ok())
        .filter(|tag| tag.len() == 32)
        .take(SIGNATURES + 1)
        .collect();
    (1..=SIGNATURES)
        .contains(&signatures.len())
        .then_some(Claim::Standard {
            id,
            timestamp,
            signatures,
        })
}

/// The password counts; the user's name is no secret.
fn basic(header: &str) -> Option<Claim> {
    let (scheme, login) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let login = String::from_utf8(STANDARD.decode(login.trim()).ok()?).ok()?;
    Some(token(login.split_once(':')?.1))
}
