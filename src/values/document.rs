//! One file of a values repository, parsed, with what is needed to say where it is wrong.

use std::sync::OnceLock;

use super::fault::{Fault, Scope};
use super::quick;
use super::yaml::{self, Node, Place, YamlError};

/// The largest file that is read, in bytes. The largest values file seen, a
/// `teams.yaml` of 10,000 teams, has 5 MiB.
pub const MAX_FILE: u64 = 8 * 1024 * 1024;

/// A parsed file.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) file: String,
    text: String,
    pub(crate) root: Node,
    secret: bool,
    /// Where each line begins; found out when the first fault needs it.
    line_starts: OnceLock<Vec<usize>>,
}

/// What a file turned out to be.
#[derive(Debug)]
pub(crate) enum Parsed {
    Document(Document),
    /// SOPS keeps the keys of an encrypted file in clear and its values unreadable: nothing to learn, and no fault.
    Encrypted,
}

impl Document {
    /// Parses the bytes of a file. With `keep`, only those keys of the map under `spec`
    /// matter, and the values of others may come out null.
    ///
    /// # Errors
    /// One fault, where the bytes stop being UTF-8 or the text stops being one YAML
    /// document; what does not matter must be YAML too.
    pub(crate) fn parse(
        file: &str,
        bytes: Vec<u8>,
        scope: &Scope,
        keep: Option<&[&str]>,
    ) -> Result<Parsed, Box<Fault>> {
        let secret = is_secret(file);
        let text = String::from_utf8(bytes).map_err(|error| Box::new(not_utf8(file, scope, &error)))?;
        let text = match text.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => text,
        };
        if secret && text.lines().any(|line| line.starts_with("sops:")) {
            return Ok(Parsed::Encrypted);
        }
        if let Some(root) = keep.and_then(|keep| quick::parse(&text, keep)) {
            return Ok(Parsed::Document(Self::new(file, text, root, secret)));
        }
        match yaml::parse(&text) {
            Ok(root) if root.get("sops").is_some_and(is_sops) => Ok(Parsed::Encrypted),
            Ok(root) => Ok(Parsed::Document(Self::new(file, text, root, secret))),
            Err(error) => Err(Box::new(not_yaml(file, &text, secret, scope, error))),
        }
    }

    fn new(file: &str, text: String, root: Node, secret: bool) -> Self {
        Self {
            file: file.to_owned(),
            text,
            root,
            secret,
            line_starts: OnceLock::new(),
        }
    }

    /// A fault at a place of this file.
    pub(crate) fn fault(&self, place: Place, scope: &Scope, message: impl Into<String>, hint: &str) -> Fault {
        let line = if self.secret { None } else { self.line(place.line) };
        Fault::of_file(&*self.file, scope.clone(), message, hint).at(place, line)
    }

    fn line(&self, number: u32) -> Option<&str> {
        let find = || {
            std::iter::once(0)
                .chain(self.text.match_indices('\n').map(|(at, _)| at + 1))
                .collect()
        };
        let start = *self
            .line_starts
            .get_or_init(find)
            .get(usize::try_from(number).ok()?.checked_sub(1)?)?;
        self.text.get(start..)?.lines().next()
    }

    /// Whether its values may be shown.
    pub(crate) fn is_secret(&self) -> bool {
        self.secret
    }
}

/// Whether a file is one of those that Otomi keeps secrets in, `secrets.*`.
pub(crate) fn is_secret(file: &str) -> bool {
    file.rsplit('/')
        .next()
        .is_some_and(|name| name.starts_with("secrets."))
}

fn is_sops(node: &Node) -> bool {
    ["mac", "lastmodified", "version"]
        .iter()
        .any(|key| node.get(key).is_some())
}

fn not_utf8(file: &str, scope: &Scope, error: &std::string::FromUtf8Error) -> Fault {
    let good = error
        .as_bytes()
        .get(..error.utf8_error().valid_up_to())
        .unwrap_or_default();
    let good = String::from_utf8_lossy(good);
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let line = count(good.matches('\n').count() + 1);
    let column = count(good.rsplit('\n').next().unwrap_or_default().chars().count() + 1);
    Fault::of_file(
        file,
        scope.clone(),
        "the file is not UTF-8 from here on",
        "save it as UTF-8",
    )
    .at(Place { line, column }, None)
}

fn not_yaml(file: &str, text: &str, secret: bool, scope: &Scope, error: YamlError) -> Fault {
    // A message may quote a key, which is no secret, and never a value.
    let fault = Fault::of_file(file, scope.clone(), error.message, error.hint.unwrap_or_default());
    let number = usize::try_from(error.place.line).unwrap_or(usize::MAX);
    let line = if secret {
        None
    } else {
        text.lines().nth(number.saturating_sub(1))
    };
    fault.at(error.place, line)
}
