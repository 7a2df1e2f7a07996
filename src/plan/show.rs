//! Plans as text for people and as JSON for programs. Neither ever holds a secret, since a plan holds none.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::platform::PlatformPlan;
use super::step::{Step, Verdict};
use super::team::TeamPlan;
use crate::values::Revision;

/// Everything that is planned for one commit. Serialised it is
/// `{"revision", "platform": {"steps"}, "teams": [{"team", "steps"}], "summary": {"<verdict>": count}}`; a step is
/// `{"operation", "object", "verdict", "why", "action"}`.
#[derive(Debug, Clone, Serialize)]
pub struct FullPlan {
    /// The commit.
    pub revision: Revision,
    /// The platform's plan.
    pub platform: PlatformPlan,
    /// Each team's plan.
    pub teams: Vec<TeamPlan>,
    /// Objects by verdict.
    pub summary: BTreeMap<Verdict, usize>,
}

/// How plans are shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct ShowOptions {
    /// With terminal colours.
    pub colour: bool,
    /// With a line for each object that stays as it is.
    pub verbose: bool,
}

impl FullPlan {
    /// Puts plans together.
    #[must_use]
    pub fn new(revision: Revision, platform: PlatformPlan, teams: Vec<TeamPlan>) -> Self {
        let mut summary = BTreeMap::new();
        for step in platform
            .steps
            .iter()
            .chain(teams.iter().flat_map(|team| &team.steps))
        {
            *summary.entry(step.verdict).or_default() += 1;
        }
        Self {
            revision,
            platform,
            teams,
            summary,
        }
    }

    /// Whether nothing would be done, waited for or reported.
    #[must_use]
    pub fn is_converged(&self) -> bool {
        self.summary.keys().all(|verdict| *verdict == Verdict::Keep)
    }

    /// Whether something is left to a person.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        self.summary.contains_key(&Verdict::Report)
    }

    /// The plan as text: a block for the platform and each team, then a line of totals.
    #[must_use]
    pub fn text(&self, options: ShowOptions) -> String {
        let mut text = format!("plan for {}\n", self.revision.short());
        block(&mut text, "platform", &self.platform.steps, options);
        for team in &self.teams {
            block(&mut text, &format!("team {}", team.team), &team.steps, options);
        }
        text.push('\n');
        text.push_str(&self.totals());
        text
    }

    fn totals(&self) -> String {
        let count = |verdict| self.summary.get(&verdict).copied().unwrap_or_default();
        let mut text = format!(
            "{} to create, {} to change, {} to adopt, {} as they should be",
            count(Verdict::Create),
            count(Verdict::Change),
            count(Verdict::Adopt),
            count(Verdict::Keep)
        );
        for (verdict, label) in [
            (Verdict::Wait, "waiting"),
            (Verdict::Report, "for a person to mend"),
        ] {
            if count(verdict) > 0 {
                let _ = write!(text, ", {} {label}", count(verdict));
            }
        }
        text.push('\n');
        text
    }
}

fn block(text: &mut String, title: &str, steps: &[Step], options: ShowOptions) {
    let kept = steps.iter().filter(|step| step.verdict == Verdict::Keep).count();
    let shown: Vec<&Step> = steps
        .iter()
        .filter(|step| options.verbose || step.verdict != Verdict::Keep)
        .collect();
    let remark = match (kept, shown.is_empty()) {
        (_, true) => ": as it should be".to_owned(),
        (0, false) => String::new(),
        (kept, false) if options.verbose => format!(" ({kept} as they should be)"),
        (kept, false) => format!(" (and {kept} as they should be)"),
    };
    let _ = writeln!(text, "\n{}{remark}", paint(title, "1", options.colour));
    for step in shown {
        let (sign, colour) = sign(step.verdict);
        let line = format!("  {sign} {}", visible(&step.object));
        let why = wrapped(&visible(&step.why), line.chars().count() + 2);
        let _ = writeln!(text, "{}: {why}", paint(&line, colour, options.colour));
    }
}

/// Columns of a line, save where one word is longer.
const WIDTH: usize = 110;

/// Breaks a text between words. The first line has so many columns taken already; the others are indented.
fn wrapped(text: &str, taken: usize) -> String {
    let indent = "      ";
    let (mut wrapped, mut column) = (String::new(), taken);
    for word in text.split(' ') {
        let length = word.chars().count() + 1;
        if column + length > WIDTH && !wrapped.is_empty() {
            wrapped.push('\n');
            wrapped.push_str(indent);
            column = indent.len();
        } else if !wrapped.is_empty() {
            wrapped.push(' ');
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped
}

/// The text with control characters spelt out: what the servers hold must not command a terminal.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() {
            visible.extend(char.escape_default());
        } else {
            visible.push(char);
        }
    }
    visible
}

fn sign(verdict: Verdict) -> (char, &'static str) {
    match verdict {
        Verdict::Keep => ('=', "2"),
        Verdict::Create => ('+', "32"),
        Verdict::Change => ('~', "33"),
        Verdict::Adopt => ('@', "36"),
        Verdict::Wait => ('…', "35"),
        Verdict::Report => ('!', "31"),
    }
}

fn paint(text: &str, code: &str, colour: bool) -> String {
    if colour {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}
