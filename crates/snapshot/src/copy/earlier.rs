//! An earlier copy of nearly the same files, whose inodes serve again.
//!
//! Whoever copies a large directory after a small change has most of it in the layer that the copy
//! made before. A file of that layer becomes the copy when its content is known to be the same and it
//! has the owner, mode and time that the copy would get. Both copies must put each source file at a
//! place of its own, so patterns are out of the question.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::checksum::Change;
use crate::file::FileError;
use crate::tree::Found;
use crate::{Attributes, Dir, Entry, Kind, Stat, Tree};

/// The layer of an earlier copy with the same rules.
#[derive(Debug)]
pub struct Earlier {
    path: PathBuf,
    tree: Tree,
    /// Source files that are not known to be as they were.
    changed: HashSet<PathBuf>,
    /// Directories of the layer that were looked at, by path.
    dirs: Mutex<HashMap<PathBuf, Option<Arc<Dir>>>>,
    /// Inodes that serve again: each once, since two names of one file are not two equal files.
    taken: Mutex<HashSet<u64>>,
}

impl Earlier {
    /// The layer directory `layer`; `changes` are all that happened to the source since.
    ///
    /// # Errors
    /// The layer cannot be read.
    pub fn new(layer: PathBuf, changes: Vec<Change>) -> Result<Self, FileError> {
        Ok(Self {
            tree: Tree::directory(&layer)?,
            path: layer,
            changed: changes.into_iter().map(|change| change.path).collect(),
            dirs: Mutex::default(),
            taken: Mutex::default(),
        })
    }

    /// The layer directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the earlier copy has at `name` of the directory `to`, if that is what a copy of `source`
    /// with `wanted` would be.
    pub(super) fn find(
        &self,
        source: &Path,
        (to, name): (&Path, &OsStr),
        size: u64,
        wanted: &Attributes,
    ) -> Result<Option<(Arc<Dir>, Entry)>, FileError> {
        if self.changed.contains(source) {
            return Ok(None);
        }
        let Some(dir) = self.dir(to)? else {
            return Ok(None);
        };
        let Some((entry, stat)) = dir.find(name)? else {
            return Ok(None);
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = is_same(&stat, size, wanted) && taken.insert(stat.inode);
        Ok(is_free.then_some((dir, entry)))
    }

    fn dir(&self, path: &Path) -> Result<Option<Arc<Dir>>, FileError> {
        let mut dirs = self.dirs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = dirs.get(path) {
            return Ok(known.clone());
        }
        let resolved = self.tree.lookup(path, false)?;
        let is_there = matches!(resolved.found, Found::Directory);
        let dir = is_there.then(|| Arc::new(resolved.dir));
        dirs.insert(path.to_owned(), dir.clone());
        Ok(dir)
    }
}

/// Content and attributes were compared by whoever knows the changes; this is the rest.
fn is_same(stat: &Stat, size: u64, wanted: &Attributes) -> bool {
    stat.kind == Kind::File
        && stat.size == size
        && (stat.mode, stat.uid, stat.gid) == (wanted.mode, wanted.uid, wanted.gid)
        && Some(stat.modified) == wanted.modified
}
