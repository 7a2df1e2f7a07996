//! Which paths the API has. The list is that of the API's own description, so that
//! a path which Harbor has and this stand-in lacks can be told from one that
//! nobody has.

use std::sync::LazyLock;

/// Where every path of the list begins.
pub(super) const BASE: &str = "/api/v2.0";

/// A path of the API, its variable segments in braces.
pub(super) struct Route {
    pub(super) template: &'static str,
    methods: Vec<&'static str>,
    segments: Vec<&'static str>,
}

/// What a path leads to.
pub(super) enum Found {
    /// A route that has the method, with the values of the variable segments.
    Route(&'static Route, Vec<String>),
    /// A route that has other methods.
    Methods(&'static Route),
    /// No route.
    Nothing,
}

static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let lines = include_str!("routes.txt")
        .lines()
        .filter_map(|line| line.split_once(' '));
    lines
        .map(|(methods, template)| Route {
            template,
            methods: methods.split(',').collect(),
            segments: template.trim_matches('/').split('/').collect(),
        })
        .collect()
});

/// Looks a path up, as sent and without [`BASE`].
pub(super) fn find(method: &str, path: &str) -> Found {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    // Of routes that fit, the one with more fixed segments is meant.
    let best = ROUTES
        .iter()
        .filter(|route| route.segments.len() == segments.len())
        .filter(|route| {
            route
                .segments
                .iter()
                .zip(&segments)
                .all(|(ours, theirs)| is_variable(ours) || ours == theirs)
        })
        .min_by_key(|route| {
            route
                .segments
                .iter()
                .filter(|segment| is_variable(segment))
                .count()
        });
    let Some(route) = best else { return Found::Nothing };
    if !route.methods.contains(&method) {
        return Found::Methods(route);
    }
    let values = route
        .segments
        .iter()
        .zip(&segments)
        .filter(|(ours, _)| is_variable(ours));
    Found::Route(route, values.map(|(_, value)| decode(value)).collect())
}

impl Route {
    pub(super) fn methods(&self) -> &[&'static str] {
        &self.methods
    }
}

fn is_variable(segment: &str) -> bool {
    segment.starts_with('{')
}

/// Percent-decodes a segment.
fn decode(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(method: &str, path: &str) -> Option<&'static str> {
        match find(method, path) {
            Found::Route(route, _) => Some(route.template),
            _ => None,
        }
    }

    #[test]
    fn a_fixed_segment_goes_before_a_variable_one() {
        assert_eq!(template("GET", "/users/current"), Some("/users/current"));
        assert_eq!(template("GET", "/users/7"), Some("/users/{user_id}"));
        assert_eq!(
            template("GET", "/projects/a/metadatas"),
            Some("/projects/{project_name_or_id}/metadatas/")
        );
        assert_eq!(template("GET", "/nothing"), None);
        assert!(matches!(find("PATCH", "/users/7"), Found::Methods(_)));
    }

    #[test]
    fn variable_segments_are_decoded() {
        let Found::Route(_, values) = find("GET", "/projects/a%20b%2") else {
            panic!("no route")
        };
        assert_eq!(values, ["a b%2"]);
    }
}
