//! The plain YAML that machines write, read ten times faster than YAML in full.
//!
//! Thousands of teams have a settings file each, all written by Otomi's API: block
//! maps and lists, one-line scalars, no anchors, no comments behind values. What is
//! exactly that is read here, line by line, and of it only what Harbor is concerned
//! with is kept. At the first thing that is not, the answer is `None`, and
//! [`super::yaml::parse`] reads the file from its beginning: it alone says what is a
//! fault. A property test holds the two against each other.

use super::yaml::{Entry, MAX_DEPTH, Node, Place, Value, plain_scalar};

/// Maps with more keys are left to the parser in full, which looks for twins in better than square time.
const MAX_KEYS: usize = 64;

/// Reads a document of the plain kind. Of the map under `spec` only the keys in `keep`
/// have their values, everything else is [`Value::Null`], though checked all the same.
/// With an empty `keep` all values are kept.
pub(super) fn parse(text: &str, keep: &[&str]) -> Option<Node> {
    // Everything but line feeds and printable ASCII has rules of its own.
    if !text
        .bytes()
        .all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte))
    {
        return None;
    }
    let mut lines = Lines {
        rest: text,
        number: 0,
        current: None,
    };
    lines.advance();
    let mut reader = Reader { lines, keep };
    let first = reader.lines.current?;
    if first.indent != 0 {
        return None;
    }
    let whole = keep.is_empty();
    let root = reader.block(0, 0, if whole { Kept::Yes } else { Kept::Root })?;
    if reader.lines.current.is_some() {
        return None;
    }
    Some(Node {
        value: root,
        place: Place {
            line: first.number,
            column: 1,
        },
    })
}

/// How much of what is being read is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// The map at the top: `spec` is looked into.
    Root,
    /// The map under `spec`: what is in `keep` is kept.
    Spec,
    Yes,
    No,
}

/// A line with something on it: the part after its indentation, and where that is.
#[derive(Clone, Copy)]
struct Line<'a> {
    content: &'a str,
    indent: usize,
    number: u32,
}

struct Lines<'a> {
    rest: &'a str,
    number: u32,
    current: Option<Line<'a>>,
}

impl Lines<'_> {
    /// Goes to the next line that is neither empty nor a comment.
    fn advance(&mut self) {
        self.current = None;
        while !self.rest.is_empty() {
            let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            self.rest = rest;
            self.number += 1;
            let content = line.trim_start_matches(' ');
            if !content.is_empty() && !content.starts_with('#') {
                let indent = line.len() - content.len();
                self.current = Some(Line {
                    content: content.trim_end_matches(' '),
                    indent,
                    number: self.number,
                });
                return;
            }
        }
    }
}

struct Reader<'a, 'k> {
    lines: Lines<'a>,
    keep: &'k [&'k str],
}

