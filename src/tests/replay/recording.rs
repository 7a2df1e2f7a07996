//! Reading a recording, and filling in what it leaves out of requests: secrets,
//! cookies, and the middle of very long texts.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

/// One row: a question and what Harbor answered, or lines of its log.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Row {
    pub(super) n: u64,
    pub(super) label: String,
    pub(super) group: String,
    pub(super) request: Option<Question>,
    pub(super) response: Option<Reply>,
    /// How long Harbor took.
    #[serde(default)]
    pub(super) ms: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Question {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: BTreeMap<String, Option<String>>,
    #[serde(default)]
    pub(super) body: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) body: Option<String>,
}

impl Question {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| value.as_deref())
    }

    /// The name of a Basic header, whose password the recording hides.
    pub(super) fn login(&self) -> Option<&str> {
        self.header("authorization")?
            .strip_prefix("Basic <")?
            .strip_suffix(":***>")
    }
}

impl Row {
    /// Whether the password was wrong. The recording hides passwords, but Harbor
    /// takes at least 1.5 s over a wrong one, and the labels say so too.
    pub(super) fn has_wrong_password(&self) -> bool {
        let quick_question = self
            .request
            .as_ref()
            .is_some_and(|request| request.body.is_none());
        let slow = self.ms.is_some_and(|ms| ms >= 1500.0) && quick_question;
        let label = self.label.to_lowercase();
        let said = label.contains("wrong password") || label.contains("old secret");
        (slow || said) && !self.label.contains("RIGHT")
    }
}

/// Reads a recording into rows by number.
pub(super) fn read(path: &Path) -> BTreeMap<u64, Row> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let rows = text.lines().filter(|line| !line.trim().is_empty()).map(|line| {
        serde_json::from_str::<Row>(line)
            .unwrap_or_else(|error| panic!("{}: {error}: {line}", path.display()))
    });
    rows.map(|row| (row.n, row)).collect()
}

/// Splits a shortened text `xxx... <N chars in all>` into what is there and N.
pub(super) fn shortened(text: &str) -> Option<(&str, usize)> {
    let (start, rest) = text.rsplit_once("... <").or_else(|| text.rsplit_once(" <"))?;
    let number = rest
        .strip_suffix(" chars in all>")
        .or_else(|| rest.strip_suffix(" bytes in all>"))?;
    Some((start, number.parse().ok()?))
}

/// Writes a shortened text out: its last character is repeated until, with `end`,
/// the length is right.
pub(super) fn lengthen(text: &str, end: &str) -> String {
    let Some((start, length)) = shortened(text) else {
        return text.to_owned();
    };
    let filler = start.chars().last().unwrap_or('x').to_string();
    let missing = length.saturating_sub(start.len() + end.len());
    format!("{start}{}{end}", filler.repeat(missing))
}
