//! How large cache mounts may become, and what goes when they are larger.
//!
//! A limit is for an id of the callers', which several keys begin with. It is kept when somebody
//! looks, not while a step writes.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::Row;

use super::CacheMounts;
use crate::db::{Durability, corrupt, millis, size};
use crate::disk::{self, Ledger};
use crate::error::{Result, io};
use crate::lease::Lease;
use crate::lock::{Mode, Wait};

/// What goes of a cache mount that is too large.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum MountEviction {
    /// All of it: no program is surprised by an empty cache.
    #[default]
    Whole,
    /// The files that were not used for the longest time. For programs that check each file
    /// that they find, such as compiler caches.
    Files,
}

/// The most that each instance of a cache mount may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountLimit {
    /// The id in Dockerfiles.
    pub mount: String,
    /// Allocated bytes.
    pub bytes: u64,
    /// What goes when it is more.
    pub eviction: MountEviction,
}

/// What an instance takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MountSize {
    /// Allocated bytes, each file counted once.
    pub bytes: u64,
    /// Names of files that are no directories.
    pub files: u64,
}

/// A file that can go.
struct Old {
    /// When it was last read or written, as far as the file system notes it.
    used: SystemTime,
    path: PathBuf,
    bytes: u64,
}

impl MountEviction {
    const fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Files => "files",
        }
    }
}

impl CacheMounts<'_> {
    /// All limits, by id.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn limits(&self) -> Result<Vec<MountLimit>> {
        self.store.database().query(|connection| {
            connection
                .prepare_cached(
                    "SELECT mount, bytes, eviction FROM cache_mount_limit ORDER BY mount",
                )?
                .query_map([], |row| Ok(limit(row)))?
                .map(|row| row?)
                .collect()
        })
    }

    /// Sets the limit of an id, in place of what it had.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn set_limit(&self, limit: &MountLimit) -> Result<()> {
        self.store
            .database()
            .write(Durability::Relaxed, |connection| {
                connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO cache_mount_limit (mount, bytes, eviction)
                         VALUES (?, ?, ?)",
                    )?
                    .execute((&limit.mount, size(limit.bytes), limit.eviction.name()))?;
                Ok(())
            })
    }

    /// Takes the limit of an id away; whether it had one.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn remove_limit(&self, mount: &str) -> Result<bool> {
        self.store
            .database()
            .write(Durability::Relaxed, |connection| {
                let removed = connection
                    .prepare_cached("DELETE FROM cache_mount_limit WHERE mount = ?")?
                    .execute([mount])?;
                Ok(removed > 0)
            })
    }

    /// Whether an instance with a limit was used since then.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn is_limit_due(&self, since: SystemTime) -> Result<bool> {
        self.store.database().query(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT 1 FROM cache_mount_limit JOIN cache_mount
                 ON substr(key, 1, length(mount) + 1) = mount || ' ' WHERE used >= ? LIMIT 1",
            )?;
            Ok(select.exists([millis(since)])?)
        })
    }

    /// What an instance takes.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn size(&self, id: i64) -> Result<MountSize> {
        let data = self.directory(id).join("data");
        let mut files = 0;
        disk::visit(&data, &mut |_, metadata| {
            files += u64::from(!metadata.is_dir());
            true
        })?;
        let bytes = Ledger::default().add(0, &data)?.bytes;
        Ok(MountSize { bytes, files })
    }

    /// Lets an instance that nobody uses go until it takes no more than `bytes`; what that freed,
    /// none if it is in use.
    ///
    /// # Errors
    /// It cannot be read, or a file not removed.
    pub fn trim(
        &self,
        lease: &Lease,
        id: i64,
        bytes: u64,
        eviction: MountEviction,
    ) -> Result<Option<u64>> {
        let before = self.size(id)?.bytes;
        if before <= bytes {
            return Ok(Some(0));
        }
        if eviction == MountEviction::Whole {
            return Ok(self.remove(lease, id)?.then_some(before));
        }
        let Some(_lock) = self.lock(id, Mode::Exclusive, Wait::Not)? else {
            return Ok(None);
        };
        let freed = remove_oldest(&self.directory(id).join("data"), before - bytes)?;
        Ok(Some(freed))
    }
}

/// Removes files, those first that were not used for the longest time, until so many bytes are
/// free. Nobody else writes to the tree.
fn remove_oldest(data: &Path, excess: u64) -> Result<u64> {
    let mut files = Vec::new();
    disk::visit(data, &mut |path, metadata| {
        if !metadata.is_dir() {
            let times = [metadata.accessed(), metadata.modified()];
            let used = times.into_iter().flatten().max();
            files.push(Old {
                used: used.unwrap_or(SystemTime::UNIX_EPOCH),
                path: path.to_owned(),
                bytes: disk::allocated(metadata),
            });
        }
        true
    })?;
    files.sort_by(|a, b| a.used.cmp(&b.used).then_with(|| a.path.cmp(&b.path)));
    let mut freed = 0;
    for file in files {
        if freed >= excess {
            break;
        }
        if remove_name(&file.path)? {
            freed += file.bytes;
        }
    }
    Ok(freed)
}

/// Removes a file; whether that was its last name.
fn remove_name(path: &Path) -> Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::symlink_metadata(path).map_err(io("stat", path))?;
    std::fs::remove_file(path).map_err(io("remove", path))?;
    Ok(metadata.nlink() == 1)
}

fn limit(row: &Row<'_>) -> Result<MountLimit> {
    let eviction: String = row.get(2)?;
    let known = [MountEviction::Whole, MountEviction::Files];
    let eviction = known
        .into_iter()
        .find(|known| known.name() == eviction)
        .ok_or_else(|| corrupt("cache_mount_limit", format_args!("eviction {eviction}")))?;
    Ok(MountLimit {
        mount: row.get(0)?,
        bytes: row.get::<_, i64>(1)?.unsigned_abs(),
        eviction,
    })
}
