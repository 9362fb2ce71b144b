//! All that can be read, listed.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::{Engine, EngineError};
use futures_util::{StreamExt as _, stream};
use oci::Digest;
use tonic::Request;
use tonic::server::{ServerStreamingService, UnaryService};

use super::filter::Filters;
use super::{Answered, Service};
use crate::buildkit::Messages;
use crate::buildkit::blocking::blocking;
use wire::content::{Info, ListRequest, ListResponse};

/// How many one message has.
const PIECE: usize = 100;

impl ServerStreamingService<ListRequest> for Service {
    type Response = ListResponse;
    type ResponseStream = Messages<ListResponse>;
    type Future = Answered<Self::ResponseStream>;

    fn call(&mut self, request: Request<ListRequest>) -> Self::Future {
        let (daemon, request) = (Arc::clone(&self.0), request.into_inner());
        Box::pin(async move {
            let filters = Filters::parse(&request.filters)?;
            let engine = daemon.open().await?;
            let listed = blocking(move || sizes(&engine)).await?;
            let infos = listed.into_iter().map(|(digest, size)| Info {
                digest: digest.to_string(),
                size: i64::try_from(size).unwrap_or(i64::MAX),
            });
            let passed: Vec<Info> = infos.filter(|info| filters.pass(&info.digest)).collect();
            let pieces = passed.chunks(PIECE).map(<[Info]>::to_vec);
            let pieces: Vec<_> = pieces.map(|info| Ok(ListResponse { info })).collect();
            Ok(tonic::Response::new(stream::iter(pieces).boxed()))
        })
    }
}

/// The writings that are going on: none, since nobody writes through this service.
impl UnaryService<ListRequest> for Service {
    type Response = ();
    type Future = Answered<()>;

    fn call(&mut self, _: Request<ListRequest>) -> Self::Future {
        Box::pin(async { Ok(tonic::Response::new(())) })
    }
}

/// What each digest is of that can be read.
fn sizes(engine: &Engine) -> Result<BTreeMap<Digest, u64>, EngineError> {
    let blobs = engine.blobs()?.into_iter();
    let mut sizes: BTreeMap<Digest, u64> = blobs.map(|blob| (blob.digest, blob.size)).collect();
    let builds = engine.history()?.into_iter();
    let kept = builds.flat_map(|build| build.past.attachments);
    sizes.extend(kept.map(|kept| (Digest::of(&kept.data), kept.data.len() as u64)));
    Ok(sizes)
}
