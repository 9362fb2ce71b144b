//! Manifests and what they lead to, from one repository into another.
//!
//! Within a registry blobs are mounted, between registries they are streamed; none is held as a
//! whole. A manifest is put when all that it leads to is there.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Descriptor, Digest, Document, Manifest, MediaType, Reference};
use registry::{BlobBody, BlobSource};
use solver::StepProgress;

use super::ImageTools;
use super::combine::Part;
use super::error::ImageToolsError;
use crate::error::EngineError;
use crate::progress::Transfer;

/// Blobs on their way at once.
const BLOBS: usize = 4;
/// Indexes within indexes that are followed.
pub(super) const DEPTH: usize = 4;

/// What is still to be done for a part.
enum Left {
    /// Everything.
    Copy(Descriptor, usize),
    /// What it leads to is there.
    Put(Descriptor, Bytes),
}

impl ImageTools {
    /// Sees to it that the repository of `to` has `part` and all that it leads to.
    pub(super) async fn copy(
        &self,
        part: &Part,
        to: &Reference,
        progress: &StepProgress,
    ) -> Result<(), EngineError> {
        let to = to.without_tag();
        if part.from.without_tag() == to {
            return Ok(());
        }
        let mut seen = HashSet::new();
        let mut left = vec![Left::Copy(part.descriptor.clone(), 0)];
        while let Some(next) = left.pop() {
            match next {
                Left::Put(descriptor, bytes) => self.put(&to, &descriptor, bytes).await?,
                Left::Copy(descriptor, _) if !seen.insert(descriptor.digest) => {}
                Left::Copy(descriptor, _) if self.is_there(&to, &descriptor).await? => {}
                Left::Copy(descriptor, depth) => {
                    let (document, bytes) = self.document(&part.from, &descriptor).await?;
                    let inner = inner(&document, descriptor.digest, depth)?;
                    left.push(Left::Put(descriptor, bytes));
                    left.extend(inner);
                    if let Document::Manifest(manifest) = document {
                        self.copy_blobs(&part.from, &manifest, &to, progress)
                            .await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn is_there(&self, to: &Reference, part: &Descriptor) -> Result<bool, EngineError> {
        let exact = to.clone().with_digest(part.digest);
        let found = self.registry.has_manifest(&exact).await;
        found.map_err(|source| EngineError::Push {
            reference: exact,
            source,
        })
    }

    async fn copy_blobs(
        &self,
        from: &Reference,
        manifest: &Manifest,
        to: &Reference,
        progress: &StepProgress,
    ) -> Result<(), EngineError> {
        let mut seen = HashSet::new();
        let blobs = std::iter::once(&manifest.config).chain(&manifest.layers);
        // What is not to be distributed stays where its addresses say that it is.
        let blobs = blobs
            .filter(|blob| !matches!(blob.media_type, MediaType::ForeignLayer(_)))
            .filter(|blob| seen.insert(blob.digest));
        stream::iter(blobs)
            .map(|blob| self.copy_blob(from, blob, to, progress))
            .buffer_unordered(BLOBS)
            .try_collect()
            .await
    }

    async fn copy_blob(
        &self,
        from: &Reference,
        blob: &Descriptor,
        to: &Reference,
        progress: &StepProgress,
    ) -> Result<(), EngineError> {
        let id = format!("copying {}", blob.digest);
        let body = RemoteBlob {
            registry: self.registry.clone(),
            from: from.clone(),
            blob: blob.clone(),
            transfer: Arc::new(Transfer::begin(progress, id, Some(blob.size))),
        };
        let sources = std::slice::from_ref(from);
        let pushed = self.registry.push_blob(to, blob, sources, &body).await;
        pushed.map(drop).map_err(|source| EngineError::Push {
            reference: to.clone(),
            source,
        })
    }

    /// Puts a document under its digest.
    async fn put(
        &self,
        to: &Reference,
        descriptor: &Descriptor,
        bytes: Bytes,
    ) -> Result<(), EngineError> {
        let exact = to.clone().with_digest(descriptor.digest);
        let put = self
            .registry
            .put_manifest(&exact, &descriptor.media_type, bytes);
        put.await.map(drop).map_err(|source| EngineError::Push {
            reference: exact,
            source,
        })
    }
}

/// The parts of an index, to be copied before it.
fn inner(document: &Document, digest: Digest, depth: usize) -> Result<Vec<Left>, ImageToolsError> {
    match document {
        Document::Manifest(_) => Ok(Vec::new()),
        Document::Index(_) if depth == DEPTH => Err(ImageToolsError::Nested(digest)),
        Document::Index(index) => {
            let parts = index.manifests.iter().cloned();
            Ok(parts.map(|part| Left::Copy(part, depth + 1)).collect())
        }
    }
}

/// A blob of another repository as what is pushed. Each time that it is opened it is asked for anew.
struct RemoteBlob {
    registry: registry::Client,
    from: Reference,
    blob: Descriptor,
    transfer: Arc<Transfer>,
}

impl BlobSource for RemoteBlob {
    fn open(&self, offset: u64) -> io::Result<BlobBody> {
        let (registry, transfer) = (self.registry.clone(), Arc::clone(&self.transfer));
        let (from, blob) = (self.from.clone(), self.blob.clone());
        let opened = async move {
            let opened = registry.blob(&from, &blob, offset).await;
            opened.map(registry::BlobStream::into_stream)
        };
        let bytes = stream::once(opened).try_flatten().inspect_ok(move |piece| {
            transfer.add(piece.len() as u64);
        });
        Ok(Box::pin(bytes.map_err(io::Error::other)))
    }
}
