//! One upload: begin, send, and after a failure ask how far it came and go on from there.
//!
//! First all in one request; a registry that finds this too much gets it in chunks. A session
//! that the registry has lost is begun anew. Each request goes where the last answer said.

use std::sync::Arc;

use oci::{Descriptor, Reference};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::{BlobSource, Piece};
use crate::auth::Scopes;
use crate::client::slot;
use crate::endpoint::Endpoint;
use crate::error::{At, What};
use crate::exchange::{Answer, Body, Call, Target};
use crate::pull::stated_digest;
use crate::retry::Retry;
use crate::{Client, Error};

const CHUNK_MIN_LENGTH: HeaderName = HeaderName::from_static("oci-chunk-min-length");
/// Smaller chunks than this are no registry's limit.
const MIN_CHUNK: u64 = 32 << 10;

/// A session that the registry has begun.
#[derive(Debug)]
pub(super) struct Upload {
    location: Url,
    /// How many bytes the registry has.
    offset: u64,
    /// Whether it was found again after a failure, with bytes in it.
    is_resumed: bool,
    /// The least that the registry takes in a chunk that is not the last.
    min_chunk: u64,
}

/// What one blob's upload is about.
#[derive(Clone, Copy)]
struct Job<'a> {
    endpoint: &'a Arc<Endpoint>,
    reference: &'a Reference,
    descriptor: &'a Descriptor,
    body: &'a dyn BlobSource,
}

/// How much goes into one request.
#[derive(Debug, Clone, Copy)]
enum Mode {
    Whole,
    Chunks(u64),
}

impl Client {
    /// Sends the blob, in `upload` if one was begun already.
    pub(super) async fn upload(
        &self,
        endpoint: &Arc<Endpoint>,
        reference: &Reference,
        descriptor: &Descriptor,
        body: &dyn BlobSource,
        mut upload: Option<Upload>,
    ) -> Result<(), Error> {
        let job = Job {
            endpoint,
            reference,
            descriptor,
            body,
        };
        let mut retry = self.retry(false);
        let mut can_resume = true;
        let mut mode = if descriptor.size > self.wire.limits.upload_whole_max {
            Mode::Chunks(self.wire.limits.upload_chunk)
        } else {
            Mode::Whole
        };
        loop {
            let sent = match &mut upload {
                None => self.begin(job).await.map(|begun| upload = Some(begun)),
                Some(session) => match self.send_rest(job, session, mode, &mut retry).await {
                    Ok(()) => return Ok(()),
                    Err(error) => Err(error),
                },
            };
            let Err(error) = sent else { continue };
            match smaller(mode, &error, self.wire.limits.upload_chunk, descriptor.size) {
                // Refused before anything was taken: that is no failed attempt.
                Some(chunks) => {
                    mode = chunks;
                    upload = None;
                }
                None => {
                    let was_resumed = upload.as_ref().is_some_and(|session| session.is_resumed);
                    let error = lost(error, was_resumed);
                    // Not every registry goes on where it was; such a one gets all again.
                    can_resume &= !(was_resumed && matches!(error, Error::LostUpload { .. }));
                    retry.after(error).await?;
                    upload = match upload {
                        Some(session) if can_resume => self.find_again(job, &session).await,
                        _ => None,
                    };
                    retry.reached(upload.as_ref().map_or(0, |session| session.offset));
                }
            }
        }
    }

    /// Tells the registry that nothing more will come.
    pub(super) async fn cancel(&self, reference: &Reference, upload: &Upload) {
        let endpoint = self.wire.endpoints.for_push(reference.domain());
        let target = Target::Url(upload.location.clone());
        let call = session_call(&endpoint, reference, Method::DELETE, target);
        // A session that stays is the registry's to clean up.
        let _ = self.exchange(&call).await;
    }

    async fn begin(&self, job: Job<'_>) -> Result<Upload, Error> {
        let _slot = slot(&job.endpoint.requests).await;
        let path = format!("{}/blobs/uploads/", job.reference.repository());
        let target = Target::Path(path);
        let call = session_call(job.endpoint, job.reference, Method::POST, target);
        let answer = self.exchange(&call).await?;
        match answer.response.status().as_u16() {
            202 => Upload::of(&answer),
            _ => {
                let (_, at) = answer.success(What::Api).await?;
                Err(unexpected(&at, "a success without an upload", "an upload"))
            }
        }
    }

    async fn send_rest(
        &self,
        job: Job<'_>,
        upload: &mut Upload,
        mode: Mode,
        retry: &mut Retry,
    ) -> Result<(), Error> {
        if let Mode::Chunks(chunk) = mode {
            let chunk = chunk.max(upload.min_chunk);
            while upload.offset + chunk < job.descriptor.size {
                self.send_chunk(job, upload, chunk).await?;
                retry.reached(upload.offset);
            }
        }
        self.send_last(job, upload).await
    }

    async fn send_chunk(&self, job: Job<'_>, upload: &mut Upload, len: u64) -> Result<(), Error> {
        let target = Target::Url(upload.location.clone());
        let mut call = session_call(job.endpoint, job.reference, Method::PATCH, target);
        fill(&mut call, job, upload.offset, len);
        let answer = self.exchange(&call).await?;
        if !answer.response.status().is_success() {
            return answer.success(What::Upload).await.map(|_| ());
        }
        let min_chunk = upload.min_chunk;
        *upload = Upload::of(&answer)?;
        upload.min_chunk = upload.min_chunk.max(min_chunk);
        Ok(())
    }

