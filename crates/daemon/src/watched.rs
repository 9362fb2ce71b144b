//! Every request and every build goes through here: it is counted, and told of in the log.

use std::sync::Arc;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Version};
use tonic::Status;

use crate::answer::{Answer, Refusal, plain, typed};
use crate::buildkit;
use crate::docker::Daemon;
use crate::listen::Scope;
use crate::log::{Entry, Level};
use crate::metrics::Now;

impl Daemon {
    /// The answer to a request; what goes wrong is one too.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        scope: Scope,
    ) -> Answer {
        let _counted = self.metrics().requests.begin();
        let begun = Instant::now();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = self.find_answer(request, scope).await;
        let status = answer.status();
        self.metrics().answered(status);
        let level = match status {
            // That something is not provided is nobody's fault.
            StatusCode::NOT_IMPLEMENTED => Level::Debug,
            status if status.is_server_error() => Level::Error,
            _ => Level::Debug,
        };
        let entry = Entry::new(level, "request answered")
            .with("method", method)
            .with("path", path)
            .with("status", status.as_u16())
            .with("milliseconds", begun.elapsed().as_millis());
        self.log(entry);
        answer
    }

    async fn find_answer(self: &Arc<Self>, request: Request<Incoming>, scope: Scope) -> Answer {
        let about_it = match (request.method(), request.uri().path()) {
            (&Method::GET, "/metrics") => Some(self.counts()),
            (&Method::GET | &Method::HEAD, "/healthz") => Some(self.health().await),
            _ => None,
        };
        if let Some(answer) = about_it {
            return answer;
        }
        if scope == Scope::Metrics {
            let message = "only /metrics and /healthz are answered here";
            return Refusal::new(StatusCode::NOT_FOUND, message).answer();
        }
        if is_call(&request) {
            return buildkit::answer(self, request).await;
        }
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

    /// What was counted.
    fn counts(&self) -> Answer {
        let text = self.metrics().text(Now {
            version: self.identity().version,
            containers: self.running_containers(),
            sessions: self.buildkit.sessions(),
        });
        let mut answer = plain(StatusCode::OK, text.into());
        typed(&mut answer, "text/plain; version=0.0.4; charset=utf-8");
        answer
    }

    /// Whether the store can be opened and read, and requests are taken.
    async fn health(self: &Arc<Self>) -> Answer {
        match self.check().await {
            Ok(()) => plain(StatusCode::OK, "ok\n".into()),
            Err(refusal) => {
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, refusal.to_string()).answer()
            }
        }
    }

    /// Does a build of a client of BuildKit's.
    ///
    /// # Errors
    /// Those of the build.
    pub(crate) async fn watch_build<T>(
        &self,
        id: &str,
        build: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let _counted = self.metrics().builds.begin();
        let begun = Instant::now();
        self.log(Entry::new(Level::Info, "build began").with("id", id));
        let built = build.await;
        self.metrics().built(built.is_ok());
        let entry = match &built {
            Ok(_) => Entry::new(Level::Info, "build ended"),
            Err(status) => Entry::new(Level::Warning, "build failed")
                .with("code", format!("{:?}", status.code())),
        };
        let entry = entry.with("id", id);
        self.log(entry.with("milliseconds", begun.elapsed().as_millis()));
        built
    }
}

/// Whether it is one of BuildKit's clients, who speak gRPC; others may speak HTTP/2 too.
fn is_call(request: &Request<Incoming>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE);
    let is_grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    request.version() == Version::HTTP_2 && is_grpc
}
