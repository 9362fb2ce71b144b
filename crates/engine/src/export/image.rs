//! Results as images: in the store, in a registry, in archives.

use std::io::Write;
use std::sync::Arc;

use oci::{Descriptor, Digest, Reference};
use solver::StepProgress;

use super::draft::{Draft, writing};
use super::{ArchiveImage, Dialect, ImageSet, Packed, Packing};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::image::untagged;
use crate::layer::Wanted;
use crate::request::{
    ArchiveExport, ArchiveKind, ClientStream, Destination, ImageExport, LayerFormat,
};

/// An image that was made, or several for as many platforms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedImage {
    /// The digest of the first one's config.
    pub id: Digest,
    /// What its names lead to: its manifest, or an index.
    pub manifest: Descriptor,
    /// The names that it has now.
    pub names: Vec<Reference>,
}

impl ExportedImage {
    fn new(packed: &Packed, names: &[Reference]) -> Self {
        Self {
            id: packed.id(),
            manifest: packed.top().clone(),
            names: names.to_vec(),
        }
    }
}

impl Inner {
    /// Puts the images into the store under `names`, or without a name when there are none.
    pub(crate) async fn export_to_store(
        self: &Arc<Self>,
        set: &ImageSet,
        export: &ImageExport,
        names: &[Reference],
        progress: &StepProgress,
    ) -> Result<ExportedImage, EngineError> {
        // An image with a name is for other tools too, which look for blobs.
        let wanted = if names.is_empty() {
            Wanted::DiffId
        } else {
            Wanted::AnyBlob
        };
        let how = Packing {
            wanted,
            dialect: Dialect::Oci,
            attestations: export.attestations,
            times: export.times,
            annotations: &export.annotations,
        };
        let packed = self.pack(set, &how, names, progress).await?;
        self.keep(&packed, names)
    }

    /// Writes the documents and the names.
    pub(crate) fn keep(
        &self,
        packed: &Packed,
        names: &[Reference],
    ) -> Result<ExportedImage, EngineError> {
        for (_, bytes) in packed.blobs().chain(packed.manifests()) {
            self.store.blobs().put(&self.lease, bytes)?;
        }
        let top = packed.top();
        let now = self.clock.now();
        for name in names {
            self.store.images().put(name, top, now)?;
        }
        if names.is_empty() {
            self.store.images().put(&untagged(top.digest)?, top, now)?;
        }
        Ok(ExportedImage::new(packed, names))
    }

    /// Pushes the images under each of `names`.
    pub(crate) async fn push_set(
        self: &Arc<Self>,
        set: &ImageSet,
        export: &ImageExport,
        names: &[Reference],
        progress: &StepProgress,
    ) -> Result<ExportedImage, EngineError> {
        let how = Packing {
            wanted: Wanted::Blob(export.layers),
            dialect: dialect(export.layers),
            attestations: export.attestations,
            times: export.times,
            annotations: &export.annotations,
        };
        let packed = self.pack(set, &how, names, progress).await?;
        for name in names {
            let registry = self.registry_at(name.domain(), export.insecure)?;
            self.push_packed(&registry, name, &packed, progress).await?;
        }
        Ok(ExportedImage::new(&packed, names))
    }

    /// Writes the images as an archive.
    pub(crate) async fn export_archive(
        self: &Arc<Self>,
        set: &ImageSet,
        export: &ArchiveExport,
        names: &[Reference],
        progress: &StepProgress,
    ) -> Result<ExportedImage, EngineError> {
        if export.kind == ArchiveKind::Docker && (set.indexed || set.images.len() > 1) {
            return Err(EngineError::Unsupported {
                what: "an archive for \"docker load\" with images of several platforms".to_owned(),
                instead: "use type=oci, or build for one platform",
            });
        }
        let how = Packing {
            wanted: Wanted::Blob(export.layers),
            dialect: dialect(export.layers),
            attestations: export.attestations,
            times: export.times,
            annotations: &export.annotations,
        };
        let packed = self.pack(set, &how, names, progress).await?;
        let exported = ExportedImage::new(&packed, names);
        let image = ArchiveImage {
            packed,
            names: names.to_vec(),
            date: export.times.latest.seconds(set.images[0].epoch),
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
            Destination::Directory(path) => self.write_layout(images, path, draft),
            Destination::Stream(stream) => {
                stream.about(&ExportedImage::new(&image.packed, &image.names));
                send(stream, |sink| self.write_archive(images, export.kind, sink))
            }
            Destination::File(path) => {
                draft.replace(path, |file| self.write_archive(images, export.kind, file))
            }
        }
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
