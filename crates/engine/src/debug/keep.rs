//! Keeping a step that failed.

use std::sync::Arc;

use graph::ExecOp;
use solver::Step;
use solver::progress::LogStream;

use super::KeepFailed;
use super::document::{Document, KeptInput};
use crate::config::StepNetwork;
use crate::container::CreateContainer;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::op::{InputTree, Prepared};

/// Kept steps beyond these make room for newer ones.
const KEPT: usize = 8;

/// A step as it was when it began.
pub(crate) struct FailedStep {
    pub(crate) op: ExecOp,
    pub(crate) inputs: Vec<InputTree>,
    /// The network that its build asked for.
    pub(crate) network: Option<StepNetwork>,
}

/// What its process left.
pub(crate) struct Left {
    pub(crate) prepared: Prepared,
    /// Of these files the time of change says nothing.
    pub(crate) moved: Vec<u64>,
}

impl Inner {
    /// Keeps what a failed process left. That this fails is told in the step's log, since the
    /// build's error is another one.
    pub(crate) async fn keep_failed(
        self: &Arc<Self>,
        keep: &KeepFailed,
        step: &Step,
        failed: FailedStep,
        left: Left,
    ) {
        let document = Document {
            build: keep.0.build.get().cloned(),
            step: step.vertex().meta.name.clone(),
            inputs: failed.inputs.iter().map(KeptInput::from).collect(),
            op: failed.op,
            network: failed.network,
        };
        let engine = Engine(Arc::clone(self));
        let kept = crate::blocking(move || engine.keep(&document, left)).await;
        match kept.and_then(|kept| kept) {
            // Of steps that failed at once the first is kept for the client; all are listed.
            Ok(container) => drop(keep.0.container.set(container)),
            Err(error) => {
                let text = format!("the failed step cannot be kept: {error}\n");
                step.progress().log(LogStream::Stderr, text.into()).await;
            }
        }
    }
}

impl Engine {
    fn keep(&self, document: &Document, left: Left) -> Result<String, EngineError> {
        let engine = &self.0;
        let root = left.prepared.root_as_left(engine, &left.moved)?;
        let container = engine.note_container(&settings(document), None, root.layers().to_vec())?;
        document.write(engine, &container)?;
        for old in self.kept_steps()?.into_iter().skip(KEPT) {
            self.remove_container(&old.container, false)?;
        }
        Ok(container)
    }
}

/// The container as others see it, who may list it, copy from it and remove it.
fn settings(document: &Document) -> CreateContainer {
    let op = &document.op;
    CreateContainer {
        image: "<failed step>".to_owned(),
        entrypoint: Some(op.process.args.clone()),
        env: op.process.env.to_vec(),
        user: Some(op.process.user.clone()),
        working_directory: Some(op.process.cwd.clone()),
        network: op.network,
        extra_hosts: op.extra_hosts.clone(),
        ..CreateContainer::default()
    }
}
