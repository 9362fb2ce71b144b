//! Git repositories: what a reference leads to, and the tree of a commit as a layer.
//!
//! A tree is known by its commit, so a build with a commit that the store has needs no network. What is
//! fetched stays in one bare repository for each remote, a cache mount that only one process uses at
//! a time. Files come out of it as an archive, never by a checkout: no hook, filter or link of the
//! repository's has a say in where they go.

mod agent;
mod command;
mod found;
mod keep;
mod refs;
mod submodule;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use graph::{ContentHash as _, ContentHasher, GitSource};
use snapshot::Tree;
use snapshot::snapshotter::Draft;
use solver::{CacheKey, StepProgress};
use store::{CacheMount, Sharing};

use crate::engine::Inner;
use crate::error::EngineError;
use crate::output::Stack;
use crate::session::Session;

use command::Git;
pub use command::GitError;
pub(crate) use command::shown;
pub use found::FoundCommit;

/// Submodules within submodules.
const DEPTH: usize = 16;

/// What the references of one build led to, so that they are looked at once.
#[derive(Debug, Default)]
pub(crate) struct Commits(Mutex<HashMap<Name, String>>);

/// URL, reference and checksum.
type Name = (String, Option<String>, Option<String>);

impl Commits {
    /// The commit, which `resolve` finds the first time.
    pub(crate) async fn of(
        &self,
        source: &GitSource,
        resolve: impl Future<Output = Result<String, EngineError>>,
    ) -> Result<String, EngineError> {
        if let Some(commit) = self.known(source) {
            return Ok(commit);
        }
        let commit = resolve.await?;
        let mut commits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        commits.insert(name_of(source), commit.clone());
        Ok(commit)
    }

    /// The source with its commit as reference, if that is known.
    pub(crate) fn pinned(&self, source: &GitSource) -> GitSource {
        GitSource {
            reference: self.known(source).or_else(|| source.reference.clone()),
            ..source.clone()
        }
    }

    /// The commit, if that is known.
    pub(crate) fn of_reference(&self, source: &GitSource) -> Option<String> {
        self.known(source)
    }

    fn known(&self, source: &GitSource) -> Option<String> {
        let commits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        commits.get(&name_of(source)).cloned()
    }
}

fn name_of(source: &GitSource) -> Name {
    let GitSource {
        url,
        reference,
        checksum,
        ..
    } = source;
    (url.clone(), reference.clone(), checksum.clone())
}

/// What the tree of `commit` is known by.
pub(crate) fn key(source: &GitSource, commit: &str) -> CacheKey {
    let mut hasher = ContentHasher::new("git");
    commit.to_owned().feed(&mut hasher);
    source.subdirectory.feed(&mut hasher);
    source.submodules.feed(&mut hasher);
    // The directory `.git` says where it came from.
    let remote = source.keep_git_directory.then(|| shown(&source.url));
    remote.feed(&mut hasher);
    CacheKey(*hasher.finish().as_bytes())
}

impl Inner {
    /// The commit that the source's reference leads to. The remote is asked only if it must be.
    pub(crate) async fn resolve_git(
        self: &Arc<Self>,
        source: &GitSource,
        session: &Session,
        told: &StepProgress,
    ) -> Result<String, EngineError> {
        let checksum = source.checksum.as_deref();
        let (commit, is_expected) = match (source.reference.as_deref(), checksum) {
            (Some(commit), _) | (None, Some(commit)) if refs::is_commit(commit) => {
                let is_expected = checksum.is_none_or(|checksum| commit.starts_with(checksum));
                (commit.to_owned(), is_expected)
            }
            (reference, _) => {
                let git = Git::new(self, &source.url, source.known_hosts.as_deref(), session)?;
                let found = git
                    .remote_reference(reference.unwrap_or("HEAD"), told)
                    .await?;
                let is_expected = checksum.is_none_or(|checksum| found.matches(checksum));
                (found.commit, is_expected)
            }
        };
        match checksum {
            Some(expected) if !is_expected => Err(GitError::Checksum {
                expected: expected.to_owned(),
                found: commit,
            }
            .into()),
            _ => Ok(commit),
        }
    }

    /// The tree of the source's commit.
    pub(crate) async fn git(
        self: &Arc<Self>,
        source: &GitSource,
        session: &Session,
        told: &StepProgress,
    ) -> Result<Stack, EngineError> {
        let commit = self.resolve_git(source, session, told).await?;
        let key = key(source, &commit);
        if let Some(stack) = self.recorded(key)? {
            return Ok(stack);
        }
        let checkout = Checkout {
            engine: self,
            session,
            told,
            source,
        };
        let draft = checkout.tree(self.draft(&[])?, &commit).await?;
        let stack = match &source.subdirectory {
            None => Stack::new(vec![self.publish(draft.commit())?]),
            Some(directory) => {
                let (engine, directory) = (Arc::clone(self), directory.clone());
                crate::blocking(move || engine.subdirectory(&draft, &directory)).await??
            }
        };
        let description = format!("git commit {commit}");
        let of = (store::RecordKind::GitCheckout, description.as_str());
        self.record(key, &stack, of)?;
        Ok(stack)
    }

