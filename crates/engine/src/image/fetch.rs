//! Brings blobs from registries into the store: verified, resumed, each once at a time.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use oci::{Descriptor, Reference};
use store::{Download, Ingest};
use tokio::sync::mpsc;

use super::resolve::blob_of;
use crate::engine::Inner;
use crate::error::{EngineError, ImageError};
use crate::progress::Transfer;

/// Pieces that wait to be written while more are received.
const PIECES_UNDER_WAY: usize = 16;

impl Inner {
    /// Sees to it that the store has the blob, from the first of `sources` that has it.
    pub(crate) async fn fetch_blob(
        self: &Arc<Self>,
        sources: &[Reference],
        descriptor: &Descriptor,
        transfer: Option<Transfer>,
    ) -> Result<(), EngineError> {
        let engine = Arc::clone(self);
        let blob = blob_of(descriptor);
        let ingest =
            crate::blocking(move || engine.store.blobs().ingest(&engine.lease, blob)).await??;
        let download = match ingest {
            Ingest::Present(_) => return Ok(()),
            Ingest::Open(download) => *download,
            Ingest::Busy => {
                let digest = descriptor.digest;
                return Err(ImageError::MissingBlob { digest }.into());
            }
        };
        let digest = descriptor.digest;
        let mut last = ImageError::MissingBlob { digest }.into();
        let offset = download.offset();
        for source in sources {
            let failed = |error| EngineError::Fetch {
                reference: source.clone(),
                source: error,
            };
            match self.registry()?.blob(source, descriptor, offset).await {
                Ok(stream) => {
                    return receive(download, stream, transfer).await?.map_err(failed);
                }
                Err(error) => last = failed(error),
            }
        }
        Err(last)
    }
}

/// Writes the stream on a thread of its own, since disks block; the channel bounds the memory.
async fn receive(
    download: Download,
    mut stream: registry::BlobStream,
    transfer: Option<Transfer>,
) -> Result<Result<(), registry::Error>, EngineError> {
    let (sender, receiver) = mpsc::channel(PIECES_UNDER_WAY);
    let receiving = async move {
        while let Some(piece) = stream.next().await? {
            if let Some(transfer) = &transfer {
                transfer.add(piece.len() as u64);
            }
            if sender.send(piece).await.is_err() {
                // The writer failed and says why.
                break;
            }
        }
        Ok(())
    };
    let (received, written) = tokio::join!(
        receiving,
        crate::blocking(move || write(download, receiver))
    );
    // When receiving failed, the writer saw too few bytes; the cause is what matters.
    if received.is_ok() {
        written??;
    }
    Ok(received)
}

fn write(mut download: Download, mut pieces: mpsc::Receiver<Bytes>) -> Result<(), EngineError> {
    while let Some(piece) = pieces.blocking_recv() {
        download
            .write_all(&piece)
            .map_err(|source| EngineError::Write { source })?;
    }
    download.finish()?;
    Ok(())
}
