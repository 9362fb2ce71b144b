//! What a step makes: a stack of layers, or files that are still where the client has them.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use dockerfile::ignore::{Directory, Patterns};
use graph::LocalSource;
use snapshot::{Filter, Include, Tree, Verdict};
use store::LayerId;

use crate::error::EngineError;
use crate::source::follow_links;

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

/// Those files of a directory of this machine that are part of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalTree {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Which files they are.
    pub(crate) source: Arc<LocalSource>,
}

impl Output {
    /// As messages tell it, in one word.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Local(tree) => tree.source.name.clone(),
            Self::Stack(stack) if stack.layers().is_empty() => "scratch".to_owned(),
            Self::Stack(_) => "layers".to_owned(),
        }
    }
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
    pub(crate) fn new(path: PathBuf, source: &LocalSource) -> Self {
        Self {
            path,
            source: Arc::new(source.clone()),
        }
    }

    /// Nothing of it is left out.
    pub(crate) fn is_plain(&self) -> bool {
        let LocalSource {
            name: _,
            include,
            exclude,
            follow,
        } = &*self.source;
        include.is_empty() && exclude.is_empty() && follow.is_empty()
    }

    /// The directory, to be read.
    pub(crate) fn tree(&self) -> Result<Tree, EngineError> {
        let whole = Tree::directory(&self.path)?;
        let LocalSource {
            name: _,
            include,
            exclude,
            follow,
        } = &*self.source;
        let mut tree = whole.clone();
        if !follow.is_empty()
            && let Some(followed) = Include::new(&follow_links(&whole, follow)?)
        {
            tree = tree.with_filter(Arc::new(followed));
        }
        if let Some(include) = Include::new(include) {
            tree = tree.with_filter(Arc::new(include));
        }
        if !exclude.is_empty() {
            let patterns = Patterns::new(exclude.iter())?;
            tree = tree.with_filter(Arc::new(IgnoreFilter::new(&patterns)));
        }
        Ok(tree)
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
