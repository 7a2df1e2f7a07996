//! Showing faults to people, as a compiler shows its errors.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::values::{Fault, Printable, Scope};

/// Every fault with its place, the offending text and its hint, and a sentence that counts them.
///
/// `colour` is for a terminal that has it.
#[must_use]
pub fn render(faults: &[Fault], colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut text = String::new();
    for fault in faults {
        text.push_str(&render_one(fault, &renderer));
        text.push_str("\n\n");
    }
    text.push_str(&summary(faults));
    text.push('\n');
    text
}

fn render_one(fault: &Fault, renderer: &Renderer) -> String {
    let file = Printable(&fault.file).to_string();
    let title = Level::ERROR.primary_title(Printable(&fault.message).to_string());
    let line = usize::try_from(fault.line.unwrap_or(1)).unwrap_or(1);
    let group: Group<'_> = if let Some(excerpt) = &fault.excerpt {
        let here = AnnotationKind::Primary.span(excerpt.start..excerpt.end);
        title.element(
            Snippet::source(&*excerpt.line)
                .path(file)
                .line_start(line)
                .annotation(here),
        )
    } else {
        let mut origin = Origin::path(file);
        if let (Some(_), Some(column)) = (fault.line, fault.column) {
            origin = origin
                .line(line)
                .char_column(usize::try_from(column).unwrap_or(1));
        }
        title.element(origin)
    };
    let whom = match &fault.scope {
        Scope::Shared => "no team can be provisioned until this is mended".to_owned(),
        Scope::Team(name) => format!("team {} stays as it is until this is mended", Printable(name)),
    };
    let mut group = group.element(Level::NOTE.message(whom));
    if let Some(hint) = &fault.hint {
        group = group.element(Level::HELP.message(Printable(hint).to_string()));
    }
    renderer.render(&[group])
}

fn summary(faults: &[Fault]) -> String {
    let shared = faults.iter().filter(|fault| fault.scope == Scope::Shared).count();
    let mut teams: Vec<&str> = faults
        .iter()
        .filter_map(|fault| match &fault.scope {
            Scope::Team(name) => Some(&**name),
            Scope::Shared => None,
        })
        .collect();
    teams.sort_unstable();
    teams.dedup();
    let number = |n: usize, one: &str| {
        if n == 1 {
            format!("1 {one}")
        } else {
            format!("{n} {one}s")
        }
    };
    match (shared, teams.len()) {
        (0, 0) => "no faults".to_owned(),
        (0, held) => format!(
            "{}, holding {}",
            number(faults.len(), "fault"),
            number(held, "team")
        ),
        (shared, _) => format!(
            "{}, {shared} of them in what all teams share",
            number(faults.len(), "fault")
        ),
    }
}
