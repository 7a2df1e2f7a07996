use std::fmt::Write as _;

use proptest::prelude::*;

use super::document::{Document, Parsed};
use super::yaml::{MAX_DEPTH, Node, Place, Value, parse};
use super::{Fault, Scope};

fn value(text: &str) -> Value {
    let node = parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    node.get("a").map_or(Value::Null, |node| node.value.clone())
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn error(text: &str) -> (String, u32, u32) {
    let error = parse(text).expect_err(text);
    (error.message, error.place.line, error.place.column)
}

fn document(bytes: &[u8]) -> Result<Node, Box<Fault>> {
    match Document::parse("env/x.yaml", bytes.to_vec(), &Scope::Shared, None) {
        Ok(Parsed::Document(document)) => Ok(document.root),
        Ok(Parsed::Encrypted) => panic!("the document was taken for an encrypted one"),
        Err(fault) => Err(fault),
    }
}

#[test]
fn plain_scalars_are_read_by_the_core_schema() {
    for word in [
        "yes",
        "no",
        "on",
        "off",
        "y",
        "012",
        "-007",
        "1_000",
        "0b1",
        "1:30",
        ".inf",
        ".",
        "-",
        "1e",
        "0x",
        "2020-01-01",
    ] {
        if word != "-" {
            assert_eq!(value(&format!("a: {word}")), text(word), "{word}");
        }
    }
    for number in ["0", "12", "-3", "1.5", ".5", "1e3", "0x1F", "0o17"] {
        assert_eq!(
            value(&format!("a: {number}")),
            Value::Number(number.into()),
            "{number}"
        );
    }
    for (word, expected) in [("true", true), ("True", true), ("FALSE", false)] {
        assert_eq!(value(&format!("a: {word}")), Value::Bool(expected));
    }
    for null in ["", "~", "null", "NULL"] {
        assert_eq!(value(&format!("a: {null}")), Value::Null);
    }
    for quoted in ["'true'", "\"true\"", "!!str true", "! true"] {
        assert_eq!(value(&format!("a: {quoted}")), text("true"), "{quoted}");
    }
}

#[test]
fn every_node_knows_its_place() {
    let node = parse("a:\n  bé: [x,  y]\n").unwrap();
    let inner = node.get("a").and_then(|a| a.get("bé")).unwrap();
    assert_eq!(inner.place, Place { line: 2, column: 7 });
    let Value::List(items) = &inner.value else {
        panic!("a list")
    };
    assert_eq!(items[1].place, Place { line: 2, column: 12 });
}

#[test]
fn empty_files_windows_line_ends_and_a_byte_order_mark_are_fine() {
    for empty in ["", "\n", "# nothing\n", "---\n", "\u{feff}"] {
        assert_eq!(
            document(empty.as_bytes()).unwrap().value,
            Value::Null,
            "{empty:?}"
        );
    }
    let node = document("\u{feff}a: 1\r\nb:\r\n  c: x\r\n".as_bytes()).unwrap();
    assert_eq!(node.get("a").unwrap().place, Place { line: 1, column: 4 });
    assert_eq!(node.get("b").and_then(|b| b.get("c")).unwrap().value, text("x"));
}

#[test]
fn what_is_no_single_document_is_refused_where_it_stops_being_one() {
    assert_eq!(
        error("a: 1\nb: 2\na: 3\n"),
        ("the key \"a\" stands here a second time".into(), 3, 1)
    );
    assert_eq!(
        error("a: 1\n---\nb: 2\n"),
        ("a second document begins here".into(), 2, 1)
    );
    assert_eq!(error("a: 1\nb: [\n").1, 2);
    assert_eq!(error("a: !Foo 1\n").0, "the tag !Foo is not known");
    assert_eq!(error("a: 1\n? [x]\n: 2\n").0, "a list is no key");
    assert_eq!(error("a: *nobody\n").1, 1);
    assert_eq!(error("a: &x [*x]\n").0, "this alias is used inside what it names");
    assert_eq!(error("<<: 1\n").0, "`<<` must name a map, or a list of maps");
}

#[test]
fn a_key_stands_once_in_a_large_map_too() {
    let mut large = String::new();
    for n in 0..1000 {
        writeln!(large, "k{n}: {n}").unwrap();
    }
    assert!(parse(&large).is_ok());
    large.push_str("k500: again\n");
    assert_eq!(error(&large).1, 1001);
}

#[test]
fn merged_keys_yield_to_the_map_s_own() {
    let node = parse("base: &b {x: 1, y: 2}\na:\n  <<: *b\n  y: 3\n").unwrap();
    let a = node.get("a").unwrap();
    assert_eq!(a.get("x").unwrap().value, Value::Number("1".into()));
    assert_eq!(a.get("y").unwrap().value, Value::Number("3".into()));
    assert!(a.get("<<").is_none());
}

#[test]
fn an_alias_bomb_is_refused_before_it_goes_off() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    let refused = parse(&bomb).unwrap_err();
    assert!(refused.message.contains("more than 1000000 values"), "{refused}");
}

#[test]
fn deep_nesting_is_refused() {
    for brackets in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
        let refused = parse(&brackets).unwrap_err();
        assert_eq!(refused.place.line, 1, "{refused}");
    }
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    assert!(parse(&nested(MAX_DEPTH + 1)).is_err());
}

#[test]
fn bytes_that_are_not_utf8_are_refused_at_their_place() {
    let fault = document(b"a: 1\nb: x\xff\n").unwrap_err();
    assert_eq!((fault.line, fault.column), (Some(2), Some(5)));
}

#[test]
fn an_encrypted_file_is_skipped_even_when_it_is_not_called_a_secret() {
    let encrypted = b"a: ENC[AES256_GCM,data:xx]\nsops:\n  mac: ENC[x]\n  version: 3.7\n";
    for file in ["env/secrets.teams.yaml", "env/teams.yaml"] {
        let parsed = Document::parse(file, encrypted.to_vec(), &Scope::Shared, None);
        assert!(matches!(parsed, Ok(Parsed::Encrypted)), "{file}");
    }
    assert!(document(b"sops: {enabled: true}\n").is_ok());
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Document::parse("env/x.yaml", bytes, &Scope::Shared, None);
    }

    #[test]
    fn no_text_of_yaml_s_own_characters_makes_the_parser_panic(text in "[-a{}\\[\\]:,&*!|>'\"%@`#?~<= \n\t\r0é\u{feff}]{0,200}") {
        if let Err(fault) = document(text.as_bytes()) {
            let _ = crate::snapshot::render(&[*fault], true);
        }
    }
}
