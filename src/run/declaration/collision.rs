//! Whether two robots' names can come to the same for two teams.
//!
//! Robots are of system level, so their names are of one space for the whole platform. With `team-{team}-pull`
//! and `team-{team}-ci-pull`, team `web` and team `web-ci` would share the robot `team-web-ci-pull`: each would
//! take its login away from the other, again and again.

use crate::run::template::Template;
use crate::values::names::TeamId;

/// Two team ids for which the templates give the same name. Templates with more or fewer than one
/// placeholder are not looked at.
pub(super) fn collision(one: &Template, other: &Template) -> Option<(TeamId, TeamId)> {
    let ((before_one, after_one), (before_other, after_other)) = (one.around()?, other.around()?);
    // Either may have the longer start, and either the longer end.
    if let Some(start) = before_other.strip_prefix(before_one) {
        ids(start, after_one, after_other)
    } else {
        let start = before_one.strip_prefix(before_other)?;
        ids(start, after_other, after_one).map(|(other, one)| (one, other))
    }
}

/// The first id has `start` in it, which is text to the second template. `x` stands for what both ids share.
fn ids(start: &str, after_one: &str, after_other: &str) -> Option<(TeamId, TeamId)> {
    let pair = |one: String, other: String| Some((TeamId::new(one).ok()?, TeamId::new(other).ok()?));
    if let Some(end) = after_other.strip_suffix(after_one) {
        pair(format!("{start}x{end}"), "x".to_owned())
    } else {
        let end = after_one.strip_suffix(after_other)?;
        pair(format!("{start}x"), format!("x{end}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn template(text: &str) -> Template {
        Template::parse(text, &["team"]).unwrap()
    }

    fn collide(one: &str, other: &str) -> Option<(String, String)> {
        let (one, other) = collision(&template(one), &template(other))?;
        Some((one.to_string(), other.to_string()))
    }

    #[test]
    fn names_that_a_longer_team_id_makes_the_same_collide() {
        let pair = |one: &str, other: &str| Some((one.to_owned(), other.to_owned()));
        assert_eq!(
            collide("team-{team}-pull", "team-{team}-ci-pull"),
            pair("x-ci", "x")
        );
        assert_eq!(
            collide("team-{team}-ci-pull", "team-{team}-pull"),
            pair("x", "x-ci")
        );
        assert_eq!(collide("team-{team}", "team-ci-{team}"), pair("ci-x", "x"));
        assert_eq!(
            collide("team-{team}-ci", "team-web-{team}"),
            pair("web-x", "x-ci")
        );
    }

    #[test]
    fn names_that_no_team_id_makes_the_same_do_not_collide() {
        for (one, other) in [
            ("team-{team}-pull", "team-{team}-push"),
            // No team id has these characters.
            ("team-{team}-pull", "team-{team}.ci-pull"),
            ("team-{team}-pull", "team-{team}_ci-pull"),
            ("team-{team}-pull", "scan-{team}-pull"),
            ("pull", "team-{team}"),
        ] {
            assert_eq!(collide(one, other), None, "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn the_ids_of_a_collision_give_one_name(
            parts in proptest::array::uniform4("(a|b|-|\\.){0,4}"),
        ) {
            let [a, b, c, d] = &parts;
            let (one, other) = (template(&format!("{a}{{team}}{b}")), template(&format!("{c}{{team}}{d}")));
            if let Some((first, second)) = collision(&one, &other) {
                prop_assert_eq!(one.fill(|_| first.as_str()), other.fill(|_| second.as_str()));
            }
        }
    }
}
