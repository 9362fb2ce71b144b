//! `.dockerignore`: which paths of a context are left out.
//!
//! Patterns are tried in order and the last that matches decides; `!` takes back. A pattern that
//! matches a directory matches all beneath it. Patterns are anchored at the root of the context.
//! Paths are relative, with slashes, without `.` and `..` parts.
//!
//! A walker begins with [`Patterns::root`] and asks the [`Directory`] where it is for each name in
//! it; [`Verdict::skip`] says when it need not go down at all.

mod directory;
mod index;
mod pattern;
mod places;
mod steps;

use std::sync::Arc;

use pattern::Pattern;

pub use directory::Directory;

/// The patterns of an ignore file, in order. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Patterns {
    patterns: Arc<[Pattern]>,
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IgnoreError {
    /// A `!` alone.
    #[error("illegal exclusion pattern: \"!\"")]
    OnlyExclamation,
    /// An open `[`, or an escape character at the end.
    #[error("syntax error in pattern: {0:?}")]
    Syntax(String),
}

/// What the patterns say of a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdict {
    /// It is left out.
    pub excluded: bool,
    /// It is left out, and so is everything that could be beneath it.
    pub skip: bool,
}

impl Patterns {
    /// Reads an ignore file.
    ///
    /// # Errors
    /// A line is no pattern.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, IgnoreError> {
        Self::new(lines(&String::from_utf8_lossy(text.as_ref())))
    }

    /// Patterns as a list, such as the values of `--exclude`.
    ///
    /// # Errors
    /// One of them is no pattern.
    pub fn new<I>(patterns: I) -> Result<Self, IgnoreError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let parsed = patterns
            .into_iter()
            .filter_map(|text| Pattern::parse(text.as_ref()).transpose());
        Ok(Self {
            patterns: parsed.collect::<Result<_, _>>()?,
        })
    }

    /// The patterns in their shortest form, to be kept or handed on.
    #[must_use]
    pub fn to_lines(&self) -> Vec<String> {
        self.patterns.iter().map(Pattern::line).collect()
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Some begin with `!`.
    #[must_use]
    pub fn has_exceptions(&self) -> bool {
        self.patterns.iter().any(Pattern::is_exception)
    }

    /// They leave out everything at the root, by `*`, `**` or `**/*`.
    #[must_use]
    pub fn exclude_root(&self) -> bool {
        self.patterns.iter().any(Pattern::is_everything)
    }

    /// Whether a path is left out, when nothing is known of the directories above it.
    #[must_use]
    pub fn excludes(&self, path: &str) -> bool {
        let mut excluded = false;
        for pattern in self.patterns.iter() {
            if pattern.is_exception() == excluded && pattern.matches_path_or_parent(path) {
                excluded = !pattern.is_exception();
            }
        }
        excluded
    }
}

/// The patterns of an ignore file: no comments, no blank lines, relative and in shortest form.
fn lines(text: &str) -> impl Iterator<Item = String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.lines().filter_map(|line| {
        if line.starts_with('#') {
            return None;
        }
        let line = line.trim();
        let (mark, line) = match line.strip_prefix('!') {
            Some(rest) => ("!", rest.trim()),
            None => ("", line),
        };
        if line.is_empty() {
            return (!mark.is_empty()).then(|| mark.to_owned());
        }
        let clean = crate::path::clean(line);
        let relative = match clean.strip_prefix('/') {
            Some(rest) if !rest.is_empty() => rest,
            _ => &clean,
        };
        Some(format!("{mark}{relative}"))
    })
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
