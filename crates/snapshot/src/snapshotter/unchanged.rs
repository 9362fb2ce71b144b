//! Takes out of a layer what its process left as it was.
//!
//! overlayfs has a file in the layer as soon as it is opened for writing or given the metadata that
//! it has, and marks a directory as opaque that hides nothing. Without these a layer is what a whole
//! copy tells as well: what differs. A file with several names stays, since one of them is new.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, unlinkat};

use crate::changes::{is_same_directory, is_same_file};
use crate::file::failed;
use crate::upper::restore_time;
use crate::{Dir, Entry, FileError, Kind, Marks, Tree};

/// Takes it out of the layer directory `layer`, which lies on `stack`.
pub(super) fn drop_from(layer: &Path, stack: &[PathBuf], marks: Marks) -> Result<(), FileError> {
    let upper = Tree::directory(layer)?;
    let lower = Tree::layers(stack, marks)?;
    Layer { marks }.directory(lower.root(), upper.root())?;
    Ok(())
}

struct Layer {
    marks: Marks,
}

impl Layer {
    /// Goes through a directory that is merged with the one below; whether nothing is left in it.
    fn directory(&self, lower: &Dir, upper: &Dir) -> Result<bool, FileError> {
        let above = upper.entries()?;
        if above.is_empty() {
            return Ok(true);
        }
        let below = lower.entries()?;
        let mut gone = Vec::new();
        for entry in &above {
            let found = below.binary_search_by(|below| below.name.cmp(&entry.name));
            let before = found.ok().map(|at| &below[at]);
            if self.is_unchanged((lower, before), (upper, entry))? {
                gone.push(entry);
            }
        }
        if gone.is_empty() {
            return Ok(false);
        }
        let modified = upper.own_stat()?.modified;
        for entry in &gone {
            let flags = match entry.kind {
                Kind::Directory => AtFlags::REMOVEDIR,
                _ => AtFlags::empty(),
            };
            let dir = upper.layer(entry)?;
            unlinkat(dir, &entry.name, flags).map_err(failed("unlink", upper.at(&entry.name)))?;
            restore_time(dir, modified).map_err(failed("utimes", upper.path()))?;
        }
        Ok(gone.len() == above.len())
    }

    fn is_unchanged(
        &self,
        (lower, before): (&Dir, Option<&Entry>),
        (upper, entry): (&Dir, &Entry),
    ) -> Result<bool, FileError> {
        let is_below = before.is_some_and(|before| before.kind == Kind::Directory);
        if entry.kind == Kind::Directory {
            let opened = upper.enter(entry)?;
            let is_opaque = match opened.layer_fds().first() {
                Some((_, fd)) => self.settle(fd.as_fd(), is_below, &opened)?,
                None => false,
            };
            return match before {
                Some(before) if is_below && !is_opaque => {
                    let lower = lower.enter(before)?;
                    // Before something is taken out of it.
                    let is_same = is_same_directory(&lower, &opened, true)?;
                    Ok(self.directory(&lower, &opened)? && is_same)
                }
                _ => Ok(false),
            };
        }
        let Some(before) = before.filter(|before| before.kind == entry.kind) else {
            return Ok(false);
        };
        if upper.stat(entry)?.links > 1 {
            return Ok(false);
        }
        is_same_file((lower, before), (upper, entry))
    }

    /// Whether a directory is opaque; the mark is removed if there is nothing to hide.
    fn settle(
        &self,
        fd: std::os::fd::BorrowedFd<'_>,
        is_below: bool,
        dir: &Dir,
    ) -> Result<bool, FileError> {
        let is_opaque = self.marks.is_opaque(fd);
        let is_opaque = is_opaque.map_err(failed("getxattr", dir.path()))?;
        if is_opaque && !is_below {
            let cleared = self.marks.clear_opaque(fd);
            cleared.map_err(failed("removexattr", dir.path()))?;
            return Ok(false);
        }
        Ok(is_opaque)
    }
}
