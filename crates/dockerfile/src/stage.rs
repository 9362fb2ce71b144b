//! Stages: a `FROM` and what follows it up to the next one.

use crate::Span;
use crate::instruction::Instruction;

/// A stage as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The name after `AS`, in lower case.
    pub name: Option<String>,
    /// The name as it was written.
    pub written_name: Option<String>,
    /// `AS` as it was written.
    pub written_as: Option<String>,
    /// What it starts from, with variables.
    pub base: String,
    /// `--platform`, with variables; empty when it was not given.
    pub platform: String,
    /// `FROM` as it was written.
    pub written: String,
    /// All of the `FROM` line.
    pub text: String,
    /// Lines of the `FROM`.
    pub span: Span,
    /// Comments above it.
    pub comments: Vec<String>,
    /// What follows.
    pub instructions: Vec<Instruction>,
}

impl Stage {
    /// What a comment says about it: `# name description` above the `FROM`.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        let name = self.name.as_deref()?;
        described(&self.comments, name)
    }
}

/// What comments say about a name: `# name description`.
pub(crate) fn described<'a>(comments: &'a [String], name: &str) -> Option<&'a str> {
    let told = comments.iter().filter_map(|comment| {
        let rest = comment.strip_prefix(name)?;
        rest.strip_prefix(' ')
    });
    told.map(str::trim_start).next()
}
