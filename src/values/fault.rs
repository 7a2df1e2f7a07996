//! What is wrong in a values repository, said where a person can mend it.

use std::fmt;

use serde::Serialize;

use super::yaml::Place;

/// One thing that is wrong in the repository. Sorted by file, then by place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fault {
    /// The file or directory, from the root of the repository.
    pub file: String,
    /// The line, from 1, when the fault is inside a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What is wrong, as one sentence without its full stop.
    pub message: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The offending text. Never from a `secrets.*` file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Whom the fault stops.
    pub scope: Scope,
    /// The line with the offending text, to be shown. Never from a `secrets.*` file.
    #[serde(skip)]
    pub excerpt: Option<Excerpt>,
}

/// Whom a fault stops.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Everybody: what all teams share cannot be read, so the whole snapshot is refused.
    Shared,
    /// One team, by the name that the repository gives it, which may be no valid id. It keeps its last good state.
    Team(String),
}

/// A line of a file and the part of it that is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Excerpt {
    /// The line, or the part of a very long one that matters.
    pub line: String,
    /// The byte at which the offending text begins.
    pub start: usize,
    /// The byte at which it ends.
    pub end: usize,
}

/// Characters of one line that are kept before and after the offending place.
const KEPT: usize = 100;

impl Fault {
    /// A fault of a whole file or directory.
    pub(crate) fn of_file(
        file: impl Into<String>,
        scope: Scope,
        message: impl Into<String>,
        hint: &str,
    ) -> Self {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        Self {
            file: file.into(),
            line: None,
            column: None,
            message: message.into(),
            hint,
            text: None,
            scope,
            excerpt: None,
        }
    }

    /// Puts the fault at a place, and shows its line, where that is given and seems to hold no secret.
    pub(crate) fn at(mut self, place: Place, line: Option<&str>) -> Self {
        self.line = Some(place.line);
        self.column = Some(place.column);
        self.excerpt = line.and_then(|line| Excerpt::cut(line, place));
        self.text = self
            .excerpt
            .as_ref()
            .map(|e| e.text().to_owned())
            .filter(|text| !text.is_empty());
        self
    }
}

impl fmt::Display for Fault {
    /// `file:line:column: message (hint)`, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", Printable(&self.file))?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", Printable(&self.message))?;
        match &self.hint {
            Some(hint) => write!(f, " ({})", Printable(hint)),
            None => Ok(()),
        }
    }
}

/// Text from a repository for a terminal: without its control characters.
pub(crate) struct Printable<'a>(pub(crate) &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| {
            if c.is_control() {
                write!(f, "{}", c.escape_debug())
            } else {
                write!(f, "{c}")
            }
        })
    }
}

impl Excerpt {
    /// Cuts what matters out of a line. Nothing when it seems to hold a secret, which in
    /// Otomi's plain settings it may.
    fn cut(whole: &str, place: Place) -> Option<Self> {
        if looks_secret(whole) {
            return None;
        }
        let column = usize::try_from(place.column).ok()?.saturating_sub(1);
        let from = column.saturating_sub(KEPT);
        // A terminal would obey control characters.
        let line: String = whole
            .chars()
            .skip(from)
            .take(2 * KEPT)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let start = line
            .char_indices()
            .nth(column - from)
            .map_or(line.len(), |(byte, _)| byte);
        let rest = line.get(start..)?;
        let end = start + token(rest);
        Some(Self { line, start, end })
    }

    /// The offending text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.line.get(self.start..self.end).unwrap_or_default()
    }
}

/// The length of the value or key at the beginning of a line's rest.
fn token(rest: &str) -> usize {
    let quoted = rest
        .chars()
        .next()
        .filter(|c| matches!(c, '"' | '\''))
        .and_then(|quote| {
            rest.char_indices()
                .skip(1)
                .find(|(_, c)| *c == quote)
                .map(|(byte, _)| byte + 1)
        });
    let end = quoted.unwrap_or_else(|| {
        [": ", " #", ", "]
            .iter()
            .filter_map(|stop| rest.find(stop))
            .min()
            .unwrap_or(rest.len())
    });
    let text = rest.get(..end).unwrap_or(rest).trim_end();
    if quoted.is_some() {
        text.len()
    } else {
        text.strip_suffix(':').unwrap_or(text).len()
    }
}

fn looks_secret(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    [
        "secret",
        "password",
        "token",
        "passwd",
        "key:",
        "credential",
        "private",
        "-----",
    ]
    .iter()
    .any(|word| line.contains(word))
}
