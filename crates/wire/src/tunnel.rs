//! A connection inside a call: the bytes of HTTP/2 travel as messages both ways.

use std::io;

use bollard_buildkit_proto::moby::buildkit::v1::BytesMessage;
use bytes::Bytes;
use futures_util::{SinkExt as _, TryStreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, Join, join};
use tokio::sync::mpsc;
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};
use tokio_util::sync::PollSender;
use tonic::Streaming;

/// The connection of which the other end's bytes are in `incoming`, and this end's go to `outgoing`.
pub fn tunnel(
    incoming: Streaming<BytesMessage>,
    outgoing: mpsc::Sender<BytesMessage>,
) -> Join<impl AsyncRead + Send + 'static, impl AsyncWrite + Send + 'static> {
    let bytes = incoming
        .map_ok(|message| Bytes::from(message.data))
        .map_err(io::Error::other);
    let outgoing = PollSender::new(outgoing)
        .sink_map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
        .with(
            |bytes: Bytes| async move { Ok::<_, io::Error>(BytesMessage { data: bytes.into() }) },
        );
    let writer = SinkWriter::new(CopyToBytes::new(Box::pin(outgoing)));
    join(StreamReader::new(bytes), writer)
}
