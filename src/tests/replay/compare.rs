//! Comparing an answer with the recorded one: what is the same by value, what only
//! by kind, and which number stands for which.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    client::Answer,
    recording::{Reply, shortened},
};

/// Which of our numbers stands for which recorded one, by the kind of thing.
#[derive(Default)]
pub(super) struct Numbers {
    ours: HashMap<(&'static str, i64), i64>,
    theirs: HashMap<(&'static str, i64), i64>,
}

impl Numbers {
    /// Ties two numbers together, unless one of them is tied to another.
    pub(super) fn tie(&mut self, kind: &'static str, recorded: i64, actual: i64) -> bool {
        let ours = *self.ours.entry((kind, recorded)).or_insert(actual);
        let theirs = *self.theirs.entry((kind, actual)).or_insert(recorded);
        ours == actual && theirs == recorded
    }

    /// Our number for a recorded one.
    pub(super) fn ours(&self, kind: &'static str, recorded: i64) -> Option<i64> {
        self.ours.get(&(kind, recorded)).copied()
    }

    /// Whether a recorded number stands for ours in any way.
    fn may_stand_for(&self, recorded: i64, actual: i64) -> bool {
        recorded == actual
            || self
                .ours
                .iter()
                .any(|((_, theirs), ours)| *theirs == recorded && *ours == actual)
    }
}

/// The headers that are compared; `set-cookie` and `x-request-id` are looked at apart.
const HEADERS: [&str; 6] = [
    "content-type",
    "location",
    "link",
    "x-total-count",
    "vary",
    "www-authenticate",
];

/// What a list at this path lists.
fn kind_of(path: &str) -> &'static str {
    let path = path.split('?').next().unwrap_or_default();
    let last = path
        .split('/')
        .rfind(|part| part.parse::<i64>().is_err() && !part.is_empty());
    match last {
        Some("robots") => "robot",
        Some("users" | "current" | "search" | "sysadmin") if !path.contains("usergroups") => "user",
        Some("usergroups" | "search") => "group",
        Some("quotas") => "quota",
        Some("members") => "member",
        _ => "project",
    }
}

/// Compares, and returns every difference in words.
pub(super) fn differences(
    path: &str,
    request_id: Option<&str>,
    recorded: &Reply,
    actual: &Answer,
    numbers: &mut Numbers,
) -> Vec<String> {
    let mut found = Vec::new();
    if recorded.status != actual.status {
        found.push(format!(
            "status: recorded {}, ours {}",
            recorded.status, actual.status
        ));
    }
    for name in HEADERS {
        let theirs = recorded.headers.get(name).map(String::as_str);
        let ours = actual.header(name);
        let same = match (name, theirs, ours) {
            ("location", Some(theirs), Some(ours)) => same_location(theirs, ours, numbers),
            (_, theirs, ours) => theirs == ours,
        };
        if !same {
            found.push(format!("header {name}: recorded {theirs:?}, ours {ours:?}"));
        }
    }
    compare_cookies(recorded, actual, &mut found);
    if let Some(id) = request_id
        && actual.header("x-request-id") != Some(id)
    {
        found.push(format!(
            "header x-request-id: sent {id:?}, came back {:?}",
            actual.header("x-request-id")
        ));
    }
    let token = |present: bool| if present { "a token" } else { "none" };
    let (theirs, ours) = (
        recorded.headers.contains_key("x-harbor-csrf-token"),
        actual.header("x-harbor-csrf-token").is_some(),
    );
    if theirs != ours {
        found.push(format!(
            "header x-harbor-csrf-token: recorded {}, ours {}",
            token(theirs),
            token(ours)
        ));
    }
    compare_bodies(
        path,
        recorded.body.as_deref().unwrap_or_default(),
        &actual.body,
        numbers,
        &mut found,
    );
    found
}

fn compare_cookies(recorded: &Reply, actual: &Answer, found: &mut Vec<String>) {
    // Only names and attributes: the values are secrets, and the end is a time.
    let shape = |cookie: &str| -> String {
        let parts = cookie
            .split(';')
            .map(str::trim)
            .map(|part| match part.split_once('=') {
                Some((name @ ("sid" | "_gorilla_csrf" | "Expires"), _)) => format!("{name}=…"),
                _ => part.to_owned(),
            });
        parts.collect::<Vec<_>>().join("; ")
    };
    let theirs = recorded.headers.get("set-cookie").map_or("", String::as_str);
    // Two cookies were recorded in one line, with a line break or a comma between.
    let theirs = theirs
        .replace(", sid=", "\nsid=")
        .replace(", _gorilla", "\n_gorilla");
    let theirs: Vec<String> = theirs.lines().map(shape).collect();
    let ours: Vec<String> = actual.all("set-cookie").map(shape).collect();
    if theirs != ours {
        found.push(format!("set-cookie: recorded {theirs:?}, ours {ours:?}"));
    }
}

fn same_location(theirs: &str, ours: &str, numbers: &mut Numbers) -> bool {
    let (Some((their_base, their_end)), Some((our_base, our_end))) =
        (theirs.rsplit_once('/'), ours.rsplit_once('/'))
    else {
        return theirs == ours;
    };
    let same_end = match (their_end.parse(), our_end.parse()) {
        (Ok(recorded), Ok(actual)) => numbers.tie(kind_of(their_base), recorded, actual),
        _ => their_end == our_end,
    };
    their_base == our_base && same_end
}

fn compare_bodies(path: &str, recorded: &str, actual: &str, numbers: &mut Numbers, found: &mut Vec<String>) {
    if let Some((start, length)) = shortened(recorded) {
        if start.ends_with("\"<jwt>") {
            // A token of ours is signed in another way, and so of another length.
            let answer: Value = serde_json::from_str(actual).unwrap_or_default();
            if answer["token"]
                .as_str()
                .is_none_or(|token| token.split('.').count() != 3)
            {
                found.push(format!("body: recorded a token, ours is {actual}"));
            }
            return;
        }
        // Only the beginning is known, and numbers in it may be others.
        let mask = |text: &str| {
            text.split(|c: char| c.is_ascii_digit())
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join("0")
        };
        if !mask(actual).starts_with(&mask(start)) {
            found.push(format!("body: recorded to begin with {start}, ours is {actual}"));
        }
        if actual.len().abs_diff(length) > 16 {
            found.push(format!("body: recorded {length} bytes, ours {}", actual.len()));
        }
        return;
    }
    match (
        serde_json::from_str::<Value>(recorded),
        serde_json::from_str::<Value>(actual),
    ) {
        (Ok(theirs), Ok(ours)) => {
            if recorded.ends_with('\n') != actual.ends_with('\n') {
                found.push("body: one of the two ends with a line break".to_owned());
            }
            let mut comparison = Comparison {
                kind: kind_of(path),
                numbers,
                found,
            };
            comparison.values("", &theirs, &ours, None);
        }
        _ if recorded == actual => {}
        _ => found.push(format!("body: recorded {recorded:?}, ours {actual:?}")),
    }
}

struct Comparison<'a> {
    /// What an `id` at the top is the number of.
    kind: &'static str,
    numbers: &'a mut Numbers,
    found: &'a mut Vec<String>,
}

