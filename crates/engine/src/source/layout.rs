//! Images in OCI layouts of the client's: their blobs are taken into the store and checked.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::{Descriptor, Digest, Document, MediaType, Reference, annotation};
use store::Blob;

use crate::engine::Inner;
use crate::error::EngineError;
use crate::image::parse_document;
use crate::request::LayoutImage;

/// Images of layouts stand under this domain, which can never be one.
pub(crate) const DOMAIN: &str = "layout.invalid";

/// Indexes within each other; real ones have one or two.
const MAX_DEPTH: usize = 8;

/// Why a layout is none, or has no such image.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// There is no layout.
    #[error("invalid OCI layout {path:?}: {why}")]
    Invalid {
        /// Where it was looked for.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It has no image of that name.
    #[error("OCI layout {path:?} has no image {wanted:?}; it has {}", offered.join(", "))]
    NoImage {
        /// The layout.
        path: PathBuf,
        /// The image.
        wanted: String,
        /// What there is.
        offered: Vec<String>,
    },
}

impl Inner {
    /// Takes the image into the store; the name under which [`Self::layout_image`] finds it.
    pub(crate) async fn open_layout(
        self: &Arc<Self>,
        layout: LayoutImage,
        name: &str,
    ) -> Result<Reference, EngineError> {
        let engine = Arc::clone(self);
        let name = name.split("::").next().unwrap_or(name);
        let name: Reference = name.parse()?;
        let reference = format!("{DOMAIN}/{}", name.repository());
        crate::blocking(move || {
            let digest = engine.take_layout(&layout)?;
            Ok(reference.parse::<Reference>()?.with_digest(digest))
        })
        .await?
    }

    /// What a name of [`Self::open_layout`] leads to; none for all other names.
    pub(crate) fn layout_image(
        &self,
        reference: &Reference,
    ) -> Result<Option<Descriptor>, EngineError> {
        let (Some(digest), DOMAIN) = (reference.digest(), reference.domain()) else {
            return Ok(None);
        };
        let bytes = self.store.blobs().read(&digest, oci::MAX_DOCUMENT_SIZE)?;
        let kind = match parse_document(digest, &bytes, None)? {
            Document::Index(_) => MediaType::OciIndex,
            Document::Manifest(_) => MediaType::OciManifest,
        };
        Ok(Some(Descriptor::of(kind, &bytes)))
    }

    fn take_layout(&self, layout: &LayoutImage) -> Result<Digest, EngineError> {
        let digest = match layout.digest {
            Some(digest) => digest,
            None => find(layout)?.digest,
        };
        let mut taken = HashSet::new();
        self.take_document(&layout.path, &digest, MAX_DEPTH, &mut taken)?;
        Ok(digest)
    }

    /// Takes a manifest or index with all that it names and the layout has, down to `depth` indexes
    /// within each other, each once however often it is named.
    fn take_document(
        &self,
        layout: &Path,
        digest: &Digest,
        depth: usize,
        taken: &mut HashSet<Digest>,
    ) -> Result<(), EngineError> {
        if !taken.insert(*digest) {
            return Ok(());
        }
        self.take_blob(layout, digest)?;
        let bytes = self.store.blobs().read(digest, oci::MAX_DOCUMENT_SIZE)?;
        match parse_document(*digest, &bytes, None)? {
            Document::Index(_) if depth == 0 => {
                return Err(LayoutError::Invalid {
                    path: layout.to_owned(),
                    why: format!("more than {MAX_DEPTH} indexes within each other"),
                }
                .into());
            }
            Document::Index(index) => {
                // A layout need not have the images of all platforms.
                for entry in &index.manifests {
                    if blob_path(layout, &entry.digest).exists() {
                        self.take_document(layout, &entry.digest, depth - 1, taken)?;
                    }
                }
            }
            Document::Manifest(manifest) => {
                for blob in manifest.layers.iter().chain([&manifest.config]) {
                    self.take_blob(layout, &blob.digest)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn take_blob(&self, layout: &Path, digest: &Digest) -> Result<(), EngineError> {
        if self.store.blobs().take(&self.lease, digest)?.is_some() {
            return Ok(());
        }
        let path = blob_path(layout, digest);
        let failed = |source| EngineError::Read {
            path: path.clone(),
            source,
        };
        let mut file = File::open(&path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let expected = Blob {
            digest: *digest,
            size,
        };
        let mut writer = self.store.blobs().writer(&self.lease, Some(expected))?;
        std::io::copy(&mut file, &mut writer).map_err(|source| EngineError::Write { source })?;
        writer.commit()?;
        Ok(())
    }
}

fn blob_path(layout: &Path, digest: &Digest) -> PathBuf {
    layout.join("blobs/sha256").join(digest.hex())
}

impl LayoutImage {
    /// What its name leads to, which must be its digest if there is one.
    ///
    /// # Errors
    /// There is no such image.
    pub fn entry(&self) -> Result<Digest, EngineError> {
        match (self.digest, &self.tag) {
            (Some(digest), None) => Ok(digest),
            _ => Ok(find(self)?.digest),
        }
    }
}

fn find(layout: &LayoutImage) -> Result<Descriptor, EngineError> {
    let path = layout.path.join("index.json");
    let invalid = |why: String| LayoutError::Invalid {
        path: layout.path.clone(),
        why,
    };
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(oci::MAX_DOCUMENT_SIZE).read_to_end(&mut bytes))
        .map_err(|error| invalid(format!("index.json: {error}")))?;
    let document = Document::parse(&bytes, Some(&MediaType::OciIndex))
        .map_err(|error| invalid(format!("index.json: {error}")))?;
    let Document::Index(index) = document else {
        return Err(invalid("index.json is no index".to_owned()).into());
    };
    let names = |entry: &Descriptor| -> Vec<String> {
        let of = |key| entry.annotations.get(key).cloned();
        [annotation::REF_NAME, annotation::IMAGE_NAME]
            .into_iter()
            .filter_map(of)
            .collect()
    };
    let wanted = layout.tag.as_deref().unwrap_or("latest");
    let is_wanted = |name: &String| {
        name == wanted || name.rsplit_once(':').is_some_and(|(_, tag)| tag == wanted)
    };
    let found = index
        .manifests
        .iter()
        .find(|e| names(e).iter().any(is_wanted));
    match (found, index.manifests.as_slice(), &layout.tag) {
        (Some(found), _, _) | (None, [found], None) => Ok(found.clone()),
        _ => Err(LayoutError::NoImage {
            path: layout.path.clone(),
            wanted: wanted.to_owned(),
            offered: index.manifests.iter().flat_map(names).collect(),
        }
        .into()),
    }
}
