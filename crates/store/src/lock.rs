//! Locks between processes: `flock` on files, which the kernel releases when the holder dies.
//!
//! A lock file may be removed by its holder. Whoever gets the lock of a removed file notices that
//! the path leads elsewhere by now, and tries again. Locks are released explicitly, since a child
//! that was forked meanwhile may still have the file open.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Result, io};

/// Who else may hold the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Others that share it.
    Shared,
    /// Nobody.
    Exclusive,
}

/// What to do while another holds the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Block.
    Forever,
    /// Give up.
    Not,
}

/// A held lock.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
    path: PathBuf,
    remove: bool,
}

impl FileLock {
    /// Locks the file at `path`, made if it is missing; none if it is held and we do not wait.
    pub(crate) fn acquire(path: &Path, mode: Mode, wait: Wait) -> Result<Option<Self>> {
        loop {
            let file = open(path)?;
            if !lock(&file, mode, wait).map_err(io("lock", path))? {
                return Ok(None);
            }
            let held = Self {
                file,
                path: path.to_owned(),
                remove: false,
            };
            if held.is_current()? {
                return Ok(Some(held));
            }
        }
    }

    /// Locks the file at `path` and waits as long as it takes.
    pub(crate) fn wait(path: &Path, mode: Mode) -> Result<Self> {
        loop {
            if let Some(lock) = Self::acquire(path, mode, Wait::Forever)? {
                return Ok(lock);
            }
        }
    }

    /// Waits for the lock of a file that is never removed.
    pub(crate) fn permanent(path: &Path, mode: Mode) -> Result<Self> {
        let file = open(path)?;
        lock(&file, mode, Wait::Forever).map_err(io("lock", path))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            remove: false,
        })
    }

    /// Removes the lock file when the lock is released; only the sole holder may ask for it.
    pub(crate) const fn remove_on_release(mut self) -> Self {
        self.remove = true;
        self
    }

    /// The locked file.
    pub(crate) const fn file(&self) -> &File {
        &self.file
    }

    /// Where the lock file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn is_current(&self) -> Result<bool> {
        let ours = self.file.metadata().map_err(io("stat lock", &self.path))?;
        match fs::symlink_metadata(&self.path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(io("stat lock", &self.path)(error)),
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // A leftover lock file is harmless, and closing releases the lock too.
        if self.remove {
            let _ = fs::remove_file(&self.path);
        }
        let _ = self.file.unlock();
    }
}

fn open(path: &Path) -> Result<File> {
    crate::fail::point("open a lock")
        .and_then(|()| {
            let mut options = OpenOptions::new();
            options.read(true).append(true).create(true).open(path)
        })
        .map_err(io("open lock", path))
}

/// Takes the lock; false if it is held and we do not wait. A signal does not end the wait.
pub(crate) fn lock(file: &File, mode: Mode, wait: Wait) -> std::io::Result<bool> {
    loop {
        let taken = match (mode, wait) {
            (Mode::Shared, Wait::Forever) => file.lock_shared(),
            (Mode::Exclusive, Wait::Forever) => file.lock(),
            (Mode::Shared, Wait::Not) => match file.try_lock_shared() {
                Err(TryLockError::WouldBlock) => return Ok(false),
                taken => taken.map_err(Into::into),
            },
            (Mode::Exclusive, Wait::Not) => match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(false),
                taken => taken.map_err(Into::into),
            },
        };
        match taken {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            taken => return taken.map(|()| true),
        }
    }
}

/// Work under one key, by one holder on this machine at a time; released when dropped, and by the
/// kernel when the process dies.
#[derive(Debug)]
pub struct KeyGuard {
    _lock: FileLock,
}

impl KeyGuard {
    /// Waits for the lock whose file is at `path`.
    pub(crate) fn wait(path: &Path) -> Result<Self> {
        FileLock::wait(path, Mode::Exclusive).map(Self::of)
    }

    /// The lock whose file is at `path`, if nobody holds it.
    pub(crate) fn attempt(path: &Path) -> Result<Option<Self>> {
        Ok(FileLock::acquire(path, Mode::Exclusive, Wait::Not)?.map(Self::of))
    }

    const fn of(lock: FileLock) -> Self {
        Self {
            _lock: lock.remove_on_release(),
        }
    }
}