impl Comparison<'_> {
    fn values(&mut self, place: &str, theirs: &Value, ours: &Value, around: Option<&Value>) {
        match (theirs, ours) {
            (Value::Object(recorded), Value::Object(actual)) => {
                for (key, value) in recorded {
                    match actual.get(key) {
                        Some(other) => self.values(&format!("{place}/{key}"), value, other, Some(theirs)),
                        None => self
                            .found
                            .push(format!("body {place}/{key}: recorded {value}, ours has none")),
                    }
                }
                for (key, value) in actual.iter().filter(|(key, _)| !recorded.contains_key(*key)) {
                    self.found
                        .push(format!("body {place}/{key}: ours is {value}, recorded none"));
                }
                self.expiry(place, theirs, ours);
            }
            (Value::Array(recorded), Value::Array(actual)) => {
                if recorded.len() != actual.len() {
                    let (theirs, ours) = (recorded.len(), actual.len());
                    self.found.push(format!(
                        "body {place}: recorded {theirs} entries, ours {ours}: {}",
                        Value::Array(actual.clone())
                    ));
                }
                // Harbor gathers a robot's scopes in a map without order.
                let (recorded, actual) = if place.ends_with("/permissions") {
                    (by_scope(recorded), by_scope(actual))
                } else {
                    (recorded.clone(), actual.clone())
                };
                for (index, (one, other)) in recorded.iter().zip(&actual).enumerate() {
                    self.values(&format!("{place}/{index}"), one, other, Some(theirs));
                }
            }
            (Value::Number(recorded), Value::Number(actual)) => {
                let (Some(recorded), Some(actual)) = (recorded.as_i64(), actual.as_i64()) else {
                    return;
                };
                let same = match self.number_kind(place, around) {
                    Some(kind) => self.numbers.tie(kind, recorded, actual),
                    // Looked at with the time it counts from.
                    None if place.ends_with("/expires_at") => (recorded > 0) == (actual > 0),
                    None => recorded == actual,
                };
                if !same {
                    self.found
                        .push(format!("body {place}: recorded {recorded}, ours {actual}"));
                }
            }
            (Value::String(recorded), Value::String(actual)) => {
                if !self.same_text(place, recorded, actual) {
                    self.found
                        .push(format!("body {place}: recorded {recorded:?}, ours {actual:?}"));
                }
            }
            (theirs, ours) if theirs == ours => {}
            (theirs, ours) => self
                .found
                .push(format!("body {place}: recorded {theirs}, ours {ours}")),
        }
    }

    /// Of which kind of thing a number in a body is the number, if of any.
    fn number_kind(&self, place: &str, around: Option<&Value>) -> Option<&'static str> {
        let sibling = |key: &str| around.and_then(|around| around[key].as_str());
        match place.rsplit('/').next()? {
            "entity_id" if sibling("entity_type") == Some("g") => Some("group"),
            "creator_ref" if sibling("creator_type") == Some("robot") => Some("robot"),
            "owner_id" | "user_id" | "entity_id" | "creator_ref" => Some("user"),
            "id" if place.ends_with("cve_allowlist/id") => Some("allowlist"),
            "id" if place.ends_with("oidc_user_meta/id") => Some("identity"),
            "id" if !place.ends_with("/ref/id") => Some(self.kind),
            "id" | "project_id" => Some("project"),
            _ => None,
        }
    }

    fn same_text(&self, place: &str, recorded: &str, actual: &str) -> bool {
        if let Some(length) = recorded.strip_prefix("<generated-secret-len") {
            return length.trim_end_matches('>').parse() == Ok(actual.len());
        }
        if recorded.starts_with('<') && recorded.ends_with('>') {
            return !actual.is_empty();
        }
        if is_time(recorded) && !recorded.starts_with("0001") {
            return is_time(actual) && !actual.starts_with("0001");
        }
        if place.ends_with("/message") {
            return same_message(recorded, actual, self.numbers);
        }
        recorded == actual
    }

    /// An expiry is so long after the creation as the recorded one.
    fn expiry(&mut self, place: &str, theirs: &Value, ours: &Value) {
        let span = |robot: &Value| {
            let end = robot["expires_at"].as_i64().filter(|end| *end > 0)?;
            let begin = chrono::DateTime::parse_from_rfc3339(robot["creation_time"].as_str()?).ok()?;
            Some(end - begin.timestamp())
        };
        if let (Some(recorded), Some(actual)) = (span(theirs), span(ours))
            && (recorded - actual).abs() > 5
        {
            self.found.push(format!(
                "body {place}/expires_at: recorded {recorded} s after creation, ours {actual}"
            ));
        }
    }
}

