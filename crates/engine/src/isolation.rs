//! What this process may do for steps: namespaces and mounts, mounts without overlayfs, or neither.
//!
//! Found out by trying, when the first step needs to know: a build that runs no step tries nothing.

use std::path::PathBuf;

use sandbox::Isolation;
use snapshot::snapshotter::{NativeSnapshotter, OverlaySnapshotter, Snapshotter};
use sys::mount::{MountFlags, MountKind, OverlayMount, detach};

use crate::engine::{Engine, Inner};
use crate::error::EngineError;

impl Engine {
    /// Whether steps run in a chroot, for want of namespaces and mounts or by choice.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn runs_in_chroot(&self) -> Result<bool, EngineError> {
        self.0.places_mounts()
    }

    /// Whether a step gets a whole copy of its image, for want of overlayfs.
    ///
    /// # Errors
    /// The store cannot be written to.
    pub fn copies_layers(&self) -> Result<bool, EngineError> {
        Ok(!self.0.takes_overlay()?)
    }
}

impl Inner {
    /// How steps are kept away from the machine.
    pub(crate) fn isolation(&self) -> Result<Isolation, EngineError> {
        Ok(self.sandbox()?.isolation())
    }

    /// Whether what a step mounts is moved into its root instead.
    pub(crate) fn places_mounts(&self) -> Result<bool, EngineError> {
        Ok(self.isolation()? == Isolation::Chroot)
    }

    /// What makes file systems of stacks for processes.
    pub(crate) fn snapshotter(&self) -> Result<&dyn Snapshotter, EngineError> {
        if let Some(snapshotter) = self.snapshotter.get() {
            return Ok(&**snapshotter);
        }
        let marks = self.marks;
        let snapshotter: Box<dyn Snapshotter> = if self.takes_overlay()? {
            Box::new(OverlaySnapshotter { marks })
        } else {
            let pool = Some(std::sync::Arc::clone(self.pool()?));
            Box::new(NativeSnapshotter { marks, pool })
        };
        Ok(&**self.snapshotter.get_or_init(|| snapshotter))
    }

    /// Whether overlayfs can be mounted, with an upper directory in the store.
    fn takes_overlay(&self) -> Result<bool, EngineError> {
        if self.places_mounts()? {
            return Ok(false);
        }
        let place = self.store.snapshots().allocate(&self.lease)?;
        let directory = |name: &str| -> Result<PathBuf, EngineError> {
            let path = place.path().join(name);
            std::fs::create_dir(&path).map_err(|source| EngineError::WriteFile {
                path: path.clone(),
                source,
            })?;
            Ok(path)
        };
        let overlay = OverlayMount {
            lower: vec![directory("lower")?],
            upper: Some(directory("upper")?),
            work: Some(directory("work")?),
            volatile: true,
            user_xattr: self.marks == snapshot::Marks::User,
        };
        Ok(detach(&MountKind::Overlay(overlay), MountFlags::NONE).is_ok())
    }
}
