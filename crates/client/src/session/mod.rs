//! The client's side of a session: a connection within a call, on which the daemon makes calls to
//! the client. It has the services for which something is offered, and no others.

mod archive;
mod auth;
mod content;
mod files;
mod secrets;
mod send;
mod ssh;
mod upload;

use std::convert::Infallible;
use std::sync::Arc;

use bollard_buildkit_proto::health::health_server::HealthServer;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::SecretsServer;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::filesync::packet::file_sync_server::FileSyncServer;
use bollard_buildkit_proto::moby::filesync::v1::auth_server::AuthServer;
use bollard_buildkit_proto::moby::filesync::v1::file_send_server::FileSendServer;
use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::SshServer;
use bollard_buildkit_proto::moby::upload::v1::upload_server::UploadServer;
use filesync::place::{self, Place};
use futures_util::stream::{self, BoxStream};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Request, Status};
use wire::content::NAME as CONTENT;
use wire::{Caller, Health, MAX_MESSAGE};

use crate::offers::{Located, Offers};
use crate::tasks::Tasks;

/// Messages on their way to the daemon.
type Messages<T> = BoxStream<'static, Result<T, Status>>;

/// Messages of the connection that may wait to be sent.
const WAITING: usize = 16;
/// Calls of the daemon at once.
const MAX_CALLS: u32 = 256;

const FILE_SYNC: &str = "moby.filesync.v1.FileSync";
const FILE_SEND: &str = "moby.filesync.v1.FileSend";
const SECRETS: &str = "moby.buildkit.secrets.v1.Secrets";
const SSH: &str = "moby.sshforward.v1.SSH";
const AUTH: &str = "moby.filesync.v1.Auth";
const UPLOAD: &str = "moby.upload.v1.Upload";
const HEALTH: &str = "grpc.health.v1.Health";

/// Has a session with this ID until the daemon ends it.
///
/// # Errors
/// The daemon refuses it.
pub(crate) async fn keep(
    mut control: ControlClient<Caller>,
    id: &str,
    offers: Offers,
) -> Result<(), Status> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let outgoing = stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    });
    let mut request = Request::new(outgoing);
    introduce(request.metadata_mut(), id, &offers)?;
    let incoming = control.session(request).await?.into_inner();
    let offers = Arc::new(offers);
    let service = service_fn(move |request| {
        let offers = Arc::clone(&offers);
        async move { Ok::<_, Infallible>(answer(&offers, request).await) }
    });
    let connection = http2::Builder::new(Tasks::default())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CALLS)
        .serve_connection(TokioIo::new(wire::tunnel(incoming, sender)), service);
    // How the connection ends is seen by the build.
    drop(connection.await);
    Ok(())
}

/// Says what there is.
fn introduce(metadata: &mut MetadataMap, id: &str, offers: &Offers) -> Result<(), Status> {
    let value = |text: &str| {
        let parsed = AsciiMetadataValue::try_from(text);
        parsed.map_err(|_| Status::invalid_argument(format!("{text:?} is no plain text")))
    };
    metadata.insert("x-docker-expose-session-uuid", value(id)?);
    let key = value(&offers.shared_key)?;
    metadata.insert("x-docker-expose-session-sharedkey", key);
    for method in methods(offers) {
        metadata.append("x-docker-expose-session-grpc-method", value(&method)?);
    }
    for place in places(offers) {
        metadata.append(place::HEADER, value(&place.to_text())?);
    }
    Ok(())
}

/// Where directories are, for a daemon that reads them there.
fn places(offers: &Offers) -> impl Iterator<Item = Place> {
    offers.directories.iter().filter_map(|(name, directory)| {
        let Located { path, mark } = directory.located()?;
        Some(Place {
            name: name.clone(),
            process: std::process::id(),
            path,
            mark,
        })
    })
}

fn methods(offers: &Offers) -> Vec<String> {
    let Offers {
        shared_key: _,
        directories,
        secrets,
        agents,
        credentials,
        outputs,
        uploads,
        stores,
    } = offers;
    let services: [(bool, &str, &[&str]); 7] = [
        (!directories.is_empty(), FILE_SYNC, &["DiffCopy"]),
        (!outputs.is_empty(), FILE_SEND, &["DiffCopy"]),
        (secrets.is_some(), SECRETS, &["GetSecret"]),
        (!agents.is_empty(), SSH, &["CheckAgent", "ForwardAgent"]),
        (credentials.is_some(), AUTH, &["Credentials"]),
        (!uploads.is_empty(), UPLOAD, &["Pull"]),
        (!stores.is_empty(), CONTENT, &["Info", "Read", "Write"]),
    ];
    let offered = services.into_iter().filter(|(is_offered, ..)| *is_offered);
    let methods = offered.flat_map(|(_, service, methods)| {
        let path = move |method: &&str| format!("/{service}/{method}");
        methods.iter().map(path)
    });
    methods.collect()
}

/// The answer to a call of the daemon's.
async fn answer(offers: &Arc<Offers>, request: IncomingCall) -> hyper::Response<Body> {
    let request = request.map(Body::new);
    let service = request.uri().path().split('/').nth(1).unwrap_or_default();
    let answered = match service {
        FILE_SYNC => {
            let service = FileSyncServer::new(files::Service(Arc::clone(offers)));
            service
                .max_decoding_message_size(MAX_MESSAGE)
                .call(request)
                .await
        }
        FILE_SEND => {
            let service = FileSendServer::new(archive::Service(Arc::clone(offers)));
            service
                .max_decoding_message_size(MAX_MESSAGE)
                .call(request)
                .await
        }
        SECRETS => {
            SecretsServer::new(secrets::Service(Arc::clone(offers)))
                .call(request)
                .await
        }
        SSH => {
            SshServer::new(ssh::Service(Arc::clone(offers)))
                .call(request)
                .await
        }
        AUTH => {
            AuthServer::new(auth::Service(Arc::clone(offers)))
                .call(request)
                .await
        }
        UPLOAD => {
            UploadServer::new(upload::Service(Arc::clone(offers)))
                .call(request)
                .await
        }
        CONTENT => Ok(content::answer(offers, request).await),
        HEALTH => HealthServer::new(Health).call(request).await,
        other => {
            let message = format!("the client has no service {other:?}");
            Ok(Status::unimplemented(message).into_http())
        }
    };
    match answered {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// A call as it comes.
type IncomingCall = hyper::Request<Incoming>;
