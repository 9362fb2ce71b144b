//! Images whose documents or layers are wrong, or not there.

use oci::{Digest, Platform};

use super::EngineError;

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// No image under the name is for the platform.
    #[error(
        "no match for platform in manifest {digest}: wanted {platform}, there is {}",
        list(offered)
    )]
    NoPlatform {
        /// The index.
        digest: Digest,
        /// What was wanted.
        platform: Platform,
        /// What there is.
        offered: Vec<Platform>,
    },
    /// An index leads to an index.
    #[error("index {digest} leads to another index, which kiln does not follow")]
    NestedIndex {
        /// The outer one.
        digest: Digest,
    },
    /// A manifest or index is wrong.
    #[error("invalid image document {digest}")]
    InvalidDocument {
        /// The document.
        digest: Digest,
        /// Why.
        #[source]
        source: oci::DocumentError,
    },
    /// An image config is wrong.
    #[error("invalid image config {digest}")]
    InvalidConfig {
        /// The config.
        digest: Digest,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A layer's blob cannot be unpacked.
    #[error("unpack layer {blob}")]
    UnpackLayer {
        /// The blob.
        blob: Digest,
        /// Why.
        #[source]
        source: snapshot::ExtractError,
    },
    /// An image config is larger than what is read.
    #[error(
        "image config {digest} of {size} bytes: at most {} are accepted",
        oci::MAX_CONFIG_SIZE
    )]
    ConfigSize {
        /// The config.
        digest: Digest,
        /// Its size, as the manifest says.
        size: u64,
    },
    /// A manifest and its config disagree.
    #[error("image {digest} has {layers} layers and {diff_ids} diff IDs")]
    LayerCount {
        /// The manifest.
        digest: Digest,
        /// Layers of the manifest.
        layers: usize,
        /// Diff IDs of the config.
        diff_ids: usize,
    },
    /// A blob is not in the store and nobody is known who has it.
    #[error("blob {digest} is not in the store and has no known source")]
    MissingBlob {
        /// The blob.
        digest: Digest,
    },
    /// A layer is no longer where its blob could be had.
    #[error("layer blob {digest} is no longer where it was")]
    LayerGone {
        /// The layer.
        layer: store::LayerId,
        /// Its blob.
        digest: Digest,
        /// What who had it says.
        #[source]
        source: Box<EngineError>,
    },
    /// A layer has neither a snapshot nor a blob.
    #[error("layer {0} has neither a snapshot nor a blob")]
    EmptyLayer(store::LayerId),
    /// A layer is not what the image's config says.
    #[error("layer blob {blob} has diff ID {found}, but the image's config says {expected}")]
    DiffId {
        /// The blob.
        blob: Digest,
        /// What the config says.
        expected: oci::DiffId,
        /// What it is.
        found: oci::DiffId,
    },
    /// The media type of a layer is none that kiln reads.
    #[error("unsupported layer media type {0:?}")]
    LayerType(String),
}

fn list(platforms: &[Platform]) -> String {
    let texts: Vec<String> = platforms.iter().map(ToString::to_string).collect();
    if texts.is_empty() {
        "none".to_owned()
    } else {
        texts.join(", ")
    }
}
