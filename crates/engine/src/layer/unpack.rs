//! From blobs to snapshots, one layer at a time.
//!
//! A layer tar needs the layers below it only for what it implies, which is added in a step of its
//! own. One process at a time makes the snapshot of a layer.

use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;

use oci::{Compression, Descriptor};
use snapshot::apply::{self, Below};
use snapshot::archive;
use snapshot::snapshotter::{Committed, empty_layer};
use solver::StepProgress;
use store::{KeyGuard, LayerId, LayerRow, NewLayer, Synced, TempSnapshot};

use crate::engine::{Inner, source_references};
use crate::error::{EngineError, ImageError};
use crate::progress::Transfer;

/// A layer without what it takes from those below. Its lock is held.
pub(super) struct Unpacked {
    layer: LayerId,
    blob: oci::Digest,
    place: TempSnapshot,
    applied: apply::Applied,
    _guard: KeyGuard,
}

impl Inner {
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
        let gone = |digest, error| ImageError::LayerGone {
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
        let blob = row.blobs.first().ok_or(ImageError::EmptyLayer(row.id))?;
        let sources = source_references(&row.sources, &blob.digest);
        if let Some(missing) = missing.filter(|_| sources.is_empty()) {
            return Err(missing.into());
        }
        let transfer = progress
            .map(|progress| Transfer::begin(progress, blob.digest.to_string(), Some(blob.size)));
        match self.fetch_blob(&sources, blob, transfer).await {
            Err(error) if is_missing(&error) => Err(gone(blob.digest, error).into()),
            fetched => fetched,
        }
    }

    /// Unpacks the blob of a layer, which is here; nothing when there is a snapshot by now. One
    /// process at a time does it.
    pub(super) fn unpack(
        &self,
        layer: LayerId,
        is_lowest: bool,
    ) -> Result<Option<Unpacked>, EngineError> {
        let guard = self.store.lock_key(&unpack_key(layer))?;
        let row = self
            .store
            .layers()
            .get(layer)?
            .ok_or(store::StoreError::MissingLayer(layer))?;
        if row.snapshot.is_some() {
            return Ok(None);
        }
        for blob in &row.blobs {
            if !self.store.blobs().has(&blob.digest)? {
                continue;
            }
            let compression = blob
                .media_type
                .layer_compression()
                .ok_or_else(|| ImageError::LayerType(blob.media_type.to_string()))?;
            let file = self.store.blobs().open(&blob.digest)?;
            let tar = self.decompress(file, compression)?;
            let (place, applied) = self.apply(&row, &blob.digest, tar, is_lowest)?;
            return Ok(Some(Unpacked {
                layer,
                blob: blob.digest,
                place,
                applied,
                _guard: guard,
            }));
        }
        Err(ImageError::EmptyLayer(layer).into())
    }

    /// Adds what the layer takes from those below, and publishes it.
    pub(super) fn finish(&self, unpacked: Unpacked, lower: &[PathBuf]) -> Result<(), EngineError> {
        let Unpacked {
            layer,
            blob,
            place,
            applied,
            _guard,
        } = unpacked;
        let committed = Committed::from_place(place)?;
        let completed =
            apply::complete(&committed.directory(), &applied.missing, lower, self.marks);
        completed.map_err(|source| ImageError::UnpackLayer { blob, source })?;
        let new = NewLayer {
            size: Some(applied.size),
            ..NewLayer::default()
        };
        self.store.layers().update(layer, &new)?;
        committed.publish_as(&self.store, layer, Synced::No)?;
        Ok(())
    }
}

impl Inner {
    /// The tar inside of a layer blob.
    pub(crate) fn decompress<'a>(
        &self,
        blob: impl Read + Send + 'a,
        compression: Compression,
    ) -> Result<Box<dyn Read + Send + 'a>, EngineError> {
        let blob = BufReader::with_capacity(256 << 10, blob);
        let compression = match compression {
            Compression::Uncompressed => archive::Compression::None,
            Compression::Gzip => archive::Compression::Gzip,
            Compression::Zstd => archive::Compression::Zstd,
        };
        let tar = compression.decode(blob, &self.config.limits.archive());
        tar.map_err(|source| EngineError::Io {
            action: "read the layer",
            source,
        })
    }

    /// Unpacks `tar`, which must be what the diff ID of the layer says.
    fn apply(
        &self,
        row: &LayerRow,
        blob: &oci::Digest,
        tar: impl Read,
        is_lowest: bool,
    ) -> Result<(TempSnapshot, apply::Applied), EngineError> {
        let place = self.store.snapshots().allocate(&self.lease)?;
        let options = apply::Options {
            below: if is_lowest {
                Below::Nothing
            } else {
                Below::Unknown
            },
            marks: self.marks,
            limits: self.config.limits.archive(),
            hash: true,
            sync: false,
        };
        let applied = apply::tar(tar, &empty_layer(&place)?, &options);
        let applied = applied.map_err(|source| ImageError::UnpackLayer {
            blob: *blob,
            source,
        })?;
        if let (Some(expected), Some(found)) = (row.diff_id, applied.hashed)
            && expected != found.diff_id
        {
            let found = found.diff_id;
            return Err(ImageError::DiffId {
                blob: *blob,
                expected,
                found,
            }
            .into());
        }
        Ok((place, applied))
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
