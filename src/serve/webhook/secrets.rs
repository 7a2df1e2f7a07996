//! The secrets that deliveries are proven by.

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;

use crate::run::chain;

/// Gives the secrets that are valid at present. Several are, while one takes the place of another.
pub type Secrets = Arc<dyn Fn() -> Vec<SecretString> + Send + Sync>;

/// The secrets of a text: one a line, without the white space around it. Empty lines are none.
#[must_use]
pub fn secrets_of(text: &str) -> Vec<SecretString> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(SecretString::from)
        .collect()
}

/// The secrets of a file. It is read whenever they are needed, so that a change counts at once; while it
/// can't be read there are none, and nothing is accepted.
#[must_use]
pub fn secrets_in(path: PathBuf) -> Secrets {
    Arc::new(move || match std::fs::read_to_string(&path) {
        Ok(text) => secrets_of(&text),
        Err(error) => {
            tracing::debug!(
                path = %path.display(), error = %chain(&error), "the webhooks' secrets can't be read"
            );
            Vec::new()
        }
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn exposed(secrets: &[SecretString]) -> Vec<&str> {
        secrets.iter().map(SecretString::expose_secret).collect()
    }

    #[test]
    fn a_text_has_one_secret_a_line() {
        assert_eq!(exposed(&secrets_of("old\r\n\n  new \n#x")), ["old", "new", "#x"]);
        assert!(secrets_of("").is_empty() && secrets_of(" \n\r\n\t").is_empty());
    }

    #[test]
    fn a_file_is_read_whenever_its_secrets_are_needed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets");
        let secrets = secrets_in(path.clone());
        assert!(secrets().is_empty());
        std::fs::write(&path, "old\n").unwrap();
        assert_eq!(exposed(&secrets()), ["old"]);
        std::fs::write(&path, "old\nnew\n").unwrap();
        assert_eq!(exposed(&secrets()), ["old", "new"]);
        std::fs::write(&path, "\n").unwrap();
        assert!(secrets().is_empty());
    }
}
