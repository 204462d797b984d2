//! Colours: on a terminal only, and not where `NO_COLOR` is set.

use std::io::IsTerminal;

use pullgate_config::Style;

/// Paints words, or leaves them as they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(Style);

impl Paint {
    /// For what is written to `stream`.
    pub(super) fn of(stream: &impl IsTerminal) -> Self {
        // https://no-color.org: present and not empty, whatever its value.
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(if stream.is_terminal() && !unwanted { Style::Colour } else { Style::Plain })
    }

    /// The style for diagnostics.
    pub(super) fn style(self) -> Style {
        self.0
    }

    /// What holds.
    pub(super) fn good(self, text: &str) -> String {
        self.wrapped("32", text)
    }

    /// What does not.
    pub(super) fn bad(self, text: &str) -> String {
        self.wrapped("31", text)
    }

    /// What is neither.
    pub(super) fn odd(self, text: &str) -> String {
        self.wrapped("33", text)
    }

    /// What matters less.
    pub(super) fn dim(self, text: &str) -> String {
        self.wrapped("2", text)
    }

    /// A heading.
    pub(super) fn bold(self, text: &str) -> String {
        self.wrapped("1", text)
    }

    fn wrapped(self, code: &str, text: &str) -> String {
        match self.0 {
            Style::Colour => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Style::Plain => text.to_owned(),
        }
    }
}
