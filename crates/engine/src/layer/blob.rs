//! From snapshots to blobs: diff, tar, SHA-256 and compression in one pass over the files.
//!
//! A layer that was pulled keeps the blob it came as, unless another compression is forced. The
//! blob of a layer that was made here is made when somebody asks for it, and its bytes are always
//! the same.

use std::io::{self, Write};
use std::sync::Arc;

use oci::{Compression, Descriptor, DiffId, Reference};
use snapshot::diff::{self, Hashed, HashingWriter};
use solver::StepProgress;
use store::{Key, LayerId, LayerRow, NewLayer, NewRecord};

use crate::compress::Compressor;
use crate::engine::{Inner, source_references};
use crate::error::{EngineError, ImageError};
use crate::export::{ImageLayer, layer_type};
use crate::output::Stack;
use crate::request::LayerFormat;

/// What is wanted of a layer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    /// Its diff ID; there need not be a blob.
    DiffId,
    /// Any blob.
    AnyBlob,
    /// A blob in this format.
    Blob(LayerFormat),
}

/// A layer as an exporter needs it.
#[derive(Debug, Clone)]
pub(crate) struct ExportLayer {
    pub(crate) layer: ImageLayer,
    /// Repositories that have the blob.
    pub(crate) sources: Vec<Reference>,
}

impl Inner {
    /// The layers of `stack` as `wanted`, bottom first, with times up to `epoch`.
    pub(crate) async fn export_layers(
        self: &Arc<Self>,
        stack: &Stack,
        wanted: Wanted,
        epoch: Option<i64>,
        progress: &StepProgress,
    ) -> Result<Vec<ExportLayer>, EngineError> {
        let rows = self.store.layers().take(&self.lease, stack.layers())?;
        let mut layers = Vec::with_capacity(rows.len());
        for row in rows {
            if self.needs_fetch(&row, wanted)? {
                self.fetch_layer(&row, Some(progress)).await?;
            }
            let engine = Arc::clone(self);
            let layer = crate::blocking(move || engine.export_layer(&row, wanted, epoch)).await??;
            layers.push(layer);
        }
        Ok(layers)
    }

    fn needs_fetch(&self, row: &LayerRow, wanted: Wanted) -> Result<bool, EngineError> {
        if matches!(wanted, Wanted::DiffId) && row.diff_id.is_some() {
            return Ok(false);
        }
        Ok(is_pulled(row) || row.snapshot.is_none())
    }

    fn export_layer(
        &self,
        row: &LayerRow,
        wanted: Wanted,
        epoch: Option<i64>,
    ) -> Result<ExportLayer, EngineError> {
        let created = row.created;
        let clamped = match epoch.filter(|_| !is_pulled(row) && row.snapshot.is_some()) {
            Some(epoch) => Some(self.clamped(row, epoch)?),
            None => None,
        };
        let row = clamped.as_ref().unwrap_or(row);
        let (diff_id, blob) = match (wanted, row.diff_id) {
            (Wanted::DiffId, Some(diff_id)) => {
                let tar = layer_type(Compression::Uncompressed);
                let blob = Descriptor::new(tar, diff_id.0, row.size.unwrap_or(0));
                (diff_id, row.blobs.first().cloned().unwrap_or(blob))
            }
            (Wanted::DiffId, None) => self.compute_diff_id(row)?,
            (Wanted::AnyBlob, _) => match self.present(row, |_| true)? {
                Some(found) => found,
                None => self.make_blob(row, Compression::Uncompressed, None)?,
            },
            (Wanted::Blob(format), _) => {
                match self.present(row, |blob| is_as_wanted(row, blob, format))? {
                    Some(found) => found,
                    None => self.make_blob(row, format.compression, format.level)?,
                }
            }
        };
        let sources = source_references(&row.sources, &blob.digest);
        Ok(ExportLayer {
            layer: ImageLayer {
                diff_id,
                blob,
                created,
                latest: epoch.filter(|_| clamped.is_some()),
            },
            sources,
        })
    }

    /// A blob of the layer that is here and `fits`.
    fn present(
        &self,
        row: &LayerRow,
        fits: impl Fn(&Descriptor) -> bool,
    ) -> Result<Option<(DiffId, Descriptor)>, EngineError> {
        let Some(diff_id) = row.diff_id else {
            return Ok(None);
        };
        for blob in &row.blobs {
            if fits(blob)
                && self
                    .store
                    .blobs()
                    .take(&self.lease, &blob.digest)?
                    .is_some()
            {
                return Ok(Some((diff_id, blob.clone())));
            }
        }
        Ok(None)
    }

    fn compute_diff_id(&self, row: &LayerRow) -> Result<(DiffId, Descriptor), EngineError> {
        let mut hashing = HashingWriter::new(io::sink());
        self.write_tar(row, None, &mut hashing)?;
        let (hashed, _) = hashing.finish();
        let new = NewLayer {
            diff_id: Some(hashed.diff_id),
            size: Some(hashed.size),
            ..NewLayer::default()
        };
        self.store.layers().update(row.id, &new)?;
        let media_type = layer_type(Compression::Uncompressed);
        Ok((
            hashed.diff_id,
            Descriptor::new(media_type, hashed.diff_id.0, hashed.size),
        ))
    }

