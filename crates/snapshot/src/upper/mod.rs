//! Writing a layer above a stack, without a mount.
//!
//! An [`Upper`] is a directory that collects changes in overlay's form, and shows the stack below
//! it. A directory of the stack is copied up (metadata only) when something in it is written. What
//! was there before keeps its times: only the directories that a change is about get new ones.
//!
//! Nothing is ever written through: an existing file is unlinked and made anew, since its inode may
//! be shared with a published layer.

mod attributes;
mod dir;
mod remove;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::file::{FileError, failed};
use crate::tree::open_directory;
use crate::{Marks, Stat, Time, Tree};

pub use attributes::Attributes;
pub(crate) use attributes::{restore_time, set_times};
pub use dir::{Made, UpperDir};
pub(crate) use remove::remove_tree;

use dir::Below;

/// A directory that collects what changes above a stack.
#[derive(Debug, Clone)]
pub struct Upper {
    path: PathBuf,
    stack: Vec<PathBuf>,
    marks: Marks,
    root: UpperDir,
    shared: Arc<Shared>,
}

/// Inodes of other layers that the directory has.
#[derive(Debug, Default)]
struct Shared {
    copies: AtomicU64,
    /// By device and inode.
    brought_by: Mutex<HashMap<(u64, u64), Bringer>>,
}

/// A copy by its number, and the layer that the copied file is in.
pub(crate) type Bringer = (u64, Option<usize>);

/// Why a change is impossible.
#[derive(Debug, thiserror::Error)]
pub enum UpperError {
    /// The system refused something.
    #[error(transparent)]
    File(#[from] FileError),
    /// A directory is where another kind of file should go.
    #[error("cannot replace to directory {} with file", .0.display())]
    IsDirectory(PathBuf),
    /// Something else is where a directory should go.
    #[error("cannot copy to non-directory: {}", .0.display())]
    NotDirectory(PathBuf),
}

/// What missing directories on the way to a path become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewDirectory {
    /// The permission bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Their time; that of making them if none.
    pub modified: Option<Time>,
}

impl From<NewDirectory> for Attributes {
    fn from(new: NewDirectory) -> Self {
        Self {
            uid: new.uid,
            gid: new.gid,
            mode: new.mode,
            modified: new.modified,
            xattrs: Vec::new(),
        }
    }
}

impl Default for NewDirectory {
    fn default() -> Self {
        Self {
            mode: 0o755,
            uid: 0,
            gid: 0,
            modified: None,
        }
    }
}

impl Upper {
    /// The directory `path` above the layer directories `stack`, bottom first. Over an empty stack
    /// it is an ordinary directory.
    ///
    /// # Errors
    /// A directory is missing.
    pub fn open(path: &Path, stack: &[PathBuf], marks: Marks) -> Result<Self, FileError> {
        let below = match stack {
            [] => Below::Nothing,
            _ => Below::Dir(Tree::layers(stack, marks)?.root().clone()),
        };
        Self::over(path, stack, below, marks)
    }

    /// The directory `path` above layers that are not known yet.
    ///
    /// # Errors
    /// The directory is missing.
    pub(crate) fn over_unknown(path: &Path, marks: Marks) -> Result<Self, FileError> {
        Self::over(path, &[], Below::Unknown, marks)
    }

    fn over(path: &Path, stack: &[PathBuf], below: Below, marks: Marks) -> Result<Self, FileError> {
        let fd = open_directory(path).map_err(failed("open", path))?;
        let stat = Stat::of(&fd).map_err(failed("stat", path))?;
        Ok(Self {
            path: path.to_owned(),
            stack: stack.to_vec(),
            marks,
            root: UpperDir::root(Arc::new(fd), below, &stat, marks),
            shared: Arc::default(),
        })
    }

    /// All that is there now, the stack included.
    ///
    /// # Errors
    /// A directory is missing.
    pub fn tree(&self) -> Result<Tree, FileError> {
        let layers: Vec<PathBuf> = self.stack.iter().chain([&self.path]).cloned().collect();
        Ok(Tree::layers(&layers, self.marks)?.mutable())
    }

    /// The layer directories below, bottom first.
    #[must_use]
    pub fn stack(&self) -> &[PathBuf] {
        &self.stack
    }

    /// How it carries overlay's marks.
    pub(crate) const fn marks(&self) -> Marks {
        self.marks
    }

    /// The number of a copy that begins.
    pub(crate) fn next_copy(&self) -> u64 {
        self.shared.copies.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether a copy may bring the inode of a file in a layer. One that another copy brought, or
    /// that is from another layer, would be a hard link between files that have nothing to do with
    /// each other.
    pub(crate) fn may_share(&self, file: &Stat, by: Bringer) -> bool {
        let inode = (file.device, file.inode);
        let brought_by = self.shared.brought_by.lock();
        brought_by.is_ok_and(|mut known| *known.entry(inode).or_insert(by) == by)
    }

    /// The root directory.
    #[must_use]
    pub const fn root(&self) -> &UpperDir {
        &self.root
    }

    /// Opens the directory `path` (without links or `..`) for changes, making what is missing on the
    /// way.
    ///
    /// # Errors
    /// Something on the way is no directory, or the system refuses.
    pub fn create_dir_all(&self, path: &Path, new: &NewDirectory) -> Result<UpperDir, UpperError> {
        let mut dir = self.root.clone();
        for component in path.components() {
            let Component::Normal(name) = component else {
                continue;
            };
            dir = dir.create_on_way(name, new)?;
        }
        Ok(dir)
    }
}

impl UpperDir {
    fn create_on_way(&self, name: &OsStr, new: &NewDirectory) -> Result<Self, UpperError> {
        match self.create_dir(name)? {
            Made::Existed(dir) => Ok(dir),
            Made::New(dir) => {
                dir.set_attributes(&(*new).into())?;
                self.restore_times()?;
                Ok(dir.settled()?)
            }
        }
    }
}
