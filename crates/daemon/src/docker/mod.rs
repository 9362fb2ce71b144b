//! The Docker Engine API: which request is answered where.

mod archive;
mod build;
mod containers;
mod images;
mod narration;
mod system;
mod transfer;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use engine::{Engine, EngineError};
use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answer::{Answer, Refusal, empty};
use crate::query::{Path, Query};
use crate::stream::Sender;

/// How the store is opened.
pub type Open = dyn Fn() -> Result<Engine, EngineError> + Send + Sync;

/// What the daemon says of itself.
#[derive(Debug, Clone)]
pub struct Identity {
    /// kiln's version.
    pub version: &'static str,
    /// Where the store is.
    pub root: PathBuf,
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
    cancel: CancellationToken,
}

impl Daemon {
    /// Answers with what `open` opens.
    #[must_use]
    pub fn new(open: Box<Open>, identity: Identity) -> Arc<Self> {
        Arc::new(Self {
            open,
            identity,
            under_way: TaskTracker::new(),
            cancel: CancellationToken::new(),
        })
    }

    pub(crate) fn close(&self) {
        self.under_way.close();
    }

    pub(crate) async fn ended(&self) {
        self.under_way.wait().await;
    }

    pub(crate) fn cancel(&self) {
        self.cancel.cancel();
    }

    /// The answer to a request; what goes wrong is one too.
    pub(crate) async fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Answer {
        let mut answer = match self.route(request).await {
            Ok(answer) => answer,
            Err(refusal) => refusal.answer(),
        };
        let headers = answer.headers_mut();
        let api = HeaderName::from_static("api-version");
        if let Ok(newest) = HeaderValue::from_str(&api::docker::NEWEST.to_string()) {
            headers.insert(api, newest);
        }
        let os = HeaderName::from_static("ostype");
        headers.insert(os, HeaderValue::from_static("linux"));
        answer
    }

    async fn route(self: &Arc<Self>, request: Request<Incoming>) -> Result<Answer, Refusal> {
        let (head, body) = request.into_parts();
        let path = Path::parse(head.uri.path())?;
        let query = Query::parse(head.uri.query());
        let parts = path.parts();
        match (head.method.as_str(), parts.as_slice()) {
            ("GET" | "HEAD", ["_ping"]) => Ok(system::ping(&head.method)),
            ("GET", ["version"]) => Ok(self.version()),
            ("GET", ["info"]) => self.info().await,
            ("POST", ["build"]) => self.build(query, &head.headers, body).await,
            ("GET" | "POST" | "DELETE", ["images", rest @ ..]) => {
                self.images(&head, rest, query, body).await
            }
            (_, ["containers", rest @ ..]) => {
                self.containers(&head.method, rest, query, body).await
            }
            (method, _) => Err(unknown(method, &parts)),
        }
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
