//! Cache mounts: directories that steps keep between builds, by a key of the caller's.
//!
//! A key may have several instances, since a private one is never shared. Each is a directory with
//! the file `lock` and the tree `data/`. Whoever uses it holds the lock, so a dead user never
//! blocks anyone. An instance is seeded before it is seen.

mod limit;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::{Connection, Row};

use crate::db::{Durability, millis, time};
use crate::error::{Result, StoreError, io};
use crate::lease::Lease;
use crate::lock::{FileLock, Mode, Wait, lock};
use crate::{Store, file};

pub use limit::{MountEviction, MountLimit, MountSize};

/// Who may use an instance at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Any number of users that share it.
    Shared,
    /// One user; others wait.
    Locked,
    /// One user; others get another instance.
    Private,
}

/// An instance that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheMountRow {
    /// Its number.
    pub id: i64,
    /// What it was asked for by.
    pub key: String,
    /// The tree.
    pub path: PathBuf,
    /// When it was made.
    pub created: SystemTime,
    /// When it was last asked for.
    pub used: SystemTime,
}

/// An instance in use; released when dropped.
#[derive(Debug)]
pub struct CacheMount {
    id: i64,
    path: PathBuf,
    _lock: FileLock,
}

/// The cache mounts of a store.
#[derive(Debug, Clone, Copy)]
pub struct CacheMounts<'a> {
    store: &'a Store,
}

impl CacheMount {
    /// Its number.
    #[must_use]
    pub const fn id(&self) -> i64 {
        self.id
    }

    /// The tree, to be mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl<'a> CacheMounts<'a> {
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// An instance for `key`, once nobody uses it who must not. A new one is filled by `seed`.
    ///
    /// # Errors
    /// `seed` fails, or something cannot be made.
    pub fn acquire<E: From<StoreError>>(
        &self,
        lease: &Lease,
        key: &str,
        sharing: Sharing,
        seed: impl Fn(&Path) -> Result<(), E>,
    ) -> Result<CacheMount, E> {
        loop {
            match self.find(lease, key, sharing)? {
                Found::Free(mount) => return Ok(mount),
                // The holder may remove it meanwhile, so what is there is looked at again.
                Found::Busy(id) => drop(self.lock(id, Mode::Exclusive, Wait::Forever)?),
                Found::None(known) => {
                    let wanted = Wanted {
                        key,
                        sharing,
                        known,
                    };
                    if let Some(mount) = self.create(lease, &wanted, &seed)? {
                        return Ok(mount);
                    }
                }
            }
        }
    }

    /// As [`acquire`](Self::acquire), but none at once when it would wait.
    ///
    /// # Errors
    /// `seed` fails, or something cannot be made.
    pub fn try_acquire<E: From<StoreError>>(
        &self,
        lease: &Lease,
        key: &str,
        sharing: Sharing,
        seed: impl Fn(&Path) -> Result<(), E>,
    ) -> Result<Option<CacheMount>, E> {
        match self.find(lease, key, sharing)? {
            Found::Free(mount) => Ok(Some(mount)),
            Found::Busy(_) => Ok(None),
            Found::None(known) => {
                let wanted = Wanted {
                    key,
                    sharing,
                    known,
                };
                self.create(lease, &wanted, &seed)
            }
        }
    }

