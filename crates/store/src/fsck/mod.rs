//! Checking that the store is what it should be, and repairing what can be without loss.
//!
//! After a process died there are leftovers at most, which the next collection removes. Anything
//! else means that a disk failed, power was cut or somebody changed files by hand.

mod check;
mod images;
mod repair;

use std::path::PathBuf;

use oci::Digest;

use crate::error::Result;
use crate::record::Key;
use crate::{LayerId, Store, hex};

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Names, sizes and metadata.
    Shallow,
    /// Every byte of every blob and of the database too.
    Deep,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A process died and left this. Harmless.
    #[error("{0:?} is left over from a process that died")]
    Leftover(PathBuf),
    /// A file that no store has.
    #[error("{0:?} does not belong into a store")]
    Foreign(PathBuf),
    /// The document that makes the directory an OCI layout is missing or differs.
    #[error("oci-layout is missing or wrong")]
    OciLayout,
    /// Tools that read the layout see other tags than kiln.
    #[error("index.json does not say what the tags are")]
    Index,
    /// SQLite finds its file damaged.
    #[error("the database is damaged: {0}")]
    Database(String),
    /// A row cannot be read.
    #[error("{0}")]
    Row(String),
    /// A blob is not what its name says.
    #[error("blob {0} has other bytes")]
    BlobBytes(Digest),
    /// A blob has another size than a layer or a document says.
    #[error("blob {digest} has {found} bytes instead of {expected}")]
    BlobSize {
        /// The blob.
        digest: Digest,
        /// The size that it should have.
        expected: u64,
        /// The size that it has.
        found: u64,
    },
    /// A manifest, index or config that a tag needs is not here.
    #[error("image {reference} lacks document {digest}")]
    ImageDocument {
        /// The tag.
        reference: String,
        /// The document.
        digest: Digest,
    },
    /// A document that a tag needs cannot be read.
    #[error("image {reference} has an invalid document {digest}: {detail}")]
    ImageInvalid {
        /// The tag.
        reference: String,
        /// The document.
        digest: Digest,
        /// What is wrong.
        detail: String,
    },
    /// A layer that a tag needs is neither here nor to be had elsewhere.
    #[error("image {reference} lacks layer {digest}")]
    ImageLayer {
        /// The tag.
        reference: String,
        /// The layer's blob.
        digest: Digest,
    },
    /// A layer's snapshot is not where it should be.
    #[error("the snapshot of layer {0} is missing")]
    Snapshot(LayerId),
    /// A cache record needs a layer that is not in the store, or that cannot be made again.
    #[error("cache record {} needs layer {layer}, which is lost", hex(.key))]
    Record {
        /// The record.
        key: Key,
        /// The layer.
        layer: LayerId,
    },
    /// A container needs a layer that is not in the store, or that cannot be made again.
    #[error("container {id} needs layer {layer}, which is lost")]
    ContainerLayer {
        /// The container.
        id: String,
        /// The layer.
        layer: LayerId,
    },
    /// The directory of a container is missing.
    #[error("the directory of container {0} is missing")]
    ContainerDirectory(String),
    /// The directory of a cache mount is missing.
    #[error("the directory of cache mount {0} is missing")]
    CacheMount(i64),
}

/// A blob goes, then the records that needed it.
const ROUNDS: usize = 3;

impl Problem {
    /// Whether nothing is lost or wrong: it takes space, no more.
    #[must_use]
    pub const fn is_harmless(&self) -> bool {
        matches!(self, Self::Leftover(_))
    }

    /// Whether [`Store::repair`] can do something about it.
    #[must_use]
    pub const fn is_repairable(&self) -> bool {
        matches!(
            self,
            Self::Leftover(_)
                | Self::OciLayout
                | Self::Index
                | Self::Row(_)
                | Self::BlobBytes(_)
                | Self::BlobSize { .. }
                | Self::Snapshot(_)
                | Self::Record { .. }
                | Self::CacheMount(_)
        )
    }
}

impl Store {
    /// Looks for what is not as it should be. Builds wait while names and metadata are compared,
    /// not while blobs are read.
    ///
    /// # Errors
    /// The store cannot be read at all.
    pub fn fsck(&self, depth: Depth) -> Result<Vec<Problem>> {
        let mut problems = check::all(self, depth)?;
        if depth == Depth::Deep {
            check::blob_bytes(self, &mut problems)?;
        }
        Ok(problems)
    }

    /// Repairs what can be repaired without losing what is still good, and checks again; the
    /// problems that remain, among them every tag and container that lacks something.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn repair(
        &self,
        problems: Vec<Problem>,
        now: std::time::SystemTime,
    ) -> Result<Vec<Problem>> {
        let mut remaining = problems;
        // What is taken away may be what something else needed.
        for _ in 0..ROUNDS {
            if !remaining.iter().any(Problem::is_repairable) {
                break;
            }
            repair::all(self, &remaining, now)?;
            remaining = self.fsck(Depth::Shallow)?;
        }
        Ok(remaining)
    }
}
