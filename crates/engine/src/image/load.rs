//! Reads images from the store: from a descriptor to the manifest and the config for a platform.

use oci::{Descriptor, Digest, Document, ImageConfig, Manifest, MediaType, Platform};
use store::Store;

use super::select::{images, select};
use crate::error::{EngineError, ImageError};

/// The documents of one image; its layers need not be here.
#[derive(Debug, Clone)]
pub(crate) struct LoadedImage {
    /// Of the manifest.
    pub(crate) descriptor: Descriptor,
    pub(crate) manifest: Manifest,
    pub(crate) config: ImageConfig,
}

impl LoadedImage {
    /// Checks that each layer has a diff ID.
    pub(crate) fn new(
        descriptor: Descriptor,
        manifest: Manifest,
        config: ImageConfig,
    ) -> Result<Self, EngineError> {
        let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if layers != diff_ids {
            let digest = descriptor.digest;
            return Err(ImageError::LayerCount {
                digest,
                layers,
                diff_ids,
            }
            .into());
        }
        Ok(Self {
            descriptor,
            manifest,
            config,
        })
    }
}

/// The image that `top` leads to for `platform`, if all its documents are in the store.
pub(crate) fn load(
    store: &Store,
    top: &Descriptor,
    platform: &Platform,
) -> Result<Option<LoadedImage>, EngineError> {
    let Some(document) = read_document(store, top)? else {
        return Ok(None);
    };
    let (descriptor, manifest) = match document {
        Document::Manifest(manifest) => (top.clone(), *manifest),
        Document::Index(index) => {
            let selected = select(&index, platform).ok_or_else(|| ImageError::NoPlatform {
                digest: top.digest,
                platform: platform.clone(),
                offered: index
                    .manifests
                    .iter()
                    .filter_map(|m| m.platform.clone())
                    .collect(),
            })?;
            return load_manifest(store, top, selected);
        }
    };
    with_config(store, descriptor, manifest)
}

/// The image that `top` leads to for `platform`, or else the first whose documents are in the
/// store: what is listed is what is here.
pub(crate) fn load_any(
    store: &Store,
    top: &Descriptor,
    platform: &Platform,
) -> Result<Option<LoadedImage>, EngineError> {
    match load(store, top, platform) {
        Ok(None) | Err(EngineError::Image(ImageError::NoPlatform { .. })) => {}
        found => return found,
    }
    Ok(load_all(store, top)?.into_iter().flatten().next())
}

/// The images of the index that `top` leads to, in its order, each if all its documents are in the
/// store; none when it leads to no index.
pub(crate) fn load_all(
    store: &Store,
    top: &Descriptor,
) -> Result<Vec<Option<LoadedImage>>, EngineError> {
    match read_document(store, top)? {
        Some(Document::Index(index)) => images(&index)
            .map(|image| load_manifest(store, top, image))
            .collect(),
        _ => Ok(Vec::new()),
    }
}

/// The image of this manifest, which is in the index of `top`.
fn load_manifest(
    store: &Store,
    top: &Descriptor,
    manifest: &Descriptor,
) -> Result<Option<LoadedImage>, EngineError> {
    match read_document(store, manifest)? {
        None => Ok(None),
        Some(Document::Manifest(found)) => with_config(store, manifest.clone(), *found),
        Some(Document::Index(_)) => Err(ImageError::NestedIndex { digest: top.digest }.into()),
    }
}

fn with_config(
    store: &Store,
    descriptor: Descriptor,
    manifest: Manifest,
) -> Result<Option<LoadedImage>, EngineError> {
    let Some(config) = load_config(store, &manifest.config)? else {
        return Ok(None);
    };
    LoadedImage::new(descriptor, manifest, config).map(Some)
}

/// The config that a manifest names, if it is in the store.
pub(crate) fn load_config(
    store: &Store,
    descriptor: &Descriptor,
) -> Result<Option<ImageConfig>, EngineError> {
    if !store.blobs().has(&descriptor.digest)? {
        return Ok(None);
    }
    let bytes = store
        .blobs()
        .read(&descriptor.digest, oci::MAX_CONFIG_SIZE)?;
    let invalid = |source| ImageError::InvalidConfig {
        digest: descriptor.digest,
        source,
    };
    let config = oci::from_unambiguous_json(&bytes).map_err(invalid)?;
    Ok(Some(config))
}

pub(crate) fn read_document(
    store: &Store,
    of: &Descriptor,
) -> Result<Option<Document>, EngineError> {
    if !store.blobs().has(&of.digest)? {
        return Ok(None);
    }
    let bytes = store.blobs().read(&of.digest, oci::MAX_DOCUMENT_SIZE)?;
    let document = parse_document(of.digest, &bytes, Some(&of.media_type))?;
    Ok(Some(document))
}

/// What stands in the document of this digest; of which media type, it says itself where nobody
/// else does.
pub(crate) fn parse_document(
    digest: Digest,
    bytes: &[u8],
    media_type: Option<&MediaType>,
) -> Result<Document, ImageError> {
    let document = Document::parse(bytes, media_type);
    document.map_err(|source| ImageError::InvalidDocument { digest, source })
}
