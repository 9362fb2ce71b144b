//! Runs a step's process: its file systems are put together, the process runs in the sandbox with
//! its output passed on, and what it changed becomes layers.
//!
//! Nothing of a step that failed or was cancelled stays: its directories and mounts are guards.

mod bounds;
mod devices;
mod environment;
mod foreign;
mod front_end;
mod interactive;
mod mounts;
mod network;
mod placed;
mod private;
mod process;

use std::sync::Arc;

use graph::{ExecOp, MountSource};
use solver::Step;

use crate::cache_mount::Seeds;
use crate::debug::{FailedStep, Left};
use crate::engine::Inner;
use crate::error::{EngineError, ProcessExit};
use crate::output::Output;
use crate::resources::{Exceeded, Resources};
use crate::session::Session;

use bounds::Bounds;
pub(crate) use environment::{SystemFiles, limits};
pub(crate) use foreign::machine;
pub use front_end::FrontEnd;
pub use interactive::{ContainerProcess, NewContainer, Speaks, StepContainer, StepProcess};
use process::{Ended, run_to_end};
pub(crate) use process::{start, wait_for, wait_for_end};

pub(crate) use mounts::Prepared;

impl Inner {
    /// Runs `op` on `inputs`; one output for each that its mounts name.
    pub(crate) async fn exec(
        self: &Arc<Self>,
        step: &Step,
        op: &ExecOp,
        inputs: Vec<Output>,
        session: &Arc<Session>,
    ) -> Result<Vec<Output>, EngineError> {
        let inputs = self.trees(step, inputs).await?;
        let seeds = match &session.carried {
            Some(carried) => self.carried_seeds(carried, op).await?,
            None => Seeds::new(),
        };
        let failed = session.keep_failed.as_ref().map(|keep| {
            let (op, inputs) = (op.clone(), inputs.clone());
            let network = session.network;
            (
                keep,
                FailedStep {
                    op,
                    inputs,
                    network,
                },
            )
        });
        let root = root_input(op).and_then(|input| inputs.get(input).cloned());
        let prepared = {
            let (engine, session, op) = (Arc::clone(self), Arc::clone(session), op.clone());
            crate::blocking(move || Prepared::new(&engine, &session, &op, inputs, seeds)).await??
        };
        let resources = self.resources(session);
        let (written, others) = (
            prepared.written_directories(),
            prepared.mounted_directories(),
        );
        let bounds = Bounds::new(&resources, written, others).await?;
        let ended = run_to_end(
            self,
            step.progress(),
            &prepared.spec,
            root.as_ref(),
            &bounds,
        )
        .await?;
        if let Some(failure) = failure(op, &ended, &resources) {
            // What could not be taken out of its root again is nothing to keep.
            if let (Some((keep, failed)), Ok(moved)) = (failed, ended.moved) {
                let left = Left { prepared, moved };
                self.keep_failed(keep, step, failed, left).await;
            }
            return Err(failure);
        }
        let moved = ended.moved?;
        let engine = Arc::clone(self);
        let (outputs, rubbish) =
            crate::blocking(move || prepared.commit(&engine, &moved)).await??;
        self.discarded.add(rubbish);
        Ok(outputs)
    }
}

impl Inner {
    /// What each step of a build may take.
    pub(crate) fn resources(&self, session: &Session) -> Resources {
        session.resources.or(&self.config.limits.step)
    }
}

/// Why the process is taken to have failed, if it has. One that has met a limit of the kernel's may
/// have done without what it was refused.
fn failure(op: &ExecOp, ended: &Ended, resources: &Resources) -> Option<EngineError> {
    let command = || op.process.args.join(" ");
    let met = || match ended.met? {
        sandbox::Exceeded::Memory => resources.kernel.memory.map(Exceeded::Memory),
        sandbox::Exceeded::Processes => resources.kernel.pids.map(Exceeded::Pids),
    };
    let failed = !is_success(op, ended.exit);
    let exceeded = ended.exceeded.or_else(|| failed.then(met).flatten());
    if let Some(exceeded) = exceeded {
        let command = command();
        return Some(EngineError::Exceeded { command, exceeded });
    }
    failed.then(|| EngineError::Process {
        command: command(),
        exit: ended.exit,
        disconnected: ended.disconnected.clone(),
    })
}

/// The input that the process's root is made of, by its number.
fn root_input(op: &ExecOp) -> Option<usize> {
    let root = op.mounts.iter().find(|mount| mount.target == "/")?;
    match root.source {
        MountSource::Bind { input, .. } => input.map(|input| input as usize),
        _ => None,
    }
}

fn is_success(op: &ExecOp, exit: ProcessExit) -> bool {
    match (exit, op.valid_exit_codes.as_slice()) {
        (ProcessExit::Code(code), []) => code == 0,
        (ProcessExit::Code(code), valid) => u32::try_from(code).is_ok_and(|c| valid.contains(&c)),
        _ => false,
    }
}
