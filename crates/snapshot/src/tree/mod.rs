//! Reading a file system: a plain directory, or a stack of layer directories seen as one.
//!
//! Nothing is mounted. A [`Tree`] does in user space what overlayfs does: the topmost layer that has
//! a name decides, whiteouts and opaque directories hide what is below, directories are merged. What
//! a [`Filter`] drops is not there for anyone who reads through the tree.
//!
//! Paths are resolved with the tree's root as `/`: symbolic links and `..` never lead out of it, and
//! nothing is ever opened by more than one name beneath a directory that is already open.

mod dir;
mod glob;
mod include;
mod lookup;
mod pattern;

use std::ffi::OsStr;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::file::{FileError, failed};
use crate::marks::Marks;

pub use dir::{Dir, Entry};
pub use glob::{has_wildcards, matches};
pub use include::Include;
pub use lookup::{Found, Resolved};
pub(crate) use pattern::Pattern;

/// The deepest directory that is read, against trees made to exhaust the stack.
pub(crate) const MAX_DEPTH: usize = 1024;

/// A file system that is read.
#[derive(Debug, Clone)]
pub struct Tree {
    root: Dir,
}

/// Says what is part of one directory of a tree.
pub trait Filter: fmt::Debug + Send + Sync {
    /// What becomes of the file `name` in the directory.
    fn verdict(&self, name: &OsStr, is_dir: bool) -> Verdict;

    /// Says it of the directory `name` in this one, which was not dropped; nothing if all in it is
    /// kept.
    fn enter(&self, name: &OsStr) -> Option<Arc<dyn Filter>>;
}

/// What becomes of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is there.
    Keep,
    /// It is not, nor is anything in it.
    Drop,
    /// The directory is there only if something in it is kept.
    Visit,
}

/// What all directories of a tree have in common.
#[derive(Debug, Clone)]
struct Shape {
    form: Form,
    /// The layer directories, top first.
    paths: Vec<PathBuf>,
    /// Whether no file ever changes.
    immutable: bool,
    /// All files appear to be this user's and group's.
    owner: Option<(u32, u32)>,
}

/// How a tree's directories are to be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As they are.
    Plain,
    /// As layers, with overlay's marks.
    Layers(Marks),
}

impl Tree {
    /// The directory at `path`, as it is.
    ///
    /// # Errors
    /// It is missing, or no directory.
    pub fn directory(path: &Path) -> Result<Self, FileError> {
        Self::new(Form::Plain, vec![path.to_owned()])
    }

    /// The layer directories `layers`, bottom first. Their files must not change: checksums are
    /// remembered by inode and time of birth.
    ///
    /// # Errors
    /// One of them is missing, or no directory.
    pub fn layers(layers: &[PathBuf], marks: Marks) -> Result<Self, FileError> {
        let paths = layers.iter().rev().cloned().collect();
        Self::new(Form::Layers(marks), paths)
    }

    /// The same without what `filter` drops.
    #[must_use]
    pub fn with_filter(self, filter: Arc<dyn Filter>) -> Self {
        Self {
            root: self.root.with_filter(filter),
        }
    }

    /// The same with another owner of all files. Those of a local context are everybody's: `COPY`
    /// makes them root's, whoever has them here.
    #[must_use]
    pub fn owned_by(self, uid: u32, gid: u32) -> Self {
        Self {
            root: self.root.reshaped(|shape| shape.owner = Some((uid, gid))),
        }
    }

    /// The same for layers that are still being written.
    #[must_use]
    pub(crate) fn mutable(self) -> Self {
        Self {
            root: self.root.reshaped(|shape| shape.immutable = false),
        }
    }

    /// The same for a directory that nobody writes to any more.
    #[must_use]
    pub(crate) fn frozen(self) -> Self {
        Self {
            root: self.root.reshaped(|shape| shape.immutable = true),
        }
    }

    /// The root directory.
    #[must_use]
    pub const fn root(&self) -> &Dir {
        &self.root
    }

    /// The directories that it is made of, top first.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        &self.root.shape.paths
    }

    /// Whether its files never change.
    pub(crate) fn is_immutable(&self) -> bool {
        self.root.shape.immutable
    }

    fn new(form: Form, paths: Vec<PathBuf>) -> Result<Self, FileError> {
        let layers = paths
            .iter()
            .enumerate()
            .map(|(number, path)| {
                let fd = open_directory(path).map_err(failed("open", path))?;
                Ok((number, Arc::new(fd)))
            })
            .collect::<Result<_, FileError>>()?;
        let shape = Shape {
            form,
            paths,
            immutable: form != Form::Plain,
            owner: None,
        };
        let root = Dir::root(Arc::new(shape), layers)?;
        Ok(Self { root })
    }
}

/// Opens a directory for reading.
pub(crate) fn open_directory(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty())
}
