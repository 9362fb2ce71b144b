//! What a push reads from: bytes that can be had again from any offset.

use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;

/// The bytes of a blob from some offset to its end.
pub type BlobBody = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Opens the same bytes as often as asked; a broken upload goes on from where it was.
pub trait BlobSource: Send + Sync {
    /// The bytes from `offset` on.
    ///
    /// # Errors
    /// They cannot be read.
    fn open(&self, offset: u64) -> io::Result<BlobBody>;
}

impl<F> BlobSource for F
where
    F: Fn(u64) -> io::Result<BlobBody> + Send + Sync,
{
    fn open(&self, offset: u64) -> io::Result<BlobBody> {
        self(offset)
    }
}

impl BlobSource for Bytes {
    fn open(&self, offset: u64) -> io::Result<BlobBody> {
        let start = usize::try_from(offset).map_or(self.len(), |start| start.min(self.len()));
        let rest = self.slice(start..);
        Ok(Box::pin(futures_util::stream::once(std::future::ready(
            Ok(rest),
        ))))
    }
}
