//! The Docker Engine API: which request is answered where.

mod archive;
mod build;
mod containers;
mod create;
mod credentials;
mod events;
mod files;
mod filters;
mod housekeeping;
mod images;
mod limits;
mod narration;
mod run;
mod system;
mod transfer;
mod volumes;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use engine::{Engine, EngineError};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answer::{Answer, Refusal, empty};
use crate::buildkit::{self, Buildkit};
use crate::log::{Entry, Log};
use crate::metrics::Metrics;
use crate::query::{Path, Query};
use crate::stream::Sender;
use crate::trace::TraceOptions;

/// How the store is opened.
pub type Open = dyn Fn() -> Result<Engine, EngineError> + Send + Sync;

/// What the daemon says of itself.
#[derive(Debug, Clone)]
pub struct Identity {
    /// kiln's version.
    pub version: &'static str,
    /// Where the store is.
    pub root: PathBuf,
    /// Where traces of builds are sent, if they are.
    pub traces: Option<TraceOptions>,
    /// Tells the time.
    pub clock: Arc<dyn engine::Clock>,
}

/// Answers requests.
///
/// Each opens the store for itself, so that what it holds is free again when it ends; what runs at
/// once is shared all the same, as between processes.
pub struct Daemon {
    open: Box<Open>,
    identity: Identity,
    /// Work that goes on while its answer is being sent.
    under_way: TaskTracker,
    /// Cancelled when no more requests are taken.
    closing: CancellationToken,
    /// Cancelled when what runs has to end.
    cancel: CancellationToken,
    runs: run::Runs,
    events: events::Events,
    metrics: Metrics,
    log: Box<Log>,
    pub(crate) buildkit: Buildkit,
}

impl Daemon {
    /// Answers with what `open` opens, and tells `log` of it.
    #[must_use]
    pub fn new(open: Box<Open>, identity: Identity, log: Box<Log>) -> Arc<Self> {
        Arc::new(Self {
            open,
            identity,
            under_way: TaskTracker::new(),
            closing: CancellationToken::new(),
            cancel: CancellationToken::new(),
            runs: run::Runs::default(),
            events: events::Events::default(),
            metrics: Metrics::default(),
            log,
            buildkit: Buildkit::default(),
        })
    }

    pub(crate) fn close(&self) {
        self.runs.stop_all();
        self.closing.cancel();
        self.under_way.close();
    }

    pub(crate) async fn ended(&self) {
        self.under_way.wait().await;
    }

    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Returns when what runs has to end.
    pub(crate) async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The store, opened for one build.
    pub(crate) async fn open(self: &Arc<Self>) -> Result<Engine, tonic::Status> {
        let opened = self.with(Ok).await;
        opened.map_err(|refusal| tonic::Status::internal(refusal.to_string()))
    }

    /// Does `work` on a thread of its own, as a process would; none when it was cancelled first.
    pub(crate) async fn on_a_thread<T, F>(
        &self,
        cancel: CancellationToken,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T>,
    {
        let runtime = tokio::runtime::Handle::current();
        let done = self.under_way.spawn_blocking(move || {
            runtime.block_on(async {
                tokio::select! {
                    done = work() => Some(done),
                    () = cancel.cancelled() => None,
                }
            })
        });
        done.await.ok().flatten()
    }

    /// Serves one connection beside others, until it ends or what runs has to.
    pub(crate) fn go_on_beside(&self, work: impl Future<Output = ()> + Send + 'static) {
        let cancel = self.cancel.clone();
        self.under_way.spawn(async move {
            tokio::select! {
                () = work => {}
                () = cancel.cancelled() => {}
            }
        });
    }

    /// Drops something whose end may block.
    pub(crate) fn drop_beside<T: Send + 'static>(&self, ended: T) {
        self.under_way.spawn_blocking(move || drop(ended));
    }

    /// Returns when no more requests are taken.
    pub(crate) async fn closing(&self) {
        self.closing.cancelled().await;
    }

    /// What is counted.
    pub(crate) const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Says what happened.
    pub(crate) fn log(&self, entry: Entry) {
        (self.log)(entry);
    }