    fn make_blob(
        &self,
        row: &LayerRow,
        compression: Compression,
        level: Option<i32>,
    ) -> Result<(DiffId, Descriptor), EngineError> {
        let (Hashed { diff_id, size }, blob) =
            self.compress_layer(row, None, compression, level)?;
        if let Some(expected) = row.diff_id.filter(|expected| *expected != diff_id) {
            return Err(ImageError::DiffId {
                blob: blob.digest,
                expected,
                found: diff_id,
            }
            .into());
        }
        let new = NewLayer {
            diff_id: Some(diff_id),
            size: Some(size),
            blobs: vec![blob.clone()],
            ..NewLayer::default()
        };
        self.store.layers().update(row.id, &new)?;
        Ok((diff_id, blob))
    }

    /// The same layer with no time after `epoch`. It stands in the store beside the first.
    fn clamped(&self, row: &LayerRow, epoch: i64) -> Result<LayerRow, EngineError> {
        let key = clamp_key(row.id, epoch);
        let known = self.store.records().take(&self.lease, &key)?;
        let id = match known.and_then(|record| record.layers.first().copied()) {
            Some(id) => id,
            None => {
                let tar = Compression::Uncompressed;
                let (hashed, blob) = self.compress_layer(row, Some(epoch), tar, None)?;
                let new = NewLayer {
                    diff_id: Some(hashed.diff_id),
                    self_contained: row.self_contained,
                    size: Some(hashed.size),
                    blobs: vec![blob],
                    ..NewLayer::default()
                };
                let id = self.store.layers().ensure(&self.lease, &new)?;
                let layers = &[id];
                let record = NewRecord {
                    description: "a layer with the times of SOURCE_DATE_EPOCH",
                    layers,
                    ..NewRecord::default()
                };
                self.store.records().put(&self.lease, &key, record)?;
                id
            }
        };
        Ok(self
            .store
            .layers()
            .get(id)?
            .ok_or(store::StoreError::MissingLayer(id))?)
    }

    fn compress_layer(
        &self,
        row: &LayerRow,
        epoch: Option<i64>,
        compression: Compression,
        level: Option<i32>,
    ) -> Result<(Hashed, Descriptor), EngineError> {
        let write = |source| EngineError::Write { source };
        let output = self.store.blobs().writer(&self.lease, None)?;
        let compressor =
            Compressor::new(output, compression, level, self.pool()?).map_err(write)?;
        let mut hashing = HashingWriter::new(compressor);
        self.write_tar(row, epoch, &mut hashing)?;
        let (hashed, compressor) = hashing.finish();
        let blob = compressor.finish().map_err(write)?.commit()?;
        let blob = Descriptor::new(layer_type(compression), blob.digest, blob.size);
        Ok((hashed, blob))
    }

    /// Writes the layer's tar: that of its blob when it was pulled, else of its snapshot.
    fn write_tar(
        &self,
        row: &LayerRow,
        epoch: Option<i64>,
        output: &mut (impl Write + Send),
    ) -> Result<(), EngineError> {
        if let Some(snapshot) = row.snapshot.as_ref().filter(|_| !is_pulled(row)) {
            let options = diff::Options {
                clamp_mtime: epoch,
                pool: Some(self.pool()?),
            };
            let directory = snapshot::snapshotter::layer_directory(snapshot);
            diff::tar(&directory, self.marks, &options, output)?;
            return Ok(());
        }
        let (_, blob) = self
            .present(row, |_| true)?
            .ok_or(ImageError::EmptyLayer(row.id))?;
        let compression = blob
            .media_type
            .layer_compression()
            .ok_or_else(|| ImageError::LayerType(blob.media_type.to_string()))?;
        let file = self.store.blobs().open(&blob.digest)?;
        let mut tar = self.decompress(file, compression)?;
        io::copy(&mut tar, output).map_err(|source| EngineError::Write { source })?;
        Ok(())
    }
}

/// Its bytes are somebody else's and cannot be made again from its files.
const fn is_pulled(row: &LayerRow) -> bool {
    !row.sources.is_empty()
}

/// Whether the layer goes out as this blob: one that it came as, unless another compression is
/// forced, or in the format that is asked for.
pub(crate) fn is_as_wanted(row: &LayerRow, blob: &Descriptor, format: LayerFormat) -> bool {
    match is_pulled(row) && !format.force {
        true => row.sources.iter().any(|from| from.digest == blob.digest),
        false => blob.media_type.layer_compression() == Some(format.compression),
    }
}

fn clamp_key(layer: LayerId, epoch: i64) -> Key {
    let mut hasher = graph::ContentHasher::new("clamped layer");
    hasher.number(layer.0.cast_unsigned());
    hasher.number(epoch.cast_unsigned());
    *hasher.finish().as_bytes()
}
