//! Bodies that come and go piece by piece.

use std::io::{self, BufWriter, Read, Write};

use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream};
use http_body_util::{BodyDataStream, BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::answer::{Body, Refusal};

/// Pieces that may wait to be taken.
const PIECES: usize = 16;
/// Bytes of a piece where many small ones are written.
const PIECE: usize = 64 << 10;

/// Where an answer's body is written.
#[derive(Debug, Clone)]
pub(crate) struct Sender(mpsc::Sender<io::Result<Bytes>>);

/// A body, and where it is written. It ends when all senders are dropped.
pub(crate) fn channel() -> (Sender, Body) {
    let (sender, receiver) = mpsc::channel(PIECES);
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        let piece: io::Result<Bytes> = receiver.recv().await?;
        Some((piece.map(Frame::data), receiver))
    });
    (Sender(sender), StreamBody::new(pieces).boxed_unsync())
}

impl Sender {
    /// Sends a piece; whether anybody still takes it.
    pub(crate) async fn send(&self, piece: impl Into<Bytes>) -> bool {
        self.0.send(Ok(piece.into())).await.is_ok()
    }

    /// Breaks the connection, so that nobody takes what was sent for all there is.
    pub(crate) async fn break_off(&self) {
        // A client that is gone need not be told.
        drop(self.0.send(Err(io::ErrorKind::Other.into())).await);
    }

    /// Returns when nobody takes pieces any more.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }

    /// To be written to on a thread that may block.
    pub(crate) fn blocking(self) -> impl Write + Send + 'static {
        BufWriter::with_capacity(PIECE, Blocking(self.0))
    }
}

struct Blocking(mpsc::Sender<io::Result<Bytes>>);

impl Write for Blocking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0
            .blocking_send(Ok(Bytes::copy_from_slice(bytes)))
            .map_err(gone)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The body of a request, to be read on a thread that may block.
pub(crate) fn reader(body: Incoming) -> impl Read + Send + 'static {
    let pieces = BodyDataStream::new(body).map_err(io::Error::other);
    SyncIoBridge::new(StreamReader::new(pieces))
}

/// The body of a request as a whole; none that Docker's API describes is as long as the limit.
pub(crate) async fn whole(body: Incoming) -> Result<Bytes, Refusal> {
    const LIMIT: usize = 1 << 20;
    let collected = http_body_util::Limited::new(body, LIMIT).collect().await;
    let collected = collected.map_err(|error| Refusal::bad(error.to_string()))?;
    Ok(collected.to_bytes())
}

/// The body of a request that describes a `what`.
pub(crate) async fn document<T: DeserializeOwned>(
    body: Incoming,
    what: &str,
) -> Result<T, Refusal> {
    let parsed = serde_json::from_slice(&whole(body).await?);
    parsed.map_err(|error| Refusal::bad(format!("invalid {what}: {error}")))
}
