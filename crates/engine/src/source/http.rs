//! Files from URLs: fetched into the store once, and known by their digest from then on.
//!
//! With a checksum the network is asked only when the store has no such blob. Without one the
//! server is asked each time, since only it knows whether the file is still the same.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use graph::{ContentHash as _, ContentHasher, HttpSource};
use oci::Digest;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, RequestBuilder, Url};
use solver::{CacheKey, Step, StepProgress};
use tokio::sync::mpsc;

use super::time::last_modified;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::output::{Output, Stack};
use crate::progress::Transfer;
use crate::session::Session;

/// The mode of a file for which none is asked.
const MODE: u32 = 0o600;
/// Redirects that are followed.
const REDIRECTS: usize = 10;

/// What a file is known by.
pub(crate) fn key(source: &HttpSource, digest: &Digest) -> CacheKey {
    let mut hasher = ContentHasher::new("http");
    digest.feed(&mut hasher);
    source.file_name.feed(&mut hasher);
    source.mode.feed(&mut hasher);
    source.uid.feed(&mut hasher);
    source.gid.feed(&mut hasher);
    CacheKey(*hasher.finish().as_bytes())
}

/// What the URLs of one build stood for, so that each file comes once.
#[derive(Debug, Default)]
pub(crate) struct Files(Mutex<HashMap<String, Digest>>);

impl Files {
    /// Keeps what the source stands for, if that was found out now.
    pub(crate) fn keep(&self, source: &HttpSource, digest: Digest) {
        if source.checksum.is_none() {
            let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            files.insert(source.url.clone(), digest);
        }
    }

    /// The source with the file's digest as checksum, if that is known.
    pub(crate) fn pinned(&self, source: &HttpSource) -> HttpSource {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = files.get(&source.url).copied();
        HttpSource {
            checksum: source.checksum.or(known),
            ..source.clone()
        }
    }
}

impl Inner {
    /// What the URL stands for now; it is in the store then, unless its checksum was known.
    pub(crate) async fn resolve_http(
        self: &Arc<Self>,
        source: &HttpSource,
        session: &Session,
        step: &Step,
    ) -> Result<Digest, EngineError> {
        match source.checksum {
            Some(checksum) => Ok(checksum),
            None => self.download(source, session, step.progress()).await,
        }
    }

    /// The file, alone in a file system.
    pub(crate) async fn http(
        self: &Arc<Self>,
        source: &HttpSource,
        session: &Session,
        step: &Step,
    ) -> Result<Output, EngineError> {
        let known = match source.checksum {
            Some(digest) => self
                .store
                .blobs()
                .take(&self.lease, &digest)?
                .map(|_| digest),
            None => None,
        };
        let digest = match known {
            Some(digest) => digest,
            None => self.download(source, session, step.progress()).await?,
        };
        let (engine, source) = (Arc::clone(self), source.clone());
        crate::blocking(move || engine.file_of_blob(&source, &digest)).await?
    }

    fn file_of_blob(&self, source: &HttpSource, digest: &Digest) -> Result<Output, EngineError> {
        let draft = self.draft(&[])?;
        let root = draft.upper().root();
        let mut file = root.create_file(source.file_name.as_ref())?;
        let mut blob = self.store.blobs().open(digest)?;
        std::io::copy(&mut blob, &mut file).map_err(|source| EngineError::Write { source })?;
        let attributes = snapshot::Attributes {
            uid: source.uid.unwrap_or(0),
            gid: source.gid.unwrap_or(0),
            mode: source.mode.unwrap_or(MODE),
            modified: Some(snapshot::Time::default()),
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
    ) -> Result<Digest, EngineError> {
        let failed = |error: reqwest::Error| EngineError::Download {
            url: source.url.clone(),
            source: error.without_url(),
        };
        let mut response = self
            .request(Method::GET, &source.url, session)?
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(failed)?;
        let modified = last_modified(response.headers());
        let total = response.content_length();
        let transfer = Transfer::begin(progress, "downloading".to_owned(), total);
        let (sender, mut receiver) = mpsc::channel::<bytes::Bytes>(16);
        let engine = Arc::clone(self);
        let write = crate::blocking(move || {
            let mut writer = engine.store.blobs().writer(&engine.lease, None)?;
            while let Some(piece) = receiver.blocking_recv() {
                writer
                    .write_all(&piece)
                    .map_err(|source| EngineError::Write { source })?;
            }
            // An empty last word says that all came.
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
        let blob = crate::blocking(move || Ok::<_, EngineError>(writer??.commit()?)).await??;
        match source.checksum {
            Some(expected) if expected != blob.digest => Err(store::StoreError::DigestMismatch {
                expected,
                found: blob.digest,
            }
            .into()),
            _ => {
                if let Some(modified) = modified {
                    let times = self.times.lock();
                    let mut times = times.unwrap_or_else(PoisonError::into_inner);
                    times.insert(blob.digest, modified);
                }
                Ok(blob.digest)
            }
        }
    }

    /// A request with what the client's secrets say of the host.
    pub(super) fn request(
        &self,
        method: Method,
        url: &str,
        session: &Session,
    ) -> Result<RequestBuilder, EngineError> {
        let request = self.web()?.request(method, url);
        Ok(match authorization(url, session)? {
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
        let value = [scheme.as_bytes(), secret.expose().trim_ascii()].concat();
        let mut value = HeaderValue::from_bytes(&value).map_err(|_| EngineError::Unsupported {
            what: format!("a secret {name} that is no HTTP header"),
            instead: "give one line of text",
        })?;
        value.set_sensitive(true);
        return Ok(Some(value));
    }
    Ok(None)
}
