//! Snapshots: a file system for a process to change, made of a stack, and the layer that it leaves.
//!
//! ```text
//! snapshots/<layer>/fs      the layer directory of a published layer
//! snapshots/tmp-…/fs        the layer directory of one that is being made
//! snapshots/tmp-…/work      overlay's own directory; elsewhere when the layer is published
//! snapshots/tmp-…/root      the whole file system, where there is no overlay
//! ```
//!
//! [`Snapshotter`] is for processes. Changes without a process need none: a [`Draft`] is written to
//! through [`Upper`] and becomes a layer the same way. What is not published is removed when it is
//! dropped, and by the store when nobody was there to drop it.

mod native;
mod overlay;
mod unchanged;

use std::fmt;
use std::path::{Path, PathBuf};

use store::{LayerId, NewLayer, Store, StoreError, Synced, TempSnapshot};
use sys::mount::MountKind;

use crate::diff::DiffError;
use crate::file::{FileError, failed};
use crate::tree::open_directory;
use crate::{Attributes, CopyError, Marks, Stat, Tree, Upper, UpperError};

pub use native::NativeSnapshotter;
pub use overlay::OverlaySnapshotter;

const FS: &str = "fs";
const NOTHING: &str = "nothing";

/// Makes file systems of stacks, for processes.
///
/// Two implementations: [`OverlaySnapshotter`] mounts, [`NativeSnapshotter`] copies. What a process
/// sees, and the layer that it leaves, are the same.
pub trait Snapshotter: fmt::Debug + Send + Sync {
    /// A file system with all that is in `stack` (layer directories, bottom first), to be changed.
    /// Nothing is mounted yet.
    ///
    /// # Errors
    /// The system refuses.
    fn prepare(&self, place: TempSnapshot, stack: &[PathBuf]) -> Result<Active, SnapshotError>;

    /// The same, to be looked at only.
    ///
    /// # Errors
    /// The system refuses.
    fn view(&self, place: TempSnapshot, stack: &[PathBuf]) -> Result<View, SnapshotError>;

    /// The layer that was left, once nothing uses the file system any more. What it does not need
    /// is moved into `rubbish`, a directory on the same file system that is removed when there is time.
    ///
    /// # Errors
    /// The system refuses.
    fn commit(&self, active: Active, rubbish: &Path) -> Result<Committed, SnapshotError>;

    /// A file system with all that is in `stack` and, above it, in the layer directory `own`, which
    /// lasts: several processes change it one after the other.
    ///
    /// # Errors
    /// The system refuses.
    fn open(
        &self,
        place: TempSnapshot,
        stack: &[PathBuf],
        own: &Path,
    ) -> Result<Active, SnapshotError>;

    /// Sees to it that `own` has what was changed, once nothing uses the file system any more. What
    /// is not needed is moved into `rubbish`.
    ///
    /// # Errors
    /// The system refuses.
    fn close(&self, active: Active, own: &Path, rubbish: &Path) -> Result<(), SnapshotError>;
}

/// A file system that is being changed.
#[derive(Debug)]
pub struct Active {
    place: TempSnapshot,
    stack: Vec<PathBuf>,
    mount: MountKind,
    /// What a native snapshot was before.
    before: native::Before,
}

/// A file system that is looked at.
#[derive(Debug)]
pub struct View {
    mount: MountKind,
    _place: TempSnapshot,
}

/// A layer that is complete but not published.
#[derive(Debug)]
pub struct Committed {
    place: TempSnapshot,
}

