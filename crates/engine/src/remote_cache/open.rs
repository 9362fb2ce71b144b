//! Reads a cache: its config, and the blobs that it says it has.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buildkit::{CONFIG_TYPE, CacheConfig, MAX_CONFIG, annotation};
use oci::{Descriptor, Digest, Document, Manifest, Platform, Reference};

use super::CacheError;
use super::request::{CacheFrom, LayoutCache};
use crate::engine::Inner;
use crate::error::{EngineError, ImageError};
use crate::image::parse_document;

/// A cache that was read.
pub(super) struct Opened {
    pub(super) config: CacheConfig,
    pub(super) blobs: Vec<Descriptor>,
}

impl Inner {
    /// Reads the cache; of an image, the records inside, for each of `platforms` that it is for.
    pub(super) async fn open_cache(
        self: &Arc<Self>,
        from: &CacheFrom,
        platforms: &[Platform],
    ) -> Result<Vec<Opened>, EngineError> {
        let index = match self.top(from).await? {
            Document::Manifest(manifest) => {
                return Ok(vec![self.open_manifest(from, &manifest).await?]);
            }
            Document::Index(index) => index,
        };
        let (config, blobs): (Vec<_>, Vec<_>) =
            index.manifests.iter().cloned().partition(is_config);
        if let Some(config) = config.first() {
            return Ok(vec![self.opened(from, config, blobs).await?]);
        }
        let mut opened = Vec::new();
        let mut last = CacheError::NoCache(from.to_string()).into();
        for selected in selected(&index, platforms) {
            match self.open_selected(from, selected).await {
                Ok(one) => opened.push(one),
                Err(error) => last = error,
            }
        }
        match opened.is_empty() {
            true => Err(last),
            false => Ok(opened),
        }
    }

    async fn open_selected(
        self: &Arc<Self>,
        from: &CacheFrom,
        selected: &Descriptor,
    ) -> Result<Opened, EngineError> {
        let bytes = self
            .cache_blob(from, selected, oci::MAX_DOCUMENT_SIZE)
            .await?;
        match parse_document(selected.digest, &bytes, None)? {
            Document::Manifest(manifest) => self.open_manifest(from, &manifest).await,
            Document::Index(_) => Err(CacheError::NoCache(from.to_string()).into()),
        }
    }

    async fn open_manifest(
        self: &Arc<Self>,
        from: &CacheFrom,
        manifest: &Manifest,
    ) -> Result<Opened, EngineError> {
        if is_config(&manifest.config) {
            let blobs = manifest.layers.clone();
            return self.opened(from, &manifest.config, blobs).await;
        }
        self.open_image(from, manifest).await
    }

    async fn opened(
        self: &Arc<Self>,
        from: &CacheFrom,
        config: &Descriptor,
        blobs: Vec<Descriptor>,
    ) -> Result<Opened, EngineError> {
        let bytes = self.cache_blob(from, config, MAX_CONFIG).await?;
        let parsed = crate::blocking(move || CacheConfig::parse(&bytes)).await?;
        let config = parsed.map_err(CacheError::from)?;
        Ok(Opened { config, blobs })
    }

    /// The records inside of an image, whose layers are the image's.
    async fn open_image(
        self: &Arc<Self>,
        from: &CacheFrom,
        manifest: &Manifest,
    ) -> Result<Opened, EngineError> {
        let bytes = self.cache_blob(from, &manifest.config, MAX_CONFIG).await?;
        let image: oci::ImageConfig =
            oci::from_unambiguous_json(&bytes).map_err(|source| ImageError::InvalidConfig {
                digest: manifest.config.digest,
                source,
            })?;
        let records = image.cache.as_deref().map(|text| STANDARD.decode(text));
        let Some(Ok(records)) = records else {
            return Err(CacheError::NoCache(from.to_string()).into());
        };
        let layers = manifest.layers.iter().map(|layer| layer.digest).collect();
        let config = CacheConfig::parse_inline(&records, layers).map_err(CacheError::from)?;
        let made = image.history.iter().filter(|entry| !entry.empty_layer);
        let times = made
            .map(|entry| entry.created.clone())
            .chain(std::iter::repeat(None));
        let layers = manifest
            .layers
            .iter()
            .zip(&image.rootfs.diff_ids)
            .zip(times);
        let annotated = |((blob, diff_id), time): ((&Descriptor, &oci::DiffId), Option<String>)| {
            let mut blob = blob.clone();
            let diff_id = diff_id.to_string();
            blob.annotations
                .insert(annotation::UNCOMPRESSED.to_owned(), diff_id);
            if let Some(time) = time {
                blob.annotations
                    .insert(annotation::CREATED.to_owned(), time);
            }
            blob
        };
        Ok(Opened {
            config,
            blobs: layers.map(annotated).collect(),
        })
    }

