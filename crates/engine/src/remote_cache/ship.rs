//! Sends a cache to where it goes: blobs that are not there, then the config, then what leads to it.

pub(crate) mod layout;

use std::collections::BTreeMap;
use std::sync::Arc;

use buildkit::{CONFIG_TYPE, CacheConfig, annotation};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Compression, Descriptor, Digest, MediaType, Reference};
use solver::progress::LogStream;
use solver::{ProgressSender, StepProgress};
use store::{LayerId, LayerRow};

use super::export::{Exported, Recorded};
use super::request::{CacheExport, CacheFrom};
use super::steps::placeholder;
use crate::clock::rfc3339;
use crate::engine::{Inner, source_references};
use crate::error::{EngineError, ImageError};
use crate::export::writing;
use crate::image::blob_file;
use crate::layer::{Wanted, is_as_wanted};
use crate::output::Stack;
use crate::progress::{Task, Transfer};

/// Layers that are made and sent at once.
const LAYERS: usize = 4;

/// The config of a cache, and what leads to it.
struct Documents {
    config: Vec<u8>,
    config_blob: Descriptor,
    kind: MediaType,
    document: Vec<u8>,
}

impl Inner {
    /// Writes a cache of the build. An error counts unless the client said that it does not.
    pub(crate) async fn export_cache(
        self: &Arc<Self>,
        exported: &Arc<Exported>,
        export: &CacheExport,
        progress: &ProgressSender,
    ) -> Result<(), EngineError> {
        let name = match &export.to {
            CacheFrom::Registry(_) => "exporting cache to registry",
            CacheFrom::Layout(_) => "exporting cache to client directory",
        };
        let task = Task::begin(progress, &self.clock, name);
        let told = task.progress();
        let shipped = self.ship(exported, export, &told).await;
        match task.end(shipped) {
            Err(EngineError::Cancelled) => Err(EngineError::Cancelled),
            Err(_) if export.ignore_error => Ok(()),
            Err(error) => Err(EngineError::CacheExport {
                to: export.to.to_string(),
                source: Box::new(error),
            }),
            Ok(()) => Ok(()),
        }
    }

    async fn ship(
        self: &Arc<Self>,
        exported: &Arc<Exported>,
        export: &CacheExport,
        told: &StepProgress,
    ) -> Result<(), EngineError> {
        let recorded = {
            let (engine, exported, mode) = (Arc::clone(self), Arc::clone(exported), export.mode);
            crate::blocking(move || exported.records(&engine, mode)).await??
        };
        for name in &recorded.left_out {
            let words = format!("not in the cache, since it has several results: {name}\n");
            told.log(LogStream::Stderr, words.into()).await;
        }
        if recorded.layers.is_empty() {
            // A cache without results is of no use to anybody.
            return Ok(());
        }
        match &export.to {
            CacheFrom::Registry(reference) => {
                let made = self.ship_layers(recorded, export, told).await?;
                self.send_documents(reference, made).await
            }
            CacheFrom::Layout(layout) => {
                let path = layout.path.clone();
                let hold = crate::blocking(move || layout::hold(&path)).await??;
                let made = self.ship_layers(recorded, export, told).await?;
                let (layout, reset, now) = (layout.clone(), export.reset, self.clock.now());
                writing(move |draft| {
                    let ending = layout::Ending {
                        config: &made.config,
                        kind: &made.kind,
                        document: &made.document,
                        reset,
                        now,
                    };
                    layout::finish(hold, &layout, ending, draft)
                })
                .await
            }
        }
    }

    async fn ship_layers(
        self: &Arc<Self>,
        recorded: Recorded,
        export: &CacheExport,
        told: &StepProgress,
    ) -> Result<Documents, EngineError> {
        let blobs: BTreeMap<LayerId, Descriptor> = stream::iter(&recorded.layers)
            .map(|layer| async move {
                Ok::<_, EngineError>((*layer, self.ship_layer(*layer, export, told).await?))
            })
            .buffer_unordered(LAYERS)
            .try_collect()
            .await?;
        let (config, blobs) = named(recorded, &blobs);
        let config = json(&config)?;
        let config_blob = Descriptor::of(MediaType::parse(CONFIG_TYPE), &config);
        let (kind, document) = document(export, &config_blob, blobs)?;
        Ok(Documents {
            config,
            config_blob,
            kind,
            document,
        })
    }

