//! Files from URLs: fetched into the store once, and known by their digest from then on.
//!
//! With a checksum the network is asked only when the store has no such blob. Without one the
//! server is asked each time, since only it knows whether the file is still the same; one that names
//! what it gives need not give it again.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use graph::{ContentHash as _, ContentHasher, HttpSource};
use oci::Digest;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, Url};
use solver::{CacheKey, Step, StepProgress};
use tokio::sync::mpsc;

use super::body::{Body, GZIP};
use super::entity::entity;
use super::time::last_modified;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::output::{Output, Stack};
use crate::progress::Transfer;
use crate::request::Secret;
use crate::session::Session;

/// The mode of a file for which none is asked.
const MODE: u32 = 0o600;
/// Redirects that are followed.
const REDIRECTS: usize = 10;

/// What a URL stood for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) digest: Digest,
    /// When its server says that it was last changed, in seconds since 1970. A file whose checksum
    /// was written down is the same whoever gives it, so it has no time.
    pub(crate) modified: Option<i64>,
}

/// What a file is known by.
pub(crate) fn key(source: &HttpSource, fetched: &Fetched) -> CacheKey {
    let mut hasher = ContentHasher::new("http");
    fetched.digest.feed(&mut hasher);
    source.file_name.feed(&mut hasher);
    source.mode.feed(&mut hasher);
    source.uid.feed(&mut hasher);
    source.gid.feed(&mut hasher);
    if let Some(modified) = fetched.modified {
        modified.feed(&mut hasher);
    }
    CacheKey(*hasher.finish().as_bytes())
}

/// What the URLs of one build stood for, so that each file comes once.
#[derive(Debug, Default)]
pub(crate) struct Files(Mutex<HashMap<Asked, Fetched>>);

/// All that a server hears: it may answer the same URL otherwise when it is asked otherwise.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Asked {
    url: String,
    headers: BTreeMap<String, String>,
    secret: Option<String>,
}

impl Asked {
    fn of(source: &HttpSource) -> Self {
        Self {
            url: source.url.clone(),
            headers: source.headers.clone(),
            secret: source.secret.clone(),
        }
    }
}

impl Files {
    /// Keeps what the source stands for, if that was found out now.
    pub(crate) fn keep(&self, source: &HttpSource, fetched: Fetched) {
        if source.checksum.is_none() {
            let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            files.insert(Asked::of(source), fetched);
        }
    }

    /// What the source stands for, if that is known.
    pub(crate) fn known(&self, source: &HttpSource) -> Option<Fetched> {
        if let Some(digest) = source.checksum {
            let modified = None;
            return Some(Fetched { digest, modified });
        }
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.get(&Asked::of(source)).copied()
    }
}

impl Inner {
    /// What the URL stands for now; it is in the store then, unless its checksum was known.
    pub(crate) async fn resolve_http(
        self: &Arc<Self>,
        source: &HttpSource,
        session: &Session,
        step: &Step,
    ) -> Result<Fetched, EngineError> {
        if let Some(digest) = source.checksum {
            let modified = None;
            return Ok(Fetched { digest, modified });
        }
        match self.unchanged(source, session).await? {
            Some(known) => Ok(known),
            None => self.download(source, session, step.progress()).await,
        }
    }

    /// The file, alone in a file system; `known` is what its source stands for, if that is known.
    pub(crate) async fn http(
        self: &Arc<Self>,
        source: &HttpSource,
        known: Option<Fetched>,
        session: &Session,
        step: &Step,
    ) -> Result<Output, EngineError> {
        let source = HttpSource {
            checksum: known.map(|known| known.digest).or(source.checksum),
            ..source.clone()
        };
        let is_here = match &source.checksum {
            Some(digest) => self.store.blobs().take(&self.lease, digest)?.is_some(),
            None => false,
        };
        let fetched = match known.filter(|_| is_here) {
            Some(known) => known,
            None => {
                let fetched = self.download(&source, session, step.progress()).await?;
                known.unwrap_or(fetched)
            }
        };
        let engine = Arc::clone(self);
        crate::blocking(move || engine.file_of_blob(&source, &fetched)).await?
    }

    fn file_of_blob(&self, source: &HttpSource, file_of: &Fetched) -> Result<Output, EngineError> {
        let draft = self.draft(&[])?;
        let root = draft.upper().root();
        let mut file = root.create_file(source.file_name.as_ref())?;
        let mut blob = self.store.blobs().open(&file_of.digest)?;
        std::io::copy(&mut blob, &mut file).map_err(|source| EngineError::Write { source })?;
        let attributes = snapshot::Attributes {
            uid: source.uid.unwrap_or(0),
            gid: source.gid.unwrap_or(0),
            mode: source.mode.unwrap_or(MODE),
            modified: Some(snapshot::Time {
                seconds: file_of.modified.unwrap_or_default(),
                ..snapshot::Time::default()
            }),
            xattrs: Vec::new(),
        };
        crate::op::set_file_attributes(&file, &attributes)?;
        Ok(Output::Stack(Stack::new(vec![
            self.publish(draft.commit())?,
        ])))
    }

