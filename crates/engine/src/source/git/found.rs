//! What a reference of a repository is found to be.

use std::sync::Arc;

use graph::GitSource;
use solver::StepProgress;

use super::command::Git;
use super::refs;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::session::Session;

/// A commit of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundCommit {
    /// The reference in full, or the commit where that was asked for.
    pub reference: String,
    /// The commit.
    pub commit: String,
    /// The annotated tag that leads to it.
    pub tag: Option<String>,
    /// The bytes of the commit, if they were asked for.
    pub commit_object: Vec<u8>,
    /// The bytes of the tag, if they were asked for and there is one.
    pub tag_object: Vec<u8>,
}

impl Inner {
    /// What the source's reference is now.
    pub(crate) async fn find_git(
        self: &Arc<Self>,
        source: &GitSource,
        with_objects: bool,
        session: &Session,
        told: &StepProgress,
    ) -> Result<FoundCommit, EngineError> {
        // It compares with the checksum.
        let commit = self.resolve_git(source, session, told).await?;
        let git = Git::new(self, &source.url, source.known_hosts.as_deref(), session)?;
        let mut found = match source.reference.as_deref() {
            Some(reference) if refs::is_commit(reference) => FoundCommit {
                reference: reference.to_owned(),
                commit,
                ..FoundCommit::default()
            },
            None if source.checksum.as_deref().is_some_and(refs::is_commit) => FoundCommit {
                reference: commit.clone(),
                commit,
                ..FoundCommit::default()
            },
            reference => git.found(reference, told).await?,
        };
        if with_objects {
            let mount = self.repository(&source.url, &found.commit).await?;
            let repository = git.repository(mount.path());
            repository.fetch(&found.commit, told).await?;
            let line = ["cat-file", "commit", &found.commit];
            found.commit_object = repository.run("read", &line).await?;
            if let Some(tag) = &found.tag {
                repository.fetch(tag, told).await?;
                let line = ["cat-file", "tag", tag];
                found.tag_object = repository.run("read", &line).await?;
            }
        }
        Ok(found)
    }
}

impl Git {
    /// What a reference, or the default branch, leads to.
    async fn found(
        &self,
        reference: Option<&str>,
        told: &StepProgress,
    ) -> Result<FoundCommit, EngineError> {
        let reference = match reference {
            Some(reference) => reference.to_owned(),
            None => {
                let line = ["ls-remote", "--symref", "--", "origin", "HEAD"];
                let said = self.run("load git source", None, &line).await?;
                default_branch(&String::from_utf8_lossy(&said))
            }
        };
        let found = self.remote_reference(&reference, told).await?;
        Ok(FoundCommit {
            reference: found.name,
            commit: found.commit,
            tag: found.tag,
            ..FoundCommit::default()
        })
    }
}

/// The branch that `HEAD` is, if the remote says so.
fn default_branch(lines: &str) -> String {
    let mut lines = lines.lines().filter_map(|line| line.split_once('\t'));
    let branch = lines.find_map(|(what, name)| {
        let branch = what.strip_prefix("ref: ")?;
        (name == "HEAD").then(|| branch.to_owned())
    });
    branch.unwrap_or_else(|| "HEAD".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_branches() {
        let lines = "ref: refs/heads/main\tHEAD\n1\tHEAD\n";
        assert_eq!(default_branch(lines), "refs/heads/main");
        assert_eq!(default_branch("1\tHEAD\n"), "HEAD");
    }
}
