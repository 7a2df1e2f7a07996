//! The one place where the YAML of a values repository is parsed.
//!
//! The parser is the event parser beneath `serde-saphyr`; what is built from its
//! events is a tree in which every node knows its place, since serde's data model
//! has no room for places and costs twice the time. The rules are those of YAML
//! 1.2's core schema, as Otomi's own loader has them: `yes` and `on` are text, so
//! is `012`, a key may be said once in a map, and a tag that is not known is refused.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

pub use super::node::{Entry, Node, Place, Value};
use serde_yaml::granit_parser::{Event, Marker, Options, Parser, ScalarStyle, Tag};

/// Nodes that one file may have, with what its aliases repeat. A values file of
/// 10,000 teams has some 500,000; an alias bomb has billions.
pub const MAX_NODES: usize = 1_000_000;

/// How deep maps and lists may be nested. Otomi's own values have 12 levels.
pub const MAX_DEPTH: usize = 64;

/// Why a text is not one YAML document. The message quotes nothing but keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct YamlError {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What would help, when the message does not say so itself.
    pub hint: Option<&'static str>,
}

/// Parses a text that holds one YAML document. An empty one is [`Value::Null`].
///
/// # Errors
/// The first place at which the text is no YAML, has more than one document,
/// says a key twice, or asks for more than [`MAX_NODES`] and [`MAX_DEPTH`] allow.
pub fn parse(text: &str) -> Result<Node, YamlError> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder::default();
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| YamlError {
            message: error.info(),
            place: place(*error.marker()),
            hint: Some("the mistake may stand before this place: look at the indentation, quotes and brackets above it"),
        })?;
        builder.take(event, place(span.start))?;
    }
    Ok(builder.root.unwrap_or(Node {
        value: Value::Null,
        place: Place { line: 1, column: 1 },
    }))
}

fn place(marker: Marker) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place {
        line: number(marker.line().max(1)),
        column: number(marker.col() + 1),
    }
}

/// A list or map that has begun and not yet ended.
struct Open {
    place: Place,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        key: Option<(Box<str>, Place)>,
        merges: Vec<Node>,
    },
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    documents: usize,
    nodes: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, at: Place) -> Result<(), YamlError> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let hint = "one file holds one document: remove the `---` or split the file";
                    return Err(fail("a second document begins here", at, Some(hint)));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(text, style, tag.as_deref(), at)?;
                self.put(Node { value, place: at }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                check_tag(tag.as_deref(), &["seq"], at)?;
                self.begin(Content::List(Vec::new()), anchor, at)
            }
            Event::MappingStart(_, anchor, tag) => {
                check_tag(tag.as_deref(), &["map"], at)?;
                self.begin(
                    Content::Map {
                        entries: Vec::new(),
                        key: None,
                        merges: Vec::new(),
                    },
                    anchor,
                    at,
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(fail("this alias is used inside what it names", at, None));
                };
                self.nodes += node.weight();
                self.check_budget(at)?;
                let node = Node {
                    value: node.value.clone(),
                    place: at,
                };
                self.put(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, content: Content, anchor: usize, at: Place) -> Result<(), YamlError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(fail(
                format!("more than {MAX_DEPTH} maps and lists are nested here"),
                at,
                None,
            ));
        }
        self.open.push(Open {
            place: at,
            anchor,
            content,
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), YamlError> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map {
                mut entries, merges, ..
            } => {
                refuse_twins(&entries)?;
                for merge in merges {
                    merge_into(&mut entries, merge)?;
                }
                Value::Map(entries)
            }
        };
        self.put(
            Node {
                value,
                place: open.place,
            },
            open.anchor,
        )
    }

    fn put(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        self.nodes += 1;
        self.check_budget(node.place)?;
        if anchor != 0 {
            self.nodes += node.weight();
            self.check_budget(node.place)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, key, merges }) => match key.take() {
                None => *key = Some((key_text(&node)?, node.place)),
                Some((name, _)) if &*name == "<<" => merges.push(node),
                Some((name, at)) => entries.push(Entry {
                    key: name,
                    place: at,
                    node,
                }),
            },
        }
        Ok(())
    }

    fn check_budget(&self, at: Place) -> Result<(), YamlError> {
        if self.nodes <= MAX_NODES {
            return Ok(());
        }
        let hint = "aliases that repeat aliases multiply; write the values out, or fewer of them";
        Err(fail(
            format!("the file has more than {MAX_NODES} values up to here"),
            at,
            Some(hint),
        ))
    }
}

