//! What a client asks for: caches to look in, and caches to write.

use std::fmt;
use std::path::PathBuf;

use oci::{Digest, Reference};

use crate::request::LayerFormat;

/// A cache to look in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheFrom {
    /// Of a registry: a cache, or an image that has one inside.
    Registry(Reference),
    /// Of a directory.
    Layout(LayoutCache),
}

/// A cache in an OCI layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutCache {
    /// The directory.
    pub path: PathBuf,
    /// The name of the entry.
    pub tag: String,
    /// The entry itself; that under the tag when none.
    pub digest: Option<Digest>,
}

/// A cache to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheTo {
    /// Into the images that the build makes.
    Inline,
    /// On its own.
    Export(CacheExport),
}

/// A cache that stands on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheExport {
    /// Where it goes.
    pub to: CacheFrom,
    /// Which results are in it.
    pub mode: CacheMode,
    /// In which form its layers are.
    pub layers: LayerFormat,
    /// A manifest leads to it, not an index.
    pub image_manifest: bool,
    /// The build succeeds also if it cannot be written.
    pub ignore_error: bool,
    /// Nothing that was in the directory before is kept.
    pub reset: bool,
}

/// Which results are in a cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CacheMode {
    /// Those that the result of the build is made of.
    #[default]
    Min,
    /// All.
    Max,
}

impl fmt::Display for CacheFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(reference) => write!(f, "registry cache {}", reference.familiar()),
            Self::Layout(layout) => write!(f, "local cache {}", layout.path.display()),
        }
    }
}
