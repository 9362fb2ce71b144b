//! One connection to a daemon, over which calls are made.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Future;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::codegen::Service;

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
    /// It answers there.
    Straight,
    /// Docker's API answers there, and hands the connection on to its builder.
    ByDocker,
}

/// Bytes of the head of Docker's answer.
const MAX_HEAD: usize = 16 << 10;

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

/// Sends calls over one connection. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Caller(SendRequest<Body>);

impl Caller {
    /// Connects; the connection ends with the tasks.
    pub(crate) async fn connect(
        address: &Address,
        way: Way,
    ) -> Result<(Self, JoinSet<()>), ConnectError> {
        let failed = |source| ConnectError::Unreachable {
            address: address.clone(),
            source,
        };
        let speech = match way {
            Way::Straight => Speech::Http2,
            Way::ByDocker => Speech::Http1,
        };
        let mut stream = address.open(speech).await?;
        if way == Way::ByDocker {
            upgrade(&mut stream).await.map_err(failed)?;
        }
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
        Ok((Self(sender), running))
    }

    /// Where calls go, as far as HTTP wants to know.
    pub(crate) fn origin() -> Uri {
        Uri::from_static("http://localhost")
    }
}

impl Service<Request<Body>> for Caller {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