fn fail(message: impl Into<String>, place: Place, hint: Option<&'static str>) -> YamlError {
    YamlError {
        message: message.into(),
        place,
        hint,
    }
}

fn key_text(node: &Node) -> Result<Box<str>, YamlError> {
    match &node.value {
        Value::Text(text) | Value::Number(text) => Ok(text.clone()),
        Value::Bool(true) => Ok("true".into()),
        Value::Bool(false) => Ok("false".into()),
        Value::Null => Ok("null".into()),
        Value::List(_) | Value::Map(_) => Err(fail(format!("{} is no key", node.kind()), node.place, None)),
    }
}

fn refuse_twins(entries: &[Entry]) -> Result<(), YamlError> {
    let twin = if entries.len() <= 16 {
        entries
            .iter()
            .enumerate()
            .find(|(index, entry)| entries.iter().take(*index).any(|e| e.key == entry.key))
    } else {
        let mut seen = HashSet::with_capacity(entries.len());
        entries
            .iter()
            .enumerate()
            .find(|(_, entry)| !seen.insert(&entry.key))
    };
    match twin {
        None => Ok(()),
        Some((_, entry)) => {
            let hint = "a map has a key once: remove one of the two";
            Err(fail(
                format!("the key {:?} stands here a second time", entry.key),
                entry.place,
                Some(hint),
            ))
        }
    }
}

/// `<<: *defaults` and `<<: [*a, *b]`: keys that the map does not have itself, the first that says one wins.
fn merge_into(entries: &mut Vec<Entry>, merge: Node) -> Result<(), YamlError> {
    match merge.value {
        Value::Map(others) => {
            let known: HashSet<Box<str>> = entries.iter().map(|entry| entry.key.clone()).collect();
            entries.extend(others.into_iter().filter(|entry| !known.contains(&entry.key)));
            Ok(())
        }
        Value::List(maps) if maps.iter().all(|map| matches!(map.value, Value::Map(_))) => {
            maps.into_iter().try_for_each(|map| merge_into(entries, map))
        }
        _ => Err(fail("`<<` must name a map, or a list of maps", merge.place, None)),
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>, at: Place) -> Result<Value, YamlError> {
    check_tag(
        tag,
        &["str", "int", "float", "bool", "null", "binary", "timestamp"],
        at,
    )?;
    let forced_text = tag.is_some_and(|tag| {
        tag.core_suffix()
            .is_none_or(|suffix| suffix == "str" || suffix == "binary")
    });
    if style != ScalarStyle::Plain || forced_text {
        return Ok(Value::Text(text.into()));
    }
    Ok(plain_scalar(&text))
}

/// What a plain scalar means in the core schema.
pub(super) fn plain_scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        plain if is_number(plain) => Value::Number(text.into()),
        _ => Value::Text(text.into()),
    }
}

/// Decimal numbers without leading zeros, and the prefixes `0x` and `0o`.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    if let Some(hex) = digits.strip_prefix("0x") {
        return !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
    }
    if let Some(octal) = digits.strip_prefix("0o") {
        return !octal.is_empty() && octal.bytes().all(|b| (b'0'..=b'7').contains(&b));
    }
    let leading_zero =
        digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    !leading_zero && digits.parse::<f64>().is_ok()
}

/// Refuses a tag that is neither of YAML's own for this kind of node nor the lone `!`.
fn check_tag(tag: Option<&Tag>, allowed: &[&str], at: Place) -> Result<(), YamlError> {
    match tag {
        None => Ok(()),
        Some(tag) if tag.original() == "!" => Ok(()),
        Some(tag) if tag.core_suffix().is_some_and(|suffix| allowed.contains(&suffix)) => Ok(()),
        Some(tag) => Err(fail(
            format!("the tag {} is not known", tag.original()),
            at,
            Some("values are written without tags"),
        )),
    }
}
