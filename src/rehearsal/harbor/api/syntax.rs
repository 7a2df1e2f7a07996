//! What Go's decoder says about text that is no JSON.

use std::{iter::Peekable, str::Chars};

/// The complaint about the first value of a text that does not parse.
pub(super) fn complaint(text: &str) -> String {
    let mut scanner = Scanner {
        rest: text.chars().peekable(),
    };
    match scanner.value("looking for beginning of value") {
        Err(complaint) => complaint,
        // What is well formed and still not accepted is nested too deep.
        Ok(()) => "exceeded max depth".to_owned(),
    }
}

struct Scanner<'a> {
    rest: Peekable<Chars<'a>>,
}

type Step = Result<(), String>;

impl Scanner<'_> {
    fn skip_blanks(&mut self) {
        while self
            .rest
            .next_if(|c| matches!(c, ' ' | '\t' | '\r' | '\n'))
            .is_some()
        {}
    }

    /// The next character that is not blank, taken.
    fn next(&mut self) -> Result<char, String> {
        self.skip_blanks();
        self.rest.next().ok_or_else(end)
    }

    fn value(&mut self, place: &str) -> Step {
        match self.next()? {
            '{' => self.object(),
            '[' => self.array(),
            '"' => self.string(),
            't' => self.literal("true"),
            'f' => self.literal("false"),
            'n' => self.literal("null"),
            c @ ('-' | '0'..='9') => self.number(c),
            c => Err(invalid(c, place)),
        }
    }

    fn object(&mut self) -> Step {
        let mut first = true;
        loop {
            match self.next()? {
                '}' if first => return Ok(()),
                '"' => self.string()?,
                c => return Err(invalid(c, "looking for beginning of object key string")),
            }
            match self.next()? {
                ':' => self.value("looking for beginning of value")?,
                c => return Err(invalid(c, "after object key")),
            }
            match self.next()? {
                ',' => first = false,
                '}' => return Ok(()),
                c => return Err(invalid(c, "after object key:value pair")),
            }
        }
    }

    fn array(&mut self) -> Step {
        self.skip_blanks();
        if self.rest.next_if_eq(&']').is_some() {
            return Ok(());
        }
        loop {
            self.value("looking for beginning of value")?;
            match self.next()? {
                ',' => {}
                ']' => return Ok(()),
                c => return Err(invalid(c, "after array element")),
            }
        }
    }

    fn string(&mut self) -> Step {
        loop {
            match self.rest.next().ok_or_else(end)? {
                '"' => return Ok(()),
                '\\' => match self.rest.next().ok_or_else(end)? {
                    'b' | 'f' | 'n' | 'r' | 't' | '\\' | '/' | '"' => {}
                    'u' => {
                        for _ in 0..4 {
                            let c = self.rest.next().ok_or_else(end)?;
                            if !c.is_ascii_hexdigit() {
                                return Err(invalid(c, "in \\u hexadecimal character escape"));
                            }
                        }
                    }
                    c => return Err(invalid(c, "in string escape code")),
                },
                c if c < ' ' => return Err(invalid(c, "in string literal")),
                _ => {}
            }
        }
    }

    fn literal(&mut self, word: &str) -> Step {
        for expected in word.chars().skip(1) {
            let c = self.rest.next().ok_or_else(end)?;
            if c != expected {
                return Err(invalid(c, &format!("in literal {word} (expecting '{expected}')")));
            }
        }
        Ok(())
    }

    fn digits(&mut self, place: &str) -> Step {
        let c = self.rest.next().ok_or_else(end)?;
        if !c.is_ascii_digit() {
            return Err(invalid(c, place));
        }
        while self.rest.next_if(char::is_ascii_digit).is_some() {}
        Ok(())
    }

    fn number(&mut self, first: char) -> Step {
        let zero = match first {
            '-' if self.rest.next_if_eq(&'0').is_some() => true,
            '-' => {
                self.digits("in numeric literal")?;
                true
            }
            first => first == '0',
        };
        if !zero {
            while self.rest.next_if(char::is_ascii_digit).is_some() {}
        }
        if self.rest.next_if_eq(&'.').is_some() {
            self.digits("after decimal point in numeric literal")?;
        }
        if self.rest.next_if(|c| matches!(c, 'e' | 'E')).is_some() {
            self.rest.next_if(|c| matches!(c, '+' | '-'));
            self.digits("in exponent of numeric literal")?;
        }
        Ok(())
    }
}

fn end() -> String {
    "unexpected EOF".to_owned()
}

fn invalid(c: char, place: &str) -> String {
    let shown = match c {
        '\'' => "\\'".to_owned(),
        '"' => "\"".to_owned(),
        c if c.is_control() => c.escape_debug().to_string(),
        c => c.to_string(),
    };
    format!("invalid character '{shown}' {place}")
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_go() {
        for (text, words) in [
            ("{", "unexpected EOF"),
            (
                "{not json",
                "invalid character 'n' looking for beginning of object key string",
            ),
            (r#"{"a" 1}"#, "invalid character '1' after object key"),
            (
                r#"{"a": 1 "b"}"#,
                "invalid character '\"' after object key:value pair",
            ),
            (
                r#"{"a": 1,}"#,
                "invalid character '}' looking for beginning of object key string",
            ),
            ("[1 2]", "invalid character '2' after array element"),
            ("nul!", "invalid character '!' in literal null (expecting 'l')"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("hello", "invalid character 'h' looking for beginning of value"),
            (r#"{"a": "b\q"}"#, "invalid character 'q' in string escape code"),
        ] {
            assert_eq!(complaint(text), words, "{text}");
        }
    }
}
