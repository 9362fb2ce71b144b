//! Calls to a client over its session.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Future;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::body::Body;
use tonic::codegen::Service;

use crate::grpc::Tasks;

/// How often a client that is asked nothing is asked whether it is there, and how long it may think.
const ALIVE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(45));

/// Sends calls to a client.
#[derive(Debug, Clone)]
pub(in crate::buildkit) struct Caller(SendRequest<Body>);

impl Caller {
    /// Over a connection of which the client is the server. The future ends with the connection.
    pub(super) async fn connect(
        io: impl AsyncRead + AsyncWrite + Send + 'static,
        tasks: Tasks,
    ) -> hyper::Result<(Self, impl Future<Output = hyper::Result<()>> + Send)> {
        let (sender, connection) = http2::Builder::new(tasks)
            .timer(TokioTimer::new())
            .keep_alive_interval(ALIVE.0)
            .keep_alive_timeout(ALIVE.1)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(Box::pin(io)))
            .await?;
        Ok((Self(sender), connection))
    }

    /// Where calls go, as far as HTTP wants to know.
    pub(super) fn origin() -> Uri {
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
