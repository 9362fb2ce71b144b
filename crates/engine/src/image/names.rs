//! Finding images by what people type: a name, or the beginning of an ID.

use oci::{Descriptor, Digest, Platform, Reference};

use super::{LoadedImage, load_any};
use crate::engine::Inner;
use crate::error::EngineError;

/// Under this name images stand that have no other. The domain can never be one.
const UNTAGGED: &str = "untagged.invalid/none";
/// The fewest characters of an ID that are taken for one, as Docker prints it.
const SHORTEST_ID: usize = 4;

/// An image of the store with the name under which it was found.
#[derive(Debug, Clone)]
pub(crate) struct NamedImage {
    pub(crate) reference: Reference,
    /// What the name leads to: a manifest or an index.
    pub(crate) top: Descriptor,
    pub(crate) image: LoadedImage,
}

impl NamedImage {
    /// The digest of the config, which is what Docker calls the image's ID.
    pub(crate) const fn id(&self) -> Digest {
        self.image.manifest.config.digest
    }
}

/// The name for an image without one.
pub(crate) fn untagged(manifest: Digest) -> Result<Reference, EngineError> {
    let name: Reference = UNTAGGED.parse().map_err(EngineError::Reference)?;
    Ok(name.with_digest(manifest))
}

/// The image has no name that a person gave it.
#[must_use]
pub fn is_untagged(reference: &Reference) -> bool {
    reference.domain() == "untagged.invalid"
}

impl Inner {
    /// All images whose documents are here, for this machine's platform where there are several.
    pub(crate) fn named_images(&self) -> Result<Vec<NamedImage>, EngineError> {
        let platform = Platform::host();
        let mut images = Vec::new();
        for store::Image {
            reference,
            descriptor,
            ..
        } in self.store.images().list()?
        {
            let found = load_any(&self.store, &descriptor, &platform)?;
            images.extend(found.map(|image| NamedImage {
                reference,
                top: descriptor,
                image,
            }));
        }
        Ok(images)
    }

    /// The image that `text` names, or whose ID or manifest digest begins with it.
    pub(crate) fn find_image(&self, text: &str) -> Result<NamedImage, EngineError> {
        if let Ok(reference) = text.parse::<Reference>() {
            let reference = reference.with_default_tag();
            if let Some(found) = self.store.images().get(&reference)? {
                let platform = Platform::host();
                if let Some(image) = load_any(&self.store, &found.descriptor, &platform)? {
                    return Ok(NamedImage {
                        reference,
                        top: found.descriptor,
                        image,
                    });
                }
            }
        }
        self.find_by_id(text)
    }

    fn find_by_id(&self, text: &str) -> Result<NamedImage, EngineError> {
        let missing = || EngineError::NoSuchImage(text.to_owned());
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if hex.len() < SHORTEST_ID || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(missing());
        }
        let begins = |digest: Digest| digest.hex().starts_with(hex);
        let mut found: Vec<_> = self.named_images()?;
        found.retain(|named| begins(named.id()) || begins(named.image.descriptor.digest));
        let first = found.first().map(NamedImage::id);
        if found.iter().any(|named| Some(named.id()) != first) {
            return Err(EngineError::AmbiguousId(text.to_owned()));
        }
        found.into_iter().next().ok_or_else(missing)
    }
}
