//! YAML into types, for job files and settings: strict, and with the place of what is wrong.

use serde::de::DeserializeOwned;
use serde_yaml::Options;

/// What can't be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Misread {
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// What is wrong.
    pub message: String,
}

/// Reads one document.
///
/// # Errors
/// The first thing that is not as the type wants it: unknown keys, wrong types, keys that come twice.
pub fn from_text<T: DeserializeOwned>(text: &str) -> Result<T, Misread> {
    serde_yaml::from_str_with_options(text, options()).map_err(|error| {
        let (line, column) = error
            .location()
            .map_or((1, 1), |at| (at.line().max(1), at.column().max(1)));
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default();
        // The place is told beside the message.
        let message = message
            .split(" at line ")
            .next()
            .unwrap_or(message)
            .trim_start_matches("error: ");
        Misread {
            line,
            column,
            message: message.to_owned(),
        }
    })
}

/// The library's defaults read `yes` as a boolean and `012` as a number, and drop a tag such as `!Foo`.
fn options() -> Options {
    let mut options = Options::default();
    options.strict_booleans = true;
    options.leading_zero_numbers_as_strings = true;
    options.underscored_numbers_as_strings = true;
    options.reject_unsupported_tags = true;
    options.with_snippet = false;
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Small {
        name: String,
    }

    #[test]
    fn text_stays_text() {
        for name in ["yes", "on", "012", "1_000"] {
            let small: Small = from_text(&format!("name: {name}\n")).unwrap();
            assert_eq!(small.name, name);
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, line, word) in [
            ("name: a\nnam: b\n", 2, "unknown field"),
            ("name: a\nname: b\n", 2, "duplicate"),
            ("name:\n  - a\n", 2, ""),
            ("name: !Foo a\n", 1, "tag"),
        ] {
            let misread = from_text::<Small>(text).unwrap_err();
            assert_eq!(misread.line, line, "{text:?}: {misread}");
            assert!(
                misread.message.to_lowercase().contains(word),
                "{text:?}: {misread}"
            );
        }
    }
}
