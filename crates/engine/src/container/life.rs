//! When a container ran and what came of it: a document in its directory, beside the state in its
//! row, which alone says whether it runs.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::engine::Inner;
use crate::error::EngineError;

/// The latest run of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerLife {
    /// When it began; none if it never did.
    pub started: Option<SystemTime>,
    /// When it ended; none while it runs, and if nobody saw it end.
    pub finished: Option<SystemTime>,
    /// The number of its process while it runs.
    pub pid: i32,
    /// Whether something in it was killed since it needed more memory than the container may have.
    pub oom_killed: bool,
    /// Why it could not be started.
    pub error: String,
    /// How it ended when it could not be started.
    pub exit_code: i32,
}

impl Inner {
    /// What is known of a container's latest run; nothing where it never ran.
    pub(super) fn life(&self, id: &str) -> ContainerLife {
        let text = std::fs::read(self.life_path(id)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    pub(super) fn note_life(&self, id: &str, life: &ContainerLife) -> Result<(), EngineError> {
        let text = serde_json::to_vec(life).map_err(EngineError::Serialize)?;
        replace(&self.life_path(id), &text)
    }

    fn life_path(&self, id: &str) -> PathBuf {
        self.store.containers().directory(id).join("life.json")
    }
}

/// Readers see the old text or the new one.
pub(super) fn replace(path: &Path, text: &[u8]) -> Result<(), EngineError> {
    let new = path.with_added_extension("new");
    let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path));
    written.map_err(|source| EngineError::WriteFile {
        path: path.to_owned(),
        source,
    })
}
