//! The documents of an export: those of each image, and the index that leads to them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use oci::{Descriptor, Digest, Index, MediaType, Platform, Reference};
use solver::StepProgress;

use super::assemble::to_json;
use super::attestation::{Attached, Attestation, attach};
use super::{Assembled, Dialect, ImageLayer, ImageParts, ImageSet, assemble};
use crate::annotation::{AnnotationError, Annotations};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::layer::Wanted;
use crate::request::{AttestationFormat, Times};
use crate::sbom::name_layers;

/// How documents are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packing<'a> {
    pub(crate) wanted: Wanted,
    pub(crate) dialect: Dialect,
    pub(crate) attestations: AttestationFormat,
    pub(crate) times: Times,
    pub(crate) annotations: &'a Annotations,
}

/// What is exported, but for the blobs of layers.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    /// One for each platform; never empty.
    pub(crate) images: Vec<PackedImage>,
    /// What leads to them; a single image needs none.
    pub(crate) index: Option<Written>,
}

/// An image of an export.
#[derive(Debug, Clone)]
pub(crate) struct PackedImage {
    pub(crate) documents: Assembled,
    /// Bottom first, with the repositories that have them.
    pub(crate) layers: Vec<(Descriptor, Vec<Reference>)>,
    /// What is stated about it.
    pub(crate) attached: Option<Attached>,
}

/// A document and what names it.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) descriptor: Descriptor,
    pub(crate) bytes: Vec<u8>,
}

impl Written {
    pub(crate) fn of(media_type: MediaType, bytes: Vec<u8>) -> Self {
        let descriptor = Descriptor::of(media_type, &bytes);
        Self { descriptor, bytes }
    }

    fn parts(&self) -> (&Descriptor, &[u8]) {
        (&self.descriptor, &self.bytes)
    }
}

impl Packed {
    /// A single image.
    pub(crate) fn one(documents: Assembled, layers: Vec<(Descriptor, Vec<Reference>)>) -> Self {
        let image = PackedImage {
            documents,
            layers,
            attached: None,
        };
        Self {
            images: vec![image],
            index: None,
        }
    }

    /// What a name leads to.
    pub(crate) fn top(&self) -> &Descriptor {
        match &self.index {
            Some(index) => &index.descriptor,
            None => &self.images[0].documents.manifest_descriptor,
        }
    }

    /// The digest of the first image's config.
    pub(crate) fn id(&self) -> Digest {
        self.images[0].documents.config_descriptor.digest
    }

    /// Configs and statements, to which manifests lead.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = (&Descriptor, &[u8])> {
        self.images.iter().flat_map(|image| {
            let documents = &image.documents;
            let config = (&documents.config_descriptor, documents.config.as_slice());
            let attached = image.attached.iter();
            let stated = attached.flat_map(|one| one.statements.iter().chain([&one.config]));
            [config].into_iter().chain(stated.map(Written::parts))
        })
    }

    /// The manifests of images and of statements about them, and the index last.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = (&Descriptor, &[u8])> {
        let images = self.images.iter().map(|image| {
            let documents = &image.documents;
            let bytes = documents.manifest.as_slice();
            (&documents.manifest_descriptor, bytes)
        });
        let attached = self
            .images
            .iter()
            .filter_map(|image| image.attached.as_ref());
        images
            .chain(attached.map(|attached| attached.manifest.parts()))
            .chain(self.index.iter().map(Written::parts))
    }
}

impl Inner {
    /// Puts together what is exported of `set` under `names`, with the blobs of layers as wanted.
    pub(crate) async fn pack(
        self: &Arc<Self>,
        set: &ImageSet,
        how: &Packing<'_>,
        names: &[Reference],
        progress: &StepProgress,
    ) -> Result<Packed, EngineError> {
        let has_index = set.has_index(how.attestations.inline);
        check_annotations(set, how, has_index)?;
        let mut images = Vec::with_capacity(set.images.len());
        for parts in &set.images {
            let (documents, layers) = self.assemble(parts, how, progress).await?;
            let attached = match parts.attestations.as_slice() {
                stated if has_index && !stated.is_empty() => {
                    check_dialect(how.dialect)?;
                    let manifest = &documents.manifest_descriptor;
                    let artifact = how.attestations.artifact;
                    let platform = parts.platform();
                    let stated = self.with_layers(parts, &layers).await?;
                    Some(attach(manifest, &platform, names, &stated, artifact)?)
                }
                _ => None,
            };
            images.push(PackedImage {
                documents,
                layers,
                attached,
            });
        }
        let index = match has_index {
            true => Some(index(set, &images, how)?),
            false => None,
        };
        Ok(Packed { images, index })
    }

