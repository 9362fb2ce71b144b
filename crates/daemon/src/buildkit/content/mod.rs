//! The content service of containerd, of which clients read what a past build made and stated: the
//! store's blobs, and the documents that builds keep. It is read-only.

mod filter;
mod list;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;

use engine::{Engine, EngineError};
use futures_util::{StreamExt as _, stream};
use hyper::Response;
use oci::Digest;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::server::{Grpc, ServerStreamingService, UnaryService};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;
use wire::content::{Info, InfoRequest, InfoResponse, ListRequest, ReadRequest, ReadResponse};

use super::Messages;
use super::blocking::blocking;
use crate::docker::Daemon;

pub(super) use wire::content::NAME;

/// Bytes of one message.
const CHUNK: u64 = 1 << 20;

/// Something to be read.
#[derive(Debug, Clone)]
enum Content {
    Blob(Arc<File>),
    Document(Arc<Vec<u8>>),
}

/// The answer to a call of the service.
pub(super) async fn answer(daemon: &Arc<Daemon>, request: http::Request<Body>) -> Response<Body> {
    let service = Service(Arc::clone(daemon));
    match request.uri().path().rsplit('/').next() {
        Some("Info") => {
            let mut grpc = Grpc::new(ProstCodec::<_, InfoRequest>::default());
            grpc.unary(service, request).await
        }
        Some("List") => {
            let mut grpc = Grpc::new(ProstCodec::<_, ListRequest>::default());
            grpc.server_streaming(service, request).await
        }
        Some("ListStatuses") => {
            let mut grpc = Grpc::new(ProstCodec::<(), ListRequest>::default());
            grpc.unary(service, request).await
        }
        Some("Read") => {
            let mut grpc = Grpc::new(ProstCodec::<_, ReadRequest>::default());
            grpc.server_streaming(service, request).await
        }
        other => {
            let name = other.unwrap_or_default();
            let message = format!("{name} of the service {NAME} is not provided by kiln");
            Status::unimplemented(message).into_http()
        }
    }
}

#[derive(Debug, Clone)]
struct Service(Arc<Daemon>);

type Answered<T> = Pin<Box<dyn Future<Output = Result<tonic::Response<T>, Status>> + Send>>;

impl UnaryService<InfoRequest> for Service {
    type Response = InfoResponse;
    type Future = Answered<InfoResponse>;

    fn call(&mut self, request: Request<InfoRequest>) -> Self::Future {
        let (daemon, digest) = (Arc::clone(&self.0), request.into_inner().digest);
        Box::pin(async move {
            let content = find(&daemon, &digest).await?;
            let size = content.size().map_err(|error| unreadable(&error))?;
            let size = i64::try_from(size).unwrap_or(i64::MAX);
            let info = Some(Info { digest, size });
            Ok(tonic::Response::new(InfoResponse { info }))
        })
    }
}

impl ServerStreamingService<ReadRequest> for Service {
    type Response = ReadResponse;
    type ResponseStream = Messages<ReadResponse>;
    type Future = Answered<Self::ResponseStream>;

    fn call(&mut self, request: Request<ReadRequest>) -> Self::Future {
        let (daemon, request) = (Arc::clone(&self.0), request.into_inner());
        Box::pin(async move {
            let content = find(&daemon, &request.digest).await?;
            Ok(tonic::Response::new(read(content, &request)?))
        })
    }
}

/// The part of `content` that is asked for, in pieces.
fn read(content: Content, request: &ReadRequest) -> Result<Messages<ReadResponse>, Status> {
    let size = content.size().map_err(|error| unreadable(&error))?;
    let outside = || Status::out_of_range(format!("{} has {size} bytes", request.digest));
    let begin = u64::try_from(request.offset).map_err(|_| outside())?;
    let length = u64::try_from(request.size).map_err(|_| outside())?;
    let rest = size.checked_sub(begin).ok_or_else(outside)?;
    let end = match length {
        0 => size,
        length => begin + length.min(rest),
    };
    let pieces = stream::unfold((content, begin), move |(content, at)| async move {
        let length = (end - at).min(CHUNK);
        if length == 0 {
            return None;
        }
        let source = content.clone();
        let read = tokio::task::spawn_blocking(move || source.part(at, length)).await;
        let read = read.unwrap_or_else(|lost| Err(io::Error::other(lost)));
        let piece = read.map_err(|error| unreadable(&error));
        // After an error nothing follows.
        let next = if piece.is_ok() { at + length } else { end };
        let piece = piece.map(|data| ReadResponse {
            offset: i64::try_from(at).unwrap_or(i64::MAX),
            data,
        });
        Some((piece, (content, next)))
    });
    Ok(pieces.boxed())
}

async fn find(daemon: &Arc<Daemon>, digest: &str) -> Result<Content, Status> {
    let parsed: Result<Digest, _> = digest.parse();
    let parsed = parsed.map_err(|error| Status::invalid_argument(error.to_string()))?;
    let engine = daemon.open().await?;
    let found = blocking(move || content(&engine, &parsed)).await?;
    found.ok_or_else(|| Status::not_found(format!("content {digest}: not found")))
}

fn content(engine: &Engine, digest: &Digest) -> Result<Option<Content>, EngineError> {
    if let Some(blob) = engine.blob(digest)? {
        return Ok(Some(Content::Blob(Arc::new(blob))));
    }
    let builds = engine.history()?.into_iter();
    let mut kept = builds.flat_map(|build| build.past.attachments);
    let found = kept.find(|kept| Digest::of(&kept.data) == *digest);
    Ok(found.map(|kept| Content::Document(Arc::new(kept.data))))
}

impl Content {
    fn size(&self) -> io::Result<u64> {
        match self {
            Self::Blob(file) => Ok(file.metadata()?.len()),
            Self::Document(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// A part that is not beyond its end.
    fn part(&self, at: u64, length: u64) -> io::Result<Vec<u8>> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        match self {
            Self::Blob(file) => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, at)?;
                Ok(bytes)
            }
            Self::Document(bytes) => {
                let at = usize::try_from(at).map_err(io::Error::other)?;
                let part = bytes.get(at..at + length);
                Ok(part.ok_or(io::ErrorKind::UnexpectedEof)?.to_vec())
            }
        }
    }
}

fn unreadable(error: &io::Error) -> Status {
    Status::internal(error.to_string())
}
