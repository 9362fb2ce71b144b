//! Copies of directories of clients that are elsewhere, kept from one build to the next so that only
//! what changed is sent again.
//!
//! A copy is in use by one build at a time; a second one at the same time gets a copy of its own
//! that goes with it. What a client tells is not trusted: nothing is written outside of the copy,
//! since each directory on a path was found or made to be one in the same transfer.

mod receive;

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oci::Digest;

use crate::engine::Engine;
use crate::error::EngineError;

pub use receive::{ClientFile, ClientFileKind, Incoming, Receiving};

/// Copies that are kept.
const MAX_KEPT: usize = 64;
/// How long one is kept that nobody uses.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A copy of a client's directory. Others may use it when all clones are dropped.
#[derive(Debug, Clone)]
pub struct KeptCopy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    _guard: Guard,
}

#[derive(Debug)]
enum Guard {
    /// Held for as long as the copy is used.
    Lock(#[expect(dead_code, reason = "closing the file unlocks it")] File),
    /// Removed afterwards.
    Temporary(#[expect(dead_code, reason = "dropping it removes it")] tempfile::TempDir),
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
        _guard: Guard::Lock(lock),
    }))
}

fn temporary(all: &Path) -> io::Result<Inner> {
    let directory = tempfile::Builder::new().prefix("tmp-").tempdir_in(all)?;
    Ok(Inner {
        path: directory.path().to_owned(),
        _guard: Guard::Temporary(directory),
    })
}

/// The lock, unless somebody has it.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Removes copies that nobody uses and that are old, or too many; also what a process that died left.
fn forget_old(all: &Path, now: SystemTime) -> io::Result<()> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(all)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".lock") || name.starts_with("tmp-") {
            // Another process may be removing it.
            let Ok(used) = entry.metadata().and_then(|metadata| metadata.modified()) else {
                continue;
            };
            entries.push((now.duration_since(used).unwrap_or_default(), name));
        }
    }
    entries.sort();
    for (place, (age, name)) in entries.iter().enumerate() {
        let is_kept = name.ends_with(".lock");
        if *age > MAX_AGE || (is_kept && place >= MAX_KEPT) {
            forget(&all.join(name))?;
        }
    }
    Ok(())
}

fn forget(path: &Path) -> io::Result<()> {
    if path.extension().is_none() {
        return fs::remove_dir_all(path);
    }
    let Some(_lock) = lock(path)? else {
        return Ok(());
    };
    match fs::remove_dir_all(path.with_extension("")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::remove_file(path)
}
