//! Cache records: what an operation with a certain key resulted in.
//!
//! A record has one key of its own. Aliases lead to it from keys that are cheaper to compute, and may
//! be noted before it exists. A key leads to one record at a time; the latest word counts. A record names layers that exist: collection removes both or neither.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::Store;
use crate::db::{self, Durability, millis, time};
use crate::error::{Result, StoreError};
use crate::layer::LayerId;
use crate::lease::{Lease, Resource};

/// A use is not noted again before this has passed, so that a cached build writes nothing.
const USE_GRAIN: Duration = Duration::from_secs(3600);

/// Evictions that are remembered, each about 200 bytes.
const EVICTIONS: u32 = 10_000;

/// A key of a cache record.
pub type Key = [u8; 32];

/// What a record is of, in BuildKit's words where it has some.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// A step, or a source that is downloaded.
    #[default]
    Regular,
    /// A checkout of a git repository.
    GitCheckout,
    /// What the builder found out and keeps for itself.
    Internal,
}

/// What is to be remembered under a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NewRecord<'a> {
    /// What it is of.
    pub kind: RecordKind,
    /// The same in words for people: a step's name.
    pub description: &'a str,
    /// The result, in the caller's own form.
    pub value: &'a [u8],
    /// The layers that the result needs.
    pub layers: &'a [LayerId],
    /// What the key was made of, in the caller's own form, to explain a later miss.
    pub parts: &'a [u8],
    /// What records of the same step have in common, however their keys differ.
    pub lineage: Option<&'a Key>,
}

/// What is remembered under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its own key, also when it was found by an alias.
    pub key: Key,
    /// The result, in the caller's own form.
    pub value: Vec<u8>,
    /// The layers that the result needs.
    pub layers: Vec<LayerId>,
    /// When it was written.
    pub created: SystemTime,
    /// When it was last used, to the hour.
    pub used: SystemTime,
}

/// The latest record of a step, to compare a missing key with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestor {
    /// Its own key.
    pub key: Key,
    /// What its key was made of.
    pub parts: Vec<u8>,
    /// When it was written.
    pub created: SystemTime,
}

/// A record that collection removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eviction {
    /// When.
    pub evicted: SystemTime,
    /// By which rule, in words: `gc rule 2: not used for 60d`.
    pub cause: String,
}

/// The cache records of a store.
#[derive(Debug, Clone, Copy)]
pub struct Records<'a> {
    store: &'a Store,
}

impl RecordKind {
    /// Its name in filters and listings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::GitCheckout => "source.git.checkout",
            Self::Internal => "internal",
        }
    }

    /// The kind of that name; what another kiln named is a record as any other.
    pub(crate) fn of_name(name: &str) -> Self {
        let named = [Self::GitCheckout, Self::Internal].into_iter();
        named.fold(Self::Regular, |found, kind| {
            if kind.name() == name { kind } else { found }
        })
    }
}

impl<'a> Records<'a> {
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// The record under `key`. It may be collected at any time; see [`take`](Self::take).
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn get(&self, key: &Key) -> Result<Option<Record>> {
        self.store
            .database()
            .query(|connection| get(connection, key))
    }

