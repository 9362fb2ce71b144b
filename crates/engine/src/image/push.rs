//! Sends images to their registry: blobs first, each only when it is missing there, then the
//! manifests, and the index that leads to them last.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::Reference;
use registry::{BlobBody, BlobSource};
use solver::StepProgress;

use crate::engine::Inner;
use crate::error::EngineError;
use crate::export::Packed;

/// Blobs on their way at once.
const UPLOADS: usize = 4;
/// Bytes that are read at a time.
const PIECE: usize = 256 << 10;

impl Inner {
    /// Pushes images, whose layer blobs the store has, under `reference`.
    pub(crate) async fn push_packed(
        &self,
        registry: &registry::Client,
        reference: &Reference,
        packed: &Packed,
        progress: &StepProgress,
    ) -> Result<(), EngineError> {
        let failed = |source| EngineError::Push {
            reference: reference.clone(),
            source,
        };
        let layers = packed.images.iter().flat_map(|image| &image.layers);
        stream::iter(layers)
            .map(|(layer, sources)| async move {
                let _shown = crate::progress::Transfer::begin(
                    progress,
                    format!("pushing layer {}", layer.digest),
                    Some(layer.size),
                );
                let body = blob_file(self.store.blobs().path(&layer.digest));
                registry.push_blob(reference, layer, sources, &body).await
            })
            .buffer_unordered(UPLOADS)
            .try_for_each(|_| std::future::ready(Ok(())))
            .await
            .map_err(failed)?;
        for (descriptor, bytes) in packed.blobs() {
            let bytes = Bytes::copy_from_slice(bytes);
            let pushed = registry.push_blob(reference, descriptor, &[], &bytes);
            pushed.await.map_err(failed)?;
        }
        for (descriptor, bytes) in packed.manifests() {
            // A tag leads to the last of them, the others are found by their digests.
            let is_named = reference.tag().is_some();
            let name = match is_named && descriptor.digest == packed.top().digest {
                true => reference.clone(),
                false => reference.without_tag().with_digest(descriptor.digest),
            };
            let bytes = Bytes::copy_from_slice(bytes);
            let put = registry.put_manifest(&name, &descriptor.media_type, bytes);
            put.await.map_err(failed)?;
        }
        Ok(())
    }
}

/// The blob in a file, to be sent.
pub(crate) const fn blob_file(path: PathBuf) -> FileBody {
    FileBody { path }
}

/// A blob's file, read piece by piece.
pub(crate) struct FileBody {
    path: PathBuf,
}

impl BlobSource for FileBody {
    fn open(&self, offset: u64) -> std::io::Result<BlobBody> {
        store::fail::point("send a blob")?;
        let mut file = std::fs::File::open(&self.path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::pin(stream::unfold(Some(file), |file| async move {
            let mut file = file?;
            let mut piece = BytesMut::zeroed(PIECE);
            match file.read(&mut piece) {
                Ok(0) => None,
                Ok(read) => {
                    piece.truncate(read);
                    Some((Ok(piece.freeze()), Some(file)))
                }
                Err(error) => Some((Err(error), None)),
            }
        })))
    }
}
