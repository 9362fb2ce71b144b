//! BuildKit's API: its control service, the bridge on which clients follow their builds, and
//! sessions, over which the daemon asks clients for what only they have.
//!
//! Messages are those of `bollard-buildkit-proto`. What a client asks for becomes the same request
//! to the engine that every other client's does; what kiln does not have is refused by name.
//!
//! Reading order: `control` answers calls, `builds` is a build from the first call to the last,
//! `frontend` makes requests of a client's options, `output` makes exports of them.

mod attestations;
mod blocking;
mod bridge;
mod builds;
mod caches;
mod capabilities;
mod containers;
mod content;
mod control;
mod credentials;
mod errors;
mod frontend;
mod history;
mod layouts;
mod look;
mod newer;
mod options;
mod output;
mod policy;
mod resolve;
mod results;
mod session;
mod solve;
mod status;
mod usage;
mod verify;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use bollard_buildkit_proto::health::health_server::HealthServer;
use bollard_buildkit_proto::moby::buildkit::v1::control_server::ControlServer;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::llb_bridge_server::LlbBridgeServer;
use futures_util::stream::BoxStream;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, UPGRADE};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service as _;
use wire::{Health, MAX_MESSAGE};

use crate::answer::{Answer, Refusal, empty};
use crate::docker::Daemon;
use crate::grpc::{self, Tasks};
use crate::peer::Peer;
use crate::timely::Timely;

pub use control::BUILDKIT;
pub use policy::SourceRules;

use bridge::Bridge;
use builds::Builds;
use control::Control;
pub use session::files::keep_packets;
use session::{Introduction, Sessions};

/// Messages on their way to a client.
type Messages<T> = BoxStream<'static, Result<T, Status>>;

/// What all of BuildKit's clients share.
#[derive(Debug, Default)]
pub(crate) struct Buildkit {
    sessions: Sessions,
    builds: Builds,
}

impl Buildkit {
    /// How many clients have a session.
    pub(crate) fn sessions(&self) -> usize {
        self.sessions.count()
    }
}

/// The answer to a call.
pub(crate) async fn answer(daemon: &Arc<Daemon>, request: Request<Incoming>) -> Answer {
    let request = request.map(Body::new);
    let service = request.uri().path().split('/').nth(1).unwrap_or_default();
    let answered = match service {
        "moby.buildkit.v1.Control" => {
            let service = ControlServer::new(Control::new(daemon));
            let mut service = service.max_decoding_message_size(MAX_MESSAGE);
            match newer::check(request).await {
                Ok(request) => service.call(request).await,
                Err(status) => Ok(status.into_http()),
            }
        }
        "moby.buildkit.v1.frontend.LLBBridge" => {
            let service = LlbBridgeServer::new(Bridge::new(daemon));
            let mut service = service.max_decoding_message_size(MAX_MESSAGE);
            service.call(request).await
        }
        content::NAME => Ok(content::answer(daemon, request).await),
        "grpc.health.v1.Health" => HealthServer::new(Health).call(request).await,
        other => {
            let message = format!("the service {other:?} is not provided by kiln");
            Ok(Status::unimplemented(message).into_http())
        }
    };
    match answered {
        Ok(response) => grpc::answer(response),
        Err(never) => match never {},
    }
}

/// `POST /grpc` and `POST /session`: what follows on the connection is HTTP/2, of which the daemon
/// is the server for the one and the client for the other.
pub(crate) fn upgrade(
    daemon: &Arc<Daemon>,
    mut head: Parts,
    is_session: bool,
) -> Result<Answer, Refusal> {
    let is_h2c = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"h2c");
    if !head.headers.get(UPGRADE).is_some_and(is_h2c) {
        return Err(Refusal::bad("the request does not upgrade to h2c"));
    }
    let upgrade = head.extensions.remove::<OnUpgrade>();
    let upgrade = upgrade.ok_or_else(|| Refusal::bad("the connection cannot be upgraded"))?;
    let peer = head.extensions.get::<Peer>().copied();
    if is_session {
        let introduction = Introduction::read(&head.headers, peer);
        let introduction = introduction.map_err(|status| Refusal::bad(status.message()))?;
        daemon.go_on_beside(keep_session(Arc::clone(daemon), upgrade, introduction));
    } else {
        daemon.go_on_beside(serve(Arc::clone(daemon), upgrade, peer));
    }
    let mut answer = empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("h2c"));
    Ok(answer)
}

async fn serve(daemon: Arc<Daemon>, upgrade: OnUpgrade, peer: Option<Peer>) {
    // A connection that breaks is the client's affair, here and below.
    let Ok(upgraded) = upgrade.await else {
        return;
    };
    let tasks = Tasks::default();
    let mut builder = auto::Builder::new(tasks.clone()).http2_only();
    grpc::limit(&mut builder.http2());
    let for_calls = Arc::clone(&daemon);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let daemon = Arc::clone(&for_calls);
        peer.map(|peer| request.extensions_mut().insert(peer));
        async move { Ok::<_, Infallible>(answer(&daemon, request).await) }
    });
    let stream = TokioIo::new(Timely::new(TokioIo::new(upgraded)));
    let mut connection = pin!(builder.serve_connection(stream, service));
    tokio::select! {
        _ = connection.as_mut() => {}
        () = daemon.closing() => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
    tasks.end().await;
}

async fn keep_session(daemon: Arc<Daemon>, upgrade: OnUpgrade, introduction: Introduction) {
    if let Ok(upgraded) = upgrade.await {
        let sessions = &daemon.buildkit.sessions;
        let io = TokioIo::new(upgraded);
        drop(sessions.keep(introduction, io).await);
    }
}