    /// All instances, by key.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn list(&self) -> Result<Vec<CacheMountRow>> {
        self.store
            .database()
            .query(|connection| list(self.store, connection))
    }

    /// An instance for its sole use; none if somebody uses it, or if it is gone. While it is held,
    /// others get another one or wait.
    ///
    /// # Errors
    /// It cannot be locked.
    pub fn open(&self, id: i64) -> Result<Option<CacheMount>> {
        let lock = self.lock(id, Mode::Exclusive, Wait::Not)?;
        Ok(lock.map(|lock| self.mount(id, lock)))
    }

    /// Removes an instance that nobody uses; whether it is gone.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, lease: &Lease, id: i64) -> Result<bool> {
        let Some(_lock) = self.lock(id, Mode::Exclusive, Wait::Not)? else {
            return Ok(!self.directory(id).exists());
        };
        let trash = lease.trash();
        self.store
            .database()
            .write(Durability::Relaxed, |connection| {
                forget(connection, id)?;
                file::rename(&self.directory(id), &trash)
            })?;
        file::remove_tree(&trash)?;
        Ok(true)
    }

    /// The directory of an instance.
    pub(crate) fn directory(&self, id: i64) -> PathBuf {
        self.store.layout().cache_mounts().join(id.to_string())
    }

    /// Locks an instance; none if it is held and we do not wait, or if it is gone.
    pub(crate) fn lock(&self, id: i64, mode: Mode, wait: Wait) -> Result<Option<FileLock>> {
        let path = self.directory(id).join("lock");
        match FileLock::acquire(&path, mode, wait) {
            Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                self.forget_if_gone(id)?;
                Ok(None)
            }
            locked => locked,
        }
    }

    /// The first instance that can be used now.
    fn find(&self, lease: &Lease, key: &str, sharing: Sharing) -> Result<Found> {
        let mode = match sharing {
            Sharing::Shared => Mode::Shared,
            Sharing::Locked | Sharing::Private => Mode::Exclusive,
        };
        let mut busy = None;
        let known = self.ids(key)?;
        for id in known.iter().copied() {
            match self.lock(id, mode, Wait::Not)? {
                Some(lock) => {
                    self.note_use(id, lease.started())?;
                    return Ok(Found::Free(self.mount(id, lock)));
                }
                None if self.directory(id).exists() => busy = busy.or(Some(id)),
                None => {}
            }
        }
        match busy {
            Some(id) if sharing == Sharing::Locked => Ok(Found::Busy(id)),
            _ => Ok(Found::None(known)),
        }
    }

    /// A new instance, locked before it is seen; none if another was first and must be shared.
    fn create<E: From<StoreError>>(
        &self,
        lease: &Lease,
        wanted: &Wanted<'_>,
        seed: &impl Fn(&Path) -> Result<(), E>,
    ) -> Result<Option<CacheMount>, E> {
        let temporary = lease.temporary(&self.store.layout().cache_mounts());
        let made = file::create_directory(&temporary.join("data"), 0o755)
            .map_err(E::from)
            .and_then(|()| seed(&temporary.join("data")))
            .and_then(|()| Ok(self.publish(lease, wanted, &temporary)?));
        file::remove_tree(&temporary)?;
        made
    }

    fn publish(
        &self,
        lease: &Lease,
        wanted: &Wanted<'_>,
        temporary: &Path,
    ) -> Result<Option<CacheMount>> {
        let path = temporary.join("lock");
        let lock = FileLock::wait(&path, Mode::Exclusive)?;
        if wanted.sharing == Sharing::Shared {
            // Nobody else can have it, so that turning the lock into another never waits.
            self::lock(lock.file(), Mode::Shared, Wait::Forever).map_err(io("lock", &path))?;
        }
        self.store
            .database()
            .write(Durability::Relaxed, |connection| {
                let is_new = |id: &i64| !wanted.known.contains(id);
                if wanted.sharing != Sharing::Private
                    && ids(connection, wanted.key)?.iter().any(is_new)
                {
                    return Ok(None);
                }
                let now = millis(lease.started());
                connection
                    .prepare_cached(
                        "INSERT INTO cache_mount (key, created, used) VALUES (?1, ?2, ?2)",
                    )?
                    .execute((wanted.key, now))?;
                let id = connection.last_insert_rowid();
                let directory = self.directory(id);
                if directory.exists() {
                    // Its process died before the row was there.
                    file::rename(&directory, &lease.trash())?;
                }
                file::rename(temporary, &directory)?;
                Ok(Some(id))
            })
            .map(|id| id.map(|id| self.mount(id, lock)))
    }

    fn mount(&self, id: i64, lock: FileLock) -> CacheMount {
        CacheMount {
            id,
            path: self.directory(id).join("data"),
            _lock: lock,
        }
    }

    fn ids(&self, key: &str) -> Result<Vec<i64>> {
        self.store
            .database()
            .query(|connection| ids(connection, key))
    }

    fn note_use(&self, id: i64, now: SystemTime) -> Result<()> {
        self.store
            .database()
            .write(Durability::Relaxed, |connection| {
                connection
                    .prepare_cached("UPDATE cache_mount SET used = max(used, ?) WHERE id = ?")?
                    .execute([millis(now), id])?;
                Ok(())
            })
    }

    /// Somebody removed the directory by hand.
    fn forget_if_gone(&self, id: i64) -> Result<()> {
        self.store
            .database()
            .write(Durability::Relaxed, |connection| {
                if self.directory(id).exists() {
                    return Ok(());
                }
                forget(connection, id)
            })
    }
}

enum Found {
    Free(CacheMount),
    Busy(i64),
    /// None of these, so that a new one is needed.
    None(Vec<i64>),
}

struct Wanted<'a> {
    key: &'a str,
    sharing: Sharing,
    /// The instances that cannot be had.
    known: Vec<i64>,
}

/// All instances, by key.
pub(crate) fn list(store: &Store, connection: &Connection) -> Result<Vec<CacheMountRow>> {
    let mounts = store.cache_mounts();
    let row = |row: &Row<'_>| {
        let id = row.get(0)?;
        Ok(CacheMountRow {
            id,
            key: row.get(1)?,
            path: mounts.directory(id).join("data"),
            created: time(row.get(2)?),
            used: time(row.get(3)?),
        })
    };
    Ok(connection
        .prepare_cached("SELECT id, key, created, used FROM cache_mount ORDER BY key, id")?
        .query_map([], row)?
        .collect::<Result<_, _>>()?)
}

/// Removes the row of an instance.
pub(crate) fn forget(connection: &Connection, id: i64) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM cache_mount WHERE id = ?")?
        .execute([id])?;
    Ok(())
}

fn ids(connection: &Connection, key: &str) -> Result<Vec<i64>> {
    Ok(connection
        .prepare_cached("SELECT id FROM cache_mount WHERE key = ? ORDER BY id")?
        .query_map([key], |row| row.get(0))?
        .collect::<Result<_, _>>()?)
}
