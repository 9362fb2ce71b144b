//! Results as images: in the store, in a registry, in archives.

use std::io::Write;
use std::sync::Arc;

use oci::{Descriptor, Digest, ImageConfig, Reference};
use solver::StepProgress;

use super::draft::{Draft, writing};
use super::{ArchiveImage, Assembled, Dialect, assemble};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::image::untagged;
use crate::layer::{ExportLayer, Wanted};
use crate::output::Stack;
use crate::remote_cache::InlineRecords;
use crate::request::{ArchiveExport, ClientStream, Destination, ImageExport, LayerFormat};

/// What is exported: the file system and what the Dockerfile says of it.
#[derive(Debug, Clone)]
pub(crate) struct ImageParts {
    pub(crate) stack: Stack,
    pub(crate) config: ImageConfig,
    /// History entries that came with the base image.
    pub(crate) inherited: usize,
    pub(crate) epoch: Option<i64>,
    /// The records of the build, for images that carry them.
    pub(crate) cache: Option<Arc<InlineRecords>>,
}

/// An image that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedImage {
    /// The digest of its config.
    pub id: Digest,
    /// Its manifest.
    pub manifest: Descriptor,
    /// The names that it has now.
    pub names: Vec<Reference>,
}

impl Inner {
    /// Puts the image into the store under `names`, or without a name when there are none.
    pub(crate) async fn export_to_store(
        self: &Arc<Self>,
        parts: &ImageParts,
        names: &[Reference],
        progress: &StepProgress,
    ) -> Result<ExportedImage, EngineError> {
        // An image with a name is for other tools too, which look for blobs.
        let wanted = if names.is_empty() {
            Wanted::DiffId
        } else {
            Wanted::AnyBlob
        };
        let (assembled, _) = self.assemble(parts, wanted, Dialect::Oci, progress).await?;
        self.keep(&assembled, names)
    }

    /// Writes the documents and the names.
    pub(crate) fn keep(
        &self,
        image: &Assembled,
        names: &[Reference],
    ) -> Result<ExportedImage, EngineError> {
        self.store.blobs().put(&self.lease, &image.config)?;
        self.store.blobs().put(&self.lease, &image.manifest)?;
        let manifest = image.manifest_descriptor.clone();
        let now = self.clock.now();
        for name in names {
            self.store.images().put(name, &manifest, now)?;
        }
        if names.is_empty() {
            self.store
                .images()
                .put(&untagged(manifest.digest)?, &manifest, now)?;
        }
        Ok(ExportedImage {
            id: image.config_descriptor.digest,
            manifest,
            names: names.to_vec(),
        })
    }

    /// Pushes the image under each of `names`.
    pub(crate) async fn push_parts(
        self: &Arc<Self>,
        parts: &ImageParts,
        export: &ImageExport,
        names: &[Reference],
        progress: &StepProgress,
    ) -> Result<ExportedImage, EngineError> {
        let wanted = Wanted::Blob(export.layers);
        let (assembled, layers) = self
            .assemble(parts, wanted, dialect(export.layers), progress)
            .await?;
        let layers: Vec<(Descriptor, Vec<Reference>)> = layers
            .into_iter()
            .map(|layer| (layer.layer.blob, layer.sources))
            .collect();
        for name in names {
            self.push_assembled(name, &assembled, &layers, progress)
                .await?;
        }
        Ok(ExportedImage {
            id: assembled.config_descriptor.digest,
            manifest: assembled.manifest_descriptor,
            names: names.to_vec(),
        })
    }

    /// Writes the image as an archive.
    pub(crate) async fn export_archive(
        self: &Arc<Self>,
        parts: &ImageParts,
        export: &ArchiveExport,
        names: &[Reference],
        progress: &StepProgress,
    ) -> Result<ExportedImage, EngineError> {
        let wanted = Wanted::Blob(export.layers);
        let (documents, layers) = self
            .assemble(parts, wanted, dialect(export.layers), progress)
            .await?;
        let exported = ExportedImage {
            id: documents.config_descriptor.digest,
            manifest: documents.manifest_descriptor.clone(),
            names: names.to_vec(),
        };
        let image = ArchiveImage {
            documents,
            layers: layers.into_iter().map(|layer| layer.layer.blob).collect(),
            names: names.to_vec(),
        };
        let (engine, export) = (Arc::clone(self), export.clone());
        writing(move |draft| engine.write_destination(&image, &export, draft)).await?;
        Ok(exported)
    }

    fn write_destination(
        &self,
        image: &ArchiveImage,
        export: &ArchiveExport,
        draft: &Draft,
    ) -> Result<(), EngineError> {
        let images = std::slice::from_ref(image);
        match &export.destination {
            Destination::Stdout => self.write_archive(images, export.kind, &mut std::io::stdout()),
            Destination::Directory(path) => self.write_layout(images, path),
            Destination::Stream(stream) => {
                send(stream, |sink| self.write_archive(images, export.kind, sink))
            }
            Destination::File(path) => {
                draft.replace(path, |file| self.write_archive(images, export.kind, file))
            }
        }
    }

    pub(crate) async fn assemble(
        self: &Arc<Self>,
        parts: &ImageParts,
        wanted: Wanted,
        dialect: Dialect,
        progress: &StepProgress,
    ) -> Result<(Assembled, Vec<ExportLayer>), EngineError> {
        let layers = self
            .export_layers(&parts.stack, wanted, parts.epoch, progress)
            .await?;
        let plain: Vec<_> = layers.iter().map(|layer| layer.layer.clone()).collect();
        let mut config = parts.config.clone();
        if let Some(records) = &parts.cache {
            config.cache = Some(records.text(&parts.stack)?);
        }
        let assembled = assemble(&config, parts.inherited, &plain, parts.epoch, dialect)?;
        Ok((assembled, layers))
    }
}

const fn dialect(format: LayerFormat) -> Dialect {
    if format.oci_media_types {
        Dialect::Oci
    } else {
        Dialect::Docker
    }
}

/// Sends a client all of it, or tells it that something is missing.
pub(crate) fn send(
    stream: &ClientStream,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let gone = || EngineError::Write {
        source: std::io::ErrorKind::BrokenPipe.into(),
    };
    let mut sink = stream.take().ok_or_else(gone)?;
    write(&mut sink)?;
    sink.finish()
        .map_err(|source| EngineError::Write { source })
}
