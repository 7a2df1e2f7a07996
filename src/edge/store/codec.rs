//! Records as bytes: a version, a checksum, and JSON.
//!
//! ```text
//! 1 byte   version of the format
//! 8 bytes  the first bytes of the SHA-256 of what follows
//! n bytes  JSON
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// The version that is written.
const VERSION: u8 = 1;
const CHECKSUM: usize = 8;
const HEADER: usize = 1 + CHECKSUM;

/// Bytes that are no record of ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CodecError {
    /// A newer harborage wrote it.
    #[error(
        "the record has version {0}, and this harborage knows versions up to {VERSION}: use the newer one"
    )]
    Newer(u8),
    /// It is damaged.
    #[error("the record is damaged")]
    Damaged,
}

pub(super) fn encode(record: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = vec![0; HEADER];
    serde_json::to_writer(&mut bytes, record)?;
    bytes[0] = VERSION;
    let checksum = Sha256::digest(&bytes[HEADER..]);
    bytes[1..HEADER].copy_from_slice(&checksum[..CHECKSUM]);
    Ok(bytes)
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    match bytes.first() {
        None => return Err(CodecError::Damaged),
        Some(&version) if version > VERSION => return Err(CodecError::Newer(version)),
        Some(_) => {}
    }
    let (Some(checksum), Some(json)) = (bytes.get(1..HEADER), bytes.get(HEADER..)) else {
        return Err(CodecError::Damaged);
    };
    if checksum != &Sha256::digest(json)[..CHECKSUM] {
        return Err(CodecError::Damaged);
    }
    serde_json::from_slice(json).map_err(|_| CodecError::Damaged)
}
