//! The key that signs the registry's tokens, so that a real registry can trust them.

use std::sync::Arc;

use ring::{
    error::{KeyRejected, Unspecified},
    rand::SystemRandom,
    signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{
    PrivateKeyDer,
    pem::{self, PemObject as _},
};
use sha2::{Digest, Sha256};

/// `SEQUENCE { OBJECT IDENTIFIER rsaEncryption, NULL }`.
const RSA_ENCRYPTION: &[u8] = &[
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];
/// How much of a public key's digest is its id: 240 bits.
const ID_LETTERS: usize = 240 / 5;

/// An RSA key that signs tokens as Harbor's core does: by RS256, and under the id by
/// which a registry finds the key among the certificates that it trusts.
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<RsaKeyPair>,
    id: String,
}

/// Why a key cannot sign.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// It is no private key in PEM.
    #[error("the signing key is no private key in PEM")]
    Pem(#[source] pem::Error),
    /// It is a key of another kind, or too weak.
    #[error("the signing key is no RSA key of 2048 bits or more: {0}")]
    Rejected(KeyRejected),
}

impl SigningKey {
    /// Reads a private RSA key in PEM, in the form of PKCS#8 or PKCS#1.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_pem(text: &[u8]) -> Result<Self, SigningKeyError> {
        let pair = match PrivateKeyDer::from_pem_slice(text).map_err(SigningKeyError::Pem)? {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            other => RsaKeyPair::from_pkcs8(other.secret_der()),
        };
        let pair = pair.map_err(SigningKeyError::Rejected)?;
        let id = id(pair.public_key().as_ref());
        Ok(Self {
            pair: Arc::new(pair),
            id,
        })
    }

    /// The id of its public half, as libtrust and so every docker registry has it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Signs a message by RS256; the same message has the same signature each time.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)?;
        Ok(signature)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("SigningKey").field(&self.id).finish()
    }
}

/// The id of a public key, given in PKCS#1: the begin of the digest of its
/// `SubjectPublicKeyInfo`, in base32, with a colon after each four letters.
fn id(public: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    // A bit string begins with how many of its bits are unused.
    let bits = der(0x03, &[&[0], public].concat());
    let digest = Sha256::digest(der(0x30, &[RSA_ENCRYPTION, &bits].concat()));
    // Five bits are a letter.
    let letter = |index: usize| {
        let (byte, shift) = (index * 5 / 8, index * 5 % 8);
        let next = digest.get(byte + 1).copied().unwrap_or_default();
        let bits = u16::from_be_bytes([digest[byte], next]) >> (11 - shift);
        char::from(ALPHABET[usize::from(bits & 31)])
    };
    let letters: Vec<char> = (0..ID_LETTERS).map(letter).collect();
    let groups: Vec<String> = letters.chunks(4).map(String::from_iter).collect();
    groups.join(":")
}

/// An element in DER.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    // Two bytes are enough for the length of any key.
    let [.., high, low] = content.len().to_be_bytes();
    let head: &[u8] = match (high, low) {
        (0, ..0x80) => &[tag, low],
        (0, _) => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    [head, content].concat()
}

#[cfg(test)]
mod tests {
    use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    const PEM: &[u8] = include_bytes!("../../../fixtures/harbor/worthless-key.pem");

    #[test]
    fn its_public_half_proves_what_it_signed_and_nothing_else() {
        let key = SigningKey::from_pem(PEM).unwrap();
        let signature = key.sign(b"message").unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.pair.public_key());
        assert!(public.verify(b"message", &signature).is_ok());
        assert!(public.verify(b"another", &signature).is_err());
    }

    #[test]
    fn its_id_is_that_which_libtrust_gives_it() {
        // From `openssl rsa -pubout -outform DER`, hashed and written in base32.
        let known = "ZAVV:VPS6:SADP:MMTZ:HMNU:N4WS:JZHX:WUEP:XHVA:HJY7:DIOK:IYSY";
        assert_eq!(SigningKey::from_pem(PEM).unwrap().id(), known);
    }

    #[test]
    fn what_is_no_rsa_key_is_refused() {
        assert!(matches!(
            SigningKey::from_pem(b"no key"),
            Err(SigningKeyError::Pem(_))
        ));
        let curve = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        assert!(matches!(
            SigningKey::from_pem(curve.as_bytes()),
            Err(SigningKeyError::Rejected(_))
        ));
    }
}
