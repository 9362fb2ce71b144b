//! The stages of a file as things to build, as `--call=targets` lists them.

use crate::Span;
use crate::parser::Parsed;

/// A stage that can be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name; none when it has none.
    pub name: Option<String>,
    /// What a comment says about it.
    pub description: Option<String>,
    /// It is what is built when no target is asked for.
    pub is_default: bool,
    /// What it starts from, as it was written.
    pub base: String,
    /// `--platform`, as it was written; empty when it was not given.
    pub platform: String,
    /// Where it begins.
    pub span: Span,
}

impl Parsed {
    /// The stages as things to build.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        let last = self.stages.len().saturating_sub(1);
        let stages = self.stages.iter().enumerate();
        stages
            .map(|(index, stage)| Target {
                name: stage.name.clone(),
                description: stage.description().map(str::to_owned),
                is_default: index == last,
                base: stage.base.clone(),
                platform: stage.platform.clone(),
                span: stage.span,
            })
            .collect()
    }
}
