//! Checksums of files by what `stat` says of them, so that unchanged files are not read again.
//!
//! An entry counts only if device, inode, size and both times are the same to the nanosecond. It is
//! not stored when the file was changed so shortly before it was read that a later change could
//! leave the same times ("racily clean", as git calls it).
//!
//! Neighbouring inodes share a row, since the files of one tree mostly have neighbouring inodes
//! and a row per file would cost 20,000 look-ups for 20,000 files.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, params};

use crate::Store;
use crate::db::{Durability, corrupt, millis};
use crate::error::Result;

/// Inodes per row, as a power of two.
const BUCKET_BITS: u32 = 6;

/// Bytes of an entry: inode within the row, size, two times, checksum.
const ENTRY: usize = 1 + 8 + 8 + 8 + 32;

/// Kernels stamp files with the time of the last tick, at worst 10 ms old.
const FINE_GRAIN: Duration = Duration::from_millis(20);

/// Some file systems keep only whole or even seconds.
const COARSE_GRAIN: Duration = Duration::from_secs(2);

/// What `stat` says of a file. Times are nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileStat {
    /// Device.
    pub device: u64,
    /// Inode.
    pub inode: u64,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change of content.
    pub modified: i64,
    /// Time of the last change of content or metadata.
    pub changed: i64,
}

/// The stat cache of a store.
#[derive(Debug, Clone, Copy)]
pub struct StatCache<'a> {
    store: &'a Store,
}

impl<'a> StatCache<'a> {
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// The checksums of `files`, in the same order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn get(&self, files: &[FileStat]) -> Result<Vec<Option<[u8; 32]>>> {
        let mut order: Vec<usize> = (0..files.len()).collect();
        order.sort_unstable_by_key(|at| bucket(&files[*at]));
        let mut found = vec![None; files.len()];
        self.store.database().read(|connection| {
            let mut current = None;
            let mut entries = Vec::new();
            for at in order {
                let file = &files[at];
                if current != Some(bucket(file)) {
                    current = Some(bucket(file));
                    entries = load(connection, bucket(file))?;
                }
                found[at] = find(&entries, file);
            }
            Ok(found)
        })
    }

    /// Remembers checksums, in one transaction. `read_since` is a time before the first of the
    /// files was looked at: what changed at about that time or later is left out.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn put(&self, files: &[(FileStat, [u8; 32])], read_since: SystemTime) -> Result<()> {
        let mut buckets: BTreeMap<_, Vec<&(FileStat, [u8; 32])>> = BTreeMap::new();
        for file in files {
            if !is_racy(&file.0, read_since) {
                buckets.entry(bucket(&file.0)).or_default().push(file);
            }
        }
        if buckets.is_empty() {
            return Ok(());
        }
        self.store
            .database()
            .write(Durability::Relaxed, |connection| {
                for (bucket, new) in buckets {
                    let mut entries = load(connection, bucket)?;
                    for (file, checksum) in new {
                        replace(&mut entries, file, checksum);
                    }
                    connection
                        .prepare_cached(
                            "INSERT OR REPLACE INTO stat_cache (device, bucket, updated, entries)
                             VALUES (?, ?, ?, ?)",
                        )?
                        .execute(params![bucket.0, bucket.1, millis(read_since), entries])?;
                }
                Ok(())
            })
    }
}

/// Whether a change after the file was read could have gone unnoticed by its times.
fn is_racy(file: &FileStat, read_since: SystemTime) -> bool {
    let since = read_since.duration_since(UNIX_EPOCH).map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    });
    let is_coarse = file.changed % 1_000_000_000 == 0;
    let grain = if is_coarse { COARSE_GRAIN } else { FINE_GRAIN };
    let grain = i64::try_from(grain.as_nanos()).unwrap_or(i64::MAX);
    file.changed.max(file.modified) >= since.saturating_sub(grain)
}

/// The row that the file's entry is in. The columns are signed; only equality matters.
const fn bucket(file: &FileStat) -> (i64, i64) {
    (
        file.device.cast_signed(),
        (file.inode >> BUCKET_BITS).cast_signed(),
    )
}

fn load(connection: &Connection, (device, bucket): (i64, i64)) -> Result<Vec<u8>> {
    let entries: Vec<u8> = connection
        .prepare_cached("SELECT entries FROM stat_cache WHERE device = ? AND bucket = ?")?
        .query_row([device, bucket], |row| row.get(0))
        .optional()?
        .unwrap_or_default();
    if entries.len().is_multiple_of(ENTRY) {
        Ok(entries)
    } else {
        let detail = format!("entries of {} bytes", entries.len());
        Err(corrupt("stat_cache", detail))
    }
}

fn find(entries: &[u8], file: &FileStat) -> Option<[u8; 32]> {
    let wanted = prefix(file);
    let (entries, _) = entries.as_chunks::<ENTRY>();
    entries
        .iter()
        .find(|entry| entry.starts_with(&wanted))
        .and_then(|entry| entry.last_chunk().copied())
}

fn replace(entries: &mut Vec<u8>, file: &FileStat, checksum: &[u8; 32]) {
    let mut entry = prefix(file).to_vec();
    entry.extend_from_slice(checksum);
    let same = entries
        .chunks_exact(ENTRY)
        .position(|old| old.first() == entry.first());
    match same {
        Some(at) => entries[at * ENTRY..][..ENTRY].copy_from_slice(&entry),
        None => entries.extend_from_slice(&entry),
    }
}

/// The part of an entry that must be the same.
fn prefix(file: &FileStat) -> [u8; ENTRY - 32] {
    let mut bytes = [0; ENTRY - 32];
    let within = file.inode & ((1 << BUCKET_BITS) - 1);
    bytes[0] = within.to_le_bytes()[0];
    bytes[1..9].copy_from_slice(&file.size.to_le_bytes());
    bytes[9..17].copy_from_slice(&file.modified.to_le_bytes());
    bytes[17..25].copy_from_slice(&file.changed.to_le_bytes());
    bytes
}