    /// Brings the file into the store.
    pub(crate) async fn download(
        self: &Arc<Self>,
        source: &HttpSource,
        session: &Session,
        progress: &StepProgress,
    ) -> Result<Fetched, EngineError> {
        let failed = |error: reqwest::Error| EngineError::Download {
            url: source.url.clone(),
            source: error.without_url(),
        };
        let sent = self.request(Method::GET, source, session)?.send().await;
        let mut response = given(sent.map_err(failed)?, source)?;
        let modified = last_modified(response.headers());
        let entity = entity(response.headers());
        let total = response.content_length();
        let transfer = Transfer::begin(progress, "downloading".to_owned(), total);
        let (sender, mut receiver) = mpsc::channel::<bytes::Bytes>(16);
        let (engine, headers) = (Arc::clone(self), response.headers().clone());
        let write = crate::blocking(move || {
            let writer = engine.store.blobs().writer(&engine.lease, None)?;
            let mut writer = Body::new(writer, &headers);
            while let Some(piece) = receiver.blocking_recv() {
                writer
                    .write_all(&piece)
                    .map_err(|source| EngineError::Write { source })?;
            }
            Ok::<_, EngineError>(writer)
        });
        let read = async move {
            while let Some(piece) = response.chunk().await? {
                transfer.add(piece.len() as u64);
                if sender.send(piece).await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        let (read, writer) = tokio::join!(read, write);
        read.map_err(failed)?;
        let finish = move || {
            let written = writer??.finish();
            let blob = written.map_err(|source| EngineError::Write { source })?;
            Ok::<_, EngineError>(blob.commit()?)
        };
        let blob = crate::blocking(finish).await??;
        match source.checksum {
            Some(expected) if expected != blob.digest => Err(store::StoreError::DigestMismatch {
                expected,
                found: blob.digest,
            }
            .into()),
            _ => {
                let digest = blob.digest;
                let fetched = Fetched { digest, modified };
                self.note(source, entity, &fetched)?;
                Ok(fetched)
            }
        }
    }

    /// Keeps what the server told of a file that is here now.
    fn note(
        &self,
        source: &HttpSource,
        entity: Option<String>,
        fetched: &Fetched,
    ) -> Result<(), EngineError> {
        if let Some(modified) = fetched.modified {
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            times.insert(fetched.digest, modified);
        }
        self.remember(source, entity, fetched)
    }

    /// A request with its own header fields, and with what the client's secrets say.
    pub(super) fn request(
        &self,
        method: Method,
        source: &HttpSource,
        session: &Session,
    ) -> Result<RequestBuilder, EngineError> {
        // Some servers name a file otherwise when it is asked for otherwise.
        let mut request = self
            .web()?
            .request(method, &source.url)
            .header(ACCEPT_ENCODING, GZIP);
        for (name, value) in &source.headers {
            request = request.header(name, value);
        }
        let value = match &source.secret {
            Some(id) => Some(named_secret(id, session)?),
            None => authorization(&source.url, session)?,
        };
        Ok(match value {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        })
    }

    /// The client for files from the web, made on first use.
    fn web(&self) -> Result<&reqwest::Client, EngineError> {
        if let Some(client) = self.web.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::custom(redirect))
            .connect_timeout(std::time::Duration::from_secs(30))
            .read_timeout(std::time::Duration::from_secs(60))
            .build()
            .map_err(EngineError::Web)?;
        Ok(self.web.get_or_init(|| client))
    }
}

/// The answer, if it is a file.
fn given(response: Response, source: &HttpSource) -> Result<Response, EngineError> {
    let status = response.status();
    match status.is_client_error() || status.is_server_error() {
        true => Err(EngineError::DownloadStatus {
            url: source.url.clone(),
            status,
        }),
        false => Ok(response),
    }
}

/// A few redirects, and none from a public server to what only this machine or its network reaches.
fn redirect(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let before = attempt.previous();
    if before.len() > REDIRECTS {
        return attempt.error("too many redirects");
    }
    let from = before.last();
    if from.is_some_and(|from| registry::leads_nearer(from, attempt.url())) {
        let host = attempt.url().host_str().unwrap_or_default().to_owned();
        return attempt.error(format!("redirect to the private address {host} refused"));
    }
    attempt.follow()
}

/// `HTTP_AUTH_TOKEN_host` or `HTTP_AUTH_HEADER_host` among the client's secrets, as BuildKit names
/// them. A redirect to another host does not get it.
fn authorization(url: &str, session: &Session) -> Result<Option<HeaderValue>, EngineError> {
    let Some(host) = Url::parse(url)
        .ok()
        .and_then(|url| Some(url.host_str()?.to_owned()))
    else {
        return Ok(None);
    };
    for (prefix, scheme) in [("HTTP_AUTH_TOKEN_", "Bearer "), ("HTTP_AUTH_HEADER_", "")] {
        let name = format!("{prefix}{host}");
        let Some(secret) = session.secret(&name)? else {
            continue;
        };
        return header(&name, scheme, &secret).map(Some);
    }
    Ok(None)
}

/// The secret that a source names, which the client has to offer.
fn named_secret(id: &str, session: &Session) -> Result<HeaderValue, EngineError> {
    let secret = session.secret(id)?;
    let secret = secret.ok_or_else(|| EngineError::MissingSecret(id.to_owned()))?;
    header(id, "", &secret)
}

/// The secret as the value of a header field that is nowhere shown.
fn header(name: &str, scheme: &str, secret: &Secret) -> Result<HeaderValue, EngineError> {
    let value = [scheme.as_bytes(), secret.expose().trim_ascii()].concat();
    let mut value = HeaderValue::from_bytes(&value).map_err(|_| EngineError::Unsupported {
        what: format!("a secret {name} that is no HTTP header"),
        instead: "give one line of text",
    })?;
    value.set_sensitive(true);
    Ok(value)
}
