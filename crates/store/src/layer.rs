//! The layer table: what is known of each layer, apart from where it stands in any stack.
//!
//! A layer is what one step changed. It may be here as a snapshot, as one or more blobs by
//! compression, as both, or not yet at all: then its sources say where its blobs can be had.
//! A file-system state is a list of layers, bottom first, kept by whoever needs it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::SystemTime;

use oci::{ChainId, Descriptor, DiffId, Digest, MediaType};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::Store;
use crate::db::{self, Durability, corrupt, millis, time};
use crate::error::{Result, StoreError};
use crate::lease::{Lease, Resource};

/// Identity of a layer in one store; never used again after the layer is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerId(pub i64);

impl fmt::Display for LayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for LayerId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Where a blob of a layer can be had.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LayerSource {
    /// The blob.
    pub digest: Digest,
    /// The repository that has it, as a reference.
    pub reference: String,
}

/// What is known of a layer that is to be noted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewLayer {
    /// The digest of its uncompressed tar, if it was computed.
    pub diff_id: Option<DiffId>,
    /// The stack up to and with this layer, if it was made for that one.
    pub chain: Option<ChainId>,
    /// Whether its snapshot can stand on any stack, not only on the one it was made for.
    pub self_contained: bool,
    /// The bytes of its uncompressed tar, if it was made or read once.
    pub size: Option<u64>,
    /// Its blobs by compression, here or not.
    pub blobs: Vec<Descriptor>,
    /// Where its blobs can be had.
    pub sources: Vec<LayerSource>,
    /// When it was made, if that was before it came here.
    pub created: Option<SystemTime>,
}

/// A layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRow {
    /// Its identity.
    pub id: LayerId,
    /// The digest of its uncompressed tar, if it was computed.
    pub diff_id: Option<DiffId>,
    /// The stack up to and with this layer, if it was made for that one.
    pub chain: Option<ChainId>,
    /// Whether its snapshot can stand on any stack, not only on the one it was made for.
    pub self_contained: bool,
    /// The directory of its snapshot, if it has one.
    pub snapshot: Option<PathBuf>,
    /// The bytes of its uncompressed tar, if it was made or read once.
    pub size: Option<u64>,
    /// Its blobs by compression, here or not.
    pub blobs: Vec<Descriptor>,
    /// Where its blobs can be had.
    pub sources: Vec<LayerSource>,
    /// When it was noted.
    pub created: SystemTime,
}

/// The layers of a store.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a> {
    store: &'a Store,
}

impl<'a> Layers<'a> {
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// Notes a new layer, held by `lease`.
    ///
    /// # Errors
    /// The database or the lease cannot be written.
    pub fn create(&self, lease: &Lease, new: &NewLayer) -> Result<LayerId> {
        let hold = lease.hold()?;
        let id = self.write(|connection| insert(connection, new, lease.started()))?;
        lease.add_under(&hold, &[Resource::Layer(id)])?;
        Ok(id)
    }

    /// The layer with the same diff ID that is self-contained or was made for the same chain, to
    /// which what is new is added; else a new layer. Held by `lease`.
    ///
    /// # Errors
    /// The database or the lease cannot be written.
    pub fn ensure(&self, lease: &Lease, new: &NewLayer) -> Result<LayerId> {
        self.ensure_with(lease, new, |_, _| Ok(true))
    }

    /// The same for a layer of an image that is here already. One that was made here is nowhere else
    /// for that: it gets no sources.
    ///
    /// # Errors
    /// The database or the lease cannot be written.
    pub fn ensure_stored(&self, lease: &Lease, new: &NewLayer) -> Result<LayerId> {
        self.ensure_with(lease, new, |connection, id| {
            Ok(!sources(connection, id)?.is_empty())
        })
    }

    /// Sources are added to a layer that is known where `adds_sources` says so.
    fn ensure_with(
        &self,
        lease: &Lease,
        new: &NewLayer,
        adds_sources: impl Fn(&Connection, LayerId) -> Result<bool>,
    ) -> Result<LayerId> {
        let hold = lease.hold()?;
        let id = self.write(|connection| {
            let Some(id) = same(connection, new)? else {
                return insert(connection, new, lease.started());
            };
            add(connection, id, new)?;
            if adds_sources(connection, id)? {
                add_sources(connection, id, new)?;
            }
            Ok(id)
        })?;
        lease.add_under(&hold, &[Resource::Layer(id)])?;
        Ok(id)
    }

