//! Takes connections and ends them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::docker::Daemon;

/// How long a client may take to send the head of a request.
const HEAD: Duration = Duration::from_secs(30);
/// How long what runs may go on after the daemon was told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How long no connection is taken when one could not be.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers whoever connects until `stop` is cancelled. What runs then may end by itself for a
/// while, and is cancelled after.
pub async fn serve(listener: UnixListener, daemon: Arc<Daemon>, stop: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, Arc::clone(&daemon), stop.clone()));
            }
            // Too many files are open, mostly; some will be closed.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
    drop(listener);
    connections.close();
    daemon.close();
    let ended = async {
        connections.wait().await;
        daemon.ended().await;
    };
    tokio::pin!(ended);
    if tokio::time::timeout(GRACE, &mut ended).await.is_err() {
        daemon.cancel();
        ended.await;
    }
}

async fn connection(stream: UnixStream, daemon: Arc<Daemon>, stop: CancellationToken) {
    let service = service_fn(move |request| {
        let daemon = Arc::clone(&daemon);
        async move { Ok::<_, Infallible>(daemon.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // A connection that breaks is the client's affair.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
}
