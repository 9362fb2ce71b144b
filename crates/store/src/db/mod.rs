//! The metadata database: SQLite with a write-ahead log.
//!
//! Readers never wait: each takes an idle connection or opens one. Writers queue on a lock file of
//! our own before they begin, since SQLite's own waiting polls. `BEGIN IMMEDIATE` keeps those out
//! who don't know the lock.

mod convert;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::{Result, StoreError, io};
use crate::fail;
use crate::lock::{FileLock, Mode};

pub(crate) use convert::{corrupt, digest, layer_ids, layer_ids_bytes, millis, size, time};

/// Connections kept for later callers.
const MAX_IDLE: usize = 8;

/// The most that each keeps of the file in memory: negative, since SQLite counts pages otherwise.
const CACHE_KIB: i32 = -8 << 10;

/// Unused bytes of the file below which it is left as it is, and the part that they must be of it.
const COMPACT_BYTES: u64 = 16 << 20;
const COMPACT_PART: u64 = 4;

/// What survives a power cut; every commit survives the death of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The last commits may be lost, which costs cache misses.
    Relaxed,
    /// Committed is on disk.
    Full,
}

/// The database of one store, for any number of threads.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    lock: PathBuf,
    /// The unknown features that forbid writing.
    read_only: Vec<String>,
    idle: Mutex<Vec<Session>>,
    /// Threads queue here, processes on the lock file.
    writing: Mutex<()>,
}

#[derive(Debug)]
struct Session {
    connection: Connection,
    durability: Durability,
}

impl Database {
    /// Makes the database at `path` or brings it to the newest schema.
    pub(crate) fn create(path: &Path) -> Result<()> {
        let mut session = Session::open(path, OpenFlags::SQLITE_OPEN_CREATE)?;
        session
            .connection
            .pragma_update(None, "journal_mode", "wal")?;
        schema::migrate(&mut session.connection)
    }

    /// Opens the database at `path`; `lock` is the file that writers lock.
    pub(crate) fn open(path: PathBuf, lock: PathBuf, read_only: Vec<String>) -> Result<Self> {
        let session = Session::open(&path, OpenFlags::empty())?;
        let database = Self {
            path,
            lock,
            read_only,
            idle: Mutex::new(Vec::new()),
            writing: Mutex::new(()),
        };
        match schema::check(&session.connection)? {
            schema::Age::Current => database.idle().push(session),
            schema::Age::Older => {
                let _lock = database.lock()?;
                Self::create(&database.path)?;
            }
        }
        Ok(database)
    }

    /// Whether every write is refused.
    pub(crate) const fn is_read_only(&self) -> bool {
        !self.read_only.is_empty()
    }

    /// Runs `work` on a consistent view.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let session = self.session()?;
        let transaction = session.connection.unchecked_transaction()?;
        let result = work(&transaction);
        transaction.finish()?;
        self.give_back(session, result)
    }

    /// Runs one statement, which needs no transaction to be consistent.
    pub(crate) fn query<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let session = self.session()?;
        let result = work(&session.connection);
        self.give_back(session, result)
    }

    /// Runs `work` alone, and commits what it did if it succeeded.
    pub(crate) fn write<T>(
        &self,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        let lock = self.lock()?;
        self.write_under(&lock, durability, work)
    }

    /// Takes the write lock, for several transactions or for files that must keep in step.
    pub(crate) fn lock(&self) -> Result<WriteLock<'_>> {
        if !self.read_only.is_empty() {
            return Err(StoreError::ReadOnly {
                path: self.path.clone(),
                features: self.read_only.clone(),
            });
        }
        let thread = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let process = FileLock::permanent(&self.lock, Mode::Exclusive)?;
        Ok(WriteLock {
            _process: process,
            _thread: thread,
        })
    }

    /// As [`write`](Self::write), by the holder of the lock.
    pub(crate) fn write_under<T>(
        &self,
        _lock: &WriteLock<'_>,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        fail::point("begin a transaction").map_err(io("write", &self.path))?;
        let mut session = self.session()?;
        session.set_durability(durability)?;
        let transaction = session
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = match work(&transaction) {
            Ok(value) => fail::point("commit")
                .map_err(io("write", &self.path))
                .and_then(|()| Ok(transaction.commit()?))
                .map(|()| value),
            Err(error) => transaction.rollback().map_err(Into::into).and(Err(error)),
        };
        self.give_back(session, result)
    }

    /// Gives pages that nothing is in back to the file system when they are many, and a good part of
    /// the file; whether it did. Writers wait meanwhile.
    pub(crate) fn compact(&self, _lock: &WriteLock<'_>) -> Result<bool> {
        let session = self.session()?;
        let number = |pragma| session.number(pragma);
        let (free, all) = (number("freelist_count")?, number("page_count")?);
        let bytes = free * number("page_size")?;
        let is_worth_it = bytes >= COMPACT_BYTES && free * COMPACT_PART >= all;
        let done = if is_worth_it {
            let batch = "VACUUM; PRAGMA wal_checkpoint(PASSIVE);";
            session.connection.execute_batch(batch).map_err(Into::into)
        } else {
            Ok(())
        };
        self.give_back(session, done.map(|()| is_worth_it))
    }

    fn session(&self) -> Result<Session> {
        match self.idle().pop() {
            Some(session) => Ok(session),
            None => Session::open(&self.path, OpenFlags::empty()),
        }
    }

    /// Keeps the session for the next caller, unless the database failed in it.
    fn give_back<T>(&self, session: Session, result: Result<T>) -> Result<T> {
        let mut idle = self.idle();
        if !matches!(result, Err(StoreError::Database(_))) && idle.len() < MAX_IDLE {
            idle.push(session);
        }
        drop(idle);
        result
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to write, held by one thread of one process.
#[derive(Debug)]
pub(crate) struct WriteLock<'a> {
    _process: FileLock,
    _thread: MutexGuard<'a, ()>,
}

impl Session {
    fn open(path: &Path, further: OpenFlags) -> Result<Self> {
        Self::connect(path, further).map_err(|error| explain(path, error))
    }

    fn connect(path: &Path, further: OpenFlags) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | further;
        let connection = Connection::open_with_flags(path, flags)?;
        // Only recovery after a crash, and strangers, make anyone wait.
        connection.busy_timeout(Duration::from_secs(30))?;
        connection.pragma_update(None, "cache_size", CACHE_KIB)?;
        connection.set_prepared_statement_cache_capacity(96);
        connection.set_db_config(
            rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY,
            true,
        )?;
        Ok(Self {
            connection,
            durability: Durability::Full,
        })
    }

    fn number(&self, pragma: &str) -> Result<u64> {
        let read = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        let value = self.connection.pragma_query_value(None, pragma, read)?;
        Ok(value.unsigned_abs())
    }

    fn set_durability(&mut self, durability: Durability) -> Result<()> {
        if self.durability != durability {
            let level = match durability {
                Durability::Relaxed => "normal",
                Durability::Full => "full",
            };
            self.connection.pragma_update(None, "synchronous", level)?;
            self.durability = durability;
        }
        Ok(())
    }
}

/// SQLite does not say that it may not write.
fn explain(path: &Path, error: StoreError) -> StoreError {
    match rustix::fs::access(path, rustix::fs::Access::WRITE_OK) {
        Err(errno) if errno != rustix::io::Errno::NOENT => io("write", path)(errno.into()),
        _ => error,
    }
}