    /// Holds the layers, which must exist, and says what is known of them, in the same order.
    ///
    /// # Errors
    /// One of them is not in the store, or the lease cannot be written.
    pub fn take(&self, lease: &Lease, ids: &[LayerId]) -> Result<Vec<LayerRow>> {
        let hold = lease.hold()?;
        let rows = self.stack(ids)?;
        let resources: Vec<_> = ids.iter().map(|id| Resource::Layer(*id)).collect();
        lease.add_under(&hold, &resources)?;
        Ok(rows)
    }

    /// What is known of the layers, which must exist, in the same order.
    ///
    /// # Errors
    /// One of them is not in the store.
    pub fn stack(&self, ids: &[LayerId]) -> Result<Vec<LayerRow>> {
        self.store.database().read(|connection| {
            ids.iter()
                .map(|id| {
                    self.row(connection, *id)?
                        .ok_or(StoreError::MissingLayer(*id))
                })
                .collect()
        })
    }

    /// What is known of a layer.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn get(&self, id: LayerId) -> Result<Option<LayerRow>> {
        self.store
            .database()
            .read(|connection| self.row(connection, id))
    }

    /// The layers with this diff ID: at most one self-contained, others made for some chain.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn by_diff_id(&self, diff_id: &DiffId) -> Result<Vec<LayerRow>> {
        self.rows(
            "SELECT id FROM layer WHERE diff_id = ? ORDER BY id",
            &diff_id.0,
        )
    }

    /// The layers that have this blob.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn by_blob(&self, digest: &Digest) -> Result<Vec<LayerRow>> {
        self.rows(
            "SELECT layer FROM layer_blob WHERE digest = ? ORDER BY layer",
            digest,
        )
    }

    /// All layers, by id.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn list(&self) -> Result<Vec<LayerRow>> {
        self.store.database().read(|connection| {
            let ids: Vec<i64> = connection
                .prepare_cached("SELECT id FROM layer ORDER BY id")?
                .query_map([], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            ids.into_iter()
                .filter_map(|id| self.row(connection, LayerId(id)).transpose())
                .collect()
        })
    }

    /// Adds what `new` knows more: a diff ID, a size, blobs, sources, that it is self-contained.
    /// Nothing that is known is forgotten.
    ///
    /// # Errors
    /// The layer is not in the store, or the database cannot be written.
    pub fn update(&self, id: LayerId, new: &NewLayer) -> Result<()> {
        self.write(|connection| {
            add(connection, id, new)?;
            add_sources(connection, id, new)
        })
    }

    fn rows(&self, sql: &str, digest: &Digest) -> Result<Vec<LayerRow>> {
        self.store.database().read(|connection| {
            let ids: Vec<i64> = connection
                .prepare_cached(sql)?
                .query_map([digest.as_bytes()], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            ids.into_iter()
                .filter_map(|id| self.row(connection, LayerId(id)).transpose())
                .collect()
        })
    }

    fn row(&self, connection: &Connection, id: LayerId) -> Result<Option<LayerRow>> {
        let Some(mut layer) = connection
            .prepare_cached(
                "SELECT diff_id, chain, self_contained, snapshot, size, created
                 FROM layer WHERE id = ?",
            )?
            .query_row([id.0], |row| Ok(self.columns(id, row)))
            .optional()?
            .transpose()?
        else {
            return Ok(None);
        };
        layer.blobs = blobs(connection, id)?;
        layer.sources = sources(connection, id)?;
        Ok(Some(layer))
    }

    fn columns(&self, id: LayerId, row: &Row<'_>) -> Result<LayerRow> {
        let digest = |column: usize| -> Result<Option<Digest>> {
            let bytes: Option<Vec<u8>> = row.get(column)?;
            bytes.map(|bytes| db::digest("layer", &bytes)).transpose()
        };
        let is_published: bool = row.get(3)?;
        Ok(LayerRow {
            id,
            diff_id: digest(0)?.map(DiffId),
            // The chain ID of a single layer is its diff ID: this makes one of a digest.
            chain: digest(1)?.map(|chain| ChainId::on(None, DiffId(chain))),
            self_contained: row.get(2)?,
            snapshot: is_published.then(|| self.store.layout().snapshot(id)),
            size: row.get::<_, Option<i64>>(4)?.map(i64::unsigned_abs),
            blobs: Vec::new(),
            sources: Vec::new(),
            created: time(row.get(5)?),
        })
    }

    fn write<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.store
            .database()
            .write(Durability::Relaxed, |transaction| work(transaction))
    }
}

