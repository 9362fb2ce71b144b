//! gRPC over any connection: what is the same whichever service is asked.

use std::future::Future;
use std::io;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::rt::Executor;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto::Http2Builder;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;

use crate::answer::Answer;

/// Calls at once on one connection.
const MAX_CALLS: u32 = 256;
/// Bytes of a request's head.
const MAX_HEAD: u32 = 256 << 10;
/// How often a silent client is asked whether it is there, and how long it may think about it.
const ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));

/// Bounds what one connection may ask for.
pub(crate) fn limit<E>(http2: &mut Http2Builder<'_, E>) {
    http2
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CALLS)
        .max_header_list_size(MAX_HEAD)
        .keep_alive_interval(ALIVE.0)
        .keep_alive_timeout(ALIVE.1);
}

/// What a service answers, as the daemon answers.
pub(crate) fn answer(response: Response<tonic::body::Body>) -> Answer {
    response.map(|body| body.map_err(io::Error::other).boxed_unsync())
}

/// Refuses what there is not, by its name.
pub(crate) fn not_provided<T>(what: &str) -> Result<T, Status> {
    Err(Status::unimplemented(format!(
        "{what} is not provided by kiln"
    )))
}

/// The tasks of one connection. They end with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    cancel: CancellationToken,
}

impl Tasks {
    /// Ends them all, and returns when they have ended.
    pub(crate) async fn end(&self) {
        self.cancel.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

impl<F> Executor<F> for Tasks
where
    F: Future + Send + 'static,
{
    fn execute(&self, task: F) {
        let cancel = self.cancel.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                _ = task => {}
                () = cancel.cancelled() => {}
            }
        });
    }
}
