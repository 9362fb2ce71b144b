//! Connections that become plain streams: the client asks for `Upgrade: tcp`, and after the answer
//! both sides send bytes. Without a terminal, what the daemon sends is framed: the stream (1 for
//! standard output, 2 for standard error), three zeros, the length (4 bytes, big endian), the bytes.

use bytes::{BufMut as _, Bytes, BytesMut};
use engine::OutputStream;
use hyper::StatusCode;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::http::request::Parts;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::mpsc;

use super::hub::{Input, Piece};
use super::keys::DetachKeys;
use crate::answer::{Answer, Refusal, empty};

/// Bytes that are read at a time, at most.
const PIECE: usize = 32 << 10;

/// A connection that both sides have stopped to speak HTTP on.
pub(super) type Connection = TokioIo<Upgraded>;

/// What the client offers to turn the connection into.
///
/// # Errors
/// It offers nothing.
pub(super) fn upgrade(head: &mut Parts) -> Result<OnUpgrade, Refusal> {
    let asks = head.headers.contains_key(UPGRADE);
    let upgrade = head.extensions.remove::<OnUpgrade>().filter(|_| asks);
    upgrade.ok_or_else(|| Refusal::not_provided("a stream without \"Upgrade: tcp\""))
}

/// The answer after which the connection is a stream.
pub(super) fn switching(is_terminal: bool) -> Answer {
    let kind = if is_terminal {
        "application/vnd.docker.raw-stream"
    } else {
        "application/vnd.docker.multiplexed-stream"
    };
    let mut answer = empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
    answer
}

/// A piece as clients read it.
pub(super) fn framed(stream: OutputStream, bytes: &[u8], is_terminal: bool) -> Bytes {
    if is_terminal {
        return Bytes::copy_from_slice(bytes);
    }
    let mut frame = BytesMut::with_capacity(8 + bytes.len());
    frame.put_u8(match stream {
        OutputStream::Stdout => 1,
        OutputStream::Stderr => 2,
    });
    frame.put_bytes(0, 3);
    frame.put_u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    frame.put_slice(bytes);
    frame.freeze()
}

/// Sends what was written in the streams that are wanted, until there is no more.
pub(super) async fn send(
    mut to: WriteHalf<Connection>,
    mut output: mpsc::Receiver<Piece>,
    wanted: impl Fn(OutputStream) -> bool,
    is_terminal: bool,
) {
    while let Some(Piece { stream, bytes }) = output.recv().await {
        let frame = framed(stream, &bytes, is_terminal);
        if wanted(stream) && to.write_all(&frame).await.is_err() {
            return;
        }
    }
    // A client that is gone need not be told that there is no more.
    let _ = to.shutdown().await;
}

/// How a client stopped to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// It has no more, or is gone.
    Ended,
    /// It pressed the keys.
    Detached,
}

/// Passes on what the client sends, until it stops to.
pub(super) async fn receive(
    mut from: ReadHalf<Connection>,
    input: Option<mpsc::Sender<Input>>,
    mut keys: Option<DetachKeys>,
) -> Left {
    let mut buffer = vec![0; PIECE];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let mut bytes = Bytes::copy_from_slice(&buffer[..read]);
        if let Some(keys) = &mut keys {
            match keys.take(&bytes) {
                Some(passed) => bytes = passed,
                None => return Left::Detached,
            }
        }
        if let Some(input) = &input {
            // Nobody reads it any more.
            let _ = input.send(Input::Bytes(bytes)).await;
        }
    }
    Left::Ended
}
