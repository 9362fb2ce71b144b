//! Copies of directories of clients that are elsewhere, kept from one build to the next so that only
//! what changed is sent again.
//!
//! A copy is in use by one build at a time; a second one at the same time gets a copy of its own
//! that goes with it. What a client tells is not trusted: nothing is written outside of the copy,
//! since each directory on a path was found or made to be one in the same transfer.

mod attributes;
mod receive;

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oci::Digest;

use crate::engine::Engine;
use crate::error::EngineError;

pub use attributes::{Attributes, content_attributes};
pub use receive::{ClientFile, ClientFileKind, Incoming, Receiving};

/// Copies that are kept.
const MAX_KEPT: usize = 64;
/// What the names begin with of copies for one build alone.
const TEMPORARY: &str = "tmp-";
/// How long one is kept that nobody uses.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A copy of a client's directory. Others may use it when all clones are dropped.
#[derive(Debug, Clone)]
pub struct KeptCopy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// It goes with the build.
    is_temporary: bool,
    /// Held for as long as the copy is used; closing the file unlocks it.
    _lock: File,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.is_temporary {
            // What stays of it goes with one of the next builds.
            drop(fs::remove_dir_all(&self.path));
            drop(fs::remove_file(self.path.with_extension("lock")));
        }
    }
}

impl KeptCopy {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Begins to make it what the client has now.
    #[must_use]
    pub fn receive(&self) -> Receiving {
        Receiving::begin(self.path())
    }
}

impl Engine {
    /// Removes all copies that no build uses.
    pub(crate) fn forget_copies(&self) -> Result<(), EngineError> {
        let all = self.0.store.root().join("contexts");
        let forgotten = match fs::read_dir(&all) {
            Ok(mut entries) => entries.try_for_each(|entry| {
                let path = entry?.path();
                match path.extension() {
                    Some(_) => forget(&path),
                    None => Ok(()),
                }
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        forgotten.map_err(|source| EngineError::WriteFile { path: all, source })
    }

    /// The copy that is kept under `key`, or one for this build alone when there is no key or
    /// another build uses it. May block.
    ///
    /// # Errors
    /// The store's directory cannot be written.
    pub fn kept_copy(&self, key: Option<&str>) -> Result<KeptCopy, EngineError> {
        let all = self.0.store.root().join("contexts");
        let failed = |source| EngineError::WriteFile {
            path: all.clone(),
            source,
        };
        let mut private = fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        private.create(&all).map_err(failed)?;
        let kept = match key {
            Some(key) => kept(&all, key, self.0.clock.now()).map_err(failed)?,
            None => None,
        };
        let copy = match kept {
            Some(kept) => kept,
            None => temporary(&all).map_err(failed)?,
        };
        Ok(KeptCopy(Arc::new(copy)))
    }
}

fn kept(all: &Path, key: &str, now: SystemTime) -> io::Result<Option<Inner>> {
    let name = Digest::of(key.as_bytes()).hex();
    let Some(lock) = lock(&all.join(format!("{name}.lock")))? else {
        return Ok(None);
    };
    // Who used it last is known by the time of its lock.
    lock.set_modified(now)?;
    forget_old(all, now)?;
    let path = all.join(&name);
    fs::create_dir_all(&path)?;
    Ok(Some(Inner {
        path,
        is_temporary: false,
        _lock: lock,
    }))
}

fn temporary(all: &Path) -> io::Result<Inner> {
    loop {
        let id = store::new_id().map_err(io::Error::other)?;
        let path = all.join(format!("{TEMPORARY}{id}"));
        // One who makes room may have been at it before we had locked it.
        if let Some(lock) = lock(&path.with_extension("lock"))? {
            let mut private = fs::DirBuilder::new();
            private.mode(0o700).create(&path)?;
            return Ok(Inner {
                path,
                is_temporary: true,
                _lock: lock,
            });
        }
    }
}

/// The lock, unless somebody has it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Whoever forgot the copy meanwhile removed the file that we have.
        if is_at(&file, path)? {
            return Ok(Some(file));
        }
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes copies that nobody uses and that are old, or too many; also what a process that died left.
fn forget_old(all: &Path, now: SystemTime) -> io::Result<()> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(all)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".lock") {
            // Another process may be removing it.
            let Ok(used) = entry.metadata().and_then(|metadata| metadata.modified()) else {
                continue;
            };
            // Used in a time to come: the clock was set since, so nobody knows when. First to go
            // when there are too many, and not for its age.
            let age = now.duration_since(used).ok();
            entries.push((age.is_none(), age, name));
        }
    }
    entries.sort();
    for (place, (_, age, name)) in entries.iter().enumerate() {
        let is_old = age.is_some_and(|age| age > MAX_AGE);
        if is_old || place >= MAX_KEPT || name.starts_with(TEMPORARY) {
            forget(&all.join(name))?;
        }
    }
    Ok(())
}

/// Removes a copy whose lock this is, unless it is in use.
fn forget(path: &Path) -> io::Result<()> {
    let Some(_lock) = lock(path)? else {
        return Ok(());
    };
    match fs::remove_dir_all(path.with_extension("")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::remove_file(path)
}

#[cfg(test)]
mod tests;
