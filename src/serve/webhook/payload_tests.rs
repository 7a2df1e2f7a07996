//! No payload makes the reading panic, and what the reading finds is a plain fact of it.

use proptest::prelude::*;
use serde_json::Value;

use super::host::Host;
use super::payload;
use super::sender_tests::fixtures;
use super::subject::{RepositoryName, Subject};

/// Words of the hosts' payloads, so that arbitrary JSON gets somewhere.
const WORDS: [&str; 32] = [
    "ref",
    "after",
    "before",
    "ref_type",
    "repository",
    "clone_url",
    "full_name",
    "default_branch",
    "project",
    "git_http_url",
    "key",
    "slug",
    "links",
    "clone",
    "html",
    "href",
    "push",
    "changes",
    "new",
    "old",
    "name",
    "type",
    "target",
    "hash",
    "refId",
    "toHash",
    "id",
    "resource",
    "refUpdates",
    "remoteUrl",
    "object_kind",
    "subscriptionId",
];

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::String),
        "(refs/(heads|tags)/)?[a-z/]{0,6}".prop_map(Value::String),
        "(https|ssh)?(://)?[a-z@:]{0,6}/?(é|_git|v3|/|:|\\[|\\]|[.]git){0,4}".prop_map(Value::String),
        "[0-9a-f]{40}".prop_map(Value::String),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        let key = prop_oneof![
            4 => proptest::sample::select(&WORDS[..]).prop_map(str::to_owned),
            1 => ".{0,4}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((key, inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn event() -> impl Strategy<Value = Option<&'static str>> {
    proptest::sample::select(vec![
        None,
        Some("push"),
        Some("ping"),
        Some("delete"),
        Some("repo:push"),
        Some("repo:refs_changed"),
        Some("diagnostics:ping"),
        Some("Push Hook"),
    ])
}

fn look(host: Host, event: Option<&str>, body: &Value) {
    let said = payload::read(host, event, body);
    let subject = Subject {
        repository: RepositoryName::parse("https://git.example.com/otomi/values"),
        reference: None,
    };
    let verdict = subject.judge(&said);
    if let Some(commit) = verdict.commit {
        assert!(body.to_string().to_lowercase().contains(&commit));
    }
}

proptest! {
    #[test]
    fn no_json_makes_the_reading_panic(body in json(), event in event()) {
        for host in Host::ALL {
            look(host, event, &body);
        }
    }

    #[test]
    fn no_text_makes_a_name_panic(text in ".{0,40}") {
        if let Some(name) = RepositoryName::parse(&text) {
            prop_assert!(name.may_be(&name));
        }
    }

    #[test]
    fn no_bytes_make_the_body_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        form in any::<bool>(),
    ) {
        let kind = if form { "application/x-www-form-urlencoded" } else { "application/json" };
        payload::json(Some(kind), &bytes).ok();
    }
}

#[test]
fn no_part_of_a_real_delivery_makes_the_reading_panic() {
    let mut read = 0;
    for folder in std::fs::read_dir(fixtures()).unwrap() {
        let folder = folder.unwrap().path();
        for entry in folder.read_dir().into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let whole = std::fs::read(&path).unwrap();
            for end in 0..whole.len() {
                assert!(
                    payload::json(Some("application/json"), &whole[..end]).is_err() || whole[end..] == *b"\n"
                );
            }
            let body: Value = serde_json::from_slice(&whole).unwrap();
            for body in without_each_field(&body) {
                for host in Host::ALL {
                    look(host, Some("push"), &body);
                    look(host, Some("repo:push"), &body);
                }
                read += 1;
            }
        }
    }
    assert!(read > 500, "{read}");
}

/// The value with each of its fields in turn, at any depth, made null.
fn without_each_field(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, inner)| {
                let changed = without_each_field(inner).into_iter().chain([Value::Null]);
                changed.map(move |inner| {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), inner);
                    Value::Object(fields)
                })
            })
            .collect(),
        Value::Array(items) => (0..items.len())
            .flat_map(|place| {
                let changed = without_each_field(&items[place]).into_iter().chain([Value::Null]);
                changed.map(move |inner| {
                    let mut items = items.clone();
                    items[place] = inner;
                    Value::Array(items)
                })
            })
            .collect(),
        _ => Vec::new(),
    }
}
