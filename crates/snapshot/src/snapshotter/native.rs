//! Snapshots by copying, where overlayfs cannot be mounted: the process gets a whole copy of the
//! stack, and the layer is what differs afterwards.
//!
//! A file is unchanged if its inode and time of change are those that it had when the copy was made:
//! no process can set the time of change. Only directories are compared by their metadata, since
//! whatever is made in one moves its times.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rayon::ThreadPool;
use store::TempSnapshot;
use sys::mount::MountKind;

use super::{Active, Committed, FS, SnapshotError, Snapshotter, View, discard, make_root};
use crate::changes::{self, Sameness};
use crate::copy::{self, Options};
use crate::{Dir, FileError, Kind, Marks, Stat, Time, Tree, Upper};

const ROOT: &str = "root";

/// Copies stacks into directories of their own.
#[derive(Debug, Clone, Copy, Default)]
pub struct NativeSnapshotter<'a> {
    /// How layers keep their marks.
    pub marks: Marks,
    /// Where files are copied.
    pub pool: Option<&'a ThreadPool>,
}

/// Times of change by inode, as the copy had them.
#[derive(Debug, Default)]
pub(super) struct Before(HashMap<u64, Time>);

impl NativeSnapshotter<'_> {
    fn copy(&self, place: &TempSnapshot, stack: &[PathBuf]) -> Result<PathBuf, SnapshotError> {
        let root = make_root(place.path(), ROOT, stack, self.marks)?;
        if stack.is_empty() {
            return Ok(root);
        }
        let tree = Tree::layers(stack, self.marks)?;
        // Not linked, even to be looked at only: the process may be root, and in no mount.
        let options = Options {
            share: false,
            pool: self.pool,
            earlier: None,
        };
        copy::whole(&tree, &Upper::open(&root, &[], self.marks)?, &options)?;
        Ok(root)
    }
}

impl Snapshotter for NativeSnapshotter<'_> {
    fn prepare(&self, place: TempSnapshot, stack: &[PathBuf]) -> Result<Active, SnapshotError> {
        let source = if stack.is_empty() {
            make_root(place.path(), FS, stack, self.marks)?
        } else {
            self.copy(&place, stack)?
        };
        let mut before = Before::default();
        if !stack.is_empty() {
            before.note(Tree::directory(&source)?.root())?;
        }
        Ok(Active {
            place,
            stack: stack.to_vec(),
            mount: MountKind::Bind {
                source,
                recursive: false,
            },
            before,
        })
    }

    fn view(&self, place: TempSnapshot, stack: &[PathBuf]) -> Result<View, SnapshotError> {
        let source = self.copy(&place, stack)?;
        Ok(View {
            mount: MountKind::Bind {
                source,
                recursive: false,
            },
            _place: place,
        })
    }

    fn commit(&self, active: Active, rubbish: &Path) -> Result<Committed, SnapshotError> {
        let Active {
            place,
            stack,
            before,
            ..
        } = active;
        if !stack.is_empty() {
            let fs = make_root(place.path(), FS, &[], self.marks)?;
            let root = place.path().join(ROOT);
            before.changes(&root, &fs, &stack, self)?;
            discard(place.path(), ROOT, rubbish)?;
        }
        Ok(Committed { place })
    }
}

impl Before {
    fn note(&mut self, dir: &Dir) -> Result<(), FileError> {
        for entry in dir.entries()? {
            if entry.kind == Kind::Directory {
                self.note(&dir.enter(&entry)?)?;
            } else {
                let stat = dir.stat(&entry)?;
                self.0.insert(stat.inode, stat.changed);
            }
        }
        Ok(())
    }

    fn changes(
        &self,
        root: &Path,
        fs: &Path,
        stack: &[PathBuf],
        snapshotter: &NativeSnapshotter<'_>,
    ) -> Result<(), SnapshotError> {
        let lower = Tree::layers(stack, snapshotter.marks)?;
        // The process is gone, and so will be the directory: its files can be taken as they are.
        let upper = Tree::directory(root)?.frozen();
        let into = Upper::open(fs, stack, snapshotter.marks)?;
        let options = Options {
            share: true,
            pool: snapshotter.pool,
            earlier: None,
        };
        changes::write(&lower, &upper, &into, &options, self)?;
        Ok(())
    }
}

impl Sameness for Before {
    fn is_same_file(&self, _: &Stat, upper: &Stat) -> Option<bool> {
        Some(self.0.get(&upper.inode) == Some(&upper.changed))
    }

    fn times_of_directories_matter(&self) -> bool {
        true
    }
}
