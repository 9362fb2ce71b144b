//! Calls over one HTTP/2 connection that is there already.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Future;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::{Request, Response, Uri};
use tonic::body::Body;
use tonic::codegen::Service;

/// Sends calls over one connection. Clones share it.
#[derive(Debug, Clone)]
pub struct Caller(SendRequest<Body>);

impl From<SendRequest<Body>> for Caller {
    fn from(sender: SendRequest<Body>) -> Self {
        Self(sender)
    }
}

impl Caller {
    /// Where calls go, as far as HTTP wants to know.
    #[must_use]
    pub fn origin() -> Uri {
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
