//! What a step makes: a stack of layers, or files that are still where the client has them.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use dockerfile::ignore::{Directory, Patterns};
use snapshot::{Filter, Tree, Verdict};
use store::LayerId;

use crate::error::EngineError;

/// One output of a vertex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A file system.
    Stack(Stack),
    /// A directory of this machine, read in place.
    Local(LocalTree),
}

/// A file system as layers, bottom first. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stack(Arc<[LayerId]>);

/// A directory of this machine without what the patterns exclude.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalTree {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Patterns of `.dockerignore`.
    pub(crate) exclude: Arc<[String]>,
}

impl Stack {
    pub(crate) fn new(layers: impl Into<Arc<[LayerId]>>) -> Self {
        Self(layers.into())
    }

    /// Bottom first.
    pub(crate) fn layers(&self) -> &[LayerId] {
        &self.0
    }

    /// The same with one more layer on top.
    pub(crate) fn with(&self, layer: LayerId) -> Self {
        Self(self.0.iter().copied().chain([layer]).collect())
    }
}

impl LocalTree {
    pub(crate) fn new(path: PathBuf, exclude: &[String]) -> Self {
        Self {
            path,
            exclude: exclude.into(),
        }
    }

    /// Nothing of it is left out.
    pub(crate) fn is_plain(&self) -> bool {
        self.exclude.is_empty()
    }

    /// The directory, to be read.
    pub(crate) fn tree(&self) -> Result<Tree, EngineError> {
        let tree = Tree::directory(&self.path)?;
        if self.is_plain() {
            return Ok(tree);
        }
        Ok(tree.with_filter(Arc::new(IgnoreFilter::new(&Patterns::new(
            self.exclude.iter(),
        )?))))
    }
}

/// Leaves out of one directory what the patterns of an ignore file exclude.
#[derive(Debug)]
pub(crate) struct IgnoreFilter(Directory);

impl IgnoreFilter {
    /// In the directory that the patterns are relative to.
    pub(crate) fn new(patterns: &Patterns) -> Self {
        Self(patterns.root())
    }
}

impl Filter for IgnoreFilter {
    fn verdict(&self, name: &OsStr, is_dir: bool) -> Verdict {
        let said = self.0.verdict(&name.to_string_lossy(), is_dir);
        match (said.excluded, said.skip || !is_dir) {
            (false, _) => Verdict::Keep,
            (true, true) => Verdict::Drop,
            (true, false) => Verdict::Visit,
        }
    }

    fn enter(&self, name: &OsStr) -> Option<Arc<dyn Filter>> {
        let inside = self.0.enter(&name.to_string_lossy());
        (!inside.is_whole()).then(|| {
            let filter: Arc<dyn Filter> = Arc::new(Self(inside));
            filter
        })
    }
}

#[cfg(test)]
mod tests;
