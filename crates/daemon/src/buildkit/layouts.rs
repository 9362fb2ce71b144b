//! OCI layouts that are a client's: what is needed of one is brought into a directory of the daemon's
//! own, and what the daemon has made is sent.

use std::path::{Path, PathBuf};

use engine::{Build, BuildRequest, Engine, KeptCopy, LayoutImage, NamedContext};
use oci::{Descriptor, Digest, Document, Platform, Reference};
use tonic::Status;

use super::builds::Job;
use super::errors;
use super::frontend::plain_request;
use super::session::blobs::ClientStore;

/// What images of stores are called that their client does not name.
pub(super) const NAMELESS: &str = "layout";
/// Indexes within each other.
const MAX_DEPTH: usize = 8;
/// Documents and blobs of one layout.
const MAX_BLOBS: usize = 20_000;

/// Brings in what `digest` leads to in the client's store `id`, but for blobs that the daemon's own
/// store has and images for other platforms than these, or this machine's when there are none.
///
/// # Errors
/// The client offers no such store, or something is missing there.
pub(super) async fn bring_in(
    job: &Job,
    id: &str,
    digest: &Digest,
    platforms: &[Platform],
) -> Result<KeptCopy, Status> {
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
    Ok(copy)
}

/// An image in a store of the client's, as a build asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct StoredImage {
    /// What the client calls it.
    pub(super) name: String,
    pub(super) layout: llb::Layout,
    /// What of it is wanted; what is for this machine when there are none.
    pub(super) platforms: Vec<Platform>,
}

/// Takes an image out of the client's store; what the engine knows it by. Blocks while it writes.
///
/// # Errors
/// As [`bring_in`], or it is no image.
pub(super) async fn take(
    job: &Job,
    build: &Build,
    image: &StoredImage,
) -> Result<Reference, Status> {
    let llb::Layout { store, digest } = &image.layout;
    let copy = bring_in(job, &format!("oci:{store}"), digest, &image.platforms).await?;
    let layout = LayoutImage {
        path: copy.path().to_owned(),
        tag: None,
        digest: Some(*digest),
    };
    let context = (image.name.clone(), NamedContext::Layout(layout));
    let request = BuildRequest {
        named_contexts: [context].into(),
        ..plain_request(job)
    };
    let brought_in = job.engine.bring_in(request, build.progress()).await;
    let brought_in = brought_in.map_err(|error| errors::status(&error, None))?;
    // The store has all of it now, so the copy goes.
    match brought_in.named_contexts.get(&image.name) {
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

/// The entry of the layout at `path` that was made last, as its index has it. None when nothing was
/// written there.
///
/// # Errors
/// It cannot be read, or has no entry.
pub(super) fn entry(copy: &KeptCopy) -> Result<Option<Descriptor>, Status> {
    let failed = |error: String| Status::internal(error);
    let bytes = match std::fs::read(copy.path().join("index.json")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|error| failed(error.to_string()))?,
    };
    let index: oci::Index =
        serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?;
    let last = index.manifests.into_iter().next_back();
    let empty = || failed("the layout is empty".to_owned());
    last.ok_or_else(empty).map(Some)
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
