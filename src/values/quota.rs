//! How much storage a team's images may take.

use serde::{Deserialize, Serialize};

/// A project's storage limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageQuota {
    /// No limit; Harbor's `-1`.
    Unlimited,
    /// A limit in bytes, at least 1.
    Bytes(u64),
}

impl std::fmt::Display for StorageQuota {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::Bytes(bytes) => write!(f, "{bytes} bytes"),
        }
    }
}

impl StorageQuota {
    /// Reads `10Gi`, `500Mi`, a number of bytes, or `unlimited`.
    ///
    /// # Errors
    /// The rule that the text breaks, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text == "unlimited" || text == "-1" {
            return Ok(Self::Unlimited);
        }
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit: u64 = match text.get(digits.len()..).unwrap_or_default() {
            "" => 1,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            "Ti" => 1 << 40,
            _ => return Err("must be a number of bytes, or of Ki, Mi, Gi or Ti, or unlimited"),
        };
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err("must be a whole number, with Ki, Mi, Gi or Ti behind it, or unlimited");
        }
        // Harbor keeps the limit as a signed number of 64 bits.
        let bytes = digits
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(unit))
            .filter(|n| i64::try_from(*n).is_ok());
        match bytes {
            None => Err("is more than Harbor can count"),
            Some(0) => Err("is 0, with which nobody can push; leave it out, or write unlimited"),
            Some(bytes) => Ok(Self::Bytes(bytes)),
        }
    }

    /// The number that Harbor uses for it.
    #[must_use]
    pub fn as_harbor(self) -> i64 {
        match self {
            Self::Unlimited => -1,
            Self::Bytes(bytes) => i64::try_from(bytes).unwrap_or(i64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_read_in_every_spelling() {
        for (text, bytes) in [
            ("1", 1),
            ("10Gi", 10 << 30),
            ("500Mi", 500 << 20),
            ("3Ki", 3072),
            ("2Ti", 2 << 40),
        ] {
            assert_eq!(
                StorageQuota::parse(text),
                Ok(StorageQuota::Bytes(bytes)),
                "{text}"
            );
        }
        assert_eq!(StorageQuota::parse("unlimited"), Ok(StorageQuota::Unlimited));
        assert_eq!(StorageQuota::Unlimited.as_harbor(), -1);
    }

    #[test]
    fn a_quota_that_harbor_cannot_keep_is_refused() {
        for bad in [
            "",
            "0",
            "0Gi",
            "Gi",
            "10G",
            "10 Gi",
            "1.5Gi",
            "-5",
            "99999999Ti",
            "lots",
            "10gi",
            "１Gi",
        ] {
            assert!(StorageQuota::parse(bad).is_err(), "{bad:?} should be refused");
        }
    }
}
