//! Slots for steps: how many run at a time in all builds that work on the store.
//!
//! A slot is a file that its holder keeps locked, so that the kernel frees it when the holder dies.
//! Who finds none free waits in a queue, which is a lock too: the first in it looks again every now
//! and then, the others wait behind it, and nobody who comes later goes before them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Store;
use crate::error::{Result, StoreError, io};
use crate::lock::{FileLock, Mode, Wait};

/// There are no more, whoever asks.
const MOST: u32 = 4096;
/// How long the first in the queue waits before it looks again.
const PAUSE: Duration = Duration::from_millis(3);

/// The right to run one step; free again when it is dropped.
#[derive(Debug)]
pub struct Slot {
    _lock: FileLock,
}

/// The slots of a store. Processes may differ about their number.
#[derive(Debug, Clone, Copy)]
pub struct Slots<'a> {
    store: &'a Store,
    count: u32,
}

impl<'a> Slots<'a> {
    pub(crate) const fn new(store: &'a Store, count: u32) -> Self {
        let count = if count < MOST { count } else { MOST };
        Self { store, count }
    }

    /// A slot at once: none when all are taken, or others wait already. While `scarce` says so, only
    /// the first slot is given.
    ///
    /// # Errors
    /// A lock file cannot be made.
    pub fn attempt(&self, scarce: impl Fn() -> bool) -> Result<Option<Slot>> {
        let Some(_first) = self.lock("queue", Wait::Not)? else {
            return Ok(None);
        };
        self.free(&scarce)
    }

    /// Waits for a slot; none when it is not `wanted` any more.
    ///
    /// # Errors
    /// A lock file cannot be made.
    pub fn wait(
        &self,
        scarce: impl Fn() -> bool,
        wanted: impl Fn() -> bool,
    ) -> Result<Option<Slot>> {
        let _first = self.lock("queue", Wait::Forever)?;
        while wanted() {
            if let Some(slot) = self.free(&scarce)? {
                return Ok(Some(slot));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(None)
    }

    fn free(&self, scarce: &impl Fn() -> bool) -> Result<Option<Slot>> {
        for number in 0..self.count {
            let Some(lock) = self.lock(&number.to_string(), Wait::Not)? else {
                continue;
            };
            if scarce() && self.is_taken_but(number)? {
                return Ok(None);
            }
            return Ok(Some(Slot { _lock: lock }));
        }
        Ok(None)
    }

    /// Whether somebody holds a slot other than this one.
    fn is_taken_but(&self, own: u32) -> Result<bool> {
        for number in (0..self.count).filter(|number| *number != own) {
            if self.lock(&number.to_string(), Wait::Not)?.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn lock(&self, name: &str, wait: Wait) -> Result<Option<FileLock>> {
        let path = self.directory().join(name);
        match FileLock::acquire(&path, Mode::Exclusive, wait) {
            Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                make(&self.directory())?;
                FileLock::acquire(&path, Mode::Exclusive, wait)
            }
            taken => taken,
        }
    }

    fn directory(&self) -> PathBuf {
        self.store.layout().slots()
    }
}

fn make(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).map_err(io("make directory", directory))
}
