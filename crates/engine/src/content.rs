//! What is in the store, by its digest: what clients of the daemon read of images.

use std::fs::File;

use oci::Digest;
use store::Blob;

use crate::engine::Engine;
use crate::error::EngineError;

impl Engine {
    /// All blobs, by digest.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn blobs(&self) -> Result<Vec<Blob>, EngineError> {
        Ok(self.0.store.blobs().list()?)
    }

    /// The blob of this digest, to be read; none if it is not in the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn blob(&self, digest: &Digest) -> Result<Option<File>, EngineError> {
        match self.0.store.blobs().open(digest) {
            Ok(file) => Ok(Some(file)),
            Err(store::StoreError::MissingBlob(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The bytes of a manifest or an index; none if it is not in the store, or too large for one.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn document(&self, digest: &Digest) -> Result<Option<Vec<u8>>, EngineError> {
        match self.0.store.blobs().read(digest, oci::MAX_DOCUMENT_SIZE) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(store::StoreError::MissingBlob(_) | store::StoreError::TooLarge { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
