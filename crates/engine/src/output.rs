//! What a step makes: a stack of layers, or files that are still where the client has them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use dockerfile::ignore::{Patterns, Verdict as Ignored};
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
        Ok(tree.with_filter(Arc::new(IgnoreFilter::new(Patterns::new(
            self.exclude.iter(),
        )?))))
    }
}

/// Leaves out what the patterns of an ignore file exclude.
#[derive(Debug)]
pub(crate) struct IgnoreFilter {
    patterns: Patterns,
    /// What was said of directories, which all that is in them asks for.
    directories: RwLock<HashMap<PathBuf, Arc<Ignored>>>,
}

impl IgnoreFilter {
    pub(crate) fn new(patterns: Patterns) -> Self {
        Self {
            patterns,
            directories: RwLock::default(),
        }
    }

    /// What the patterns say of the directory at `path`.
    fn directory(&self, path: &Path) -> Arc<Ignored> {
        if path.as_os_str().is_empty() {
            return Arc::default();
        }
        let known = self.directories.read();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        if let Some(verdict) = known.get(path) {
            return Arc::clone(verdict);
        }
        drop(known);
        let verdict = Arc::new(self.check(path, true));
        let known = self.directories.write();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        known.insert(path.to_owned(), Arc::clone(&verdict));
        verdict
    }

    fn check(&self, path: &Path, is_dir: bool) -> Ignored {
        let above = self.directory(path.parent().unwrap_or(Path::new("")));
        self.patterns.check(&path.to_string_lossy(), is_dir, &above)
    }
}

impl Filter for IgnoreFilter {
    fn verdict(&self, path: &Path, is_dir: bool) -> Verdict {
        // As the walk has it, a path is relative and without `.` or doubled slashes.
        let path: PathBuf = path.components().collect();
        let said = match path.as_os_str().is_empty() {
            true => Ignored::default(),
            false => self.check(&path, is_dir),
        };
        match (said.excluded, said.skip || !is_dir) {
            (false, _) => Verdict::Keep,
            (true, true) => Verdict::Drop,
            (true, false) => Verdict::Visit,
        }
    }
}
