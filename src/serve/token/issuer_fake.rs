//! An issuer for the tests: keys made here, tokens signed with them, and a source that can be away.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::Policy;
use crate::run::chance::Clock;
use crate::run::identity::{KeySource, KeySourceError};

const PEM: &[u8] = include_bytes!("../../../fixtures/harbor/worthless-key.pem");
pub(crate) const ISSUER: &str = "https://keycloak.example.com/realms/otomi";
pub(crate) const AUDIENCE: &str = "otomi";
/// The time at which tokens are judged, unless a test says otherwise.
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(NOW, 0).unwrap()
}

pub(crate) fn policy() -> Policy {
    Policy {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        id_tokens: false,
    }
}

/// The claims of a good access token.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": [AUDIENCE, "account"], "azp": AUDIENCE, "typ": "Bearer",
        "sub": "3d6f", "preferred_username": "ann", "groups": ["team-blue"],
        "iat": NOW - 10, "exp": NOW + 60, "jti": "x",
    })
}

pub(crate) fn encode(part: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

/// A key pair with its id.
pub(crate) enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

pub(crate) struct SigningKey {
    pub(crate) id: String,
    pub(crate) pair: Pair,
}

impl SigningKey {
    pub(crate) fn rsa(id: &str) -> Self {
        let PrivateKeyDer::Pkcs8(der) = PrivateKeyDer::from_pem_slice(PEM).unwrap() else {
            panic!("the fixture is in PKCS#8")
        };
        Self {
            id: id.to_owned(),
            pair: Pair::Rsa(RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap()),
        }
    }

    pub(crate) fn p256(id: &str) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random);
        Self {
            id: id.to_owned(),
            pair: Pair::P256(pair.unwrap()),
        }
    }

    /// Its public half, as the issuer publishes it. Names no algorithm.
    pub(crate) fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Rsa(pair) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kid": self.id, "kty": "RSA", "use": "sig", "n": encode(n), "e": encode(e)})
            }
            Pair::P256(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
                json!({"kid": self.id, "kty": "EC", "crv": "P-256", "use": "sig", "x": x, "y": y})
            }
        }
    }

    pub(crate) fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                if algorithm == "PS256" {
                    pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature)
                        .unwrap();
                } else {
                    pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                        .unwrap();
                }
                signature
            }
            Pair::P256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
        }
    }

    /// A token with these claims, signed by this algorithm.
    pub(crate) fn token(&self, algorithm: &str, claims: &Value) -> String {
        self.token_with(&json!({"alg": algorithm, "typ": "JWT", "kid": self.id}), claims)
    }

    /// A token with a header of the test's own.
    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let algorithm = header["alg"].as_str().unwrap_or_default();
        let signature = self.sign(algorithm, signed.as_bytes());
        format!("{signed}.{}", encode(signature))
    }
}

/// The document of some keys.
pub(crate) fn document(keys: &[Value]) -> Vec<u8> {
    json!({"keys": keys}).to_string().into_bytes()
}

/// An issuer that publishes what it is told to, or nothing, and counts how often it is asked.
#[derive(Default)]
pub(crate) struct FakeIssuer {
    published: Mutex<Option<Vec<u8>>>,
    asked: AtomicUsize,
}

impl FakeIssuer {
    pub(crate) fn publish(&self, keys: &[Value]) {
        *self.published.lock().unwrap() = Some(document(keys));
    }

    pub(crate) fn go_away(&self) {
        *self.published.lock().unwrap() = None;
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl KeySource for FakeIssuer {
    async fn key_set(&self, issuer: &str) -> Result<Vec<u8>, KeySourceError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        // Long enough for everybody else to come to the same wish.
        tokio::task::yield_now().await;
        let published = self.published.lock().unwrap().clone();
        published.ok_or_else(|| KeySourceError {
            issuer: issuer.to_owned(),
            message: "no connection".to_owned(),
            source: None,
        })
    }
}

/// A clock that a test turns.
pub(crate) struct TurnedClock(Mutex<DateTime<Utc>>);

impl TurnedClock {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(now()))
    }

    pub(crate) fn turn(&self, by: TimeDelta) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for TurnedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}
