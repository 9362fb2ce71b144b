//! From an image's name to its documents: out of the store, or from the registry, as the pull
//! policy says. The documents end in the store under the name, so the next build needs no network.
//! Layers are only noted here; they are fetched when somebody needs them.

use std::sync::Arc;

use graph::PullPolicy;
use oci::{ChainId, Descriptor, Document, Platform, Reference};
use store::{Blob, LayerId, LayerSource, Layers, Lease, NewLayer};

use super::{LoadedImage, load, select};
use crate::clock::parse_rfc3339;
use crate::engine::Inner;
use crate::error::{EngineError, ImageError};

/// An image whose layers are noted in the store.
#[derive(Debug, Clone)]
pub(crate) struct ResolvedImage {
    /// The name with the digest of the manifest.
    pub(crate) reference: Reference,
    pub(crate) image: LoadedImage,
    /// Bottom first.
    pub(crate) layers: Vec<LayerId>,
}

impl Inner {
    /// The image under `reference` for `platform`.
    pub(crate) async fn resolve_image(
        self: &Arc<Self>,
        reference: &Reference,
        platform: &Platform,
        pull: PullPolicy,
    ) -> Result<ResolvedImage, EngineError> {
        if let Some(top) = self.layout_image(reference)? {
            let image = load(&self.store, &top, platform)?
                .ok_or(ImageError::MissingBlob { digest: top.digest })?;
            let layers = self.note_layers(reference, &image, |layers, lease, new| {
                layers.ensure(lease, new)
            })?;
            let reference = reference.clone().with_digest(image.descriptor.digest);
            return Ok(ResolvedImage {
                reference,
                image,
                layers,
            });
        }
        let reference = reference.clone().with_default_tag();
        let local = match pull {
            PullPolicy::Always => None,
            _ => self.find_local(&reference, platform)?,
        };
        let image = match (pull, local) {
            (PullPolicy::Missing | PullPolicy::Never, Some(image)) => image,
            (PullPolicy::Never, None) => return Err(EngineError::NotPulled { reference }),
            (_, local) => match (self.fetch_documents(&reference, platform).await, local) {
                (Ok(image), _) | (Err(_), Some(image)) => image,
                (Err(error), None) => return Err(error),
            },
        };
        let layers = self.note_stored_layers(&reference, &image)?;
        let reference = reference.with_digest(image.descriptor.digest);
        Ok(ResolvedImage {
            reference,
            image,
            layers,
        })
    }

    /// The image under `reference`, if the store has all its documents. What has the digest that the
    /// reference asks for is the image, whatever its name here.
    pub(crate) fn find_local(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<Option<LoadedImage>, EngineError> {
        let images = self.store.images();
        let found = match (images.get(reference)?, reference.digest()) {
            (Some(image), _) => Some(image),
            (None, Some(digest)) => {
                let mut all = images.list()?.into_iter();
                all.find(|image| image.descriptor.digest == digest)
            }
            (None, None) => None,
        };
        match found {
            Some(image) => load(&self.store, &image.descriptor, platform),
            None => Ok(None),
        }
    }

    /// Brings manifest and config of `reference` into the store, and notes the name.
    async fn fetch_documents(
        self: &Arc<Self>,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<LoadedImage, EngineError> {
        let registry = self.registry()?;
        let failed = |source| EngineError::Resolve {
            reference: reference.clone(),
            source,
        };
        let top = registry.resolve(reference).await.map_err(failed)?;
        self.store.blobs().put(&self.lease, &top.bytes)?;
        let (descriptor, manifest) = match top.document {
            Document::Manifest(manifest) => (top.descriptor.clone(), *manifest),
            Document::Index(index) => {
                let selected = select(&index, platform).ok_or_else(|| ImageError::NoPlatform {
                    digest: top.descriptor.digest,
                    platform: platform.clone(),
                    offered: index
                        .manifests
                        .iter()
                        .filter_map(|m| m.platform.clone())
                        .collect(),
                })?;
                let found = registry
                    .manifest_by_descriptor(reference, selected)
                    .await
                    .map_err(failed)?;
                self.store.blobs().put(&self.lease, &found.bytes)?;
                match found.document {
                    Document::Manifest(manifest) => (selected.clone(), *manifest),
                    Document::Index(_) => {
                        let digest = top.descriptor.digest;
                        return Err(ImageError::NestedIndex { digest }.into());
                    }
                }
            }
        };
        check_config_size(&manifest.config)?;
        self.fetch_blob(std::slice::from_ref(reference), &manifest.config, None)
            .await?;
        let config =
            super::load_config(&self.store, &manifest.config)?.ok_or(ImageError::MissingBlob {
                digest: manifest.config.digest,
            })?;
        let image = LoadedImage::new(descriptor, manifest, config)?;
        // Before the name: a tag whose layers are nowhere to be had would be a broken one.
        self.note_layers(reference, &image, |layers, lease, new| {
            layers.ensure(lease, new)
        })?;
        self.store
            .images()
            .put_for_build(reference, &top.descriptor, self.clock.now())?;
        Ok(image)
    }

    /// Notes the layers of `image`, which was found in the store.
    pub(crate) fn note_stored_layers(
        &self,
        reference: &Reference,
        image: &LoadedImage,
    ) -> Result<Vec<LayerId>, EngineError> {
        self.note_layers(reference, image, |layers, lease, new| {
            layers.ensure_stored(lease, new)
        })
    }

    /// Notes the layers of `image` and where their blobs can be had, as `ensure` does.
    fn note_layers(
        &self,
        reference: &Reference,
        image: &LoadedImage,
        ensure: impl Fn(&Layers<'_>, &Lease, &NewLayer) -> store::Result<LayerId>,
    ) -> Result<Vec<LayerId>, EngineError> {
        let repository = reference.without_tag().to_string();
        let mut chain = None;
        let mut layers = Vec::with_capacity(image.manifest.layers.len());
        let made = image
            .config
            .history
            .iter()
            .filter(|entry| !entry.empty_layer);
        let mut times = made.map(|entry| parse_rfc3339(entry.created.as_deref()?));
        for (blob, diff_id) in image
            .manifest
            .layers
            .iter()
            .zip(&image.config.rootfs.diff_ids)
        {
            chain = Some(ChainId::on(chain, *diff_id));
            let new = NewLayer {
                diff_id: Some(*diff_id),
                chain,
                self_contained: false,
                size: None,
                blobs: vec![Descriptor::new(
                    blob.media_type.clone(),
                    blob.digest,
                    blob.size,
                )],
                sources: vec![LayerSource {
                    digest: blob.digest,
                    reference: repository.clone(),
                }],
                created: times.next().flatten(),
            };
            layers.push(ensure(&self.store.layers(), &self.lease, &new)?);
        }
        Ok(layers)
    }
}

/// Nothing is fetched that would not be read.
const fn check_config_size(config: &Descriptor) -> Result<(), ImageError> {
    if config.size > oci::MAX_CONFIG_SIZE {
        return Err(ImageError::ConfigSize {
            digest: config.digest,
            size: config.size,
        });
    }
    Ok(())
}

/// What the store calls the blob of `descriptor`.
pub(crate) const fn blob_of(descriptor: &Descriptor) -> Blob {
    Blob {
        digest: descriptor.digest,
        size: descriptor.size,
    }
}
