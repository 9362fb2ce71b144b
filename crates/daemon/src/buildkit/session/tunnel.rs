//! A connection inside a call: the bytes of HTTP/2 travel as messages both ways.

use std::io;

use bollard_buildkit_proto::moby::buildkit::v1::BytesMessage;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _, stream};
use tokio::io::{AsyncRead, AsyncWrite, Join, join};
use tokio::sync::mpsc;
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};
use tokio_util::sync::PollSender;
use tonic::{Status, Streaming};

use crate::buildkit::Messages;

/// Messages that may wait to be taken.
const WAITING: usize = 16;

/// The connection, and what is sent to the client of it.
pub(in crate::buildkit) fn tunnel(
    incoming: Streaming<BytesMessage>,
) -> (
    Join<impl AsyncRead + Send + 'static, impl AsyncWrite + Send + 'static>,
    Messages<BytesMessage>,
) {
    let bytes = incoming
        .map_ok(|message| Bytes::from(message.data))
        .map_err(io::Error::other);
    let (sender, receiver) = mpsc::channel(WAITING);
    let outgoing = PollSender::new(sender)
        .sink_map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
        .with(
            |bytes: Bytes| async move { Ok::<_, io::Error>(BytesMessage { data: bytes.into() }) },
        );
    let writer = SinkWriter::new(CopyToBytes::new(Box::pin(outgoing)));
    let messages = stream::unfold(receiver, |mut receiver| async move {
        let message: BytesMessage = receiver.recv().await?;
        Some((Ok::<_, Status>(message), receiver))
    });
    (join(StreamReader::new(bytes), writer), messages.boxed())
}
