//! A part of a blob as the body of one request, with a watch on its progress.

use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use reqwest::{RequestBuilder, Response, header};

use super::{BlobBody, BlobSource};
use crate::error::At;
use crate::{Error, Limits};

/// `len` bytes of a source from `offset` on.
#[derive(Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) source: &'a dyn BlobSource,
    pub(crate) offset: u64,
    pub(crate) len: u64,
}

/// How far the request has read its piece, and why no further.
#[derive(Debug, Default)]
struct Progress {
    read: AtomicU64,
    failure: Mutex<Option<io::Error>>,
}

impl Piece<'_> {
    /// Sends `request` with the piece as its body. While bytes are read it may take any time;
    /// without, the stall timeout, and after the last one the commit timeout.
    pub(crate) async fn send(
        &self,
        limits: &Limits,
        at: &At,
        request: RequestBuilder,
    ) -> Result<Response, Error> {
        let unreadable = |source| Error::Source {
            at: Box::new(at.clone()),
            source,
        };
        let progress = Arc::new(Progress::default());
        let source = self.source.open(self.offset).map_err(unreadable)?;
        let body = reqwest::Body::wrap_stream(metered(source, self.len, Arc::clone(&progress)));
        let request = request.header(header::CONTENT_LENGTH, self.len).body(body);
        let sent = watch(limits, at, &progress, self.len, request).await;
        let failure = progress
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match failure {
            Some(source) => Err(unreadable(source)),
            None => sent,
        }
    }
}

async fn watch(
    limits: &Limits,
    at: &At,
    progress: &Progress,
    len: u64,
    request: RequestBuilder,
) -> Result<Response, Error> {
    let mut sending = pin!(request.send());
    let mut seen = 0;
    loop {
        let is_all_sent = seen == len;
        let patience = if is_all_sent {
            limits.commit_timeout
        } else {
            limits.stall_timeout
        };
        match tokio::time::timeout(patience, &mut sending).await {
            Ok(sent) => return sent.map_err(|error| Error::transport(at.clone(), error)),
            Err(_) if progress.read() > seen => seen = progress.read(),
            Err(_) => return Err(stalled(at, patience)),
        }
    }
}

fn stalled(at: &At, after: Duration) -> Error {
    Error::Stalled {
        at: Box::new(at.clone()),
        after,
    }
}

impl Progress {
    fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Keeps the reason, since the HTTP client only says that the body failed.
    fn fail(&self, error: io::Error) -> io::Error {
        let copy = io::Error::new(error.kind(), "the source failed");
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        copy
    }
}

/// Exactly `len` bytes of `source`, which may have more.
fn metered(
    source: BlobBody,
    len: u64,
    progress: Arc<Progress>,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    futures_util::stream::unfold((source, len), move |(mut source, left)| {
        let progress = Arc::clone(&progress);
        async move {
            if left == 0 {
                return None;
            }
            let item = match source.next().await {
                Some(Ok(chunk)) => {
                    let take = chunk
                        .len()
                        .min(usize::try_from(left).unwrap_or(chunk.len()));
                    progress.read.fetch_add(take as u64, Ordering::Relaxed);
                    return Some((Ok(chunk.slice(..take)), (source, left - take as u64)));
                }
                Some(Err(error)) => error,
                None => io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("the source ended {left} bytes early"),
                ),
            };
            Some((Err(progress.fail(item)), (source, 0)))
        }
    })
}

impl std::fmt::Debug for Piece<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Piece({}+{})", self.offset, self.len)
    }
}
