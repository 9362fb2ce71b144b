//! Slots for steps: how many run at a time in all builds that work on the store.
//!
//! A slot is a file that its holder keeps locked, so that the kernel frees it when the holder dies.
//! Who finds none free waits in a queue. A place in it is a numbered file that is locked likewise:
//! the first looks for a slot every now and then, each of the others sleeps until the one before it
//! is gone, and nobody who comes later goes before them. One lock that all wait for would not do: it
//! is free for a moment between two holders, and who comes just then would have it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Store;
use crate::error::{Result, StoreError, io};
use crate::lock::{FileLock, Mode, Wait};

/// There are no more, whoever asks.
const MOST: u32 = 4096;
/// Held while somebody joins the queue, or sees that there is none.
const DOOR: &str = "queue";
/// Names of places in the queue begin with it, and end with their number.
const PLACE: &str = "queue-";
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
        let Some(_door) = self.lock(DOOR, Wait::Not)? else {
            return Ok(None);
        };
        match self.last_before(u64::MAX)? {
            Some(_) => Ok(None),
            None => self.free(&scarce),
        }
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
        let (_place, number) = self.queue()?;
        while let Some(before) = self.last_before(number)? {
            // Whose holder died goes with us.
            let gone = self.lock(&place(before), Wait::Forever)?;
            drop(gone.map(FileLock::remove_on_release));
        }
        while wanted() {
            if let Some(slot) = self.free(&scarce)? {
                return Ok(Some(slot));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(None)
    }

    /// The place behind all others, and its number.
    fn queue(&self) -> Result<(Option<FileLock>, u64)> {
        let _door = self.lock(DOOR, Wait::Forever)?;
        let number = self.last_before(u64::MAX)?.map_or(0, |last| last + 1);
        let taken = self.lock(&place(number), Wait::Forever)?;
        Ok((taken.map(FileLock::remove_on_release), number))
    }

    /// The last place in the queue before `number`.
    fn last_before(&self, number: u64) -> Result<Option<u64>> {
        let directory = self.directory();
        let mut last = None;
        for entry in fs::read_dir(&directory).map_err(io("list", &directory))? {
            let name = entry.map_err(io("list", &directory))?.file_name();
            let place = name.to_str().and_then(|name| name.strip_prefix(PLACE));
            let place = place.and_then(|place| place.parse().ok());
            last = last.max(place.filter(|place| *place < number));
        }
        Ok(last)
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

fn place(number: u64) -> String {
    format!("{PLACE}{number}")
}

fn make(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).map_err(io("make directory", directory))
}
