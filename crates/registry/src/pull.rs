//! Reading from registries: mirrors first, everything verified.

mod blob;
mod resolve;

pub use blob::BlobStream;
pub use resolve::Resolved;
pub(crate) use resolve::{document_call, stated_digest};
