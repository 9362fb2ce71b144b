//! What is wrong with a Dockerfile, and how it is shown: the message, and the lines it is about.
//!
//! Messages of errors are those of BuildKit, since people and programs look for them.

mod place;

use std::fmt;

use crate::Span;
use crate::lint::rule;

pub use place::Place;

/// Something that is wrong, or should be done differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it ends the build.
    pub severity: Severity,
    /// The check that found it, such as `StageNameCasing`; none for errors.
    pub rule: Option<&'static str>,
    /// What it is, in one line.
    pub message: String,
    /// Where it is; empty when it is about the whole file or the request.
    pub spans: Vec<Span>,
    /// What to do, when it is known.
    pub help: Option<String>,
}

/// Whether a build can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It can.
    Warning,
    /// It cannot.
    Error,
}

/// A text that diagnostics point into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The name that people know it by, such as `Dockerfile`.
    pub name: String,
    /// All of it.
    pub text: String,
}

impl Diagnostic {
    pub(crate) fn error(
        spans: impl IntoIterator<Item = Span>,
        message: &impl fmt::Display,
    ) -> Self {
        Self {
            severity: Severity::Error,
            rule: None,
            message: message.to_string(),
            spans: spans.into_iter().collect(),
            help: None,
        }
    }

    /// The same with what to do about it.
    pub(crate) fn with_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    /// Docker's page on the check that found it.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        rule(self.rule?)?.url()
    }

    /// The lines of `source` that it is about, with what it names underlined.
    #[must_use]
    pub fn excerpt(&self, source: &Source) -> Option<String> {
        source.excerpt_with(&self.spans, self.place(source))
    }

    /// What the message names, where it stands in the lines that it is about.
    #[must_use]
    pub fn place(&self, source: &Source) -> Option<Place> {
        place::find(&self.message, &self.spans, source)
    }

    /// The message after the lines of `source` that it is about.
    #[must_use]
    pub fn render(&self, source: &Source) -> String {
        let excerpt = self.excerpt(source).unwrap_or_default();
        let label = match self.severity {
            Severity::Error => "ERROR",
            Severity::Warning => "WARNING",
        };
        let rule = self
            .rule
            .map(|rule| format!("{rule}: "))
            .unwrap_or_default();
        format!("{excerpt}{label}: {rule}{}\n", self.message)
    }
}

/// Errors first, then by line.
pub(crate) fn in_order(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    diagnostics.sort_by_key(|diagnostic| {
        let line = diagnostic.spans.first().map(|span| span.first_line);
        (std::cmp::Reverse(diagnostic.severity), line)
    });
    diagnostics
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(rule) = self.rule {
            write!(f, "{rule}: ")?;
        }
        f.write_str(&self.message)
    }
}

const RULE: &str = "--------------------";

impl Source {
    /// The lines of `spans`, marked, with a few around them; none when there are no such lines.
    #[must_use]
    pub fn excerpt(&self, spans: &[Span]) -> Option<String> {
        self.excerpt_with(spans, None)
    }

    fn excerpt_with(&self, spans: &[Span], place: Option<Place>) -> Option<String> {
        let lines: Vec<&str> = self.text.split('\n').collect();
        let first = spans.iter().map(|span| span.first_line).min()? as usize;
        let last = spans.iter().map(|span| span.last_line).max()? as usize;
        if first < 1 || first > lines.len() {
            return None;
        }
        let (from, to) = widen(first, last.min(lines.len()), lines.len());
        let mut text = format!("{}:{first}\n{RULE}\n", self.name);
        for (number, line) in (1u32..).zip(&lines).take(to).skip(from - 1) {
            let mark = if spans.iter().any(|span| span.contains(number)) {
                ">>>"
            } else {
                "   "
            };
            text.push_str(&format!(
                " {number:3} | {mark} {}\n",
                line.trim_end_matches('\r')
            ));
            if let Some(place) = place.filter(|place| place.line == number) {
                text.push_str(&format!("     |     {}\n", place.marks(line)));
            }
        }
        text.push_str(RULE);
        text.push('\n');
        Some(text)
    }
}

/// As many lines around as BuildKit shows: four for a single line, two for several, more on one
/// side when there is an end of the file on the other.
fn widen(mut first: usize, mut last: usize, lines: usize) -> (usize, usize) {
    let wanted = if first == last { 4 } else { 2 };
    let mut steps = 0;
    while steps < wanted {
        if first > 1 {
            first -= 1;
            steps += 1;
        }
        if last != lines {
            last += 1;
            steps += 1;
        }
        steps += 1;
    }
    (first, last)
}
