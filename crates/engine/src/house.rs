//! Keeping house: what the store holds, what nobody needs, whether all is well.

use store::{Depth, Problem, PruneRequest, Pruned, Usage};

use crate::engine::Engine;
use crate::error::EngineError;

impl Engine {
    /// What the store holds and how much of it is in use.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn usage(&self) -> Result<Usage, EngineError> {
        Ok(self.0.store.usage()?)
    }

    /// Removes what nobody needs, as `request` says.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn prune(&self, request: &PruneRequest) -> Result<Pruned, EngineError> {
        // Copies of clients' directories are there for builds alone too.
        if request.everything && !request.dry_run {
            self.forget_copies()?;
        }
        Ok(self.0.store.prune(request)?)
    }

    /// What is wrong with the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn fsck(&self, depth: Depth) -> Result<Vec<Problem>, EngineError> {
        Ok(self.0.store.fsck(depth)?)
    }

    /// Repairs what can be repaired; what is left then, such as images whose blobs are lost.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn repair(&self, problems: Vec<Problem>) -> Result<Vec<Problem>, EngineError> {
        Ok(self.0.store.repair(problems, self.0.clock.now())?)
    }
}
