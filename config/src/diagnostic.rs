//! Faults and warnings, each at its place, with what to do.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

use crate::code::{Code, READS_LIKE_YAML, Severity};
use crate::files::Text;

/// Whether output may have colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// For a terminal.
    Colour,
    /// For everything else.
    Plain,
}

/// One fault or warning.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnostic {
    /// The stable code.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The place in the file, in bytes.
    pub span: Range<usize>,
    /// One line.
    pub message: String,
    /// What to do, where there is something to say.
    pub hint: Option<String>,
    #[serde(skip)]
    shown: Arc<str>,
}

impl Diagnostic {
    pub(crate) fn new(
        text: &Text,
        span: Range<usize>,
        code: Code,
        message: String,
        hint: Option<String>,
    ) -> Self {
        let span = if text.text.get(span.clone()).is_some() { span } else { 0..0 };
        let before = text.text.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let (file, shown) = (text.name.clone(), text.shown.clone());
        Self { code, severity: code.severity(), file, line, column, span, message, hint, shown }
    }

    fn render(&self, renderer: &Renderer) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mark = AnnotationKind::Primary.span(self.first_line());
        let snippet = Snippet::source(self.shown.as_ref()).path(self.file.as_ref()).annotation(mark);
        let mut group = level.primary_title(self.message.as_str()).id(self.code.as_str()).element(snippet);
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(hint.as_str()));
        }
        renderer.render(&[group])
    }

    /// The part of the place that is on its first line: a table of forty lines is not shown whole.
    fn first_line(&self) -> Range<usize> {
        let inside = self.shown.get(self.span.clone()).unwrap_or_default();
        let length = inside.find(['\n', '\r']).unwrap_or(inside.len());
        self.span.start..self.span.start + length
    }
}

/// All of them, in the order of their files and lines.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Whether a syntax fault is already reported for the same place, or for the whole of a file that is YAML.
    pub(crate) fn has_syntax_fault_at(&self, other: &Diagnostic) -> bool {
        let at = |one: &Diagnostic| {
            one.file == other.file && (one.span == other.span || one.message == READS_LIKE_YAML)
        };
        self.0.iter().any(|one| one.code == Code::Syntax && other.code != Code::Syntax && at(one))
    }

    pub(crate) fn sort(&mut self) {
        self.0.sort_by(|a, b| {
            (&a.file, a.span.start, a.code, &a.message).cmp(&(&b.file, b.span.start, b.code, &b.message))
        });
        self.0.dedup_by(|a, b| {
            (&a.file, &a.span, a.code, &a.message) == (&b.file, &b.span, b.code, &b.message)
        });
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is an error.
    #[must_use]
    pub fn has_faults(&self) -> bool {
        self.0.iter().any(|one| one.severity == Severity::Error)
    }

    /// One line for a log: the first fault, and how many more.
    #[must_use]
    pub fn summary(&self) -> String {
        let worst = self.0.iter().find(|one| one.severity == Severity::Error).or_else(|| self.0.first());
        match (worst, self.0.len().saturating_sub(1)) {
            (None, _) => "no fault".to_owned(),
            (Some(one), 0) => one.to_string(),
            (Some(one), more) => format!("{one} (and {more} more)"),
        }
    }

    /// Shows all of them, each with its line of the file. Possible secrets in that line are struck out.
    #[must_use]
    pub fn render(&self, style: Style) -> String {
        let renderer = match style {
            Style::Colour => Renderer::styled(),
            Style::Plain => Renderer::plain(),
        };
        let shown: Vec<String> = self.0.iter().map(|one| one.render(&renderer)).collect();
        shown.join("\n\n")
    }

    /// All of them as a JSON array of `{code, severity, file, line, column, span, message, hint}`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        // Strings and numbers only: there is nothing in it that JSON could refuse.
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}: {}", self.file, self.line, self.column, self.code, self.message)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(Style::Plain))
    }
}

impl std::error::Error for Diagnostics {}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
