//! Snapshots by copying, where overlayfs cannot be mounted: the process gets a whole copy of the
//! stack, and the layer is what differs afterwards.
//!
//! A file is unchanged if its inode and time of change are those that it had when the copy was made:
//! no process can set the time of change. Others are compared, since a file that is the same is in no
//! layer. One that has got another name is changed: it is a link of what is new. A directory that
//! was made anew, or comes from elsewhere, hides the one below.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::ThreadPool;
use rustix::fs::rename;
use store::TempSnapshot;
use sys::mount::MountKind;

use super::{
    Active, Committed, FS, SnapshotError, Snapshotter, View, discard, make_root, never_empty,
};
use crate::changes::{self, Sameness};
use crate::copy::{self, Options};
use crate::file::failed;
use crate::{Dir, FileError, Kind, Marks, Stat, Time, Tree, Upper};

const ROOT: &str = "root";

/// Copies stacks into directories of their own.
#[derive(Debug, Clone, Default)]
pub struct NativeSnapshotter {
    /// How layers keep their marks.
    pub marks: Marks,
    /// Where files are copied.
    pub pool: Option<Arc<ThreadPool>>,
}

/// What the copy was like, by inode.
#[derive(Debug, Default)]
pub(super) struct Before {
    files: HashMap<u64, File>,
    directories: HashMap<u64, Directory>,
    forgotten: HashSet<u64>,
}

#[derive(Debug)]
struct File {
    changed: Time,
    links: u32,
}

/// Numbers of inodes are given again.
#[derive(Debug)]
struct Directory {
    born: Option<Time>,
    path: PathBuf,
}

impl NativeSnapshotter {
    fn copy(&self, place: &TempSnapshot, stack: &[PathBuf]) -> Result<PathBuf, SnapshotError> {
        let root = make_root(place.path(), ROOT, stack, self.marks)?;
        if stack.is_empty() {
            return Ok(root);
        }
        let tree = Tree::layers(stack, self.marks)?;
        // Not linked, even to be looked at only: the process may be root, and in no mount.
        let options = Options {
            share: false,
            pool: self.pool.as_deref(),
            earlier: None,
            limits: crate::Limits::default(),
        };
        copy::whole(&tree, &Upper::open(&root, &[], self.marks)?, &options)?;
        Ok(root)
    }
}

impl Snapshotter for NativeSnapshotter {
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
            let fs = make_root(place.path(), FS, &stack, self.marks)?;
            let root = place.path().join(ROOT);
            before.changes(&root, &fs, &stack, self)?;
            discard(place.path(), ROOT, rubbish)?;
        }
        Ok(Committed { place })
    }

    fn open(
        &self,
        place: TempSnapshot,
        stack: &[PathBuf],
        own: &Path,
    ) -> Result<Active, SnapshotError> {
        let stack = never_empty(&place, stack)?;
        let whole = [&stack[..], &[own.to_owned()]].concat();
        let mut active = self.prepare(place, &whole)?;
        let root = Tree::directory(&active.place.path().join(ROOT))?;
        let own = Tree::directory(own)?;
        active.before.disown(own.root(), root.root(), self.marks)?;
        active.stack = stack;
        Ok(active)
    }

    fn close(&self, active: Active, own: &Path, rubbish: &Path) -> Result<(), SnapshotError> {
        let committed = self.commit(active, rubbish)?;
        let aside = rubbish.join("own");
        rename(own, &aside).map_err(failed("rename", own))?;
        rename(committed.directory(), own).map_err(failed("rename", own))?;
        Ok(())
    }
}

impl Before {
    pub(super) fn forget(&mut self, inodes: &[u64]) {
        self.forgotten.extend(inodes);
    }

    fn note(&mut self, dir: &Dir) -> Result<(), FileError> {
        let (own, path) = (dir.own_stat()?, dir.path().to_owned());
        let born = own.born;
        self.directories.insert(own.inode, Directory { born, path });
        for entry in dir.entries()? {
            if entry.kind == Kind::Directory {
                self.note(&dir.enter(&entry)?)?;
            } else {
                let stat = dir.stat(&entry)?;
                let (changed, links) = (stat.changed, stat.links);
                self.files.insert(stat.inode, File { changed, links });
            }
        }
        Ok(())
    }

    /// Compares what the layer directory `own` has, which is at `root` too: the layers below it have
    /// something else there.
    fn disown(&mut self, own: &Dir, root: &Dir, marks: Marks) -> Result<(), FileError> {
        for entry in own.entries()? {
            let Some((copy, stat)) = root.find(&entry.name)? else {
                // A mark.
                continue;
            };
            if entry.kind != Kind::Directory {
                self.files.remove(&stat.inode);
                continue;
            }
            let (own, root) = (own.enter(&entry)?, root.enter(&copy)?);
            let fd = own.layer_fds().first().map(|(_, fd)| fd);
            let is_opaque = fd.map_or(Ok(false), |fd| marks.is_opaque(fd));
            if is_opaque.map_err(failed("getxattr", own.path()))? {
                self.directories.remove(&stat.inode);
            } else {
                self.disown(&own, &root, marks)?;
            }
        }
        Ok(())
    }

    fn changes(
        &self,
        root: &Path,
        fs: &Path,
        stack: &[PathBuf],
        snapshotter: &NativeSnapshotter,
    ) -> Result<(), SnapshotError> {
        let lower = Tree::layers(stack, snapshotter.marks)?;
        // The process is gone, and so will be the directory: its files can be taken as they are.
        let upper = Tree::directory(root)?.frozen();
        let into = Upper::open(fs, stack, snapshotter.marks)?;
        let options = Options {
            share: true,
            pool: snapshotter.pool.as_deref(),
            earlier: None,
            limits: crate::Limits::default(),
        };
        let mut now = Now {
            before: self,
            linked: HashSet::new(),
        };
        now.note(upper.root())?;
        changes::write(&lower, &upper, &into, &options, &now)?;
        Ok(())
    }

    fn has_more_names(&self, now: &Stat) -> bool {
        let before = self.files.get(&now.inode).map_or(1, |before| before.links);
        now.links > before
    }
}

/// What the process has left, compared with what was before.
struct Now<'a> {
    before: &'a Before,
    /// Inodes of files that have more names than before. Files that are taken get further names.
    linked: HashSet<u64>,
}

impl Now<'_> {
    fn note(&mut self, dir: &Dir) -> Result<(), FileError> {
        for entry in dir.entries()? {
            if entry.kind == Kind::Directory {
                self.note(&dir.enter(&entry)?)?;
                continue;
            }
            let stat = dir.stat(&entry)?;
            if stat.links > 1 && self.before.has_more_names(&stat) {
                self.linked.insert(stat.inode);
            }
        }
        Ok(())
    }
}

impl Sameness for Now<'_> {
    fn is_same_file(&self, _: &Stat, upper: &Stat) -> Option<bool> {
        if self.linked.contains(&upper.inode) {
            return Some(false);
        }
        let before = self.before.files.get(&upper.inode);
        let is_forgotten = self.before.forgotten.contains(&upper.inode);
        let is_untouched = before.is_some_and(|before| before.changed == upper.changed);
        (is_untouched && !is_forgotten).then_some(true)
    }

    fn is_same_directory(&self, upper: &Dir) -> Result<bool, FileError> {
        let own = upper.own_stat()?;
        let before = self.before.directories.get(&own.inode);
        Ok(before.is_some_and(|before| before.born == own.born && before.path == upper.path()))
    }

    fn times_of_directories_matter(&self) -> bool {
        true
    }
}
