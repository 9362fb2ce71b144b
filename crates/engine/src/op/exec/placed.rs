//! What is different where nothing can be mounted, and all is moved into the step's root instead:
//! what is moved must be the step's own, in one place at a time, and on the store's file system.

use graph::ExecOp;
use sandbox::SandboxError;
use snapshot::Upper;
use sys::mount::MountKind;

use super::mounts::Builder;
use crate::cache_mount::CacheMountIdentity;
use crate::error::EngineError;
use crate::output::LocalTree;

impl Builder<'_> {
    /// Refuses what nothing can stand for.
    pub(super) fn check_step(&self, op: &ExecOp) -> Result<(), EngineError> {
        let refused = |what| Err(SandboxError::NotInChroot(what).into());
        match (self.places, &op.hostname) {
            (true, Some(_)) => refused("a host name of a step's own"),
            (true, None) if !op.devices.is_empty() => refused("a device"),
            _ => Ok(()),
        }
    }

    /// Refuses a second place for a cache mount.
    pub(super) fn check_cache(&mut self, identity: &CacheMountIdentity) -> Result<(), EngineError> {
        if !self.places {
            return Ok(());
        }
        let key = identity.key();
        if self.placed_caches.contains(&key) {
            let what = "a cache mount in two places at once";
            return Err(SandboxError::NotInChroot(what).into());
        }
        self.placed_caches.push(key);
        Ok(())
    }

    /// A copy of the client's files, to be moved.
    pub(super) fn copy_of(&mut self, local: &LocalTree) -> Result<MountKind, EngineError> {
        let path = self.scratch.join(format!("client-{}", self.copies));
        self.copies += 1;
        std::fs::create_dir(&path).map_err(|source| EngineError::WriteFile {
            path: path.clone(),
            source,
        })?;
        let upper = Upper::open(&path, &[], self.engine.marks)?;
        let options = snapshot::copy::Options {
            pool: Some(self.engine.pool()?),
            ..snapshot::copy::Options::default()
        };
        snapshot::copy::whole(&local.tree()?, &upper, &options)?;
        Ok(MountKind::Bind {
            source: path,
            recursive: false,
        })
    }
}