    /// The records under `keys`, in the same order, all of one moment.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Record>>> {
        self.store
            .database()
            .read(|connection| keys.iter().map(|key| get(connection, key)).collect())
    }

    /// The record under `key`, held with its layers. Its use is noted by
    /// [`note_uses`](Self::note_uses).
    ///
    /// # Errors
    /// The database cannot be read, or the lease not written.
    pub fn take(&self, lease: &Lease, key: &Key) -> Result<Option<Record>> {
        Ok(self
            .take_many(lease, std::slice::from_ref(key))?
            .pop()
            .flatten())
    }

    /// As [`take`](Self::take), for many keys at once.
    ///
    /// # Errors
    /// The database cannot be read, or the lease not written.
    pub fn take_many(&self, lease: &Lease, keys: &[Key]) -> Result<Vec<Option<Record>>> {
        let hold = lease.hold()?;
        let records = self.get_many(keys)?;
        let mut resources = Vec::with_capacity(records.len());
        for record in records.iter().flatten() {
            resources.push(Resource::Record(record.key));
            resources.extend(record.layers.iter().map(|id| Resource::Layer(*id)));
            if record.used + USE_GRAIN < lease.started() {
                lease.note_use(record.key);
            }
        }
        lease.add_under(&hold, &resources)?;
        Ok(records)
    }

    /// Writes a record, in place of what `key` led to. Held by `lease`, as its layers must be.
    ///
    /// # Errors
    /// A layer does not exist, or the database cannot be written.
    pub fn put(&self, lease: &Lease, key: &Key, new: NewRecord<'_>) -> Result<()> {
        let hold = lease.hold()?;
        self.store
            .database()
            .write(Durability::Relaxed, |connection| {
                put(connection, key, &new, millis(lease.started()))
            })?;
        lease.add_under(&hold, &[Resource::Record(*key)])
    }

    /// Makes `alias` lead to `key`, whether or not there is a record under `key` yet.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn alias(&self, alias: &Key, key: &Key) -> Result<()> {
        if alias == key {
            return Ok(());
        }
        self.store
            .database()
            .write(Durability::Relaxed, |connection| {
                connection
                    .prepare_cached("DELETE FROM record WHERE key = ?")?
                    .execute([alias])?;
                connection
                    .prepare_cached(
                        "INSERT OR REPLACE INTO record_alias (alias, key) VALUES (?, ?)",
                    )?
                    .execute([alias, key])?;
                Ok(())
            })
    }

    /// The key that `alias` leads to.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn resolve(&self, alias: &Key) -> Result<Option<Key>> {
        self.store
            .database()
            .query(|connection| resolve(connection, alias))
    }

    /// The keys that `aliases` lead to, in the same order, all of one moment.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn resolve_many(&self, aliases: &[Key]) -> Result<Vec<Option<Key>>> {
        self.store.database().read(|connection| {
            aliases
                .iter()
                .map(|alias| resolve(connection, alias))
                .collect()
        })
    }

    /// Forgets the record that `key` leads to, and its aliases; whether there was one.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn remove(&self, key: &Key) -> Result<bool> {
        self.store
            .database()
            .write(Durability::Relaxed, |connection| {
                let Some(record) = get(connection, key)? else {
                    return Ok(false);
                };
                remove(connection, &record.key)?;
                Ok(true)
            })
    }

    /// Forgets the records that need `layer`, which can no longer be had; how many there were.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub fn forget_layer(&self, layer: LayerId) -> Result<usize> {
        self.store
            .database()
            .write(Durability::Relaxed, |connection| {
                let mut forgotten = 0;
                let mut select = connection.prepare_cached("SELECT key, layers FROM record")?;
                let records: Vec<(Key, Vec<u8>)> = select
                    .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect::<rusqlite::Result<_>>()?;
                for (key, layers) in records {
                    if db::layer_ids("record", &layers)?.contains(&layer) {
                        remove(connection, &key)?;
                        forgotten += 1;
                    }
                }
                Ok(forgotten)
            })
    }

    /// What the key of the record under `key` was made of.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn parts(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        self.store.database().read(|connection| {
            let key = resolve(connection, key)?.unwrap_or(*key);
            Ok(connection
                .prepare_cached("SELECT parts FROM record WHERE key = ?")?
                .query_row([key], |row| row.get(0))
                .optional()?)
        })
    }

    /// The records of `lineage`, the latest first, at most `limit`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn ancestors(&self, lineage: &Key, limit: u32) -> Result<Vec<Ancestor>> {
        self.store.database().query(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT key, parts, created FROM record WHERE lineage = ?
                 ORDER BY created DESC, id DESC LIMIT ?",
            )?;
            let ancestors = select.query_map(params![lineage, limit], |row| {
                Ok(Ancestor {
                    key: row.get(0)?,
                    parts: row.get(1)?,
                    created: time(row.get(2)?),
                })
            })?;
            Ok(ancestors.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// How the record under `key` went that is no longer there. The latest evictions are known, and
    /// none of a record that was written again.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn eviction(&self, key: &Key) -> Result<Option<Eviction>> {
        self.store.database().query(|connection| {
            let mut select =
                connection.prepare_cached("SELECT evicted, cause FROM eviction WHERE key = ?")?;
            Ok(select.query_row([key], eviction).optional()?)
        })
    }

    /// How the last record of `lineage` went that is no longer there.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn last_eviction(&self, lineage: &Key) -> Result<Option<Eviction>> {
        self.store.database().query(|connection| {
            let mut select = connection.prepare_cached(
                "SELECT evicted, cause FROM eviction WHERE lineage = ?
                 ORDER BY evicted DESC LIMIT 1",
            )?;
            Ok(select.query_row([lineage], eviction).optional()?)
        })
    }

    /// Notes that the records taken under `lease` were used at its start. Writes nothing for those
    /// whose use was noted within the hour before.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn note_uses(&self, lease: &Lease) -> Result<()> {
        let keys = lease.take_used();
        if keys.is_empty() {
            return Ok(());
        }
        let now = millis(lease.started());
        self.store
            .database()
            .write(Durability::Relaxed, |connection| {
                let mut note = connection
                    .prepare_cached("UPDATE record SET used = max(used, ?) WHERE key = ?")?;
                for key in keys {
                    note.execute(params![now, key])?;
                }
                Ok(())
            })
    }
}

