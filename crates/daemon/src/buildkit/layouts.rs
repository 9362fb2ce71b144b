//! OCI layouts that are a client's: what is needed of one is brought into a directory of the daemon's
//! own, and what the daemon has made is sent.

use std::path::{Path, PathBuf};

use std::sync::Arc;

use engine::{Build, BuildRequest, Engine, KeptCopy, LayoutImage, NamedContext};
use oci::{Descriptor, Digest, Document, Platform, Reference};
use tonic::Status;

use super::builds::Job;
use super::errors;
use super::frontend::plain_request;
use super::session::blobs::ClientStore;

/// What images of stores are called.
const NAME: &str = "layout";
/// Indexes within each other.
const MAX_DEPTH: usize = 8;
/// Documents and blobs of one layout.
const MAX_BLOBS: usize = 20_000;

/// Brings in what `digest` leads to in the client's store `id`, but for blobs that the daemon's own
/// store has and images for other platforms than these, or this machine's when there are none; a layout that is there as long as the build.
///
/// # Errors
/// The client offers no such store, or something is missing there.
pub(super) async fn bring_in(
    job: &Job,
    id: &str,
    digest: &Digest,
    platforms: &[Platform],
) -> Result<PathBuf, Status> {
    let copy = job.engine.kept_copy(None);
    let copy = copy.map_err(|error| errors::status(&error, None))?;
    let layout = Layout {
        store: ClientStore::new(job.session()?, id)?,
        engine: &job.engine,
        path: copy.path().to_owned(),
        platforms: match platforms {
            [] => vec![Platform::host()],
            platforms => platforms.to_vec(),
        },
    };
    layout.fill(digest).await?;
    let path = copy.path().to_owned();
    job.keep_layout(copy);
    Ok(path)
}

/// The name of the image that `digest` leads to in the client's store for images `store`, which is
/// brought in for that.
///
/// # Errors
/// As [`bring_in`], or it is no image.
pub(super) async fn image(
    job: &Arc<Job>,
    build: &Build,
    (store, digest): (&str, &Digest),
    platforms: &[Platform],
) -> Result<Reference, Status> {
    let id = format!("oci:{store}");
    let layout = LayoutImage {
        path: bring_in(job, &id, digest, platforms).await?,
        tag: None,
        digest: Some(*digest),
    };
    let context = (NAME.to_owned(), NamedContext::Layout(layout));
    let request = BuildRequest {
        named_contexts: [context].into(),
        ..plain_request(job)
    };
    let brought_in = job.engine.bring_in(request, build.progress()).await;
    let brought_in = brought_in.map_err(|error| errors::status(&error, None))?;
    match brought_in.named_contexts.get(NAME) {
        Some(NamedContext::Image(reference)) => Ok(reference.clone()),
        _ => Err(Status::internal("a layout that is no image")),
    }
}

/// Sends all blobs of the layout at `path` to the client's store `id`.
///
/// # Errors
/// The client offers no such store, or does not take something.
pub(super) async fn send(job: &Job, id: &str, path: &Path) -> Result<(), Status> {
    let store = ClientStore::new(job.session()?, id)?;
    let failed = |error: std::io::Error| Status::internal(error.to_string());
    let blobs = blobs(path);
    for entry in std::fs::read_dir(&blobs).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let digest = Digest::from_hex(&name.to_string_lossy());
        let digest = digest.map_err(|error| Status::internal(error.to_string()))?;
        store.send(&digest, &entry.path()).await?;
    }
    Ok(())
}

/// The entry of the layout at `path` that was made last, as its index has it.
///
/// # Errors
/// There is none.
pub(super) fn entry(copy: &KeptCopy) -> Result<Descriptor, Status> {
    let failed = |error: String| Status::internal(error);
    let bytes = std::fs::read(copy.path().join("index.json"));
    let bytes = bytes.map_err(|error| failed(error.to_string()))?;
    let index: oci::Index =
        serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
    let last = index.manifests.into_iter().next_back();
    last.ok_or_else(|| failed("the layout is empty".to_owned()))
}

/// A layout on its way.
struct Layout<'a> {
    store: ClientStore,
    engine: &'a Engine,
    path: PathBuf,
    platforms: Vec<Platform>,
}

impl Layout<'_> {
    async fn fill(&self, digest: &Digest) -> Result<(), Status> {
        let failed = |error: std::io::Error| Status::internal(error.to_string());
        std::fs::create_dir_all(blobs(&self.path)).map_err(failed)?;
        let (mut ahead, mut seen) = (vec![(*digest, 0)], 0);
        while let Some((digest, depth)) = ahead.pop() {
            let bytes = self.store.document(&digest).await?;
            std::fs::write(self.file(&digest), &bytes).map_err(failed)?;
            let invalid = |error: oci::DocumentError| Status::invalid_argument(error.to_string());
            let blobs = match Document::parse(&bytes, None).map_err(invalid)? {
                Document::Manifest(manifest) => {
                    let all = manifest.layers.into_iter().chain([manifest.config]);
                    all.collect()
                }
                Document::Index(index) => {
                    let (documents, blobs) = split(index.manifests);
                    let wanted = documents.iter().filter(|entry| self.is_wanted(entry));
                    ahead.extend(wanted.map(|entry| (entry.digest, depth + 1)));
                    blobs
                }
            };
            seen += blobs.len() + 1;
            if depth > MAX_DEPTH || seen > MAX_BLOBS {
                return Err(Status::invalid_argument("the layout has too many blobs"));
            }
            self.fetch(&blobs).await?;
        }
        Ok(())
    }

    /// The layers of caches are among the entries of an index.
    async fn fetch(&self, blobs: &[Descriptor]) -> Result<(), Status> {
        for blob in blobs {
            let known = self.engine.blob(&blob.digest);
            let known = known.map_err(|error| errors::status(&error, None))?;
            if known.is_none() {
                self.store
                    .fetch(&blob.digest, &self.file(&blob.digest))
                    .await?;
            }
        }
        Ok(())
    }

    fn is_wanted(&self, entry: &Descriptor) -> bool {
        entry.platform.as_ref().is_none_or(|platform| {
            let mut wanted = self.platforms.iter();
            wanted.any(|wanted| {
                (&platform.os, &platform.architecture) == (&wanted.os, &wanted.architecture)
            })
        })
    }

    fn file(&self, digest: &Digest) -> PathBuf {
        blobs(&self.path).join(digest.hex())
    }
}

fn split(entries: Vec<Descriptor>) -> (Vec<Descriptor>, Vec<Descriptor>) {
    let is_document =
        |entry: &Descriptor| entry.media_type.is_manifest() || entry.media_type.is_index();
    entries.into_iter().partition(is_document)
}

fn blobs(layout: &Path) -> PathBuf {
    layout.join("blobs/sha256")
}