    /// The document that the name of the cache leads to.
    pub(crate) async fn top(self: &Arc<Self>, from: &CacheFrom) -> Result<Document, EngineError> {
        match from {
            CacheFrom::Registry(reference) => {
                let resolved = self.registry()?.resolve(reference).await;
                Ok(resolved.map_err(|error| failed(from, error))?.document)
            }
            CacheFrom::Layout(layout) => {
                let layout = layout.clone();
                crate::blocking(move || read_top(&layout)).await?
            }
        }
    }

    /// The bytes of a blob of the cache, which are few.
    async fn cache_blob(
        self: &Arc<Self>,
        from: &CacheFrom,
        blob: &Descriptor,
        limit: u64,
    ) -> Result<Vec<u8>, EngineError> {
        if blob.size > limit {
            let (digest, what) = (blob.digest, "too large to be read");
            return Err(CacheError::Document { digest, what }.into());
        }
        match from {
            CacheFrom::Registry(reference) if blob.media_type.is_manifest() => {
                let registry = self.registry()?;
                let found = registry.manifest_by_descriptor(reference, blob).await;
                Ok(found.map_err(|error| failed(from, error))?.bytes.to_vec())
            }
            CacheFrom::Registry(reference) => self.registry_blob(from, reference, blob).await,
            CacheFrom::Layout(layout) => {
                let (path, digest) = (layout.path.clone(), blob.digest);
                crate::blocking(move || read_blob(&path, &digest, limit)).await?
            }
        }
    }

    async fn registry_blob(
        &self,
        from: &CacheFrom,
        reference: &Reference,
        blob: &Descriptor,
    ) -> Result<Vec<u8>, EngineError> {
        let read = async {
            let mut stream = self
                .registry()?
                .blob(reference, blob, 0)
                .await
                .map_err(|e| failed(from, e))?;
            let mut bytes = Vec::new();
            // The stream ends at the descriptor's size, which was looked at.
            while let Some(piece) = stream.next().await.map_err(|error| failed(from, error))? {
                bytes.extend_from_slice(&piece);
            }
            Ok(bytes)
        };
        read.await
    }
}

/// The manifests for these platforms, each once.
fn selected<'a>(index: &'a oci::Index, platforms: &[Platform]) -> Vec<&'a Descriptor> {
    let mut selected: Vec<&Descriptor> = Vec::new();
    for platform in platforms {
        let found = crate::image::select(index, platform);
        selected.extend(found.filter(|found| !selected.contains(found)));
    }
    selected
}

fn is_config(blob: &Descriptor) -> bool {
    blob.media_type.as_str() == CONFIG_TYPE
}

fn failed(from: &CacheFrom, source: registry::Error) -> EngineError {
    let what = format!("cannot read {from}");
    CacheError::Registry { what, source }.into()
}

impl LayoutCache {
    /// The digest that stands under its tag, unless one was named.
    ///
    /// # Errors
    /// There is none.
    pub fn entry(&self) -> Result<Digest, EngineError> {
        if let Some(digest) = self.digest {
            return Ok(digest);
        }
        let bytes = read_file(&self.path.join("index.json"), oci::MAX_DOCUMENT_SIZE)?;
        let index: oci::Index = oci::from_unambiguous_json(&bytes).map_err(|source| {
            let (kind, digest) = ("index", Digest::of(&bytes));
            ImageError::InvalidDocument {
                digest,
                source: oci::DocumentError::Json { kind, source },
            }
        })?;
        let is_wanted = |entry: &&Descriptor| {
            let name = entry.annotations.get(oci::annotation::REF_NAME);
            name == Some(&self.tag)
        };
        let found = index.manifests.iter().find(is_wanted);
        let missing = || CacheError::NoEntry {
            path: self.path.clone(),
            wanted: self.tag.clone(),
        };
        Ok(found.map(|entry| entry.digest).ok_or_else(missing)?)
    }
}

fn read_top(layout: &LayoutCache) -> Result<Document, EngineError> {
    let digest = layout.entry()?;
    let bytes = read_blob(&layout.path, &digest, oci::MAX_DOCUMENT_SIZE)?;
    Ok(parse_document(digest, &bytes, None)?)
}

fn read_blob(layout: &Path, digest: &Digest, limit: u64) -> Result<Vec<u8>, EngineError> {
    let bytes = read_file(&blob_path(layout, digest), limit)?;
    if Digest::of(&bytes) != *digest {
        let (digest, what) = (*digest, "something else");
        return Err(CacheError::Document { digest, what }.into());
    }
    Ok(bytes)
}

/// Where a blob of a layout is.
pub(super) fn blob_path(layout: &Path, digest: &Digest) -> PathBuf {
    layout.join("blobs/sha256").join(digest.hex())
}

fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, EngineError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.map_err(|source| EngineError::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(bytes)
}
