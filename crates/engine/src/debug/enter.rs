//! Entering a kept step: a process sees what the failed one saw, and what is written stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use store::Container;
use tokio::sync::mpsc;

use super::document::Document;
use crate::container::{ContainerRoot, RunOutcome, Terminal};
use crate::device::Catalogue;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::op::{InputTree, Prepared, start, wait_for_end};
use crate::output::{Output, Stack};
use crate::request::OfferedSecret;
use crate::session::Session;
use crate::ssh::SshAgent;

/// What runs in a kept step, and what it is granted.
#[derive(Debug, Default)]
pub struct EnterKept {
    /// Program and arguments; the step's own when none.
    pub command: Option<Vec<String>>,
    /// Secrets by ID.
    pub secrets: BTreeMap<String, OfferedSecret>,
    /// SSH agents by their names.
    pub ssh: BTreeMap<String, SshAgent>,
}

impl Engine {
    /// Runs a process in a kept step and waits for its end. What comes through `signals` is passed
    /// on to it. Dropping the future kills it.
    ///
    /// # Errors
    /// Nothing is kept under this container, somebody else is in it, something that its mounts
    /// need is gone, or the process cannot be started.
    pub async fn enter_kept(
        &self,
        container: &str,
        enter: EnterKept,
        terminal: Terminal,
        mut signals: mpsc::Receiver<i32>,
    ) -> Result<RunOutcome, EngineError> {
        let engine = &self.0;
        let container = engine.container(container)?;
        // Two processes over one writable directory would each not see what the other writes.
        let alone = engine.store.containers().run(&container.id)?;
        let _alone = alone.ok_or_else(|| EngineError::KeptIsEntered(container.name.clone()))?;
        let (root, prepared) = engine.prepare_kept(&container, enter).await?;
        let running = start(engine, &prepared.spec, terminal.into()).await?;
        let ended = wait_for_end(running, &mut signals).await?;
        crate::blocking(move || root.close()).await??;
        Ok(RunOutcome {
            exit: ended.exit,
            oom_killed: ended.met == Some(sandbox::Exceeded::Memory),
        })
    }
}

impl Inner {
    async fn prepare_kept(
        self: &Arc<Self>,
        container: &Container,
        enter: EnterKept,
    ) -> Result<(ContainerRoot, Prepared), EngineError> {
        let not_kept = || EngineError::NotKept(Some(container.name.clone()));
        let Document {
            mut op,
            inputs,
            network,
            ..
        } = Document::read(self, &container.id)?.ok_or_else(not_kept)?;
        if let Some(command) = enter.command {
            op.process.args = command;
        }
        let mut trees = Vec::with_capacity(inputs.len());
        for input in inputs {
            trees.push(self.kept_tree(input.into()).await?);
        }
        let session = Session {
            secrets: enter.secrets,
            agents: enter.ssh,
            devices: Arc::new(Catalogue::read(self.config.cdi.spec_dirs.as_deref())),
            // They were granted to the step when that ran.
            host_network: true,
            insecure: true,
            network,
            ..Session::default()
        };
        let layers = Stack::new(container.layers.clone());
        let layers = self.snapshots(&layers, None).await?;
        let (engine, container) = (Arc::clone(self), container.clone());
        crate::blocking(move || {
            engine.container_upper(&container, &layers)?;
            let root = ContainerRoot::open(&engine, &container, &layers)?;
            let prepared = Prepared::with_root(&engine, &session, &op, trees, root.mount())?;
            Ok((root, prepared))
        })
        .await?
    }

    async fn kept_tree(self: &Arc<Self>, input: Output) -> Result<InputTree, EngineError> {
        Ok(match input {
            Output::Local(local) => InputTree::Local(local),
            Output::Stack(stack) => {
                let directories = self.snapshots(&stack, None).await?;
                InputTree::Layers { stack, directories }
            }
        })
    }
}
