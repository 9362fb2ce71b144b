//! Values of the OCI image-spec and distribution-spec, and what Docker adds to them.
//!
//! Pure: no I/O, no async, no clock. What is parsed here comes from outside and is hostile:
//! every parser refuses what it does not understand and never panics. A digest is always that
//! of the exact bytes; a document that was pulled is kept as bytes and never serialised again.

mod config;
mod descriptor;
mod digest;
pub mod docker_archive;
mod json;
mod layer_id;
mod manifest;
mod media_type;
mod platform;
mod reference;
mod unambiguous;

pub use config::{
    DEFAULT_PATH, Empty, HealthConfig, History, ImageConfig, MAX_CONFIG_SIZE, ProcessConfig, RootFs,
};
pub use descriptor::{Descriptor, annotation};
pub use digest::{Digest, DigestError, Hasher};
pub use json::{indented, to_canonical_json};
pub use layer_id::{ChainId, DiffId};
pub use manifest::{Document, DocumentError, Index, MAX_DOCUMENT_SIZE, MAX_LAYERS, Manifest};
pub use media_type::{Compression, MediaType};
pub use platform::{Platform, PlatformError};
pub use reference::{Reference, ReferenceError};
pub use unambiguous::from_unambiguous_json;