fn get(connection: &Connection, key: &Key) -> Result<Option<Record>> {
    connection
        .prepare_cached(
            "SELECT key, value, layers, created, used FROM record
             WHERE key = coalesce((SELECT key FROM record_alias WHERE alias = ?1), ?1)",
        )?
        .query_row([key], |row| Ok(record(row)))
        .optional()?
        .transpose()
}

fn record(row: &Row<'_>) -> Result<Record> {
    let layers: Vec<u8> = row.get(2)?;
    Ok(Record {
        key: row.get(0)?,
        value: row.get(1)?,
        layers: db::layer_ids("record", &layers)?,
        created: time(row.get(3)?),
        used: time(row.get(4)?),
    })
}

fn put(connection: &Connection, key: &Key, new: &NewRecord<'_>, now: i64) -> Result<()> {
    let mut exists = connection.prepare_cached("SELECT 1 FROM layer WHERE id = ?")?;
    for layer in new.layers {
        if !exists.exists([layer.0])? {
            return Err(StoreError::MissingLayer(*layer));
        }
    }
    for sql in [
        "DELETE FROM record_alias WHERE alias = ?",
        "DELETE FROM eviction WHERE key = ?",
    ] {
        connection.prepare_cached(sql)?.execute([key])?;
    }
    connection
        .prepare_cached(
            "INSERT INTO record
                 (key, lineage, created, used, layers, value, parts, kind, description)
             VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (key) DO UPDATE SET lineage = ?2, created = ?3, used = ?3,
                 layers = ?4, value = ?5, parts = ?6, kind = ?7, description = ?8",
        )?
        .execute(params![
            key,
            new.lineage,
            now,
            db::layer_ids_bytes(new.layers),
            new.value,
            new.parts,
            new.kind.name(),
            new.description,
        ])?;
    Ok(())
}

fn eviction(row: &Row<'_>) -> rusqlite::Result<Eviction> {
    Ok(Eviction {
        evicted: time(row.get(0)?),
        cause: row.get(1)?,
    })
}

fn resolve(connection: &Connection, alias: &Key) -> Result<Option<Key>> {
    Ok(connection
        .prepare_cached("SELECT key FROM record_alias WHERE alias = ?")?
        .query_row([alias], |row| row.get(0))
        .optional()?)
}

/// Removes a record with its aliases, and notes why if it is of a step.
pub(crate) fn evict(connection: &Connection, key: &Key, cause: &str, now: i64) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO eviction (key, lineage, evicted, cause)
             SELECT key, lineage, ?2, ?3 FROM record WHERE key = ?1 AND lineage IS NOT NULL",
        )?
        .execute(params![key, now, cause])?;
    remove(connection, key)
}

/// Forgets all evictions but the latest.
pub(crate) fn forget_evictions(connection: &Connection) -> Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM eviction WHERE key IN
                 (SELECT key FROM eviction ORDER BY evicted DESC LIMIT -1 OFFSET ?)",
        )?
        .execute([EVICTIONS])?;
    Ok(())
}

/// Removes a record with its aliases.
pub(crate) fn remove(connection: &Connection, key: &Key) -> Result<()> {
    for sql in [
        "DELETE FROM record WHERE key = ?",
        "DELETE FROM record_alias WHERE key = ?",
    ] {
        connection.prepare_cached(sql)?.execute([key])?;
    }
    Ok(())
}
