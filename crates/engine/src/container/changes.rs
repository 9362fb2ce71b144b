//! What a container changed in its file system.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use snapshot::{Found, Tree};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::output::Stack;

/// A file that a container changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileChange {
    /// The file.
    pub path: PathBuf,
    /// What happened to it.
    pub kind: FileChangeKind,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileChangeKind {
    /// It is another, or something beneath it is.
    Modified,
    /// The image does not have it.
    Added,
    /// It is gone.
    Deleted,
}

impl Engine {
    /// What a container changed, by path.
    ///
    /// # Errors
    /// There is no such container, or its files cannot be read.
    pub async fn container_changes(&self, name: &str) -> Result<Vec<FileChange>, EngineError> {
        let container = self.0.container(name)?;
        let layers = self
            .0
            .snapshots(&Stack::new(container.layers.clone()), None)
            .await?;
        let directory = self
            .0
            .store
            .containers()
            .directory(&container.id)
            .join("fs");
        let marks = self.0.marks;
        crate::blocking(move || {
            let lower = match layers.as_slice() {
                [] => None,
                layers => Some(Tree::layers(layers, marks)?),
            };
            let mut changes = Vec::new();
            if directory.exists() {
                let walk = Walk {
                    top: &directory,
                    lower: lower.as_ref(),
                };
                walk.directory(Path::new(""), &mut changes)?;
            }
            changes.sort();
            Ok(changes)
        })
        .await?
    }
}

struct Walk<'a> {
    top: &'a Path,
    lower: Option<&'a Tree>,
}

impl Walk<'_> {
    fn directory(&self, path: &Path, changes: &mut Vec<FileChange>) -> Result<(), EngineError> {
        let full = self.top.join(path);
        let failed = |source| EngineError::Read {
            path: full.clone(),
            source,
        };
        for entry in fs::read_dir(&full).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let inner = path.join(entry.file_name());
            let metadata = entry.metadata().map_err(failed)?;
            let existed = self.existed(&inner)?;
            let kind = match (is_whiteout(&metadata), existed) {
                (true, _) => FileChangeKind::Deleted,
                (false, true) => FileChangeKind::Modified,
                (false, false) => FileChangeKind::Added,
            };
            changes.push(FileChange {
                path: Path::new("/").join(&inner),
                kind,
            });
            if metadata.is_dir() {
                self.directory(&inner, changes)?;
            }
        }
        Ok(())
    }

    fn existed(&self, path: &Path) -> Result<bool, EngineError> {
        let Some(lower) = self.lower else {
            return Ok(false);
        };
        let resolved = lower.lookup(&Path::new("/").join(path), false)?;
        Ok(matches!(resolved.found, Found::Directory | Found::File(..)))
    }
}

/// Overlay's own mark, which is the same in both kinds of marks where device nodes can be made.
fn is_whiteout(metadata: &fs::Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}
