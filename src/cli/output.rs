//! Printing: to standard output for results, to standard error for what goes with them.

use std::io::IsTerminal as _;

use crate::settings::Colour;

/// Where and how a command prints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    colour: Colour,
    no_color: bool,
}

impl Output {
    pub(super) fn new(colour: Colour, no_color: bool) -> Self {
        Self { colour, no_color }
    }

    /// Whether standard output takes colour.
    pub(super) fn colour(self) -> bool {
        self.decide(std::io::stdout().is_terminal())
    }

    /// Whether standard error takes colour.
    pub(super) fn colour_on_stderr(self) -> bool {
        self.decide(std::io::stderr().is_terminal())
    }

    fn decide(self, terminal: bool) -> bool {
        match self.colour {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => terminal && !self.no_color,
        }
    }
}

/// Prints a result. A reader that went away, such as `head`, is no error.
pub(super) fn print(text: &str) -> std::io::Result<()> {
    to(std::io::stdout().lock(), text)
}

/// Prints a result in place of the one before it; below it, where that is no terminal.
pub(super) fn redraw(text: &str) -> std::io::Result<()> {
    let clear = if std::io::stdout().is_terminal() {
        "\u{1b}[2J\u{1b}[H"
    } else {
        ""
    };
    print(&format!("{clear}{text}"))
}

/// Prints what goes with a result.
pub(super) fn remark(text: &str) -> std::io::Result<()> {
    to(std::io::stderr().lock(), text)
}

fn to(mut stream: impl std::io::Write, text: &str) -> std::io::Result<()> {
    let end = if text.ends_with('\n') || text.is_empty() {
        ""
    } else {
        "\n"
    };
    match write!(stream, "{text}{end}").and_then(|()| stream.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
