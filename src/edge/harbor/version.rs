//! Which versions of Harbor are served.

/// The oldest: robots as they are used here came with 2.2.
const OLDEST: (u32, u32) = (2, 2);
/// The newest whose answers were recorded.
const NEWEST: (u32, u32) = (2, 15);

/// What a version means for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fitness {
    Known,
    /// Newer than any that was looked at, or a development build.
    Unknown,
    TooOld,
}

/// Judges a version as Harbor says it: `v2.15.2-080b0220`, or `dev`.
pub(super) fn judge(version: &str) -> Fitness {
    let digits = version.trim_start_matches('v');
    let mut numbers = digits.split(['.', '-']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < OLDEST => Fitness::TooOld,
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) <= NEWEST => Fitness::Known,
        _ => Fitness::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, fitness) in [
            ("v2.15.2-080b0220", Fitness::Known),
            ("v2.2.0-abc", Fitness::Known),
            ("v2.10.1", Fitness::Known),
            ("v2.1.5-1", Fitness::TooOld),
            ("v1.10.9", Fitness::TooOld),
            ("v2.16.0", Fitness::Unknown),
            ("v3.0.0", Fitness::Unknown),
            ("dev", Fitness::Unknown),
        ] {
            assert_eq!(judge(version), fitness, "{version}");
        }
    }
}
