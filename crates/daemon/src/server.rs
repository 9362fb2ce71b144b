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
mod tests {
    use engine::{EngineError, SystemClock};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::docker::Identity;

    /// More than anything here takes.
    const LONG: Duration = Duration::from_secs(10);
    const HTTP2: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: &str = "\0\0\0\x04\0\0\0\0\0";

    /// A daemon without a store.
    fn daemon() -> Arc<Daemon> {
        let identity = Identity {
            version: "0",
            root: "/nowhere".into(),
            traces: None,
            clock: Arc::new(SystemClock),
        };
        let open = || Err(EngineError::LostThread);
        Daemon::new(Box::new(open), identity, Box::new(drop))
    }

    /// What a client hears that says this and then nothing, while the daemon is stopped.
    async fn heard(said: &str) -> String {
        let (mut client, other) = tokio::io::duplex(1 << 20);
        let stop = CancellationToken::new();
        let daemon = daemon();
        let served = serve_one(other, daemon, stop.clone(), Duration::from_millis(50));
        let speaking = async {
            client.write_all(said.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
            stop.cancel();
            let mut heard = Vec::new();
            client.read_to_end(&mut heard).await.unwrap();
            String::from_utf8_lossy(&heard).into_owned()
        };
        let both = async { tokio::join!(served, speaking) };
        let ended = tokio::time::timeout(LONG, both).await;
        ended.unwrap_or_else(|_| panic!("no end after {said:?}")).1
    }

    fn upgrade(path: &str, more: &str) -> String {
        format!(
            "POST {path} HTTP/1.1\r\nHost: kiln\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n{more}\r\n"
        )
    }

    #[tokio::test]
    async fn connections_become_http2_or_end() {
        let id = "X-Docker-Expose-Session-Uuid: x\r\n";
        let garbage = "\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        let settings = format!("{HTTP2}{SETTINGS}");
        for (said, status) in [
            (upgrade("/grpc", "") + &settings, "101"),
            (upgrade("/grpc", "") + garbage, "101"),
            (upgrade("/grpc", ""), "101"),
            (upgrade("/session", id) + SETTINGS, "101"),
            (upgrade("/session", id) + garbage, "101"),
            (upgrade("/session", ""), "400"),
            (upgrade("/grpc", "").replace("h2c", "tcp"), "400"),
            (upgrade("/containers/x/attach", ""), "500"),
        ] {
            let heard = heard(&said).await;
            let expected = format!("HTTP/1.1 {status} ");
            assert!(heard.starts_with(&expected), "{said:?}: {heard:?}");
        }
    }

    /// How long a client is waited for that says this and then nothing.
    async fn patience(said: &str) -> Duration {
        let (mut client, other) = tokio::io::duplex(1 << 20);
        let begun = tokio::time::Instant::now();
        let served = serve_one(other, daemon(), CancellationToken::new(), Duration::ZERO);
        let speaking = async {
            client.write_all(said.as_bytes()).await.unwrap();
            let mut heard = Vec::new();
            client.read_to_end(&mut heard).await.unwrap();
            begun.elapsed()
        };
        tokio::select! {
            () = served => panic!("the daemon ended"),
            waited = speaking => waited,
        }
    }

    /// The clock goes on as soon as nothing else does.
    #[tokio::test(start_paused = true)]
    async fn half_a_beginning_keeps_no_place() {
        let whole = format!("{HTTP2}{SETTINGS}");
        for (said, limit) in [
            ("", 30),
            ("P", 30),
            ("PRI * HTTP/2.0\r\n\r\nSM", 30),
            ("PRI * HTTP/1.1\r\n", 30),
            ("GET /_ping HTTP/1.1\r\nHost: ki", 30),
            (&(upgrade("/grpc", "") + "PRI * HT"), 30),
            (&upgrade("/grpc", ""), 30),
            // These are asked whether they are there, and do not answer.
            (HTTP2, 50),
            (&whole, 50),
            (&(upgrade("/grpc", "") + &whole), 50),
        ] {
            let waited = patience(said).await.as_secs();
            assert!((limit..=limit + 1).contains(&waited), "{said:?}: {waited}");
        }
    }

    #[tokio::test]
    async fn a_client_that_does_not_go_on_does_not_keep_the_daemon() {
        let length = "Content-Length: 9\r\n";
        for said in [
            "",
            "PRI * HT",
            "GET /_ping",
            &format!("POST /containers/create HTTP/1.1\r\nHost: kiln\r\n{length}\r\n{{"),
            &format!("POST /build HTTP/1.1\r\nHost: kiln\r\n{length}\r\n"),
            &upgrade("/session", length),
            &format!("{HTTP2}{SETTINGS}"),
        ] {
            heard(said).await;
        }
    }
}
