//! Puts together what a step's process sees: its root, what is mounted into it, and what becomes
//! of that afterwards.

mod builder;

use std::path::PathBuf;

use graph::ExecOp;
use sandbox::Spec;
use snapshot::Upper;
use snapshot::snapshotter::{Active, View};
use store::{CacheMount, TempSnapshot};
use sys::mount::{Mount as SystemMount, MountKind};

use super::private::SecretFile;
use crate::cache_mount::Seeds;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::op::trees::InputTree;
use crate::output::{Output, Stack};
use crate::session::Session;
use crate::ssh::Relay;

pub(super) use builder::{Builder, set_attributes};

/// A step that is ready to run. Dropping it leaves nothing behind.
pub(crate) struct Prepared {
    pub(crate) spec: Spec,
    writable: Vec<Writable>,
    outputs: usize,
    _views: Vec<View>,
    _caches: Vec<CacheMount>,
    secrets: Vec<SecretFile>,
    agents: Vec<Relay>,
    scratch: TempSnapshot,
}

/// What a step is put together on: a directory of its own, and a root when there is one already.
struct Ground {
    scratch: TempSnapshot,
    root: Option<MountKind>,
}

/// A file system that the process may change.
struct Writable {
    /// Where it is mounted.
    target: String,
    base: Stack,
    active: Active,
    /// Which output it becomes; none when what was written is dropped.
    output: Option<u32>,
}

impl Prepared {
    pub(super) fn new(
        engine: &Inner,
        session: &Session,
        op: &ExecOp,
        inputs: Vec<InputTree>,
        seeds: Seeds,
    ) -> Result<Self, EngineError> {
        let scratch = engine.store.snapshots().allocate(&engine.lease)?;
        Self::on(
            Ground {
                scratch,
                root: None,
            },
            engine,
            session,
            op,
            inputs,
            seeds,
        )
    }

    /// The same on a root that is there already, such as that of a step that was kept.
    pub(crate) fn with_root(
        engine: &Inner,
        session: &Session,
        op: &ExecOp,
        inputs: Vec<InputTree>,
        root: MountKind,
    ) -> Result<Self, EngineError> {
        let scratch = engine.store.snapshots().allocate(&engine.lease)?;
        let root = Some(root);
        Self::on(
            Ground { scratch, root },
            engine,
            session,
            op,
            inputs,
            Seeds::new(),
        )
    }

    /// Makes layers of what the process changed, and gives back what can be removed.
    /// Of the files `moved` the time of change says nothing.
    pub(super) fn commit(
        self,
        engine: &Inner,
        moved: &[u64],
    ) -> Result<(Vec<Output>, TempSnapshot), EngineError> {
        // No secret outlives the process, and no agent is reached by what it left behind.
        drop((self.secrets, self.agents));
        let mut outputs = vec![Output::Stack(Stack::default()); self.outputs];
        for Writable {
            base,
            active,
            output,
            ..
        } in self.writable
        {
            let Some(output) = output else { continue };
            let stack = base.with(engine.commit(active, moved, self.scratch.path())?);
            if let Some(slot) = outputs.get_mut(output as usize) {
                *slot = Output::Stack(stack);
            }
        }
        Ok((outputs, self.scratch))
    }

    /// Where the file systems are written that the process may change.
    pub(super) fn written_directories(&self) -> Vec<PathBuf> {
        let directory = |writable: &Writable| match writable.active.mount() {
            MountKind::Overlay(overlay) => overlay.upper.clone(),
            MountKind::Bind { source, .. } => Some(source.clone()),
            _ => None,
        };
        self.writable.iter().filter_map(directory).collect()
    }

    /// Where directories and files of others are that are mounted into them.
    pub(super) fn mounted_directories(&self) -> Vec<PathBuf> {
        let written = self.written_directories();
        let source = |mount: &SystemMount| match &mount.kind {
            MountKind::Bind { source, .. } => Some(source.clone()),
            _ => None,
        };
        let sources = self.spec.mounts.iter().filter_map(source);
        sources.filter(|source| !written.contains(source)).collect()
    }

    /// What is mounted at `target`, as it is now; none if nothing can be written there.
    pub(super) fn written(
        &self,
        engine: &Inner,
        target: &str,
    ) -> Result<Option<Upper>, EngineError> {
        let mut writable = self.writable.iter();
        let found = writable.find(|writable| writable.target == target);
        found
            .map(|writable| engine.upper_of(&writable.active))
            .transpose()
    }

    /// The root file system as the process left it.
    pub(crate) fn root_as_left(self, engine: &Inner, moved: &[u64]) -> Result<Stack, EngineError> {
        drop((self.secrets, self.agents));
        let mut writable = self.writable.into_iter();
        match writable.find(|writable| writable.output == Some(0)) {
            Some(Writable { base, active, .. }) => {
                Ok(base.with(engine.commit(active, moved, self.scratch.path())?))
            }
            None => Ok(Stack::default()),
        }
    }
}
