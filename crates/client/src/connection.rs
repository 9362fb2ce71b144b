//! One connection to a daemon, over which calls are made.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;
use wire::Caller;

use crate::address::{Address, Connection, Speech};
use crate::tasks::Tasks;

/// Why a daemon cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens there, or one of the two does not take who the other is.
    #[error("cannot connect to {address}: {source}")]
    Unreachable {
        /// Where.
        address: Address,
        /// Why.
        source: io::Error,
    },
    /// Whoever listens there does not speak HTTP/2.
    #[error("{address} does not answer as a builder does: {source}")]
    Protocol {
        /// Where.
        address: Address,
        /// What happened.
        source: hyper::Error,
    },
}

/// How the builder is reached through its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It answers there, or Docker's API does.
    Straight,
    /// Docker's API answers there, and hands the connection on to its builder.
    ByDocker,
}

/// How long whoever listens may take to say something.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of the head of Docker's answer.
const MAX_HEAD: usize = 16 << 10;

/// Connects, so that calls can be made; the connection ends with the tasks. Where Docker's API answers
/// in place of a builder, it is asked for its own.
pub(crate) async fn connect(
    address: &Address,
    way: Way,
) -> Result<(Caller, Way, JoinSet<()>), ConnectError> {
    if way == Way::Straight {
        let stream = address.open(Speech::Http2).await?;
        let (greeted, greeting) = Greeted::new(stream);
        let (caller, tasks) = over(address, Box::pin(greeted)).await?;
        // Who does not greet in time may answer the call. Who hangs up may have been asked in a
        // language that it does not speak, and have been gone before its answer was read.
        if let Ok(Ok(Greeting::Other)) | Err(_) = timeout(PATIENCE, greeting).await {
            return Ok((caller, way, tasks));
        }
    }
    let (caller, tasks) = over(address, by_docker(address).await?).await?;
    Ok((caller, Way::ByDocker, tasks))
}

async fn over(
    address: &Address,
    stream: Connection,
) -> Result<(Caller, JoinSet<()>), ConnectError> {
    let tasks = Tasks::default();
    let connected = http2::Builder::new(tasks.clone())
        .timer(TokioTimer::new())
        .handshake(TokioIo::new(stream))
        .await;
    let (sender, connection) = connected.map_err(|source| ConnectError::Protocol {
        address: address.clone(),
        source,
    })?;
    let mut running = JoinSet::new();
    running.spawn(async move {
        // Calls that are under way tell how it ended.
        drop(connection.await);
        drop(tasks);
    });
    Ok((Caller::from(sender), running))
}

/// Asks Docker's API for its builder.
async fn upgrade(stream: &mut Connection) -> io::Result<()> {
    let request =
        b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    stream.write_all(request).await?;
    let mut head = Vec::new();
    // What follows the head is no part of it, so it is read byte by byte.
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
        if head.len() > MAX_HEAD {
            return Err(io::Error::other("an answer without end"));
        }
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    match line.starts_with(b"HTTP/1.1 101 ") {
        true => Ok(()),
        false => {
            let line = String::from_utf8_lossy(line);
            Err(io::Error::other(format!("it offers no builder: {line}")))
        }
    }
}

/// A connection to the builder that Docker's API has.
async fn by_docker(address: &Address) -> Result<Connection, ConnectError> {
    let mut stream = address.open(Speech::Http1).await?;
    let upgraded = upgrade(&mut stream).await;
    upgraded.map_err(|source| ConnectError::Unreachable {
        address: address.clone(),
        source,
    })?;
    Ok(stream)
}

/// A connection on which the builder waits for what its clients say first, for calls of others.
///
/// # Errors
/// Nobody answers there as a builder does.
pub async fn dial(
    address: &Address,
    way: Way,
) -> Result<impl AsyncRead + AsyncWrite + Send + use<>, ConnectError> {
    let way = match way {
        // What is reached there is found out by a call.
        Way::Straight => connect(address, way).await?.1,
        Way::ByDocker => way,
    };
    match way {
        Way::Straight => address.open(Speech::Http2).await,
        Way::ByDocker => by_docker(address).await,
    }
}

/// What whoever listens speaks, by the first that it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Greeting {
    /// Nothing else than HTTP/1, in which it refuses.
    Http1,
    /// Something else.
    Other,
}

/// A stream that tells what the other side says first.
struct Greeted {
    stream: Connection,
    greeting: Option<oneshot::Sender<Greeting>>,
}

impl Greeted {
    fn new(stream: Connection) -> (Self, oneshot::Receiver<Greeting>) {
        let (sender, greeting) = oneshot::channel();
        let greeted = Self {
            stream,
            greeting: Some(sender),
        };
        (greeted, greeting)
    }
}

impl AsyncRead for Greeted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = self.stream.as_mut().poll_read(cx, buffer);
        if read.is_ready()
            && let Some(greeting) = self.greeting.take()
        {
            let said = match buffer.filled()[before..].starts_with(b"HTTP/") {
                true => Greeting::Http1,
                false => Greeting::Other,
            };
            // Nobody may wait for it any more.
            let _ = greeting.send(said);
        }
        read
    }
}

impl AsyncWrite for Greeted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(cx)
    }
}
