//! Caches beside the store: `--cache-from` and `--cache-to`, in BuildKit's form, with kiln's keys added.
//!
//! A hit is looked for in the store first; only then is a cache opened, once in a build, and asked by
//! kiln's own keys and then by BuildKit's. What a hit gives are layers whose blobs are still where
//! the cache is: they are fetched when somebody mounts or exports them. A cache that cannot be
//! read is a warning, and the build goes on without it.
//!
//! Reading order: `request` is what a client asks for, `steps` what BuildKit knows the steps of a build
//! by, `open` reads a cache and `import` looks in it, `export` puts one together and `ship` sends it.

mod export;
mod files;
mod import;
mod inline;
mod layers;
mod open;
mod request;
mod ship;
mod steps;

pub use request::{CacheExport, CacheFrom, CacheMode, CacheTo, LayoutCache};

pub(crate) use export::Exported;
pub(crate) use import::Imports;
pub(crate) use inline::InlineRecords;
pub(crate) use layers::layout_of;
pub(crate) use ship::layout;
pub use ship::layout::HeldLayout;
pub(crate) use steps::Steps;

/// Why a cache cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The registry does not give it.
    #[error("{what}")]
    Registry {
        /// What was tried.
        what: String,
        /// Why not.
        #[source]
        source: registry::Error,
    },
    /// It is no cache.
    #[error(transparent)]
    Config(#[from] buildkit::ConfigError),
    /// It has no entry of that name.
    #[error("there is no cache {wanted} in {}", path.display())]
    NoEntry {
        /// The directory.
        path: std::path::PathBuf,
        /// Tag or digest.
        wanted: String,
    },
    /// What was found is another thing.
    #[error("{0} holds neither a cache nor an image with one")]
    NoCache(String),
    /// What was found is another thing.
    #[error("{0} holds no cache mounts")]
    NoCacheMounts(String),
    /// A document is not what it should be.
    #[error("document {digest} is {what}")]
    Document {
        /// Which.
        digest: oci::Digest,
        /// What is wrong with it.
        what: &'static str,
    },
}
