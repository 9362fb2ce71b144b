//! Inputs of a step as directories that can be read and mounted.

use std::path::PathBuf;
use std::sync::Arc;

use snapshot::Tree;
use solver::Step;
use store::LayerId;

use crate::engine::Inner;
use crate::error::EngineError;
use crate::output::{LocalTree, Output, Stack};

/// An input whose files are all here.
#[derive(Debug, Clone)]
pub(crate) enum InputTree {
    /// Layer directories, bottom first.
    Layers {
        stack: Stack,
        directories: Vec<PathBuf>,
    },
    /// A directory of the client's.
    Local(LocalTree),
}

impl Inner {
    /// The inputs of a step, unpacked where they were not.
    pub(crate) async fn trees(
        self: &Arc<Self>,
        step: &Step,
        inputs: Vec<Output>,
    ) -> Result<Vec<InputTree>, EngineError> {
        let mut trees = Vec::with_capacity(inputs.len());
        for input in inputs {
            trees.push(match input {
                Output::Local(local) => InputTree::Local(local),
                Output::Stack(stack) => {
                    let directories = self.snapshots(&stack, Some(step.progress())).await?;
                    InputTree::Layers { stack, directories }
                }
            });
        }
        Ok(trees)
    }

    /// The input, to be read.
    pub(crate) fn tree(&self, input: &InputTree) -> Result<Tree, EngineError> {
        match input {
            InputTree::Layers { directories, .. } => Ok(Tree::layers(directories, self.marks)?),
            InputTree::Local(local) => local.tree(),
        }
    }

    /// Where the files of a layer are that was published.
    pub(crate) fn layer_directory(&self, layer: LayerId) -> PathBuf {
        snapshot::snapshotter::layer_directory(&self.store.snapshots().path(layer))
    }

    /// The input as layers that something can be put on; a local directory is copied first.
    pub(crate) fn base(&self, input: &InputTree) -> Result<(Stack, Vec<PathBuf>), EngineError> {
        match input {
            InputTree::Layers { stack, directories } => Ok((stack.clone(), directories.clone())),
            InputTree::Local(local) => {
                let draft = self.draft(&[])?;
                super::file::copy_all(self, &local.tree()?, draft.upper())?;
                let layer = self.publish(draft.commit())?;
                Ok((Stack::new(vec![layer]), vec![self.layer_directory(layer)]))
            }
        }
    }
}
