//! From `OpenMetrics` to the text that Prometheus had before, which more programs read.
//!
//! They differ in little: the older one names a counter by its samples, with `_total`, and knows
//! neither units nor an end.

use std::collections::BTreeSet;

/// The same metrics in the older format.
pub(super) fn older(openmetrics: &str) -> String {
    let counters: BTreeSet<&str> = openmetrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines() {
        if line == "# EOF" || line.starts_with("# UNIT ") {
            continue;
        }
        match comment(line) {
            Some((kind, name, rest)) if counters.contains(name) => {
                text.extend(["# ", kind, " ", name, "_total ", rest]);
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

/// The parts of `# HELP name …` and `# TYPE name …`.
fn comment(line: &str) -> Option<(&str, &str, &str)> {
    let mut words = line.strip_prefix("# ")?.splitn(3, ' ');
    Some((words.next()?, words.next()?, words.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_named_by_their_samples_and_the_rest_stays() {
        let openmetrics = "\
# HELP calls Calls.
# TYPE calls counter
calls_total{class=\"ok\"} 2
# HELP calls_open Calls under way.
# TYPE calls_open gauge
calls_open 1
# HELP age_seconds Age.
# TYPE age_seconds gauge
# UNIT age_seconds seconds
age_seconds 1.5
# EOF
";
        let text = "\
# HELP calls_total Calls.
# TYPE calls_total counter
calls_total{class=\"ok\"} 2
# HELP calls_open Calls under way.
# TYPE calls_open gauge
calls_open 1
# HELP age_seconds Age.
# TYPE age_seconds gauge
age_seconds 1.5
";
        assert_eq!(older(openmetrics), text);
    }
}
