//! What is wrong with bake files, and where.

use std::fmt;

/// Why there are no targets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", At(.place.as_ref()))]
pub struct BakeError {
    /// Where; none when it is in no file.
    pub place: Option<Place>,
    /// What.
    pub problem: Problem,
}

/// A place in a bake file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named.
    pub file: String,
    /// The line, from 1; none where only the path is known.
    pub line: Option<usize>,
    /// The way to it through blocks and attributes, where the line is not known.
    pub path: String,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text cannot be read.
    #[error("{0}")]
    Syntax(String),
    /// Something is named that is not there.
    #[error("there is no {what} {name:?}{}", Near(.near.as_deref()))]
    Unknown {
        /// Of which kind.
        what: &'static str,
        /// What was written.
        name: String,
        /// What may be meant.
        near: Option<String>,
    },
    /// Things lead back to themselves.
    #[error("{0} leads back to itself")]
    Cycle(String),
    /// A value is of the wrong kind.
    #[error("{what}: expected {expected}, found {found}")]
    Kind {
        /// Of what.
        what: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// A value cannot be what it is meant to be.
    #[error("{what}: {why}")]
    Value {
        /// Of what.
        what: String,
        /// Why.
        why: String,
    },
    /// A condition that a variable must meet is not met.
    #[error("variable {name}: {message}")]
    Refused {
        /// Which variable.
        name: String,
        /// What its file says then.
        message: String,
    },
    /// Something that kiln does not have.
    #[error("kiln does not have {what}: {instead}")]
    Unsupported {
        /// What.
        what: String,
        /// What to do.
        instead: &'static str,
    },
    /// The files ask for more work or room than any bake file needs.
    #[error("its values take more than {0} bytes")]
    TooLarge(u64),
}

/// `X: `, or nothing.
struct At<'a>(Option<&'a Place>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(place) => write!(f, "{place}: "),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}", self.file),
            None if self.path.is_empty() => f.write_str(&self.file),
            None => write!(f, "{}: {}", self.file, self.path),
        }
    }
}

/// ` (did you mean X?)`, or nothing.
struct Near<'a>(Option<&'a str>);

impl fmt::Display for Near<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(near) => write!(f, " (did you mean {near}?)"),
            None => Ok(()),
        }
    }
}

impl Problem {
    /// `name` is no `what`; one of `options` may be meant.
    pub(crate) fn unknown<'a>(
        what: &'static str,
        name: &str,
        options: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        Self::Unknown {
            what,
            name: name.to_owned(),
            near: dockerfile::nearest(name, options).map(str::to_owned),
        }
    }

    /// `what` cannot be that, and why.
    pub(crate) fn value(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Value {
            what: what.into(),
            why: why.into(),
        }
    }

    /// At no place of a file.
    pub(crate) const fn nowhere(self) -> BakeError {
        BakeError {
            place: None,
            problem: self,
        }
    }

    /// At `place`.
    pub(crate) const fn at(self, place: Place) -> BakeError {
        BakeError {
            place: Some(place),
            problem: self,
        }
    }
}