    /// When the commit was made, in seconds since 1970.
    pub(crate) async fn time_of_commit(
        self: &Arc<Self>,
        source: &GitSource,
        commit: &str,
        session: &Session,
        told: &StepProgress,
    ) -> Result<i64, EngineError> {
        let git = Git::new(self, &source.url, source.known_hosts.as_deref(), session)?;
        let mount = self.repository(&source.url, commit).await?;
        let repository = git.repository(mount.path());
        repository.fetch(commit, told).await?;
        repository.time(commit).await
    }

    /// What is in one directory of the draft, as a layer.
    fn subdirectory(&self, whole: &Draft, directory: &str) -> Result<Stack, EngineError> {
        let tree = whole.upper().tree()?;
        let resolved = tree.lookup(&Path::new("/").join(directory), true)?;
        if !matches!(resolved.found, snapshot::Found::Directory) {
            return Err(GitError::Subdirectory(directory.to_owned()).into());
        }
        let part = self.draft(&[])?;
        let path = resolved.path.to_string_lossy().into_owned();
        crate::op::copy_contents(self, &tree, &path, part.upper())?;
        Ok(Stack::new(vec![self.publish(part.commit())?]))
    }

    /// The bare repository of a remote for commits with names like this one's, once no other process
    /// uses it.
    async fn repository(
        self: &Arc<Self>,
        url: &str,
        commit: &str,
    ) -> Result<CacheMount, EngineError> {
        let mut hasher = ContentHasher::new("git repository");
        shown(url).feed(&mut hasher);
        if refs::is_sha256(commit) {
            "sha256".feed(&mut hasher);
        }
        // Cache mounts of steps have spaces in their keys, so none of them is this one.
        let key = format!("git-{}", hasher.finish().hex());
        let engine = Arc::clone(self);
        crate::blocking(move || {
            let mounts = engine.store.cache_mounts();
            let seed = |_: &Path| Ok::<_, EngineError>(());
            mounts.acquire(&engine.lease, &key, Sharing::Locked, seed)
        })
        .await?
    }
}

/// A tree on its way out of a repository.
#[derive(Clone, Copy)]
struct Checkout<'a> {
    engine: &'a Arc<Inner>,
    session: &'a Session,
    told: &'a StepProgress,
    source: &'a GitSource,
}

/// A commit and where its tree goes.
struct Wanted {
    url: String,
    commit: String,
    place: PathBuf,
    depth: usize,
}

impl Checkout<'_> {
    async fn tree(&self, mut draft: Draft, commit: &str) -> Result<Draft, EngineError> {
        let mut wanted = vec![Wanted {
            url: self.source.url.clone(),
            commit: commit.to_owned(),
            place: "/".into(),
            depth: 0,
        }];
        while let Some(next) = wanted.pop() {
            let (filled, submodules) = self.one(draft, next).await?;
            draft = filled;
            wanted.extend(submodules);
        }
        Ok(draft)
    }

    /// Unpacks one tree; the submodules that it has. The repository is let go before theirs are
    /// waited for, so no two builds can wait for each other.
    async fn one(&self, draft: Draft, wanted: Wanted) -> Result<(Draft, Vec<Wanted>), EngineError> {
        let known_hosts = self.source.known_hosts.as_deref();
        let git = Git::new(self.engine, &wanted.url, known_hosts, self.session)?;
        let mount = self.engine.repository(&wanted.url, &wanted.commit).await?;
        let repository = git.repository(mount.path());
        repository.fetch(&wanted.commit, self.told).await?;
        let mut draft = repository
            .unpack(
                &wanted.commit,
                draft,
                &wanted.place,
                self.engine.config.limits.archive(),
            )
            .await?;
        let is_whole = self.source.subdirectory.is_none() && wanted.depth == 0;
        if self.source.keep_git_directory && is_whole {
            let place = self.engine.store.snapshots().allocate(&self.engine.lease)?;
            repository.keep(place.path(), &wanted.commit).await?;
            let engine = Arc::clone(self.engine);
            draft = crate::blocking(move || {
                let tree = Tree::directory(&place.path().join("tree"))?;
                crate::op::copy_contents(&engine, &tree, "/", draft.upper())?;
                Ok::<_, EngineError>(draft)
            })
            .await??;
        }
        let submodules = if self.source.submodules {
            submodule::list(&repository, &wanted, DEPTH).await?
        } else {
            Vec::new()
        };
        Ok((draft, submodules))
    }
}
