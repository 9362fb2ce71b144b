//! Writing to registries: what is there is not sent again, what breaks goes on where it was.
//!
//! Order is the caller's: blobs before the manifests that name them.

mod blob;
mod manifest;
mod piece;
mod source;
mod upload;

pub use blob::Pushed;
pub(crate) use piece::Piece;
pub use source::{BlobBody, BlobSource};
