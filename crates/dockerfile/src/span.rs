//! Places in a source text, counted from 1, both ends included.

/// Lines of a source text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First line.
    pub first_line: u32,
    /// Last line.
    pub last_line: u32,
}

impl Span {
    /// All of the lines from `first` to `last`.
    #[must_use]
    pub const fn lines(first: u32, last: u32) -> Self {
        Self {
            first_line: first,
            last_line: if last < first { first } else { last },
        }
    }

    /// One line.
    #[must_use]
    pub const fn line(line: u32) -> Self {
        Self::lines(line, line)
    }

    /// The line is one of these.
    #[must_use]
    pub const fn contains(&self, line: u32) -> bool {
        self.first_line <= line && line <= self.last_line
    }
}

impl From<Span> for graph::Location {
    fn from(span: Span) -> Self {
        Self {
            first_line: span.first_line,
            last_line: span.last_line,
            ..Self::default()
        }
    }
}
