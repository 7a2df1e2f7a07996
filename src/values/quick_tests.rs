use proptest::prelude::*;

use super::quick;
use super::yaml::{self, Node, Value};

/// Nulls stand nowhere, so their places say nothing.
fn without_places_of_nulls(mut node: Node) -> Node {
    match &mut node.value {
        Value::Null => node.place = yaml::Place::default(),
        Value::List(items) => {
            *items = std::mem::take(items)
                .into_iter()
                .map(without_places_of_nulls)
                .collect();
        }
        Value::Map(entries) => {
            for entry in entries {
                entry.node = without_places_of_nulls(entry.node.clone());
            }
        }
        _ => {}
    }
    node
}

/// What is read quickly must be what is read in full; what is pruned must be YAML all the same.
fn agree(text: &str) {
    let full = yaml::parse(text);
    if let Some(quick) = quick::parse(text, &[]) {
        let full = full
            .clone()
            .unwrap_or_else(|error| panic!("{text:?} is read quickly, and is no YAML: {error}"));
        assert_eq!(
            without_places_of_nulls(quick),
            without_places_of_nulls(full),
            "{text:?}"
        );
    }
    if let Some(pruned) = quick::parse(text, &["harbor", "oidc"]) {
        let full = full.unwrap_or_else(|error| panic!("{text:?} is pruned, and is no YAML: {error}"));
        for key in ["harbor", "oidc"] {
            let of = |node: &Node| {
                node.get("spec")
                    .and_then(|spec| spec.get(key))
                    .cloned()
                    .map(without_places_of_nulls)
            };
            assert_eq!(of(&pruned), of(&full), "{text:?}");
        }
    }
}

const SETTINGS: &str = "kind: AplTeamSettingSet
metadata:
    name: demo
    labels:
        apl.io/teamId: demo
spec:
    # A comment of its own line.
    alerts:
        receivers:
            - slack
        url: https://example.org:8080/x

    oidc:
        groupMapping: 'some group'
    harbor:
      storageQuota: 10Gi
      none:
    resourceQuota:
    - name: pods
      value: '50'
    - name: services.loadbalancers
      value: \"0\"
    selfService:
        apps: []
        service: {}
        policies:
            - edit policies
";

#[test]
fn settings_as_otomi_writes_them_are_read_quickly() {
    assert!(quick::parse(SETTINGS, &[]).is_some());
    agree(SETTINGS);
    let pruned = quick::parse(SETTINGS, &["harbor"]).unwrap();
    let spec = pruned.get("spec").unwrap();
    assert_eq!(
        spec.get("harbor")
            .and_then(|h| h.get("storageQuota"))
            .unwrap()
            .value,
        Value::Text("10Gi".into())
    );
    assert_eq!(spec.get("selfService").unwrap().value, Value::Null);
}

#[test]
fn whatever_is_out_of_the_ordinary_is_left_to_the_parser_in_full() {
    for text in [
        "a: 1\na: 2\n",
        "a: |\n  x\n",
        "a: &x 1\n",
        "a: *x\n",
        "a: !t 1\n",
        "a: 1 # c\n",
        "a: [1]\n",
        "a: b: c\n",
        "a: x\n  y\n",
        "\ta: 1\n",
        "a: 1\r\n",
        "a: é\n",
        "---\na: 1\n",
        "a: 'it''s'\n",
        "a: \"\\n\"\n",
        "true: 1\n",
        "1: 1\n",
        "<<: x\n",
        "? a\n",
        "a:\n    b: 1\n  c: 2\n",
        "  a: 1\nb: 2\n",
        "- a\nb: 1\n",
        "a: - b\n",
        "- - a\n",
        "a: %x\n",
        "sops:\n  mac: x\n",
        "a:x\n",
        "...\n",
        "",
        "a: x:\n",
        "a: 'x' y\n",
        "a: -1\n",
        "a:\n- b\n  c\n",
    ] {
        assert!(quick::parse(text, &[]).is_none(), "{text:?}");
        assert!(quick::parse(text, &["x"]).is_none(), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn both_parsers_agree_on_settings_with_anything_wrong(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), "[-a1:'\"\\[\\]{}#&*!|>%@`, \n\t]{0,3}", 0..3usize), 1..4),
    ) {
        let mut text = SETTINGS.to_owned();
        for (at, insert, remove) in edits {
            let at = at.index(text.len());
            let end = (at + remove).min(text.len());
            text.replace_range(at..end, &insert);
        }
        agree(&text);
    }

    #[test]
    fn both_parsers_agree_on_lines_of_any_shape(
        lines in proptest::collection::vec((0..4usize, "(- )?(- )?((spec|harbor|oidc|a|b.c|no|true|null|1)(:| :|: ))?( ?)(x|x y|12|'q'|\"d\"|\\[\\]|\\{\\}|true|~|null|-|a:b|a: b|0x1|1e3|01|http://x:1/|)( ?)"), 0..9),
    ) {
        let lines: Vec<String> = lines.iter().map(|(indent, line)| format!("{}{line}", " ".repeat(*indent))).collect();
        let text = lines.join("
");
        agree(&text);
    }
}
