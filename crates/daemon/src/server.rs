//! Takes connections and ends them.

use std::convert::Infallible;
use std::future;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::docker::Daemon;
use crate::grpc::{self, Tasks};
use crate::listen::{self, Caller, Connection, Listener, Scope};
use crate::peer::Peer;

/// How long a client may take to send the head of a request.
const HEAD: Duration = Duration::from_secs(30);
/// Connections at once; further clients wait.
const CONNECTIONS: usize = 1024;
/// How long clients may take to hear that what they asked for was cancelled.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long no connection is taken when one could not be.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers whoever connects until `stop` is cancelled. What runs then may end by itself for as long
/// as `grace`, and is cancelled after.
pub async fn serve(
    listeners: Vec<Listener>,
    daemon: Arc<Daemon>,
    stop: CancellationToken,
    grace: Duration,
) {
    let door = Door::new(daemon, stop);
    futures_util::future::join_all(listeners.iter().map(|listener| door.watch(listener))).await;
    drop(listeners);
    door.close(grace).await;
}

/// The same for one client, who is connected already.
pub async fn serve_one(
    client: impl AsyncRead + AsyncWrite + Send + 'static,
    daemon: Arc<Daemon>,
    stop: CancellationToken,
    grace: Duration,
) {
    let door = Door::new(daemon, stop);
    let caller = Caller {
        greeting: Box::pin(future::ready(Ok(listen::connection(client)))),
        peer: None,
        scope: Scope::All,
    };
    // The places are never closed.
    if let Ok(place) = Arc::clone(&door.places).acquire_owned().await {
        door.let_in(caller, place);
    }
    door.stop.cancelled().await;
    door.close(grace).await;
}

/// What all listeners share.
struct Door {
    daemon: Arc<Daemon>,
    stop: CancellationToken,
    connections: TaskTracker,
    places: Arc<Semaphore>,
}

impl Door {
    fn new(daemon: Arc<Daemon>, stop: CancellationToken) -> Self {
        Self {
            daemon,
            stop,
            connections: TaskTracker::new(),
            places: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    /// Returns when everything has ended.
    async fn close(self, grace: Duration) {
        let daemon = self.daemon;
        self.connections.close();
        daemon.close();
        let ended = async {
            self.connections.wait().await;
            daemon.ended().await;
        };
        tokio::pin!(ended);
        if tokio::time::timeout(grace, &mut ended).await.is_err() {
            daemon.cancel();
            ended.await;
        }
    }

    /// Takes connections until it is told to stop, and no more at once than there are places.
    async fn watch(&self, listener: &Listener) {
        loop {
            let next = async {
                let place = Arc::clone(&self.places).acquire_owned().await;
                (place, listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                () = self.stop.cancelled() => return,
                next = next => next,
            };
            match (accepted, place) {
                (Ok(caller), Ok(place)) => self.let_in(caller, place),
                // Too many files are open, mostly; some will be closed.
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn let_in(&self, caller: Caller, place: OwnedSemaphorePermit) {
        let Caller {
            greeting,
            peer,
            scope,
        } = caller;
        let (daemon, stop) = (Arc::clone(&self.daemon), self.stop.clone());
        self.connections.spawn(async move {
            let _place = place;
            let metered = Arc::clone(&daemon);
            let _counted = metered.metrics().connections.begin();
            // Who does not show who it is is not talked to.
            let greeted = tokio::select! {
                greeted = greeting => greeted,
                () = stop.cancelled() => return,
            };
            if let Ok(stream) = greeted {
                connection(stream, daemon, (scope, peer), stop).await;
            }
        });
    }
}

/// Docker's clients speak HTTP/1 and BuildKit's HTTP/2, which the first bytes tell apart.
async fn connection(
    stream: Connection,
    daemon: Arc<Daemon>,
    (scope, peer): (Scope, Option<Peer>),
    stop: CancellationToken,
) {
    let tasks = Tasks::default();
    let mut builder = auto::Builder::new(tasks.clone());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD);
    grpc::limit(&mut builder.http2());
    let stopping = Arc::clone(&daemon);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let daemon = Arc::clone(&daemon);
        peer.map(|peer| request.extensions_mut().insert(peer));
        async move { Ok::<_, Infallible>(daemon.answer(request, scope).await) }
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let cancelled = async {
        stopping.cancelled().await;
        // What was cancelled is told to whoever listens.
        tokio::time::sleep(LAST_WORDS).await;
    };
    // A connection that breaks is the client's affair.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                _ = connection => {}
                // It is the client that does not go on.
                () = cancelled => {}
            }
        }
    }
    tasks.end().await;
}

#[cfg(test)]
mod tests;
