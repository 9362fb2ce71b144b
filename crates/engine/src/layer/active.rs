//! Layers that are being made, with a process or without one.

use std::path::{Path, PathBuf};

use snapshot::snapshotter::{Active, Committed, Draft, View};
use snapshot::{Tree, Upper};
use store::{LayerId, NewLayer, Synced};
use sys::mount::{MountKind, OverlayMount};
use sys::owner::{self, Owner};

use crate::engine::Inner;
use crate::error::EngineError;

impl Inner {
    /// A layer above `below` (layer directories, bottom first) that is written without a process.
    pub(crate) fn draft(&self, below: &[PathBuf]) -> Result<Draft, EngineError> {
        let place = self.store.snapshots().allocate(&self.lease)?;
        Ok(Draft::new(place, below, self.marks)?)
    }

    /// A file system over `below` for a process to change.
    pub(crate) fn prepare(&self, below: &[PathBuf]) -> Result<Active, EngineError> {
        let place = self.store.snapshots().allocate(&self.lease)?;
        Ok(self.snapshotter()?.prepare(place, below)?)
    }

    /// A file system over `below` for a process to look at.
    pub(crate) fn view(&self, below: &[PathBuf]) -> Result<View, EngineError> {
        let place = self.store.snapshots().allocate(&self.lease)?;
        Ok(self.snapshotter()?.view(place, below)?)
    }

    /// The same file system, to be changed before the process starts.
    pub(crate) fn upper_of(&self, active: &Active) -> Result<Upper, EngineError> {
        Ok(match active.mount() {
            MountKind::Overlay(OverlayMount {
                upper: Some(upper), ..
            }) => Upper::open(upper, active.stack(), self.marks)?,
            MountKind::Bind { source, .. } => Upper::open(source, &[], self.marks)?,
            _ => return Err(EngineError::LostThread),
        })
    }

    /// What a process left, as a layer. The rest is moved into `rubbish`. Of the files `moved` the
    /// time of change says nothing.
    pub(crate) fn commit(
        &self,
        mut active: Active,
        moved: &[u64],
        rubbish: &Path,
    ) -> Result<LayerId, EngineError> {
        active.forget(moved);
        self.publish(self.snapshotter()?.commit(active, rubbish)?)
    }

    /// Makes it a layer that can stand on any stack.
    pub(crate) fn publish(&self, layer: Committed) -> Result<LayerId, EngineError> {
        let new = NewLayer {
            self_contained: true,
            ..NewLayer::default()
        };
        Ok(layer.publish(&self.store, &new, Synced::No)?)
    }
}

/// The root directory of a layer hides the one below, so it takes over its owner and mode.
pub(crate) fn adopt_root(directory: &Path, below: Option<&Path>) -> Result<(), EngineError> {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |source| EngineError::WriteFile {
        path: directory.to_owned(),
        source,
    };
    let Some(below) = below else {
        return std::fs::set_permissions(directory, Permissions::from_mode(0o755)).map_err(failed);
    };
    let snapshot::Stat { uid, gid, mode, .. } = Tree::directory(below)?.root().own_stat()?;
    owner::give_path(directory, Owner { uid, gid }).map_err(failed)?;
    std::fs::set_permissions(directory, Permissions::from_mode(mode)).map_err(failed)
}