/// A layer that is written without a process.
#[derive(Debug)]
pub struct Draft {
    place: TempSnapshot,
    upper: Upper,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A file cannot be read or made.
    #[error(transparent)]
    File(#[from] FileError),
    /// A change is impossible.
    #[error(transparent)]
    Upper(#[from] UpperError),
    /// The file system cannot be copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The changes cannot be found.
    #[error(transparent)]
    Diff(#[from] DiffError),
    /// The store refuses the layer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Active {
    /// Of files with these inodes the time of change says nothing: somebody has moved them and put
    /// them back. They are compared instead.
    pub fn forget(&mut self, inodes: &[u64]) {
        self.before.forget(inodes);
    }

    /// The root file system, for a sandbox to mount.
    #[must_use]
    pub const fn mount(&self) -> &MountKind {
        &self.mount
    }

    /// The layer directories below, bottom first.
    #[must_use]
    pub fn stack(&self) -> &[PathBuf] {
        &self.stack
    }
}

impl View {
    /// The root file system.
    #[must_use]
    pub const fn mount(&self) -> &MountKind {
        &self.mount
    }
}

impl Draft {
    /// Begins a layer above `stack`, bottom first.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new(
        place: TempSnapshot,
        stack: &[PathBuf],
        marks: Marks,
    ) -> Result<Self, SnapshotError> {
        let fs = make_root(place.path(), FS, stack, marks)?;
        let upper = Upper::open(&fs, stack, marks)?;
        Ok(Self { place, upper })
    }

    /// What is written to.
    #[must_use]
    pub const fn upper(&self) -> &Upper {
        &self.upper
    }

    /// The layer, now that nothing is written any more.
    #[must_use]
    pub fn commit(self) -> Committed {
        Committed { place: self.place }
    }
}

impl Committed {
    /// A layer in `place`, whose directory `fs` was filled by whoever calls this.
    ///
    /// # Errors
    /// There is no such directory.
    pub fn from_place(place: TempSnapshot) -> Result<Self, FileError> {
        let path = place.path().join(FS);
        open_directory(&path).map_err(failed("open", &path))?;
        Ok(Self { place })
    }

    /// The layer directory.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.place.path().join(FS)
    }

    /// Publishes it as a new layer.
    ///
    /// # Errors
    /// The store refuses.
    pub fn publish(
        self,
        store: &Store,
        new: &NewLayer,
        synced: Synced,
    ) -> Result<LayerId, StoreError> {
        store.snapshots().publish_new(self.place, new, synced)
    }

    /// Publishes it as the snapshot of a layer that the store knows.
    ///
    /// # Errors
    /// The store refuses.
    pub fn publish_as(
        self,
        store: &Store,
        layer: LayerId,
        synced: Synced,
    ) -> Result<(), StoreError> {
        store
            .snapshots()
            .publish(self.place, layer, synced)
            .map(drop)
    }
}

/// The layer directory of a published layer, from its directory in the store.
#[must_use]
pub fn layer_directory(snapshot: &Path) -> PathBuf {
    snapshot.join(FS)
}

/// An empty layer directory in `place`, to be filled by [`apply`](crate::apply) or
/// [`diff`](crate::diff).
///
/// # Errors
/// The system refuses.
pub fn empty_layer(place: &TempSnapshot) -> Result<PathBuf, FileError> {
    make_root(place.path(), FS, &[], Marks::default())
}

/// Makes the directory `name` with the metadata that the root of `stack` has.
fn make_root(
    place: &Path,
    name: &str,
    stack: &[PathBuf],
    marks: Marks,
) -> Result<PathBuf, FileError> {
    let path = place.join(name);
    std::fs::create_dir(&path).map_err(failed("mkdir", &path))?;
    // Those of the host's directory, which would be passed on to every file made inside.
    for inherited in ["system.posix_acl_default", "system.posix_acl_access"] {
        sys::xattr::remove(&*path, inherited.as_ref()).map_err(failed("removexattr", &path))?;
    }
    let attributes = match stack.last() {
        None => Attributes {
            mode: 0o755,
            modified: Some(crate::Time::default()),
            ..Attributes::default()
        },
        Some(_) => {
            let tree = Tree::layers(stack, marks)?;
            let root = tree.root();
            Attributes::of(&root.own_stat()?, root.own_xattrs()?)
        }
    };
    let dir = open_directory(&path).map_err(failed("open", &path))?;
    let own = Stat::of(&dir).map_err(failed("stat", &path))?;
    if (own.uid, own.gid) == (attributes.uid, attributes.gid) {
        attributes.apply_without_owner(std::os::fd::AsFd::as_fd(&dir), &path)?;
    } else {
        attributes.apply_to(std::os::fd::AsFd::as_fd(&dir), &path)?;
    }
    Ok(path)
}

/// The stack, or a directory with nothing in it where there would be none.
fn never_empty(place: &TempSnapshot, stack: &[PathBuf]) -> Result<Vec<PathBuf>, FileError> {
    if !stack.is_empty() {
        return Ok(stack.to_vec());
    }
    Ok(vec![make_root(
        place.path(),
        NOTHING,
        &[],
        Marks::default(),
    )?])
}

/// Moves the directory `name` of `place` into `rubbish`, if it is there.
fn discard(place: &Path, name: &str, rubbish: &Path) -> Result<(), FileError> {
    let path = place.join(name);
    let mut aside = place.file_name().unwrap_or_default().to_owned();
    aside.push("-");
    aside.push(name);
    match rustix::fs::rename(&path, rubbish.join(aside)) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(errno) => Err(FileError::new("rename", path, errno)),
    }
}
