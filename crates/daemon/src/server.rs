//! Takes connections and ends them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::docker::Daemon;
use crate::grpc::{self, Tasks};
use crate::listen::{Connection, Greeting, Listener, Scope};

/// How long a client may take to send the head of a request.
const HEAD: Duration = Duration::from_secs(30);
/// Connections at once; further clients wait.
const CONNECTIONS: usize = 1024;
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
    let door = Door {
        daemon: Arc::clone(&daemon),
        stop,
        connections: TaskTracker::new(),
        places: Arc::new(Semaphore::new(CONNECTIONS)),
    };
    futures_util::future::join_all(listeners.iter().map(|listener| door.watch(listener))).await;
    drop(listeners);
    door.connections.close();
    daemon.close();
    let ended = async {
        door.connections.wait().await;
        daemon.ended().await;
    };
    tokio::pin!(ended);
    if tokio::time::timeout(grace, &mut ended).await.is_err() {
        daemon.cancel();
        ended.await;
    }
}

/// What all listeners share.
struct Door {
    daemon: Arc<Daemon>,
    stop: CancellationToken,
    connections: TaskTracker,
    places: Arc<Semaphore>,
}

impl Door {
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
                (Ok(greeting), Ok(place)) => self.let_in(greeting, listener.scope(), place),
                // Too many files are open, mostly; some will be closed.
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    fn let_in(&self, greeting: Greeting, scope: Scope, place: OwnedSemaphorePermit) {
        let (daemon, stop) = (Arc::clone(&self.daemon), self.stop.clone());
        self.connections.spawn(async move {
            let _place = place;
            let metered = Arc::clone(&daemon);
            let _counted = metered.metrics().connections.begin();
            // Who does not show who it is, or says nothing, is not talked to.
            let greeted = tokio::select! {
                greeted = greeting => greeted,
                () = stop.cancelled() => return,
            };
            if let Ok(stream) = greeted {
                connection(stream, daemon, scope, stop).await;
            }
        });
    }
}

/// Docker's clients speak HTTP/1 and BuildKit's HTTP/2, which the first bytes tell apart.
async fn connection(
    stream: Connection,
    daemon: Arc<Daemon>,
    scope: Scope,
    stop: CancellationToken,
) {
    let tasks = Tasks::default();
    let mut builder = auto::Builder::new(tasks.clone());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD);
    grpc::limit(&mut builder.http2());
    let service = service_fn(move |request| {
        let daemon = Arc::clone(&daemon);
        async move { Ok::<_, Infallible>(daemon.answer(request, scope).await) }
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // A connection that breaks is the client's affair.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
    tasks.end().await;
}
