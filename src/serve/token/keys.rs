//! The public keys of an issuer.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::Value;

/// A key set that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// It is no JSON object with a list of keys.
    #[error("the key set is no JSON object with a list of keys")]
    Malformed,
    /// None of its keys is of a kind that is known here.
    #[error("the key set has no key with an id that RS256, PS256 or ES256 can be verified with")]
    Empty,
}

/// The algorithms that tokens may be signed by: those of key pairs. A secret that is shared (HS256), or
/// no signature at all (none), never proves anything to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Ps256,
    Es256,
}

impl Algorithm {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "PS256" => Some(Self::Ps256),
            "ES256" => Some(Self::Es256),
            _ => None,
        }
    }
}

/// Keys by their ids.
#[derive(Debug, Clone, Default)]
pub struct KeySet(BTreeMap<String, PublicKey>);

/// A key, and what it is good for.
#[derive(Debug, Clone)]
pub(super) struct PublicKey {
    /// The one algorithm that the key itself names, if it does.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Debug, Clone)]
enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    /// A point of P-256, uncompressed.
    P256(Vec<u8>),
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kid: String,
    kty: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a JSON Web Key Set. Keys for something else, such as encryption, are left out.
    ///
    /// # Errors
    /// When it is none, or nothing in it is of use.
    pub fn parse(document: &[u8]) -> Result<Self, KeySetError> {
        let Document { keys } = serde_json::from_slice(document).map_err(|_| KeySetError::Malformed)?;
        let keys: BTreeMap<_, _> = keys.into_iter().filter_map(usable).collect();
        if keys.is_empty() {
            return Err(KeySetError::Empty);
        }
        Ok(Self(keys))
    }

    pub(super) fn get(&self, id: &str) -> Option<&PublicKey> {
        self.0.get(id)
    }
}

fn usable(key: Value) -> Option<(String, PublicKey)> {
    let key: Jwk = serde_json::from_value(key).ok()?;
    if key.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let algorithm = match &key.alg {
        Some(name) => Some(Algorithm::named(name)?),
        None => None,
    };
    let number = |text: Option<String>| URL_SAFE_NO_PAD.decode(text?).ok();
    let material = match (key.kty.as_str(), key.crv.as_deref()) {
        ("RSA", None) => Material::Rsa(RsaPublicKeyComponents {
            n: without_zeros(&number(key.n)?),
            e: without_zeros(&number(key.e)?),
        }),
        ("EC", Some("P-256")) => {
            let (x, y) = (number(key.x)?, number(key.y)?);
            if x.len() != 32 || y.len() != 32 {
                return None;
            }
            Material::P256([vec![4], x, y].concat())
        }
        _ => return None,
    };
    Some((key.kid, PublicKey { algorithm, material }))
}

/// ring takes numbers without zeros in front; some issuers write them with one.
fn without_zeros(number: &[u8]) -> Vec<u8> {
    let begin = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    number[begin..].to_vec()
}

impl PublicKey {
    /// Whether the algorithm is one for this key: by the key's type, and by the algorithm that it names.
    pub(super) fn is_for(&self, algorithm: Algorithm) -> bool {
        let of_type = match self.material {
            Material::Rsa(_) => matches!(algorithm, Algorithm::Rs256 | Algorithm::Ps256),
            Material::P256(_) => algorithm == Algorithm::Es256,
        };
        of_type && self.algorithm.is_none_or(|own| own == algorithm)
    }

    /// Whether the key's other half signed the message by this algorithm.
    pub(super) fn signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let verified = match (&self.material, algorithm) {
            (Material::Rsa(key), Algorithm::Rs256) => {
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            (Material::Rsa(key), Algorithm::Ps256) => {
                key.verify(&RSA_PSS_2048_8192_SHA256, message, signature)
            }
            (Material::P256(point), Algorithm::Es256) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            _ => return false,
        };
        verified.is_ok()
    }
}
