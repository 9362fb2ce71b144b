//! Descriptors: what a blob is, its digest and its size (image-spec, descriptor.md).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, MediaType, Platform};

/// Annotation keys that kiln reads or writes.
pub mod annotation {
    /// The tag or full name under which an entry of an index is known.
    pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
    /// The full image name, as containerd writes it into layouts.
    pub const IMAGE_NAME: &str = "io.containerd.image.name";
    /// When the image was made, RFC 3339.
    pub const CREATED: &str = "org.opencontainers.image.created";
    /// Times of files in a layer that were later became this one, in seconds since 1970.
    pub const REWRITTEN_TIMESTAMP: &str = "buildkit/rewritten-timestamp";
    /// Marks a manifest of an index as being about another one, and says how.
    pub const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
    /// The digest of the manifest that it is about.
    pub const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
    /// What kind of statement a blob of an attestation is.
    pub const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
}

/// Names a blob: media type, digest and size, and what an index says of it.
///
/// Fields are written in the order that Docker and containerd use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob holds.
    pub media_type: MediaType,
    /// The digest of its bytes.
    pub digest: Digest,
    /// The number of its bytes.
    pub size: u64,
    /// Where else it can be had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Free key and value pairs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The content itself, as base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// For which platform a manifest in an index is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What kind of artifact the descriptor leads to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// A descriptor with nothing but the three required fields.
    #[must_use]
    pub const fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            data: None,
            platform: None,
            artifact_type: None,
        }
    }

    /// The descriptor of `bytes`.
    #[must_use]
    pub fn of(media_type: MediaType, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }
}
