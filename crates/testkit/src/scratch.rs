//! Directories that last as long as a test.

use std::path::{Path, PathBuf};

/// A new directory, removed with everything in it when dropped.
#[derive(Debug)]
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    /// A new, empty directory.
    #[must_use]
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("kiln-test-").tempdir();
        Self(dir.expect("make a scratch directory"))
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A path in it.
    #[must_use]
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.path().join(path)
    }

    /// Makes a directory in it, parents included.
    #[must_use]
    pub fn dir(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = self.join(path);
        std::fs::create_dir_all(&path).expect("make a directory in a scratch directory");
        path
    }

    /// Writes a file in it, parents included.
    #[must_use]
    pub fn file(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("make a directory in a scratch directory");
        }
        std::fs::write(&path, content).expect("write a file in a scratch directory");
        path
    }

    /// Stays when the test ends, to be looked at.
    #[must_use]
    pub fn keep(self) -> PathBuf {
        self.0.keep()
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}
