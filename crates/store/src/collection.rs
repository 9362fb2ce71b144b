//! When the store was last collected by policy, and how that left it.
//!
//! It is written so that a build can tell in no time that nothing needs to be done.

use std::time::SystemTime;

use rusqlite::{OptionalExtension, params};

use crate::Store;
use crate::db::{Durability, millis, size, time};
use crate::disk::Disk;
use crate::error::Result;
use crate::lock::{FileLock, Mode, Wait};

/// How a collection left the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// When it ended.
    pub finished: SystemTime,
    /// The bytes that could be written to the disk then.
    pub free: u64,
    /// What the cache took then, if it was measured.
    pub used: Option<u64>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// The right to collect by policy, which one process has at a time.
#[derive(Debug)]
pub struct CollectionGuard {
    _lock: FileLock,
}

impl Store {
    /// The file system that the store lies on.
    ///
    /// # Errors
    /// It does not tell.
    pub fn disk(&self) -> Result<Disk> {
        Disk::of(self.root())
    }

    /// The last collection by policy.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn last_collection(&self) -> Result<Option<Collection>> {
        self.database().query(|connection| {
            let mut select =
                connection.prepare_cached("SELECT finished, free, used, error FROM collection")?;
            let found = select.query_row([], |row| {
                Ok(Collection {
                    finished: time(row.get(0)?),
                    free: row.get::<_, i64>(1)?.unsigned_abs(),
                    used: row.get::<_, Option<i64>>(2)?.map(i64::unsigned_abs),
                    error: row.get(3)?,
                })
            });
            Ok(found.optional()?)
        })
    }

    /// Notes a collection in place of the one before.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn note_collection(&self, collection: &Collection) -> Result<()> {
        self.database().write(Durability::Relaxed, |connection| {
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO collection (id, finished, free, used, error)
                     VALUES (1, ?, ?, ?, ?)",
                )?
                .execute(params![
                    millis(collection.finished),
                    size(collection.free),
                    collection.used.map(size),
                    collection.error,
                ])?;
            Ok(())
        })
    }

    /// Gives room in the database that removed rows left back to the file system, when it is worth it;
    /// whether it was.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn compact(&self) -> Result<bool> {
        let lock = self.database().lock()?;
        self.database().compact(&lock)
    }

    /// The right to collect by policy; none while another process is at it.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn try_collect(&self) -> Result<Option<CollectionGuard>> {
        let path = self.layout().policy_lock();
        let lock = FileLock::acquire(&path, Mode::Exclusive, Wait::Not)?;
        Ok(lock.map(|lock| CollectionGuard { _lock: lock }))
    }
}
