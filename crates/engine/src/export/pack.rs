//! The documents of an export: those of each image, and the index that leads to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use oci::{Descriptor, Digest, Index, MediaType, Reference};
use solver::StepProgress;

use super::assemble::to_json;
use super::attestation::{Attached, attach};
use super::{Assembled, Dialect, ImageParts, ImageSet, assemble};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::layer::Wanted;
use crate::request::AttestationFormat;

/// How documents are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packing {
    pub(crate) wanted: Wanted,
    pub(crate) dialect: Dialect,
    pub(crate) attestations: AttestationFormat,
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
        how: &Packing,
        names: &[Reference],
        progress: &StepProgress,
    ) -> Result<Packed, EngineError> {
        let has_index = set.has_index(how.attestations.inline);
        let mut images = Vec::with_capacity(set.images.len());
        for parts in &set.images {
            let (documents, layers) = self.assemble(parts, how, progress).await?;
            let attached = match parts.attestations.as_slice() {
                attestations if has_index && !attestations.is_empty() => {
                    check_dialect(how.dialect)?;
                    let manifest = &documents.manifest_descriptor;
                    let artifact = how.attestations.artifact;
                    let platform = parts.platform();
                    Some(attach(manifest, &platform, names, attestations, artifact)?)
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
            true => Some(index(set, &images, how.dialect)?),
            false => None,
        };
        Ok(Packed { images, index })
    }

    async fn assemble(
        self: &Arc<Self>,
        parts: &ImageParts,
        how: &Packing,
        progress: &StepProgress,
    ) -> Result<(Assembled, Vec<(Descriptor, Vec<Reference>)>), EngineError> {
        let layers = self
            .export_layers(&parts.stack, how.wanted, parts.epoch, progress)
            .await?;
        let plain: Vec<_> = layers.iter().map(|layer| layer.layer.clone()).collect();
        let mut config = parts.config.clone();
        if let Some(records) = &parts.cache {
            config.cache = Some(records.text(&parts.stack)?);
        }
        let assembled = assemble(&config, parts.inherited, &plain, parts.epoch, how.dialect)?;
        let layers = layers.into_iter();
        let layers = layers.map(|layer| (layer.layer.blob, layer.sources));
        Ok((assembled, layers.collect()))
    }
}

/// The images with their platforms, and what is stated about them after all of them.
fn index(set: &ImageSet, images: &[PackedImage], dialect: Dialect) -> Result<Written, EngineError> {
    let media_type = match dialect {
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
        annotations: BTreeMap::new(),
    })?;
    Ok(Written::of(media_type, index))
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
mod tests {
    use std::sync::Arc;

    use oci::ImageConfig;

    use super::*;
    use crate::export::Attestation;
    use crate::output::Stack;

    fn parts(architecture: &str, inline_only: &[bool]) -> ImageParts {
        let attestation = |inline_only: &bool| Attestation {
            predicate_type: "https://slsa.dev/provenance/v1".to_owned(),
            predicate: Arc::default(),
            inline_only: *inline_only,
            file_name: "provenance.json".to_owned(),
        };
        ImageParts {
            stack: Stack::default(),
            config: ImageConfig {
                os: "linux".to_owned(),
                architecture: architecture.to_owned(),
                variant: if architecture == "arm" { "v7" } else { "" }.to_owned(),
                ..ImageConfig::default()
            },
            inherited: 0,
            epoch: None,
            cache: None,
            attestations: inline_only.iter().map(attestation).collect(),
        }
    }

    fn packed(parts: &ImageParts) -> PackedImage {
        let documents = assemble(&parts.config, 0, &[], None, Dialect::Oci).unwrap();
        let manifest = &documents.manifest_descriptor;
        let names = ["a".parse().unwrap()];
        let stated = &parts.attestations;
        let attach = || attach(manifest, &parts.platform(), &names, stated, true).unwrap();
        PackedImage {
            attached: (!stated.is_empty()).then(attach),
            documents,
            layers: Vec::new(),
        }
    }

    /// An entry in short: its platform, and what it is about by its place in the index.
    #[test]
    fn images_come_first_and_what_is_stated_about_them_after() {
        let set = ImageSet {
            images: vec![
                parts("amd64", &[true]),
                parts("arm", &[]),
                parts("s390x", &[false]),
            ],
            indexed: false,
        };
        let images: Vec<PackedImage> = set.images.iter().map(packed).collect();
        let index = index(&set, &images, Dialect::Oci).unwrap();
        let read: Index = serde_json::from_slice(&index.bytes).unwrap();
        let digests: Vec<String> = read
            .manifests
            .iter()
            .map(|m| m.digest.to_string())
            .collect();
        let place = |digest: &String| digests.iter().position(|one| one == digest).unwrap();
        let short = |entry: &Descriptor| {
            let about = entry.annotations.get(oci::annotation::REFERENCE_DIGEST);
            let about = about.map_or(String::new(), |about| format!(" about {}", place(about)));
            format!("{}{about}", entry.platform.as_ref().unwrap())
        };
        assert_eq!(
            read.manifests.iter().map(short).collect::<Vec<_>>(),
            [
                "linux/amd64",
                "linux/arm/v7",
                "linux/s390x",
                "unknown/unknown about 0",
                "unknown/unknown about 2"
            ]
        );
        let packed = Packed {
            images,
            index: Some(index),
        };
        let sent: Vec<String> = packed
            .manifests()
            .map(|(of, _)| of.digest.to_string())
            .collect();
        assert_eq!(sent[..5], digests);
        assert_eq!(sent[5], packed.top().digest.to_string());
    }

    #[test]
    fn an_index_is_there_for_a_reason() {
        let set = |images: &[&ImageParts], indexed| ImageSet {
            images: images.iter().map(|&image| image.clone()).collect(),
            indexed,
        };
        let (plain, inline, stated) = (
            parts("arm", &[]),
            parts("arm", &[true]),
            parts("arm", &[false]),
        );
        for (set, with_inline, without) in [
            (set(&[&plain], false), false, false),
            (set(&[&plain], true), true, true),
            (set(&[&plain, &plain], false), true, true),
            (set(&[&inline], false), true, false),
            (set(&[&stated], false), true, true),
        ] {
            let found = [set.has_index(true), set.has_index(false)];
            assert_eq!(found, [with_inline, without], "{set:?}");
        }
    }
}
