//! Blobs as verified streams that go on where they were cut off.
//!
//! A stream gives exactly the bytes of its descriptor or ends with an error. When a connection
//! breaks it asks the same host for the rest, then the next host; a redirect is taken anew each
//! time, since where it leads to expires.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use oci::{Descriptor, Hasher, Reference};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;

use crate::client::{no_host, slot};
use crate::endpoint::Endpoint;
use crate::error::{At, What, content_type, next_chunk};
use crate::exchange::Call;
use crate::retry::Retry;
use crate::{Client, Error};

/// The bytes of a blob. Holds one of its host's slots until dropped: read each stream to its
/// end, or drop it, before more are opened than [`crate::Limits::pulls`].
#[derive(Debug)]
pub struct BlobStream {
    client: Client,
    reference: Reference,
    descriptor: Descriptor,
    /// The hosts that are left, the current one first.
    endpoints: std::collections::VecDeque<Arc<Endpoint>>,
    errors: Vec<Error>,
    retry: Retry,
    position: u64,
    /// Present when the stream began at the start.
    hasher: Option<Hasher>,
    body: Option<Body>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Verified,
    Failed,
}

#[derive(Debug)]
struct Body {
    response: Response,
    at: At,
    /// Bytes that were already given, sent again by a host that knows no ranges.
    skip: u64,
    etag: Option<HeaderValue>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Client {
    /// The bytes of `descriptor` from `offset` on, from the repository of `reference`.
    ///
    /// The size is always verified. The digest is when `offset` is 0; who resumes has the
    /// bytes before and verifies the whole.
    ///
    /// # Errors
    /// No host has it.
    pub async fn blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        offset: u64,
    ) -> Result<BlobStream, Error> {
        let endpoints = self.wire.endpoints.for_pull(reference.domain());
        let mut stream = BlobStream {
            client: self.clone(),
            reference: reference.clone(),
            descriptor: descriptor.clone(),
            retry: self.retry(endpoints.len() > 1),
            endpoints: endpoints.into(),
            errors: Vec::new(),
            position: offset,
            hasher: (offset == 0).then(Hasher::new),
            body: None,
            state: State::Reading,
        };
        if offset > descriptor.size {
            return Err(Error::Size {
                at: Box::new(stream.at()),
                expected: descriptor.size,
                found: offset,
            });
        }
        if offset < descriptor.size {
            stream.open(None).await?;
        }
        Ok(stream)
    }
}

