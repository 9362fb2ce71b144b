//! Files from URLs: fetched into the store once, and known by their digest from then on.
//!
//! With a checksum the network is asked only when the store has no such blob. Without one the
//! server is asked each time, since only it knows whether the file is still the same.

use std::io::Write as _;
use std::sync::{Arc, PoisonError};

use graph::{ContentHash as _, ContentHasher, HttpSource};
use oci::Digest;
use solver::{CacheKey, Step, StepProgress};
use tokio::sync::mpsc;

use super::time::last_modified;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::output::{Output, Stack};
use crate::progress::Transfer;

/// The mode of a file for which none is asked.
const MODE: u32 = 0o600;
/// Redirects that are followed.
const REDIRECTS: usize = 10;

impl Inner {
    /// What the URL stands for now.
    pub(crate) async fn pin_http(
        self: &Arc<Self>,
        source: &HttpSource,
        step: &Step,
    ) -> Result<CacheKey, EngineError> {
        let digest = match source.checksum {
            Some(checksum) => checksum,
            None => self.download(source, step.progress()).await?,
        };
        let mut hasher = ContentHasher::new("http");
        digest.feed(&mut hasher);
        source.file_name.feed(&mut hasher);
        source.mode.feed(&mut hasher);
        source.uid.feed(&mut hasher);
        source.gid.feed(&mut hasher);
        Ok(CacheKey(*hasher.finish().as_bytes()))
    }

    /// The file, alone in a file system.
    pub(crate) async fn http(
        self: &Arc<Self>,
        source: &HttpSource,
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
            None => self.download(source, step.progress()).await?,
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
        progress: &StepProgress,
    ) -> Result<Digest, EngineError> {
        let failed = |error: reqwest::Error| EngineError::Download {
            url: source.url.clone(),
            source: error.without_url(),
        };
        let mut response = self
            .web()?
            .get(&source.url)
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

    /// The client for files from the web, made on first use.
    pub(super) fn web(&self) -> Result<&reqwest::Client, EngineError> {
        if let Some(client) = self.web.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::limited(REDIRECTS))
            .connect_timeout(std::time::Duration::from_secs(30))
            .read_timeout(std::time::Duration::from_secs(60))
            .build()
            .map_err(EngineError::Web)?;
        Ok(self.web.get_or_init(|| client))
    }
}