    /// What is left, with the digest of the whole.
    async fn send_last(&self, job: Job<'_>, upload: &Upload) -> Result<(), Error> {
        let mut location = upload.location.clone();
        location
            .query_pairs_mut()
            .append_pair("digest", &job.descriptor.digest.to_string());
        let target = Target::Url(location);
        let mut call = session_call(job.endpoint, job.reference, Method::PUT, target);
        fill(
            &mut call,
            job,
            upload.offset,
            job.descriptor.size - upload.offset,
        );
        let (response, at) = self.exchange(&call).await?.success(What::Upload).await?;
        match stated_digest(response.headers()) {
            Some(found) if found != job.descriptor.digest => Err(Error::Digest {
                at: Box::new(at),
                expected: job.descriptor.digest,
                found,
            }),
            _ => Ok(()),
        }
    }

    /// The session as the registry now sees it; `None` when it is gone or holds what cannot
    /// be ours.
    async fn find_again(&self, job: Job<'_>, upload: &Upload) -> Option<Upload> {
        let target = Target::Url(upload.location.clone());
        let call = session_call(job.endpoint, job.reference, Method::GET, target);
        // Whatever is wrong with the session, a new one is the answer.
        let answer = self.exchange(&call).await.ok()?;
        let is_success = answer.response.status().is_success();
        let found = Upload::of(&answer).ok().filter(|_| is_success)?;
        (found.offset <= job.descriptor.size).then_some(Upload {
            min_chunk: upload.min_chunk.max(found.min_chunk),
            is_resumed: found.offset > 0,
            ..found
        })
    }
}

impl Upload {
    /// Where an answer says that the session goes on, and how far it is.
    pub(super) fn of(answer: &Answer) -> Result<Self, Error> {
        let (headers, url) = (answer.response.headers(), answer.response.url());
        let location = text(headers, &header::LOCATION)
            .and_then(|location| url.join(location).ok())
            .ok_or_else(|| unexpected(&answer.at, "no Location", "an upload's Location"))?;
        Ok(Self {
            location: not_downgraded(location, url),
            is_resumed: false,
            offset: text(headers, &header::RANGE)
                .and_then(received)
                .unwrap_or(0),
            min_chunk: text(headers, &CHUNK_MIN_LENGTH)
                .and_then(|length| length.parse().ok())
                .unwrap_or(0),
        })
    }
}

/// Registries behind a proxy that ends TLS name themselves with `http://`.
fn not_downgraded(mut location: Url, from: &Url) -> Url {
    let is_itself = location.host_str() == from.host_str() && location.port() == from.port();
    if is_itself && from.scheme() == "https" && location.scheme() == "http" {
        // Cannot fail between these two schemes.
        let _ = location.set_scheme("https");
    }
    location
}

/// How many bytes `0-4` or `bytes=0-4` says were received. `0-0` is what registries say of an
/// empty session as well as of one byte; resuming at 0 is right for both, since it fails and
/// begins anew for the latter.
fn received(range: &str) -> Option<u64> {
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    let last: u64 = range.strip_prefix("0-")?.trim().parse().ok()?;
    Some(if last == 0 { 0 } else { last.saturating_add(1) })
}

fn session_call<'a>(
    endpoint: &'a Arc<Endpoint>,
    reference: &Reference,
    method: Method,
    target: Target,
) -> Call<'a> {
    Call {
        endpoint,
        at: endpoint.at(reference),
        method,
        target,
        headers: HeaderMap::new(),
        scopes: Scopes::push(reference),
        body: Body::Empty,
    }
}

fn fill<'a>(call: &mut Call<'a>, job: Job<'a>, offset: u64, len: u64) {
    if len == 0 {
        return;
    }
    call.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    let is_part = offset > 0 || call.method == Method::PATCH;
    if let (true, Ok(range)) = (is_part, format!("{offset}-{}", offset + len - 1).try_into()) {
        call.headers.insert(header::CONTENT_RANGE, range);
    }
    call.body = Body::Piece(Piece {
        source: job.body,
        offset,
        len,
    });
}

/// The next smaller mode, if `error` says that a request carried too much.
fn smaller(mode: Mode, error: &Error, chunk: u64, size: u64) -> Option<Mode> {
    if error.status() != Some(413) {
        return None;
    }
    let next = match mode {
        Mode::Whole => chunk.min(size / 2),
        Mode::Chunks(chunk) => chunk / 2,
    };
    (next >= MIN_CHUNK.min(chunk)).then_some(Mode::Chunks(next))
}

/// A session that is lost or out of step is no reason to fail: a new one is begun. After it
/// was resumed, any refusal may mean that.
fn lost(error: Error, was_resumed: bool) -> Error {
    match error {
        Error::NotFound {
            at,
            what: What::Upload,
            problems,
        } => Error::LostUpload {
            at,
            status: 404,
            problems,
        },
        Error::Status {
            at,
            status,
            problems,
            ..
        } if status == 416 || was_resumed && (400..500).contains(&status) => Error::LostUpload {
            at,
            status,
            problems,
        },
        other => other,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn unexpected(at: &At, found: &str, expected: &'static str) -> Error {
    Error::Unexpected {
        at: Box::new(at.clone()),
        found: found.to_owned(),
        expected,
    }
}

#[cfg(test)]
mod tests;
