//! The file system that a container's process changes: its layers, and its own layer above them.
//!
//! Where there is no overlayfs it is a copy, and what was changed comes into the own layer when the
//! process has ended; if kiln is killed before, it is lost.

use std::path::PathBuf;
use std::sync::Arc;

use snapshot::snapshotter::Active;
use sys::mount::MountKind;

use crate::engine::Inner;
use crate::error::EngineError;

/// A container's file system, for one process. When it is dropped, what the process has changed is
/// kept, so the process must have ended by then.
#[derive(Debug)]
pub(crate) struct ContainerRoot {
    engine: Arc<Inner>,
    own: PathBuf,
    active: Option<Active>,
    mount: MountKind,
}

impl ContainerRoot {
    /// That of a container whose own layer is there.
    pub(crate) fn open(
        engine: &Arc<Inner>,
        container: &store::Container,
        layers: &[PathBuf],
    ) -> Result<Self, EngineError> {
        let own = engine
            .store
            .containers()
            .directory(&container.id)
            .join("fs");
        let place = engine.store.snapshots().allocate(&engine.lease)?;
        let active = engine.snapshotter()?.open(place, layers, &own)?;
        Ok(Self {
            engine: Arc::clone(engine),
            own,
            mount: active.mount().clone(),
            active: Some(active),
        })
    }

    /// For a sandbox to mount, or to enter.
    pub(crate) fn mount(&self) -> MountKind {
        self.mount.clone()
    }

    /// Keeps what was changed.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn close(mut self) -> Result<(), EngineError> {
        self.keep()
    }

    fn keep(&mut self) -> Result<(), EngineError> {
        // Somebody may have removed the container.
        let Some(active) = self.active.take().filter(|_| self.own.exists()) else {
            return Ok(());
        };
        let engine = &self.engine;
        let rubbish = engine.store.snapshots().allocate(&engine.lease)?;
        engine
            .snapshotter()?
            .close(active, &self.own, rubbish.path())?;
        Ok(())
    }
}

impl Drop for ContainerRoot {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = self.keep();
    }
}
