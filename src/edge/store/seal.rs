//! What the store says of itself as a whole, so that a part of it that turned old is noticed.
//!
//! Each record has a checksum, but where sled's log is damaged, sled opens with what came before the
//! damage: records that are sound and no longer true. So every batch writes a seal: the batch's number,
//! and a digest of all records there are.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Under which the store keeps its seal.
pub(super) const SEAL: &[u8] = b"seal";

/// The number of the last batch, and the digest of what the store held after it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seal {
    pub(super) batch: u64,
    digest: [u8; 32],
}

impl Seal {
    /// Takes a record into the digest, or out of it: records are combined by exclusive or, so that their
    /// order does not matter and one may be replaced without reading the others.
    pub(super) fn toggle(&mut self, key: &[u8], value: &[u8]) {
        let mut hash = Sha256::new();
        hash.update(key);
        // No key has this byte, so no other pair of key and value gives the same.
        hash.update([0]);
        hash.update(value);
        for (sum, byte) in self.digest.iter_mut().zip(hash.finalize()) {
            *sum ^= byte;
        }
    }

    /// The seal that the records of a store would have after this batch.
    pub(super) fn of(database: &sled::Db, batch: u64) -> Result<Self, sled::Error> {
        let mut seal = Self {
            batch,
            ..Self::default()
        };
        for entry in database.iter() {
            let (key, value) = entry?;
            if *key != *SEAL {
                seal.toggle(&key, &value);
            }
        }
        Ok(seal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_replaced_and_restored_leaves_the_seal_as_it_was() {
        let mut seal = Seal::default();
        seal.toggle(b"a", b"1");
        seal.toggle(b"b", b"2");
        let before = seal.clone();
        seal.toggle(b"a", b"1");
        seal.toggle(b"a", b"3");
        assert_ne!(seal, before);
        seal.toggle(b"a", b"3");
        seal.toggle(b"a", b"1");
        assert_eq!(seal, before);
    }
}
