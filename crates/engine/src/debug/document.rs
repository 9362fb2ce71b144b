//! What is written beside a kept step: all that entering it needs.

use std::io::ErrorKind;
use std::path::PathBuf;

use graph::{ExecOp, LocalSource};
use serde::{Deserialize, Serialize};
use store::LayerId;

use crate::config::StepNetwork;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::op::InputTree;
use crate::output::{LocalTree, Output, Stack};

/// The name of the document in the container's directory.
const FILE: &str = "step.json";

/// All that is known of a kept step.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Document {
    /// The build that it failed in.
    pub(super) build: Option<String>,
    /// As progress shows it.
    pub(super) step: String,
    pub(super) op: ExecOp,
    /// What its mounts showed.
    pub(super) inputs: Vec<KeptInput>,
    /// The network of steps that choose none, where the build asked for one.
    #[serde(default)]
    pub(super) network: Option<StepNetwork>,
}

/// One input of a step.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum KeptInput {
    /// Layers, bottom first. They are not held: when they are gone, so is what the mount showed.
    Layers(Vec<i64>),
    /// A directory of this machine, as it is by now.
    Local { path: PathBuf, source: LocalSource },
}

impl Document {
    pub(super) fn read(engine: &Inner, container: &str) -> Result<Option<Self>, EngineError> {
        let path = path(engine, container);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(EngineError::Read { path, source }),
        };
        let document = serde_json::from_slice(&text);
        document
            .map(Some)
            .map_err(|source| EngineError::ContainerConfig {
                id: container.to_owned(),
                source,
            })
    }

    /// Half a document is never seen; without one the container is like any other.
    pub(super) fn write(&self, engine: &Inner, container: &str) -> Result<(), EngineError> {
        let text = serde_json::to_vec(self).map_err(EngineError::Serialize)?;
        let path = path(engine, container);
        let beside = path.with_extension("new");
        std::fs::write(&beside, text)
            .and_then(|()| std::fs::rename(&beside, &path))
            .map_err(|source| EngineError::WriteFile { path, source })
    }
}

fn path(engine: &Inner, container: &str) -> PathBuf {
    engine.store.containers().directory(container).join(FILE)
}

impl From<&InputTree> for KeptInput {
    fn from(input: &InputTree) -> Self {
        match input {
            InputTree::Layers { stack, .. } => {
                Self::Layers(stack.layers().iter().map(|layer| layer.0).collect())
            }
            InputTree::Local(local) => Self::Local {
                path: local.path.clone(),
                source: (*local.source).clone(),
            },
        }
    }
}

impl From<KeptInput> for Output {
    fn from(input: KeptInput) -> Self {
        match input {
            KeptInput::Layers(layers) => {
                let layers: Vec<LayerId> = layers.into_iter().map(LayerId).collect();
                Self::Stack(Stack::new(layers))
            }
            KeptInput::Local { path, source } => Self::Local(LocalTree::new(path, &source)),
        }
    }
}
