//! What a target came to, before it is written: an image for each platform.

use std::sync::Arc;

use oci::{ImageConfig, Platform};

use super::attestation::Attestation;
use crate::output::Stack;
use crate::remote_cache::InlineRecords;

/// What a target came to.
#[derive(Debug, Clone)]
pub(crate) struct ImageSet {
    /// One for each platform, in the order in which the platforms were asked for; never empty.
    pub(crate) images: Vec<ImageParts>,
    /// An index leads to them, even if it is only one.
    pub(crate) indexed: bool,
}

/// One image: the file system and what the Dockerfile says of it.
#[derive(Debug, Clone)]
pub(crate) struct ImageParts {
    pub(crate) stack: Stack,
    pub(crate) config: ImageConfig,
    /// History entries that came with the base image.
    pub(crate) inherited: usize,
    pub(crate) epoch: Option<i64>,
    /// The records of the build, for images that carry them.
    pub(crate) cache: Option<Arc<InlineRecords>>,
    /// What is stated about it.
    pub(crate) attestations: Vec<Attestation>,
}

impl ImageSet {
    /// Whether an index leads to the images; `inline` as in
    /// [`AttestationFormat`](crate::request::AttestationFormat).
    pub(crate) fn has_index(&self, inline: bool) -> bool {
        let mut stated = self.images.iter().flat_map(|image| &image.attestations);
        self.indexed || self.images.len() > 1 || stated.any(|one| inline || !one.inline_only)
    }
}

impl From<ImageParts> for ImageSet {
    fn from(image: ImageParts) -> Self {
        Self {
            images: vec![image],
            indexed: false,
        }
    }
}

impl ImageParts {
    /// What it runs on.
    pub(crate) fn platform(&self) -> Platform {
        let config = &self.config;
        let platform = Platform {
            architecture: config.architecture.clone(),
            os: config.os.clone(),
            os_version: config.os_version.clone(),
            os_features: Vec::new(),
            variant: config.variant.clone(),
        };
        platform.normalised()
    }
}
