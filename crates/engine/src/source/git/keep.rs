//! The directory `.git` of a tree that keeps it: the one commit, without a branch.

use std::path::Path;

use super::command::{Repository, shown};
use super::refs::object_format;
use crate::error::EngineError;

impl Repository<'_> {
    /// Makes `tree/.git` in the directory `place`. Its files do not depend on when or where.
    pub(super) async fn keep(&self, place: &Path, commit: &str) -> Result<(), EngineError> {
        let tree = place.join("tree");
        let failed = |source| EngineError::WriteFile {
            path: tree.clone(),
            source,
        };
        std::fs::create_dir(&tree).map_err(failed)?;
        let origin = format!("file://{}", self.path.display());
        let reference = format!("refs/kiln/{commit}");
        let format = object_format(commit);
        let url = shown(self.git.url());
        let steps: &[&[&str]] = &[
            // Whatever the umask of who started us.
            &["init", "-q", "--shared=0644", format, "--template=", "."],
            &[
                "fetch",
                "-q",
                "--no-tags",
                "--depth=1",
                "--no-write-fetch-head",
                &origin,
                &reference,
            ],
            &["update-ref", "--no-deref", "HEAD", commit],
            &["read-tree", commit],
            &["config", "--local", "remote.origin.url", &url],
            &["config", "--local", "--unset", "core.sharedRepository"],
            &[
                "config",
                "--local",
                "--unset",
                "receive.denyNonFastforwards",
            ],
        ];
        for step in steps {
            self.git.run("keep .git of", Some(&tree), step).await?;
        }
        let logs = tree.join(".git/logs");
        match std::fs::remove_dir_all(&logs) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        }
    }
}
