//! The directories of snapshots: where they are made, how they get into place, how they go.
//!
//! What is inside is not looked at here. A snapshot is seen under its layer's name only after a
//! rename, and counts only when the layer's row says so; both happen under the write lock.
//!
//! A build need not wait until its snapshots are on disk. Such a snapshot is noted with the boot
//! it was made in. If the machine starts again before [`Store::sync`] has run, the snapshot is
//! dropped, since a power cut may have emptied its files.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use crate::db::Durability;
use crate::error::{Result, StoreError, io};
use crate::layer::{self, LayerId, NewLayer};
use crate::lease::{Lease, Resource};
use crate::{Store, file};

/// The snapshots of a store.
#[derive(Debug, Clone, Copy)]
pub struct Snapshots<'a> {
    store: &'a Store,
}

/// A directory in which a snapshot is made. Dropping it removes it.
#[derive(Debug)]
pub struct TempSnapshot {
    path: PathBuf,
    lease: Lease,
}

/// Whether a snapshot's files are known to be on disk when it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synced {
    /// All of them were synced.
    Yes,
    /// They survive the death of the process, not a power cut.
    No,
}

impl<'a> Snapshots<'a> {
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// Where they are.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.store.layout().snapshots()
    }

    /// An empty directory on the file system that snapshots are on.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn allocate(&self, lease: &Lease) -> Result<TempSnapshot> {
        let path = lease.temporary(&self.store.layout().snapshots());
        file::create_directory(&path, 0o700)?;
        Ok(TempSnapshot {
            path,
            lease: lease.clone(),
        })
    }

    /// Makes `temporary` the snapshot of `layer`; its directory. If another process was first,
    /// that one's stays and ours is removed.
    ///
    /// # Errors
    /// The layer is not in the store, or the directory cannot be moved.
    pub fn publish(
        &self,
        temporary: TempSnapshot,
        layer: LayerId,
        synced: Synced,
    ) -> Result<PathBuf> {
        let hold = temporary.lease.hold()?;
        let boot = unsynced(synced)?;
        self.store
            .database()
            .write(Durability::Relaxed, |connection| {
                self.move_in(connection, &temporary, layer, boot.as_deref())
            })?;
        temporary
            .lease
            .add_under(&hold, &[Resource::Layer(layer)])?;
        Ok(self.path(layer))
    }

    /// Notes a new layer and makes `temporary` its snapshot, in one transaction. Held by the lease.
    ///
    /// # Errors
    /// The directory cannot be moved, or the database not written.
    pub fn publish_new(
        &self,
        temporary: TempSnapshot,
        new: &NewLayer,
        synced: Synced,
    ) -> Result<LayerId> {
        let hold = temporary.lease.hold()?;
        let boot = unsynced(synced)?;
        let id = self
            .store
            .database()
            .write(Durability::Relaxed, |connection| {
                let id = layer::insert(connection, new, temporary.lease.started())?;
                self.move_in(connection, &temporary, id, boot.as_deref())?;
                Ok(id)
            })?;
        temporary.lease.add_under(&hold, &[Resource::Layer(id)])?;
        Ok(id)
    }

    /// Where the snapshot of `layer` is, if it has one.
    #[must_use]
    pub fn path(&self, layer: LayerId) -> PathBuf {
        self.store.layout().snapshot(layer)
    }

    fn move_in(
        &self,
        connection: &Connection,
        temporary: &TempSnapshot,
        layer: LayerId,
        boot: Option<&[u8]>,
    ) -> Result<()> {
        let is_published: Option<bool> = connection
            .prepare_cached("SELECT snapshot FROM layer WHERE id = ?")?
            .query_map([layer.0], |row| row.get(0))?
            .next()
            .transpose()?;
        let path = self.path(layer);
        match is_published {
            None => return Err(StoreError::MissingLayer(layer)),
            Some(true) => return Ok(()),
            Some(false) if path.exists() => {
                // Its process died before it could say so.
                file::rename(&path, &temporary.lease.trash())?;
            }
            Some(false) => {}
        }
        file::rename(&temporary.path, &path)?;
        if boot.is_none() {
            file::sync_parent(&path)?;
        }
        connection
            .prepare_cached("UPDATE layer SET snapshot = 1, unsynced = ? WHERE id = ?")?
            .execute(params![boot, layer.0])?;
        Ok(())
    }

    /// Drops snapshots of an earlier boot that were not known to be on disk.
    pub(crate) fn recover(&self) -> Result<()> {
        let database = self.store.database();
        let boots: Vec<Vec<u8>> = database.query(|connection| {
            Ok(connection
                .prepare_cached("SELECT DISTINCT unsynced FROM layer WHERE unsynced IS NOT NULL")?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?)
        })?;
        if boots.is_empty() || database.is_read_only() {
            return Ok(());
        }
        let boot = boot_id()?;
        if boots.iter().all(|other| *other == boot) {
            return Ok(());
        }
        database.write(Durability::Relaxed, |connection| {
            // The directories are leftovers from now on.
            connection.execute(
                "UPDATE layer SET snapshot = 0, unsynced = NULL
                 WHERE unsynced IS NOT NULL AND unsynced <> ?",
                [boot],
            )?;
            Ok(())
        })
    }

    /// Brings all published snapshots to disk.
    pub(crate) fn sync(&self) -> Result<()> {
        let database = self.store.database();
        let published: Vec<i64> = database.query(|connection| {
            Ok(connection
                .prepare_cached("SELECT id FROM layer WHERE unsynced IS NOT NULL")?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?)
        })?;
        if published.is_empty() {
            return Ok(());
        }
        let directory = self.store.layout().snapshots();
        let opened = std::fs::File::open(&directory).map_err(io("open", &directory))?;
        rustix::fs::syncfs(&opened).map_err(|error| io("sync", &directory)(error.into()))?;
        database.write(Durability::Full, |connection| {
            for layer in published {
                connection
                    .prepare_cached("UPDATE layer SET unsynced = NULL WHERE id = ?")?
                    .execute([layer])?;
            }
            Ok(())
        })
    }
}

impl TempSnapshot {
    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The lease that it was allocated under.
    #[must_use]
    pub const fn lease(&self) -> &Lease {
        &self.lease
    }
}

impl Drop for TempSnapshot {
    fn drop(&mut self) {
        // Nothing is left after it was published; what cannot be removed now is collected later.
        let _ = file::remove_tree(&self.path);
    }
}

fn unsynced(synced: Synced) -> Result<Option<Vec<u8>>> {
    match synced {
        Synced::Yes => Ok(None),
        Synced::No => boot_id().map(Some),
    }
}

fn boot_id() -> Result<Vec<u8>> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let text = std::fs::read(path).map_err(io("read", path))?;
    Ok(text.trim_ascii_end().to_vec())
}
