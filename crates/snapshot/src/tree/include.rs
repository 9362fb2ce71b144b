//! What alone is taken of a tree: whatever one of several patterns matches.

use std::ffi::OsStr;
use std::sync::Arc;

use super::{Filter, Pattern, Verdict};

/// Keeps what any of its patterns matches, in one directory, and directories on the way to it.
#[derive(Debug)]
pub struct Include(Vec<Arc<dyn Filter>>);

impl Include {
    /// Of patterns over paths in the directory that it is for, with `**` for any number of
    /// components. None when there are no patterns: then nothing is left out.
    #[must_use]
    pub fn new(patterns: &[String]) -> Option<Self> {
        let pattern = |text: &String| -> Arc<dyn Filter> { Arc::new(Pattern::new(text.as_ref())) };
        (!patterns.is_empty()).then(|| Self(patterns.iter().map(pattern).collect()))
    }
}

impl Filter for Include {
    fn verdict(&self, name: &OsStr, is_dir: bool) -> Verdict {
        let mut said = Verdict::Drop;
        for pattern in &self.0 {
            match pattern.verdict(name, is_dir) {
                Verdict::Keep => return Verdict::Keep,
                Verdict::Visit => said = Verdict::Visit,
                Verdict::Drop => {}
            }
        }
        said
    }

    fn enter(&self, name: &OsStr) -> Option<Arc<dyn Filter>> {
        let mut inside = Vec::new();
        for pattern in &self.0 {
            if pattern.verdict(name, true) != Verdict::Drop {
                inside.push(pattern.enter(name)?);
            }
        }
        Some(Arc::new(Self(inside)))
    }
}
