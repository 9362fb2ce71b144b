//! Results become images, archives and files.
//!
//! Only the blobs that somebody needs are made; then config, manifest and names.

mod archive;
mod assemble;
mod attestation;
mod draft;
mod files;
mod image;
mod pack;
mod set;
mod statements;

pub(crate) use archive::ArchiveImage;
pub(crate) use assemble::{Assembled, Dialect, ImageLayer, assemble, layer_type};
pub(crate) use attestation::{Attestation, PAYLOAD, Statement, Subject};
pub(crate) use draft::{Draft, PREFIX, writing};
pub use image::ExportedImage;
pub(crate) use pack::{Packed, Packing};
pub(crate) use set::{ImageParts, ImageSet};