    /// How many containers run.
    pub(crate) fn running_containers(&self) -> usize {
        self.runs.running()
    }

    /// Whether the store can be opened and read.
    ///
    /// # Errors
    /// It cannot.
    pub(crate) async fn check(self: &Arc<Self>) -> Result<(), Refusal> {
        self.with(|engine| engine.containers().map(drop)).await
    }

    /// The answer to a request of Docker's API.
    ///
    /// # Errors
    /// It is refused, or what it asks for went wrong.
    pub(crate) async fn route(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Answer, Refusal> {
        let (mut head, body) = request.into_parts();
        let path = Path::parse(head.uri.path())?;
        let query = Query::parse(head.uri.query());
        let parts = path.parts();
        match (head.method.as_str(), parts.as_slice()) {
            ("GET" | "HEAD", ["_ping"]) => Ok(system::ping(&head.method)),
            ("GET", ["version"]) => Ok(self.version()),
            ("GET", ["info"]) => self.info().await,
            ("POST", ["grpc"]) => buildkit::upgrade(self, head, false),
            ("POST", ["session"]) => buildkit::upgrade(self, head, true),
            ("POST", ["build"]) => self.build(query, &head.headers, body).await,
            ("GET" | "POST" | "DELETE", ["images", rest @ ..]) => {
                self.images(&head, rest, query, body).await
            }
            (_, ["containers", rest @ ..]) => self.containers(&mut head, rest, query, body).await,
            ("POST", ["exec", id, "start"]) => self.start_exec(id, query, &mut head, body).await,
            ("POST", ["exec", id, "resize"]) => self.resize_exec(id, query),
            ("GET", ["exec", id, "json"]) => self.inspect_exec(id),
            // Clients that inspect a name ask for plug-ins of it too.
            ("GET", ["plugins", name, "json"]) => Err(Refusal::new(
                StatusCode::NOT_FOUND,
                format!("plugin {name:?} not found"),
            )),
            ("POST", ["auth"]) => self.log_in(query, body).await,
            ("POST", ["build", "prune"]) => self.prune_cache(query).await,
            ("GET", ["system", "df"]) => self.disk_usage(query).await,
            (_, ["volumes", rest @ ..]) => self.volumes(&head.method, rest, query, body).await,
            (_, ["networks", rest @ ..]) => self.networks(&head.method, rest, query),
            ("POST", ["commit"]) => self.commit(query, body).await,
            ("GET", ["events"]) => self.listen(query).await,
            (method, _) => Err(unknown(method, &parts)),
        }
    }

    fn now(&self) -> std::time::SystemTime {
        self.identity.clock.now()
    }

    /// Does `work` with the store, on a thread that may block.
    async fn with<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(Engine) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let daemon = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || work((daemon.open)()?));
        Ok(work.await.map_err(|_| EngineError::LostThread)??)
    }

    /// Does `work` while its answer is being sent, on a thread of its own, as a process would.
    /// It is dropped when the client is gone.
    fn go_on<F: Future<Output = ()>>(
        self: &Arc<Self>,
        sender: &Sender,
        work: impl FnOnce() -> F + Send + 'static,
    ) {
        let (client, cancel) = (sender.clone(), self.cancel.clone());
        let runtime = tokio::runtime::Handle::current();
        self.under_way.spawn_blocking(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = work() => {}
                    () = client.closed() => {}
                    () = cancel.cancelled() => {}
                }
            });
        });
    }
}

impl std::fmt::Debug for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Daemon")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

fn unknown(method: impl std::fmt::Display, parts: &[&str]) -> Refusal {
    Refusal::not_provided(&format!("{method} /{}", parts.join("/")))
}

const fn created() -> StatusCode {
    StatusCode::CREATED
}

fn nothing() -> Answer {
    empty(StatusCode::NO_CONTENT)
}

fn unknown_of(method: &Method, kind: &str, parts: &[&str]) -> Refusal {
    let mut all = vec![kind];
    all.extend(parts);
    unknown(method, &all)
}
