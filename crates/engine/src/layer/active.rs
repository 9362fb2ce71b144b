//! Layers that are being made, with a process or without one.

use std::path::{Path, PathBuf};

use snapshot::Upper;
use snapshot::snapshotter::{Active, Committed, Draft, View};
use store::{LayerId, NewLayer, Synced};
use sys::mount::{MountKind, OverlayMount};

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
        Ok(self.snapshotter.prepare(place, below)?)
    }

    /// A file system over `below` for a process to look at.
    pub(crate) fn view(&self, below: &[PathBuf]) -> Result<View, EngineError> {
        let place = self.store.snapshots().allocate(&self.lease)?;
        Ok(self.snapshotter.view(place, below)?)
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

    /// What a process left, as a layer. The rest is moved into `rubbish`.
    pub(crate) fn commit(&self, active: Active, rubbish: &Path) -> Result<LayerId, EngineError> {
        self.publish(self.snapshotter.commit(active, rubbish)?)
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
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let failed = |source| EngineError::WriteFile {
        path: directory.to_owned(),
        source,
    };
    let Some(below) = below else {
        return std::fs::set_permissions(directory, Permissions::from_mode(0o755)).map_err(failed);
    };
    let metadata = std::fs::metadata(below).map_err(failed)?;
    let (uid, gid) = (Some(metadata.uid()), Some(metadata.gid()));
    std::os::unix::fs::chown(directory, uid, gid).map_err(failed)?;
    std::fs::set_permissions(directory, Permissions::from_mode(metadata.mode() & 0o7777))
        .map_err(failed)
}