fn by_scope(permissions: &[Value]) -> Vec<Value> {
    let mut sorted = permissions.to_vec();
    sorted.sort_by_key(|permission| format!("{} {}", permission["kind"], permission["namespace"]));
    sorted
}

fn is_time(text: &str) -> bool {
    text.len() == 24 && chrono::DateTime::parse_from_rfc3339(text).is_ok()
}

/// Messages are the same but for numbers that stand for each other, and for the
/// order of the methods that a path has, which Harbor gathers in a map.
fn same_message(recorded: &str, actual: &str, numbers: &Numbers) -> bool {
    if let (Some((start, theirs)), Some((other_start, ours))) =
        (recorded.split_once("but ["), actual.split_once("but ["))
    {
        let sorted = |list: &str| -> Vec<String> {
            let mut methods: Vec<String> = list
                .trim_end_matches("] are")
                .split(',')
                .map(str::to_owned)
                .collect();
            methods.sort();
            methods
        };
        return start == other_start && sorted(theirs) == sorted(ours);
    }
    let (theirs, ours) = (parts(recorded), parts(actual));
    theirs.len() == ours.len()
        && theirs
            .iter()
            .zip(&ours)
            .all(|(one, other)| match (one.parse::<i64>(), other.parse::<i64>()) {
                (Ok(one), Ok(other)) => numbers.may_stand_for(one, other),
                _ => one == other,
            })
}

/// A text cut where digits begin and end.
fn parts(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for c in text.chars() {
        match parts.last_mut() {
            Some(part) if part.ends_with(|last: char| last.is_ascii_digit()) == c.is_ascii_digit() => {
                part.push(c);
            }
            _ => parts.push(c.to_string()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(recorded: &str, actual: &str) -> Vec<String> {
        let recorded = Reply {
            status: 200,
            headers: [].into(),
            body: Some(recorded.to_owned()),
        };
        let actual = Answer {
            status: 200,
            headers: Vec::new(),
            body: actual.to_owned(),
        };
        differences(
            "/api/v2.0/robots",
            None,
            &recorded,
            &actual,
            &mut Numbers::default(),
        )
    }

    #[test]
    fn what_may_differ_does_not_count_and_what_may_not_does() {
        let recorded = r#"[{"id":7,"creator_ref":1,"creator_type":"local","creation_time":"2026-11-24T04:19:04.768Z","expires_at":1795580409,"name":"a"}]"#;
        let other = r#"[{"id":3,"creator_ref":1,"creator_type":"local","creation_time":"2026-11-24T05:19:04.001Z","expires_at":1795584009,"name":"a"}]"#;
        assert_eq!(compare(recorded, other), Vec::<String>::new());
        for (from, to) in [
            ("\"a\"", "\"b\""),
            ("1795584009", "-1"),
            ("1795584009", "1795594009"),
            ("local", "robot"),
            ("2026-11-24T05:19:04.001Z", "0001-01-01T00:00:00.000Z"),
            ("\"id\":3,", ""),
            ("\"id\":3,", "\"id\":3,\"new\":1,"),
        ] {
            assert!(
                !compare(recorded, &other.replace(from, to)).is_empty(),
                "{from} as {to}"
            );
        }
    }

    #[test]
    fn a_number_stands_for_one_number_only() {
        let mut numbers = Numbers::default();
        assert!(numbers.tie("robot", 7, 3) && numbers.tie("robot", 7, 3) && numbers.tie("user", 7, 4));
        assert!(!numbers.tie("robot", 7, 4) && !numbers.tie("robot", 8, 3));
    }
}
