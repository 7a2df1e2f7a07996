//! Reading values out of documents that lie over one another, with every fault noted.
//!
//! Otomi merges its files deeply before it reads them. Here nothing is merged: a
//! view asks its layers from the top for a path, so each value still knows its file.

use super::document::Document;
use super::fault::{Fault, Scope};
use super::yaml::{Node, Place, Value};

/// Faults of one scope, as they are found.
#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) scope: Scope,
    pub(crate) list: Vec<Fault>,
}

impl Faults {
    pub(crate) fn new(scope: Scope) -> Self {
        Self {
            scope,
            list: Vec::new(),
        }
    }

    /// Notes a fault of a whole file or directory.
    pub(crate) fn file(&mut self, file: &str, message: impl Into<String>, hint: &str) {
        self.list
            .push(Fault::of_file(file, self.scope.clone(), message, hint));
    }

    /// Notes a fault at a place of a document.
    pub(crate) fn at(&mut self, document: &Document, place: Place, message: impl Into<String>, hint: &str) {
        self.list.push(document.fault(place, &self.scope, message, hint));
    }

    fn wrong_type(&mut self, found: &FoundValue<'_>, path: &str, wanted: &str) {
        let message = format!("{path} must be {wanted}, and is {}", found.node.kind());
        let hint = match (&found.node.value, wanted) {
            (Value::Text(text), "a boolean") if !found.document.is_secret() => {
                match &*text.to_ascii_lowercase() {
                    "yes" | "on" | "y" | "true" => "write true, without quotes",
                    "no" | "off" | "n" | "false" => "write false, without quotes",
                    _ => "write true or false",
                }
            }
            (_, "a boolean") => "write true or false",
            (Value::Number(_) | Value::Bool(_), "text") => "put it in quotes",
            _ => "",
        };
        self.at(found.document, found.node.place, message, hint);
    }
}

/// A value and the document that says it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FoundValue<'a> {
    pub(crate) document: &'a Document,
    pub(crate) node: &'a Node,
}

/// Maps that lie over one another, the lowest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct View<'a> {
    layers: Vec<FoundValue<'a>>,
}

impl<'a> View<'a> {
    /// The roots of some documents, the one that wins last.
    pub(crate) fn of(documents: impl IntoIterator<Item = &'a Document>) -> Self {
        Self {
            layers: documents
                .into_iter()
                .map(|document| FoundValue {
                    document,
                    node: &document.root,
                })
                .collect(),
        }
    }

    /// One map.
    pub(crate) fn single(document: &'a Document, node: &'a Node) -> Self {
        Self {
            layers: vec![FoundValue { document, node }],
        }
    }

    /// This view with another on top of it.
    pub(crate) fn under(mut self, top: Self) -> Self {
        self.layers.extend(top.layers);
        self
    }

    /// The file and place of the lowest layer, to point at what is missing from it.
    pub(crate) fn origin(&self) -> Option<FoundValue<'a>> {
        self.layers.first().copied()
    }

    /// The map at a path, from every layer that has one there.
    pub(crate) fn map(&self, path: &str, faults: &mut Faults) -> Self {
        let maps = self.layers.iter().filter_map(|layer| {
            let found = walk(*layer, path, faults)?;
            if !matches!(found.node.value, Value::Map(_)) {
                faults.wrong_type(&found, path, "a map");
                return None;
            }
            Some(found)
        });
        Self {
            layers: maps.collect(),
        }
    }

    /// The keys of all layers, each with where it stands; a key of several layers comes several times.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, Place, FoundValue<'a>)> + use<'a> {
        self.layers.clone().into_iter().flat_map(|layer| {
            let entries = match &layer.node.value {
                Value::Map(entries) => entries.as_slice(),
                _ => &[],
            };
            let document = layer.document;
            entries.iter().map(move |entry| {
                (
                    &*entry.key,
                    entry.place,
                    FoundValue {
                        document,
                        node: &entry.node,
                    },
                )
            })
        })
    }

    /// The topmost value at a path; nothing where it is null, or was encrypted.
    pub(crate) fn find(&self, path: &str, faults: &mut Faults) -> Option<FoundValue<'a>> {
        self.layers
            .iter()
            .rev()
            .find_map(|layer| walk(*layer, path, faults))
    }

    /// The boolean at a path.
    pub(crate) fn flag(&self, path: &str, faults: &mut Faults) -> Option<bool> {
        let found = self.find(path, faults)?;
        let Value::Bool(flag) = found.node.value else {
            faults.wrong_type(&found, path, "a boolean");
            return None;
        };
        Some(flag)
    }

    /// The text at a path; nothing where it is empty.
    pub(crate) fn text(&self, path: &str, faults: &mut Faults) -> Option<(&'a str, FoundValue<'a>)> {
        let found = self.find(path, faults)?;
        let Value::Text(text) = &found.node.value else {
            faults.wrong_type(&found, path, "text");
            return None;
        };
        (!text.is_empty()).then_some((&**text, found))
    }

    /// The whole number at a path.
    pub(crate) fn number(&self, path: &str, faults: &mut Faults) -> Option<u64> {
        let found = self.find(path, faults)?;
        let number = match &found.node.value {
            Value::Number(number) => number.parse().ok(),
            _ => None,
        };
        if number.is_none() {
            faults.wrong_type(&found, path, "a whole number");
        }
        number
    }

    /// The texts of the list at a path.
    pub(crate) fn texts(&self, path: &str, faults: &mut Faults) -> Option<Vec<&'a str>> {
        let found = self.find(path, faults)?;
        let Value::List(items) = &found.node.value else {
            faults.wrong_type(&found, path, "a list");
            return None;
        };
        let texts = items.iter().filter_map(|item| {
            let Value::Text(text) = &item.value else {
                let item = FoundValue {
                    document: found.document,
                    node: item,
                };
                faults.wrong_type(&item, &format!("each item of {path}"), "text");
                return None;
            };
            Some(&**text)
        });
        Some(texts.collect())
    }
}

fn walk<'a>(from: FoundValue<'a>, path: &str, faults: &mut Faults) -> Option<FoundValue<'a>> {
    let mut found = from;
    let mut rest = path;
    loop {
        match &found.node.value {
            Value::Map(_) => {}
            Value::Null => return None,
            _ => {
                let whole = path.strip_suffix(rest).unwrap_or_default().trim_end_matches('.');
                let whole = if whole.is_empty() { "this" } else { whole };
                faults.wrong_type(&found, whole, "a map");
                return None;
            }
        }
        let (key, after) = rest.split_once('.').unwrap_or((rest, ""));
        found.node = found.node.get(key)?;
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    match &found.node.value {
        Value::Null => None,
        Value::Text(text) if text.starts_with("ENC[") => None,
        _ => Some(found),
    }
}
