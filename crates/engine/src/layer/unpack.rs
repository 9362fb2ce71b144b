//! From blobs to snapshots: layers are fetched all at once and unpacked bottom first.

use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::{TryStreamExt as _, stream};
use oci::{Compression, Descriptor};
use snapshot::apply::{self, Below};
use snapshot::snapshotter::{Committed, empty_layer, layer_directory};
use solver::StepProgress;
use store::{LayerId, LayerRow, NewLayer, Synced};

use crate::engine::{Inner, source_references};
use crate::error::EngineError;
use crate::output::Stack;
use crate::progress::Transfer;

/// Downloads at once, for one image.
const DOWNLOADS: usize = 4;

impl Inner {
    /// The directories of the snapshots of `stack`, bottom first; they are made when missing.
    pub(crate) async fn snapshots(
        self: &Arc<Self>,
        stack: &Stack,
        progress: Option<&StepProgress>,
    ) -> Result<Vec<PathBuf>, EngineError> {
        let rows = self.store.layers().take(&self.lease, stack.layers())?;
        if rows.iter().any(|row| row.snapshot.is_none()) {
            self.fetch_layers(&rows, progress).await?;
        }
        let mut below = Vec::with_capacity(rows.len());
        for row in rows {
            let snapshot = match row.snapshot {
                Some(snapshot) => layer_directory(&snapshot),
                None => {
                    let (engine, lower) = (Arc::clone(self), below.clone());
                    crate::blocking(move || engine.unpack(row.id, &lower)).await??
                }
            };
            below.push(snapshot);
        }
        Ok(below)
    }

    /// Brings in the blobs of those rows that have no snapshot.
    pub(crate) async fn fetch_layers(
        self: &Arc<Self>,
        rows: &[LayerRow],
        progress: Option<&StepProgress>,
    ) -> Result<(), EngineError> {
        let missing = rows.iter().filter(|row| row.snapshot.is_none()).map(Ok);
        stream::iter(missing)
            .try_for_each_concurrent(DOWNLOADS, |row| self.fetch_layer(row, progress))
            .await
    }

    /// Brings in the first blob of the layer that can be had.
    pub(crate) async fn fetch_layer(
        self: &Arc<Self>,
        row: &LayerRow,
        progress: Option<&StepProgress>,
    ) -> Result<(), EngineError> {
        let blobs = self.store.blobs();
        for blob in &row.blobs {
            if blobs.take(&self.lease, &blob.digest)?.is_some() {
                return Ok(());
            }
        }
        let gone = |digest, error| EngineError::LayerGone {
            layer: row.id,
            digest,
            source: Box::new(error),
        };
        let mut missing = None;
        for (blob, layout) in in_layouts(row) {
            let (engine, digest) = (Arc::clone(self), blob.digest);
            let taken = crate::blocking(move || engine.take_blob(&layout, &digest)).await?;
            match taken {
                Ok(()) => return Ok(()),
                Err(error) => missing = Some(gone(digest, error)),
            }
        }
        let blob = row.blobs.first().ok_or(EngineError::EmptyLayer(row.id))?;
        let sources = source_references(&row.sources, &blob.digest);
        if let Some(missing) = missing.filter(|_| sources.is_empty()) {
            return Err(missing);
        }
        let transfer = progress
            .map(|progress| Transfer::begin(progress, blob.digest.to_string(), Some(blob.size)));
        match self.fetch_blob(&sources, blob, transfer).await {
            Err(error) if is_missing(&error) => Err(gone(blob.digest, error)),
            fetched => fetched,
        }
    }

    /// Makes the snapshot of a layer from its blob, which is here. One process at a time does it.
    fn unpack(&self, layer: LayerId, lower: &[PathBuf]) -> Result<PathBuf, EngineError> {
        let _guard = self.store.lock_key(&unpack_key(layer))?;
        let row = self
            .store
            .layers()
            .get(layer)?
            .ok_or(store::StoreError::MissingLayer(layer))?;
        if let Some(snapshot) = row.snapshot {
            return Ok(layer_directory(&snapshot));
        }
        for blob in &row.blobs {
            if !self.store.blobs().has(&blob.digest)? {
                continue;
            }
            let compression = blob
                .media_type
                .layer_compression()
                .ok_or_else(|| EngineError::LayerType(blob.media_type.to_string()))?;
            let file = self.store.blobs().open(&blob.digest)?;
            return self.apply(&row, &blob.digest, decompress(file, compression)?, lower);
        }
        Err(EngineError::EmptyLayer(layer))
    }
}

impl Inner {
    /// Unpacks `tar` as the snapshot of the layer, which must be what its diff ID says.
    fn apply(
        &self,
        row: &LayerRow,
        blob: &oci::Digest,
        tar: impl Read,
        lower: &[PathBuf],
    ) -> Result<PathBuf, EngineError> {
        let place = self.store.snapshots().allocate(&self.lease)?;
        let directory = empty_layer(&place)?;
        let options = apply::Options {
            below: if lower.is_empty() {
                Below::Nothing
            } else {
                Below::Layers(lower)
            },
            marks: self.marks,
            limits: snapshot::Limits::default(),
            hash: true,
            sync: false,
        };
        let applied = apply::tar(tar, &directory, &options)?;
        if let (Some(expected), Some(found)) = (row.diff_id, applied.hashed)
            && expected != found.diff_id
        {
            let found = found.diff_id;
            return Err(EngineError::DiffId {
                blob: *blob,
                expected,
                found,
            });
        }
        let new = NewLayer {
            size: Some(applied.size),
            ..NewLayer::default()
        };
        self.store.layers().update(row.id, &new)?;
        let committed = Committed::from_place(place)?;
        committed.publish_as(&self.store, row.id, Synced::No)?;
        Ok(layer_directory(&self.store.snapshots().path(row.id)))
    }
}

/// Nobody says that the blob is only out of reach.
fn is_missing(error: &EngineError) -> bool {
    match error {
        EngineError::Fetch { source, .. } => source.is_not_found(),
        _ => false,
    }
}

/// The blobs of a layer that are in directories of the client's.
fn in_layouts(row: &LayerRow) -> impl Iterator<Item = (&Descriptor, PathBuf)> {
    let named = row.sources.iter().filter_map(|source| {
        let layout = crate::remote_cache::layout_of(source)?;
        let blob = row.blobs.iter().find(|blob| blob.digest == source.digest)?;
        Some((blob, layout))
    });
    named.into_iter()
}

/// What keeps two processes from unpacking the same layer.
fn unpack_key(layer: LayerId) -> [u8; 32] {
    let mut hasher = graph::ContentHasher::new("unpack");
    hasher.number(layer.0.cast_unsigned());
    *hasher.finish().as_bytes()
}

/// The tar inside of a layer blob.
pub(crate) fn decompress<'a>(
    blob: impl Read + Send + 'a,
    compression: Compression,
) -> Result<Box<dyn Read + Send + 'a>, EngineError> {
    let blob = BufReader::with_capacity(256 << 10, blob);
    Ok(match compression {
        Compression::Uncompressed => Box::new(blob),
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(blob)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(blob).map_err(
            |source| EngineError::Io {
                action: "read zstd",
                source,
            },
        )?),
    })
}
