//! Text with placeholders in braces, as job files use it: `team-{team}-pull`.

/// Text in which `{name}` stands for a value. `{{` and `}}` are braces themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(String),
}

/// A text that is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    /// A placeholder that has no meaning there.
    #[error("unknown placeholder {{{name}}}")]
    Unknown {
        /// The placeholder, without its braces.
        name: String,
    },
    /// A brace that opens and does not close.
    #[error("a placeholder that does not end: {{{rest}")]
    Unclosed {
        /// What follows the brace.
        rest: String,
    },
    /// A brace that closes nothing.
    #[error("a closing brace without an opening one")]
    StrayBrace,
}

impl Template {
    /// Reads a template whose placeholders are among `known`.
    ///
    /// # Errors
    /// Says which placeholder or brace is wrong.
    pub(super) fn parse(text: &str, known: &[&str]) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let tail = &rest[at..];
            if let Some(after) = tail.strip_prefix("{{") {
                plain.push('{');
                rest = after;
            } else if let Some(after) = tail.strip_prefix("}}") {
                plain.push('}');
                rest = after;
            } else if let Some(after) = tail.strip_prefix('{') {
                let Some((name, after)) = after.split_once('}') else {
                    return Err(TemplateError::Unclosed {
                        rest: after.to_owned(),
                    });
                };
                if !known.contains(&name) {
                    return Err(TemplateError::Unknown {
                        name: name.to_owned(),
                    });
                }
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(Part::Placeholder(name.to_owned()));
                rest = after;
            } else {
                return Err(TemplateError::StrayBrace);
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self { parts })
    }

    /// The text with each placeholder replaced by what `value` says of it.
    pub(super) fn fill<'a>(&self, value: impl Fn(&str) -> &'a str) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.as_str(),
                Part::Placeholder(name) => value(name),
            })
            .collect()
    }

    /// The placeholders, in their order.
    pub(super) fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The placeholder, when the text is nothing but one.
    #[must_use]
    pub(super) fn whole(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Placeholder(name)] => Some(name),
            _ => None,
        }
    }

    /// What stands before and after the placeholder, when there is exactly one.
    #[must_use]
    pub(super) fn around(&self) -> Option<(&str, &str)> {
        match self.parts.as_slice() {
            [Part::Placeholder(_)] => Some(("", "")),
            [Part::Text(before), Part::Placeholder(_)] => Some((before, "")),
            [Part::Placeholder(_), Part::Text(after)] => Some(("", after)),
            [Part::Text(before), Part::Placeholder(_), Part::Text(after)] => Some((before, after)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        Template::parse(text, &["team"]).unwrap().fill(|_| "demo")
    }

    #[test]
    fn a_placeholder_is_replaced_wherever_it_stands() {
        assert_eq!(filled("team-{team}-pull"), "team-demo-pull");
        assert_eq!(filled("{team}{team}"), "demodemo");
        assert_eq!(filled("plain"), "plain");
    }

    #[test]
    fn doubled_braces_are_braces() {
        assert_eq!(filled(r#"{{"hint":"{team}"}}"#), r#"{"hint":"demo"}"#);
    }

    #[test]
    fn what_is_no_template_is_refused() {
        let parse = |text| Template::parse(text, &["team"]).unwrap_err();
        assert_eq!(
            parse("x-{tema}"),
            TemplateError::Unknown {
                name: "tema".to_owned()
            }
        );
        assert_eq!(parse("x-{}"), TemplateError::Unknown { name: String::new() });
        assert_eq!(
            parse("x-{team"),
            TemplateError::Unclosed {
                rest: "team".to_owned()
            }
        );
        assert_eq!(parse("x-team}"), TemplateError::StrayBrace);
    }

    #[test]
    fn only_a_text_that_is_one_placeholder_is_whole() {
        let whole = |text| {
            Template::parse(text, &["team"])
                .unwrap()
                .whole()
                .map(str::to_owned)
        };
        assert_eq!(whole("{team}").as_deref(), Some("team"));
        assert_eq!(whole("{team}-"), None);
        assert_eq!(whole("team"), None);
    }

    #[test]
    fn what_surrounds_a_placeholder_is_told_when_there_is_one() {
        let around = |text| {
            let template = Template::parse(text, &["team"]).unwrap();
            template
                .around()
                .map(|(before, after)| (before.to_owned(), after.to_owned()))
        };
        assert_eq!(
            around("team-{team}-pull"),
            Some(("team-".to_owned(), "-pull".to_owned()))
        );
        assert_eq!(around("team"), None);
        assert_eq!(around("{team}{team}"), None);
    }
}
