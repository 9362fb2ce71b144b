//! Runs a step's process: its file systems are put together, the process runs in the sandbox with
//! its output passed on, and what it changed becomes layers.
//!
//! Nothing of a step that failed or was cancelled stays: its directories and mounts are guards.

mod devices;
mod environment;
mod mounts;
mod process;

use std::sync::Arc;

use graph::{ExecOp, NetworkMode, SecurityMode};
use solver::Step;

use crate::cache_mount::Seeds;
use crate::engine::Inner;
use crate::error::{EngineError, ProcessExit};
use crate::output::Output;
use crate::session::Session;

pub(crate) use environment::SystemFiles;
use process::run_to_end;
pub(crate) use process::wait_for;

use mounts::Prepared;

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
        let prepared = {
            let (engine, session, op) = (Arc::clone(self), Arc::clone(session), op.clone());
            crate::blocking(move || Prepared::new(&engine, &session, &op, inputs, seeds)).await??
        };
        let exit = run_to_end(self, step.progress(), &prepared.spec).await?;
        if exit != ProcessExit::Code(0) {
            return Err(EngineError::Process {
                command: op.process.args.join(" "),
                exit,
            });
        }
        let engine = Arc::clone(self);
        let (outputs, rubbish) = crate::blocking(move || prepared.commit(&engine)).await??;
        self.discarded.add(rubbish);
        Ok(outputs)
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