impl BlobStream {
    /// The next bytes; none at the end, when everything was verified.
    ///
    /// # Errors
    /// No host gave the rest, or the bytes are not those of the descriptor.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let Some(body) = &mut self.body else {
                match self.state {
                    State::Verified => return Ok(None),
                    State::Failed => return Err(unexpected(&self.at(), "a failed blob", "a blob")),
                    State::Reading if self.position == self.descriptor.size => self.finish()?,
                    // The caller dropped this future while it was opening.
                    State::Reading => self.open(None).await?,
                }
                continue;
            };
            let stall = self.client.wire.limits.stall_timeout;
            match next_chunk(&body.at, stall, &mut body.response).await {
                Ok(Some(chunk)) => {
                    if let Some(chunk) = self.take(chunk)? {
                        return Ok(Some(chunk));
                    }
                }
                // All bytes are here; how the connection ends is no matter.
                Ok(None) | Err(_) if self.position == self.descriptor.size => self.body = None,
                Ok(None) => {
                    let error = Error::Short {
                        at: Box::new(body.at.clone()),
                        expected: self.descriptor.size,
                        found: self.position,
                    };
                    self.resume(error).await?;
                }
                Err(error) => self.resume(error).await?,
            }
        }
    }

    /// Leaves the digest to a caller who computes it anyway, as the store does: hashing twice
    /// costs more than everything else here. The size is verified all the same.
    #[must_use]
    pub fn without_digest(mut self) -> Self {
        self.hasher = None;
        self
    }

    /// How many bytes of the blob have been given, those before the offset included.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// What is streamed.
    #[must_use]
    pub const fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The same as a [`Stream`]; ends after the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        futures_util::stream::try_unfold(self, |mut stream| async move {
            let chunk = stream.next().await?;
            Ok(chunk.map(|chunk| (chunk, stream)))
        })
    }

    /// Counts and hashes; `None` when all of `chunk` had been given before.
    fn take(&mut self, mut chunk: Bytes) -> Result<Option<Bytes>, Error> {
        if let Some(body) = &mut self.body {
            let skipped = body.skip.min(chunk.len() as u64);
            body.skip -= skipped;
            chunk = chunk.split_off(usize::try_from(skipped).unwrap_or(chunk.len()));
        }
        if chunk.is_empty() {
            return Ok(None);
        }
        self.position += chunk.len() as u64;
        self.retry.reached(self.position);
        if self.position > self.descriptor.size {
            let at = Box::new(self.at());
            self.fail();
            return Err(Error::Size {
                at,
                expected: self.descriptor.size,
                found: self.position,
            });
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&chunk);
        }
        Ok(Some(chunk))
    }

    fn finish(&mut self) -> Result<(), Error> {
        let found = self.hasher.take().map(Hasher::finish);
        match found {
            Some(found) if found != self.descriptor.digest => {
                self.fail();
                Err(Error::Digest {
                    at: Box::new(self.at()),
                    expected: self.descriptor.digest,
                    found,
                })
            }
            _ => {
                self.state = State::Verified;
                Ok(())
            }
        }
    }

    fn fail(&mut self) {
        self.state = State::Failed;
        self.body = None;
    }

    async fn resume(&mut self, error: Error) -> Result<(), Error> {
        let etag = self.body.take().and_then(|body| body.etag);
        match self.retry.after(error).await {
            Ok(()) => self.open(etag).await,
            Err(error) => {
                self.give_up_host(error)?;
                self.open(None).await
            }
        }
    }

    /// Opens the rest on the first host that gives it.
    async fn open(&mut self, mut etag: Option<HeaderValue>) -> Result<(), Error> {
        loop {
            let Some(endpoint) = self.endpoints.front().cloned() else {
                return Err(no_host(&self.reference));
            };
            match self.open_on(&endpoint, etag.take()).await {
                Ok(body) => {
                    self.body = Some(body);
                    return Ok(());
                }
                Err(error) => {
                    if let Err(error) = self.retry.after(error).await {
                        self.give_up_host(error)?;
                    }
                }
            }
        }
    }

    fn give_up_host(&mut self, error: Error) -> Result<(), Error> {
        if let Some(endpoint) = self.endpoints.pop_front() {
            endpoint.note(&error);
        }
        self.errors.push(error);
        if self.endpoints.is_empty() {
            self.fail();
            let errors = std::mem::take(&mut self.errors);
            return Err(Error::of_hosts(errors).unwrap_or_else(|| no_host(&self.reference)));
        }
        self.retry = self.client.retry(self.endpoints.len() > 1);
        Ok(())
    }

    async fn open_on(
        &self,
        endpoint: &Arc<Endpoint>,
        etag: Option<HeaderValue>,
    ) -> Result<Body, Error> {
        let slot = slot(&endpoint.pulls).await;
        let path = format!("blobs/{}", self.descriptor.digest);
        let mut call = Call::new(endpoint, &self.reference, Method::GET, &path);
        if self.position > 0 {
            let range = HeaderValue::try_from(format!("bytes={}-", self.position));
            call.headers
                .extend(range.ok().map(|range| (header::RANGE, range)));
            call.headers
                .extend(etag.map(|etag| (header::IF_RANGE, etag)));
        }
        let answer = self.client.exchange(&call).await?;
        let (response, at) = answer.success(What::Blob).await?;
        let skip = self.check_head(&response, &at)?;
        Ok(Body {
            etag: strong_etag(response.headers()),
            response,
            at,
            skip,
            _slot: slot,
        })
    }

    /// Refuses an answer that cannot be the blob; says how much of it was given before.
    fn check_head(&self, response: &Response, at: &At) -> Result<u64, Error> {
        let size = self.descriptor.size;
        let length = response.content_length();
        let is_html = content_type(response.headers()) == Some("text/html");
        if is_html && length != Some(size - self.position) {
            return Err(unexpected(at, "text/html", "a blob"));
        }
        let (start, total) = match response.status() {
            StatusCode::PARTIAL_CONTENT => content_range(response.headers()).ok_or_else(|| {
                unexpected(at, "a part without Content-Range", "a part of a blob")
            })?,
            _ => (0, length.unwrap_or(size)),
        };
        if total != size {
            return Err(Error::Size {
                at: Box::new(at.clone()),
                expected: size,
                found: total,
            });
        }
        match self.position.checked_sub(start) {
            Some(skip) => Ok(skip),
            None => Err(unexpected(at, "a later part", "a part of a blob")),
        }
    }

    fn at(&self) -> At {
        match (&self.body, self.endpoints.front()) {
            (Some(body), _) => body.at.clone(),
            (None, Some(endpoint)) => endpoint.at(&self.reference),
            (None, None) => At {
                host: self.reference.domain().to_owned(),
                reference: self.reference.to_string(),
            },
        }
    }
}

fn unexpected(at: &At, found: &str, expected: &'static str) -> Error {
    Error::Unexpected {
        at: Box::new(at.clone()),
        found: found.to_owned(),
        expected,
    }
}

/// Start and whole size of `bytes 5-9/10`; a size of `*` is refused.
fn content_range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()?))
}

/// A weak one may not be used with ranges.
fn strong_etag(headers: &HeaderMap) -> Option<HeaderValue> {
    headers
        .get(header::ETAG)
        .filter(|etag| !etag.as_bytes().starts_with(b"W/"))
        .cloned()
}
