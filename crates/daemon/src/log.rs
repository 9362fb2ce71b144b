//! What the daemon says of itself, as values: whoever runs it decides how they look and where they
//! go. Nothing of a request is in them but its method and path, since the rest may be secret.

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every request.
    Debug,
    /// What an operator may want to have seen.
    Info,
    /// Something is not as it should be, and goes on.
    Warning,
    /// Something failed for which the daemon is to blame.
    Error,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// How much it matters.
    pub level: Level,
    /// What happened, always in the same words.
    pub message: &'static str,
    /// What it happened to, by name.
    pub fields: Vec<(&'static str, String)>,
}

/// Where entries go. It must not block.
pub type Log = dyn Fn(Entry) + Send + Sync;

impl Entry {
    /// An entry without fields.
    #[must_use]
    pub const fn new(level: Level, message: &'static str) -> Self {
        Self {
            level,
            message,
            fields: Vec::new(),
        }
    }

    /// The same with a field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.fields.push((name, value.to_string()));
        self
    }
}