    async fn send_documents(
        &self,
        reference: &Reference,
        made: Documents,
    ) -> Result<(), EngineError> {
        let failed = |error| failed(reference, error);
        let registry = self.registry()?;
        registry
            .push_blob(reference, &made.config_blob, &[], &Bytes::from(made.config))
            .await
            .map_err(failed)?;
        registry
            .put_manifest(reference, &made.kind, Bytes::from(made.document))
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// Sees to it that a layer is where the cache goes. Nothing is made or sent that is there.
    async fn ship_layer(
        self: &Arc<Self>,
        layer: LayerId,
        export: &CacheExport,
        told: &StepProgress,
    ) -> Result<Descriptor, EngineError> {
        let stack = Stack::new(vec![layer]);
        let mut rows = self.store.layers().take(&self.lease, stack.layers())?;
        let row = rows.pop().ok_or(ImageError::EmptyLayer(layer))?;
        if let (Some(blob), Some(_)) = (known(&row, export), row.diff_id)
            && self.is_there(export, blob, &row).await?
        {
            return Ok(described(blob, &row, export));
        }
        let wanted = Wanted::Blob(export.layers);
        let made = self.export_layers(&stack, wanted, None, told).await?;
        let made = made
            .into_iter()
            .next()
            .ok_or(ImageError::EmptyLayer(layer))?;
        let blob = made.layer.blob;
        let path = self.store.blobs().path(&blob.digest);
        let name = format!("writing layer {}", blob.digest);
        let _shown = Transfer::begin(told, name, Some(blob.size));
        match &export.to {
            CacheFrom::Registry(reference) => {
                self.registry()?
                    .push_blob(reference, &blob, &made.sources, &blob_file(path))
                    .await
                    .map_err(|error| failed(reference, error))?;
            }
            CacheFrom::Layout(layout) => {
                let (layout, digest) = (layout.path.clone(), blob.digest);
                writing(move |draft| layout::take(&layout, &digest, &path, draft)).await?;
            }
        }
        let row = LayerRow {
            diff_id: Some(made.layer.diff_id),
            ..row
        };
        Ok(described(&blob, &row, export))
    }

    /// Whether the blob is where the cache goes, or can be had there without sending it.
    async fn is_there(
        &self,
        export: &CacheExport,
        blob: &Descriptor,
        row: &LayerRow,
    ) -> Result<bool, EngineError> {
        let reference = match &export.to {
            CacheFrom::Layout(layout) => return Ok(layout::has(&layout.path, blob)),
            CacheFrom::Registry(reference) => reference,
        };
        let failed = |error| failed(reference, error);
        let registry = self.registry()?;
        if registry
            .has_blob(reference, &blob.digest)
            .await
            .map_err(failed)?
        {
            return Ok(true);
        }
        if self.store.blobs().has(&blob.digest)? {
            return Ok(false);
        }
        let is_near = |from: &Reference| {
            from.domain() == reference.domain() && from.repository() != reference.repository()
        };
        for from in source_references(&row.sources, &blob.digest) {
            if is_near(&from)
                && registry
                    .mount_blob(reference, &blob.digest, &from)
                    .await
                    .map_err(failed)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn failed(reference: &Reference, source: registry::Error) -> EngineError {
    EngineError::Push {
        reference: reference.clone(),
        source,
    }
}

/// The blob that the layer will have in the cache, as far as it was ever made.
fn known<'a>(row: &'a LayerRow, export: &CacheExport) -> Option<&'a Descriptor> {
    let mut blobs = row.blobs.iter();
    blobs.find(|blob| is_as_wanted(row, blob, export.layers))
}

/// The blob as the cache names it.
fn described(blob: &Descriptor, row: &LayerRow, export: &CacheExport) -> Descriptor {
    let compression = blob.media_type.layer_compression();
    let compression = compression.unwrap_or(Compression::Uncompressed);
    let kind = if export.layers.oci_media_types {
        MediaType::OciLayer(compression)
    } else {
        MediaType::DockerLayer(compression)
    };
    let mut described = Descriptor::new(kind, blob.digest, blob.size);
    let annotations = &mut described.annotations;
    annotations.insert(annotation::CREATED.to_owned(), rfc3339(row.created));
    if let Some(diff_id) = row.diff_id {
        annotations.insert(annotation::UNCOMPRESSED.to_owned(), diff_id.to_string());
    }
    described
}

/// The config with blobs in place of placeholders, and the blobs, each once.
fn named(
    recorded: Recorded,
    blobs: &BTreeMap<LayerId, Descriptor>,
) -> (CacheConfig, Vec<Descriptor>) {
    let Recorded {
        mut config, layers, ..
    } = recorded;
    let digests: BTreeMap<Digest, Digest> = blobs
        .iter()
        .map(|(layer, blob)| (placeholder(*layer), blob.digest))
        .collect();
    for layer in &mut config.layers {
        if let Some(blob) = digests.get(&layer.blob) {
            layer.blob = *blob;
        }
    }
    let mut all: Vec<Descriptor> = Vec::with_capacity(blobs.len());
    for blob in layers.iter().filter_map(|layer| blobs.get(layer)) {
        if !all.iter().any(|known| known.digest == blob.digest) {
            all.push(blob.clone());
        }
    }
    (config, all)
}

/// What leads to the config and the blobs.
fn document(
    export: &CacheExport,
    config: &Descriptor,
    blobs: Vec<Descriptor>,
) -> Result<(MediaType, Vec<u8>), EngineError> {
    let (artifact_type, subject, annotations) = (None, None, BTreeMap::new());
    if export.image_manifest {
        let kind = MediaType::OciManifest;
        let bytes = json(&oci::Manifest {
            schema_version: 2,
            media_type: Some(kind.clone()),
            artifact_type,
            config: config.clone(),
            layers: blobs,
            subject,
            annotations,
        })?;
        return Ok((kind, bytes));
    }
    let kind = if export.layers.oci_media_types {
        MediaType::OciIndex
    } else {
        MediaType::DockerIndex
    };
    let bytes = json(&oci::Index {
        schema_version: 2,
        media_type: Some(kind.clone()),
        artifact_type,
        manifests: blobs.into_iter().chain([config.clone()]).collect(),
        subject,
        annotations,
    })?;
    Ok((kind, bytes))
}

fn json<T: serde::Serialize>(document: &T) -> Result<Vec<u8>, EngineError> {
    oci::to_canonical_json(document).map_err(EngineError::Serialize)
}
