//! Runs a step's process: its file systems are put together, the process runs in the sandbox with
//! its output passed on, and what it changed becomes layers.
//!
//! Nothing of a step that failed or was cancelled stays: its directories and mounts are guards.

mod devices;
mod environment;
mod foreign;
mod front_end;
mod interactive;
mod mounts;
mod placed;
mod private;
mod process;

use std::sync::Arc;

use graph::{ExecOp, MountSource, NetworkMode, SecurityMode};
use solver::Step;

use crate::cache_mount::Seeds;
use crate::debug::{FailedStep, Left};
use crate::engine::Inner;
use crate::error::{EngineError, ProcessExit};
use crate::output::Output;
use crate::session::Session;

pub(crate) use environment::SystemFiles;
pub use front_end::FrontEnd;
pub use interactive::{ContainerProcess, NewContainer, Speaks, StepContainer, StepProcess};
use process::run_to_end;
pub(crate) use process::wait_for;

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
            (keep, FailedStep { op, inputs })
        });
        let root = root_input(op).and_then(|input| inputs.get(input).cloned());
        let prepared = {
            let (engine, session, op) = (Arc::clone(self), Arc::clone(session), op.clone());
            crate::blocking(move || Prepared::new(&engine, &session, &op, inputs, seeds)).await??
        };
        let ended = run_to_end(self, step.progress(), &prepared.spec, root.as_ref()).await?;
        if !is_success(op, ended.exit) {
            // What could not be taken out of its root again is nothing to keep.
            if let (Some((keep, failed)), Ok(moved)) = (failed, ended.moved) {
                let left = Left { prepared, moved };
                self.keep_failed(keep, step, failed, left).await;
            }
            return Err(EngineError::Process {
                command: op.process.args.join(" "),
                exit: ended.exit,
            });
        }
        let moved = ended.moved?;
        let engine = Arc::clone(self);
        let (outputs, rubbish) =
            crate::blocking(move || prepared.commit(&engine, &moved)).await??;
        self.discarded.add(rubbish);
        Ok(outputs)
    }
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

/// The sandbox's word for a network.
pub(crate) const fn network(mode: NetworkMode) -> sandbox::Network {
    match mode {
        NetworkMode::Default | NetworkMode::Host => sandbox::Network::Host,
        NetworkMode::None => sandbox::Network::None,
    }
}

/// The sandbox's word for a level of security.
pub(crate) const fn security(mode: SecurityMode) -> sandbox::Security {
    match mode {
        SecurityMode::Sandbox => sandbox::Security::Sandbox,
        SecurityMode::Insecure => sandbox::Security::Insecure,
    }
}