/// Adds a row.
pub(crate) fn insert(connection: &Connection, new: &NewLayer, now: SystemTime) -> Result<LayerId> {
    connection
        .prepare_cached(
            "INSERT INTO layer (diff_id, chain, self_contained, size, created)
             VALUES (?, ?, ?, ?, ?)",
        )?
        .execute(params![
            new.diff_id.as_ref().map(|diff_id| diff_id.0.as_bytes()),
            new.chain.map(|chain| *chain.digest().as_bytes()),
            new.self_contained,
            new.size.map(db::size),
            millis(new.created.unwrap_or(now)),
        ])?;
    let id = LayerId(connection.last_insert_rowid());
    add_blobs(connection, id, new)?;
    add_sources(connection, id, new)?;
    Ok(id)
}

fn same(connection: &Connection, new: &NewLayer) -> Result<Option<LayerId>> {
    let Some(diff_id) = new.diff_id else {
        return Ok(None);
    };
    let chain = new.chain.map(|chain| *chain.digest().as_bytes());
    Ok(connection
        .prepare_cached(
            "SELECT id FROM layer WHERE diff_id = ? AND (self_contained OR chain IS ?)
             ORDER BY self_contained DESC, id LIMIT 1",
        )?
        .query_row(params![diff_id.0.as_bytes(), chain], |row| {
            row.get(0).map(LayerId)
        })
        .optional()?)
}

/// Adds what `new` knows more, but for sources.
fn add(connection: &Connection, id: LayerId, new: &NewLayer) -> Result<()> {
    let changed = connection
        .prepare_cached(
            "UPDATE layer SET diff_id = coalesce(diff_id, ?2), chain = coalesce(chain, ?3),
                 self_contained = max(self_contained, ?4), size = coalesce(?5, size)
             WHERE id = ?1",
        )?
        .execute(params![
            id.0,
            new.diff_id.as_ref().map(|diff_id| diff_id.0.as_bytes()),
            new.chain.map(|chain| *chain.digest().as_bytes()),
            new.self_contained,
            new.size.map(db::size),
        ])?;
    if changed == 0 {
        return Err(StoreError::MissingLayer(id));
    }
    add_blobs(connection, id, new)
}

fn add_blobs(connection: &Connection, id: LayerId, new: &NewLayer) -> Result<()> {
    for blob in &new.blobs {
        connection
            .prepare_cached(
                "INSERT OR IGNORE INTO layer_blob (layer, digest, size, media_type)
                 VALUES (?, ?, ?, ?)",
            )?
            .execute(params![
                id.0,
                blob.digest.as_bytes(),
                db::size(blob.size),
                blob.media_type.as_str()
            ])?;
    }
    Ok(())
}

fn add_sources(connection: &Connection, id: LayerId, new: &NewLayer) -> Result<()> {
    for source in &new.sources {
        connection
            .prepare_cached(
                "INSERT OR IGNORE INTO layer_source (layer, digest, reference) VALUES (?, ?, ?)",
            )?
            .execute(params![id.0, source.digest.as_bytes(), source.reference])?;
    }
    Ok(())
}

fn blobs(connection: &Connection, id: LayerId) -> Result<Vec<Descriptor>> {
    connection
        .prepare_cached(
            "SELECT digest, size, media_type FROM layer_blob WHERE layer = ? ORDER BY digest",
        )?
        .query_map([id.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .map(|row| {
            let (digest, size, media_type): (Vec<u8>, i64, String) = row?;
            Ok(Descriptor::new(
                MediaType::parse(&media_type),
                db::digest("layer_blob", &digest)?,
                u64::try_from(size).map_err(|error| corrupt("layer_blob", error))?,
            ))
        })
        .collect()
}

fn sources(connection: &Connection, id: LayerId) -> Result<Vec<LayerSource>> {
    connection
        .prepare_cached(
            "SELECT digest, reference FROM layer_source WHERE layer = ? ORDER BY digest, reference",
        )?
        .query_map([id.0], |row| Ok((row.get(0)?, row.get(1)?)))?
        .map(|row| {
            let (digest, reference): (Vec<u8>, String) = row?;
            Ok(LayerSource {
                digest: db::digest("layer_source", &digest)?,
                reference,
            })
        })
        .collect()
}
