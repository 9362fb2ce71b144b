//! Containerd's content service, written against the protocol: what a client offers of it, and its
//! messages.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use prost::Message;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, NamedService, ServerStreamingService, StreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::client::Received;

/// `InfoRequest`, and `ReadContentRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Named {
    #[prost(string, tag = "1")]
    pub(super) digest: String,
    #[prost(int64, tag = "2")]
    pub(super) offset: i64,
    #[prost(int64, tag = "3")]
    pub(super) size: i64,
}

/// `InfoResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Info {
    #[prost(message, optional, tag = "1")]
    pub(super) info: Option<Found>,
}

/// `Info`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Found {
    #[prost(string, tag = "1")]
    pub(super) digest: String,
    #[prost(int64, tag = "2")]
    pub(super) size: i64,
}

/// `ListContentRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Filters {
    #[prost(string, repeated, tag = "1")]
    pub(super) filters: Vec<String>,
}

/// `ListContentResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Listed {
    #[prost(message, repeated, tag = "1")]
    pub(super) info: Vec<Found>,
}

/// `ReadContentResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Piece {
    #[prost(int64, tag = "1")]
    pub(super) offset: i64,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) data: Vec<u8>,
}

/// `WriteContentRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Write {
    #[prost(int32, tag = "1")]
    action: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(int64, tag = "3")]
    total: i64,
    #[prost(string, tag = "4")]
    expected: String,
    #[prost(int64, tag = "5")]
    offset: i64,
    #[prost(bytes = "vec", tag = "6")]
    data: Vec<u8>,
}

/// `WriteContentResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Written {
    #[prost(int32, tag = "1")]
    action: i32,
    #[prost(int64, tag = "4")]
    offset: i64,
}

/// Blobs by their digests.
pub(super) type Blobs = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// The stores of a client.
#[derive(Clone, Default)]
pub(super) struct Stores {
    /// By what the daemon calls them.
    pub(super) all: HashMap<String, Blobs>,
    /// Digests of what was read, in order.
    pub(super) read: Received<Vec<String>>,
}

/// A store as an OCI layout has it: its blobs.
pub(super) fn read(layout: &std::path::Path) -> Blobs {
    let entries = std::fs::read_dir(layout.join("blobs/sha256")).unwrap();
    let blobs = entries.map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        (
            format!("sha256:{name}"),
            std::fs::read(entry.path()).unwrap(),
        )
    });
    Arc::new(Mutex::new(blobs.collect()))
}

impl Stores {
    fn choose(&self, metadata: &MetadataMap) -> Result<Blobs, Status> {
        let id = metadata
            .get("buildkit-attachable-store-id")
            .unwrap()
            .to_str()
            .unwrap();
        let found = self.all.get(id).cloned();
        found.ok_or_else(|| Status::not_found(format!("unknown store {id}")))
    }

    fn blob<T>(&self, request: &Request<T>, digest: &str) -> Result<Vec<u8>, Status> {
        let blobs = self.choose(request.metadata())?;
        let found = blobs.lock().unwrap().get(digest).cloned();
        found.ok_or_else(|| Status::not_found(format!("content {digest}: not found")))
    }
}

impl NamedService for Stores {
    const NAME: &'static str = "containerd.services.content.v1.Content";
}

impl Service<http::Request<Body>> for Stores {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let stores = self.clone();
        Box::pin(async move {
            let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
            Ok(match method.as_str() {
                "Info" => {
                    let codec = ProstCodec::<Info, Named>::default();
                    Grpc::new(codec).unary(stores, request).await
                }
                "Read" => {
                    let codec = ProstCodec::<Piece, Named>::default();
                    Grpc::new(codec).server_streaming(stores, request).await
                }
                "Write" => {
                    let codec = ProstCodec::<Written, Write>::default();
                    Grpc::new(codec).streaming(stores, request).await
                }
                other => Status::unimplemented(other).into_http(),
            })
        })
    }
}

impl UnaryService<Named> for Stores {
    type Response = Info;
    type Future = BoxFuture<'static, Result<Response<Info>, Status>>;

    fn call(&mut self, request: Request<Named>) -> Self::Future {
        let digest = request.get_ref().digest.clone();
        let found = self.blob(&request, &digest).map(|bytes| {
            let size = i64::try_from(bytes.len()).unwrap();
            Response::new(Info {
                info: Some(Found { digest, size }),
            })
        });
        Box::pin(async { found })
    }
}

impl ServerStreamingService<Named> for Stores {
    type Response = Piece;
    type ResponseStream = BoxStream<'static, Result<Piece, Status>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Named>) -> Self::Future {
        let digest = &request.get_ref().digest;
        self.read.lock().unwrap().push(digest.clone());
        let found = self.blob(&request, digest);
        Box::pin(async move {
            let bytes = found?;
            let pieces = bytes.chunks(1000).map(|data| {
                Ok(Piece {
                    offset: 0,
                    data: data.to_vec(),
                })
            });
            let pieces: Vec<_> = pieces.collect();
            Ok(Response::new(stream::iter(pieces).boxed()))
        })
    }
}

impl StreamingService<Write> for Stores {
    type Response = Written;
    type ResponseStream = BoxStream<'static, Result<Written, Status>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<Write>>) -> Self::Future {
        let blobs = self.choose(request.metadata());
        Box::pin(async move {
            let state = (request.into_inner(), blobs?, Vec::new());
            let answers = stream::unfold(state, |(mut incoming, blobs, mut bytes)| async move {
                let message = incoming.message().await.unwrap()?;
                assert_eq!(usize::try_from(message.offset).unwrap(), bytes.len());
                bytes.extend(message.data);
                if message.action == 2 {
                    let digest = oci::Digest::of(&bytes).to_string();
                    assert_eq!(digest, message.expected);
                    blobs.lock().unwrap().insert(digest, bytes.clone());
                }
                let answer = Written {
                    action: message.action,
                    offset: i64::try_from(bytes.len()).unwrap(),
                };
                Some((Ok(answer), (incoming, blobs, bytes)))
            });
            Ok(Response::new(answers.boxed()))
        })
    }
}