    /// What is stated about an image with these layers: an SBOM tells which of them files are in.
    async fn with_layers(
        self: &Arc<Self>,
        parts: &ImageParts,
        layers: &[(Descriptor, Vec<Reference>)],
    ) -> Result<Vec<Attestation>, EngineError> {
        let mut stated = parts.attestations.clone();
        if !stated.iter().any(|one| one.is_core) {
            return Ok(stated);
        }
        let directories = self.snapshots(&parts.stack, None).await?.into_iter();
        let digests = layers.iter().map(|(layer, _)| layer.digest);
        let layers: Vec<(PathBuf, Digest)> = directories.zip(digests).collect();
        let marks = self.marks;
        let name = move || {
            for one in stated.iter_mut().filter(|one| one.is_core) {
                one.predicate = Arc::new(name_layers(&one.predicate, &layers, marks)?);
            }
            Ok(stated)
        };
        crate::blocking(name).await?
    }

    async fn assemble(
        self: &Arc<Self>,
        parts: &ImageParts,
        how: &Packing<'_>,
        progress: &StepProgress,
    ) -> Result<(Assembled, Vec<(Descriptor, Vec<Reference>)>), EngineError> {
        let latest = how.times.of_layers(parts.epoch);
        let layers = self
            .export_layers(&parts.stack, how.wanted, latest, progress)
            .await?;
        let plain = layers.iter().map(|layer| ImageLayer {
            latest: (layer.layer.latest).filter(|_| how.times.rewrite == Some(true)),
            ..layer.layer.clone()
        });
        let plain: Vec<_> = plain.collect();
        let mut config = parts.config.clone();
        if let Some(records) = &parts.cache {
            config.cache = Some(records.text(&parts.stack)?);
        }
        let date = how.times.of_documents(parts.epoch);
        let mut assembled = assemble(
            &config,
            parts.inherited,
            &plain,
            date,
            how.dialect,
            how.annotations.manifest(&parts.platform()),
        )?;
        let named = how.annotations.manifest_descriptor(&parts.platform());
        assembled.manifest_descriptor.annotations = named;
        let layers = layers.into_iter();
        let layers = layers.map(|layer| (layer.layer.blob, layer.sources));
        Ok((assembled, layers.collect()))
    }
}

/// The images with their platforms, and what is stated about them after all of them.
fn index(
    set: &ImageSet,
    images: &[PackedImage],
    how: &Packing<'_>,
) -> Result<Written, EngineError> {
    let media_type = match how.dialect {
        Dialect::Oci => MediaType::OciIndex,
        Dialect::Docker => MediaType::DockerIndex,
    };
    let of_platform = |(parts, image): (&ImageParts, &PackedImage)| Descriptor {
        platform: Some(parts.platform()),
        ..image.documents.manifest_descriptor.clone()
    };
    let attached = images.iter().filter_map(|image| image.attached.as_ref());
    let attached = attached.map(|attached| attached.manifest.descriptor.clone());
    let of_images = set.images.iter().zip(images).map(of_platform);
    let index = to_json(&Index {
        schema_version: 2,
        media_type: Some(media_type.clone()),
        artifact_type: None,
        manifests: of_images.chain(attached).collect(),
        subject: None,
        annotations: how.annotations.index(),
    })?;
    let mut written = Written::of(media_type, index);
    written.descriptor.annotations = how.annotations.index_descriptor();
    Ok(written)
}

/// Annotations that would be written nowhere are errors.
fn check_annotations(
    set: &ImageSet,
    how: &Packing<'_>,
    has_index: bool,
) -> Result<(), AnnotationError> {
    let annotations = how.annotations;
    if annotations.is_empty() {
        return Ok(());
    }
    if how.dialect == Dialect::Docker {
        return Err(AnnotationError::DockerTypes);
    }
    let is_there = |wanted: &&Platform| set.images.iter().any(|it| it.platform() == **wanted);
    if let Some(missing) = annotations.platforms().find(|wanted| !is_there(wanted)) {
        return Err(AnnotationError::NoPlatform(missing.clone()));
    }
    let of_index = [annotations.index(), annotations.index_descriptor()];
    match has_index || of_index.iter().all(BTreeMap::is_empty) {
        true => Ok(()),
        false => Err(AnnotationError::NoIndex),
    }
}

/// Docker's media types have no words for statements.
fn check_dialect(dialect: Dialect) -> Result<(), EngineError> {
    match dialect {
        Dialect::Oci => Ok(()),
        Dialect::Docker => Err(EngineError::Unsupported {
            what: "an attestation in Docker's media types".to_owned(),
            instead: "use oci-mediatypes=true, or leave the attestation out",
        }),
    }
}

#[cfg(test)]
mod tests;
