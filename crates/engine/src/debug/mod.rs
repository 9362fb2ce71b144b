//! Failed steps that were kept, to be entered, run again and saved.
//!
//! A kept step is a container: its layers are the step's file system as the process left it, and
//! what people change in it is the container's own layer. Beside it lies a document with the step's
//! op, so that it is entered with the same mounts, environment and user. Secrets and agents are in
//! no document: whoever enters offers them again.

mod document;
mod enter;
mod keep;

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

pub use enter::EnterKept;
pub(crate) use keep::{FailedStep, Left};

use crate::engine::Engine;
use crate::error::EngineError;
use document::Document;

/// Asks a build to keep the first step that fails, and tells which container that became.
#[derive(Debug, Clone, Default)]
pub struct KeepFailed(Arc<Kept>);

#[derive(Debug, Default)]
struct Kept {
    build: OnceLock<String>,
    container: OnceLock<String>,
}

/// A failed step that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptStep {
    /// The container that holds it.
    pub container: String,
    /// The build that it failed in; none when that is in no history.
    pub build: Option<String>,
    /// The step, as progress shows it.
    pub step: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Where it starts.
    pub cwd: String,
    /// When it was kept.
    pub kept: SystemTime,
}

impl KeepFailed {
    /// The container that the failed step became; none when none failed, or none could be kept.
    #[must_use]
    pub fn container(&self) -> Option<&str> {
        self.0.container.get().map(String::as_str)
    }

    /// Says which build it is.
    pub(crate) fn begin(&self, build: &str) {
        // A request is built once; another try of it is the same build.
        let _ = self.0.build.set(build.to_owned());
    }
}

impl Engine {
    /// The failed steps that are kept, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn kept_steps(&self) -> Result<Vec<KeptStep>, EngineError> {
        let mut kept = Vec::new();
        for container in self.0.store.containers().list()? {
            if let Some(document) = Document::read(&self.0, &container.id)? {
                kept.push(KeptStep {
                    container: container.id,
                    build: document.build,
                    step: document.step,
                    command: document.op.process.args,
                    cwd: document.op.process.cwd,
                    kept: container.created,
                });
            }
        }
        kept.reverse();
        Ok(kept)
    }

    /// The kept step of the build whose ID begins with `build`, or of that container; the newest
    /// when none is named.
    ///
    /// # Errors
    /// There is none, or several.
    pub fn kept_step(&self, build: Option<&str>) -> Result<KeptStep, EngineError> {
        let mut kept = self.kept_steps()?;
        let none = || EngineError::NotKept(build.map(str::to_owned));
        let Some(wanted) = build else {
            return kept.into_iter().next().ok_or_else(none);
        };
        kept.retain(|step| {
            let ids = step.build.iter().chain([&step.container]);
            ids.into_iter().any(|id| id.starts_with(wanted))
        });
        match kept.len() {
            0 => Err(none()),
            1 => kept.pop().ok_or_else(none),
            _ => Err(EngineError::SeveralBuilds(wanted.to_owned())),
        }
    }
}