impl<'a> Reader<'a, '_> {
    /// The map or list whose lines begin at this indentation.
    fn block(&mut self, indent: usize, depth: usize, kept: Kept) -> Option<Value> {
        if depth >= MAX_DEPTH {
            return None;
        }
        let line = self.lines.current?;
        if is_item(line.content) {
            self.list(indent, depth, kept)
        } else {
            self.map(indent, depth, kept)
        }
    }

    fn map(&mut self, indent: usize, depth: usize, kept: Kept) -> Option<Value> {
        let mut entries = Vec::new();
        let mut keys: Vec<&'a str> = Vec::with_capacity(8);
        while let Some(line) = self.lines.current.filter(|line| line.indent == indent) {
            if is_item(line.content) {
                return None;
            }
            let (key, value) = split_key(line.content)?;
            if keys.len() >= MAX_KEYS || keys.contains(&key) {
                return None;
            }
            keys.push(key);
            let inside = match kept {
                Kept::Root if key == "spec" => Kept::Spec,
                Kept::Spec if self.keep.contains(&key) => Kept::Yes,
                Kept::Yes => Kept::Yes,
                Kept::Root | Kept::Spec | Kept::No => Kept::No,
            };
            let node = self.value_of(line, line.content.len() - value.len(), value, depth, inside)?;
            if kept != Kept::No {
                entries.push(Entry {
                    key: key.into(),
                    place: place(line, 0),
                    node,
                });
            }
        }
        // A line that is deeper than its neighbours, or belongs to nobody.
        if self.lines.current.is_some_and(|line| line.indent > indent) {
            return None;
        }
        Some(if kept == Kept::No {
            Value::Null
        } else {
            Value::Map(entries)
        })
    }

    fn list(&mut self, indent: usize, depth: usize, kept: Kept) -> Option<Value> {
        let mut items = Vec::new();
        while let Some(line) = self.lines.current.filter(|line| line.indent == indent) {
            if !is_item(line.content) {
                break;
            }
            let content = line.content.get(2..)?;
            let node = if split_key(content).is_some() {
                // `- key: value` begins a map two columns further in.
                let line = Line {
                    content,
                    indent: indent + 2,
                    number: line.number,
                };
                self.lines.current = Some(line);
                let value = self.map(indent + 2, depth + 1, kept)?;
                Node {
                    value,
                    place: place(line, 0),
                }
            } else {
                self.lines.advance();
                let node = scalar(line, 2, content, kept)?;
                self.ends_here(indent)?;
                node
            };
            if kept != Kept::No {
                items.push(node);
            }
        }
        if self.lines.current.is_some_and(|line| line.indent > indent) {
            return None;
        }
        Some(if kept == Kept::No {
            Value::Null
        } else {
            Value::List(items)
        })
    }

    /// What stands behind a key: on its line, or as a block below it.
    fn value_of(&mut self, line: Line<'a>, at: usize, value: &str, depth: usize, kept: Kept) -> Option<Node> {
        self.lines.advance();
        if !value.is_empty() {
            let node = scalar(line, at, value, kept)?;
            self.ends_here(line.indent)?;
            return Some(node);
        }
        match self.lines.current {
            // A list may stand as far out as the key that it belongs to.
            Some(next)
                if next.indent > line.indent || (next.indent == line.indent && is_item(next.content)) =>
            {
                let value = self.block(next.indent, depth + 1, kept)?;
                // The full parser puts such a list where its first item is.
                let offset = if next.indent == line.indent { 2 } else { 0 };
                Some(Node {
                    value,
                    place: place(next, offset),
                })
            }
            // A null's place is nowhere in particular: the full parser puts it behind the colon.
            _ => Some(Node {
                value: Value::Null,
                place: place(line, line.content.len()),
            }),
        }
    }

    /// A scalar goes on in deeper lines; that is left to the parser in full.
    fn ends_here(&self, indent: usize) -> Option<()> {
        self.lines
            .current
            .is_none_or(|next| next.indent <= indent)
            .then_some(())
    }
}

fn place(line: Line<'_>, offset: usize) -> Place {
    Place {
        line: line.number,
        column: u32::try_from(line.indent + offset + 1).unwrap_or(u32::MAX),
    }
}

fn is_item(content: &str) -> bool {
    content.starts_with("- ")
}

/// `key:` and `key: value`, with a key that is a word and nothing that YAML reads as anything else.
fn split_key(content: &str) -> Option<(&str, &str)> {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/');
    let end = content.bytes().position(|byte| !word(&byte))?;
    let (key, rest) = content.split_at_checked(end)?;
    let value = rest.strip_prefix(':')?;
    let begins_well = key.starts_with(|c: char| c.is_ascii_alphabetic());
    let behind = value.is_empty() || value.starts_with(' ');
    let is_text = matches!(plain_scalar(key), Value::Text(_));
    (begins_well && behind && is_text && key != "sops").then(|| (key, value.trim_start_matches(' ')))
}

/// A scalar that is all on its line.
fn scalar(line: Line<'_>, at: usize, text: &str, kept: Kept) -> Option<Node> {
    let value = match *text.as_bytes().first()? {
        b'[' if text == "[]" => Value::List(Vec::new()),
        b'{' if text == "{}" => Value::Map(Vec::new()),
        quote @ (b'\'' | b'"') => {
            let inner = text.get(1..)?.strip_suffix(char::from(quote))?;
            if inner.bytes().any(|byte| byte == quote || byte == b'\\') {
                return None;
            }
            if kept == Kept::No {
                Value::Null
            } else {
                Value::Text(inner.into())
            }
        }
        first if first.is_ascii_alphanumeric() || first == b'/' => {
            let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./@+=, ".contains(&byte);
            // A colon is part of a URL when something follows it at once.
            let colons = |at: usize| text.as_bytes().get(at + 1).is_some_and(|next| *next != b' ');
            let plain = text
                .bytes()
                .enumerate()
                .all(|(at, byte)| safe(byte) || (byte == b':' && colons(at)));
            if !plain {
                return None;
            }
            if kept == Kept::No {
                Value::Null
            } else {
                plain_scalar(text)
            }
        }
        _ => return None,
    };
    let at = if kept == Kept::No { 0 } else { at };
    Some(Node {
        value,
        place: place(line, at),
    })
}
