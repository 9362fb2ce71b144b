//! Images in and out: pull, push, save, load.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;

use oci::docker_archive;
use oci::{Descriptor, Digest, Document, MediaType, Platform, Reference, annotation};
use snapshot::tar::{EntryKind, Reader};
use snapshot::{Bound, ExtractError};
use solver::ProgressSender;

use super::names::NamedImage;
use super::{LoadedImage, untagged};
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ImageError};
use crate::export::{ArchiveImage, Assembled, Packed};
use crate::progress::Task;
use crate::request::ArchiveKind;

/// The largest document that is read from an archive.
const MAX_DOCUMENT: u64 = 8 << 20;

impl Engine {
    /// Brings an image with all its layers into the store; the digest that its name leads to.
    ///
    /// # Errors
    /// The registry does not have it, or it cannot be written.
    pub async fn pull(
        &self,
        reference: &Reference,
        platform: &Platform,
        progress: &ProgressSender,
    ) -> Result<Digest, EngineError> {
        let engine = &self.0;
        let reference = reference.clone().with_default_tag();
        let name = format!("pulling {reference}");
        let task = Task::begin(progress, &engine.clock, &name);
        let told = task.progress();
        let pulled = async {
            let policy = graph::PullPolicy::Always;
            let image = engine.resolve_image(&reference, platform, policy).await?;
            let rows = engine.store.layers().take(&engine.lease, &image.layers)?;
            engine.fetch_all_layers(&rows, &told).await?;
            let images = engine.store.images();
            let Some(found) = images.get(&reference)? else {
                return Ok(image.image.descriptor.digest);
            };
            // It is not there for builds alone any more.
            images.put(&reference, &found.descriptor, engine.clock.now())?;
            Ok(found.descriptor.digest)
        };
        let pulled = pulled.await;
        task.end(pulled)
    }

    /// Writes images as an archive that `docker load` and [`load`](Self::load) read.
    ///
    /// # Errors
    /// There is no such image, or the archive cannot be written.
    pub async fn save<W: Write + Send + 'static>(
        &self,
        names: &[String],
        mut output: W,
    ) -> Result<(), EngineError> {
        let engine = Arc::clone(&self.0);
        let mut images = Vec::new();
        for name in names {
            images.push(engine.archive_image(&engine.find_image(name)?).await?);
        }
        crate::blocking(move || engine.write_archive(&images, ArchiveKind::Docker, &mut output))
            .await?
    }

    /// Takes over the images of an archive; their names, or digests where they have none.
    ///
    /// # Errors
    /// It is no such archive, or something in it is not what it says.
    pub async fn load<R: Read + Send + 'static>(
        &self,
        input: R,
    ) -> Result<Vec<Reference>, EngineError> {
        let engine = Arc::clone(&self.0);
        crate::blocking(move || engine.load_archive(input)).await?
    }
}

impl Inner {
    async fn fetch_all_layers(
        self: &Arc<Self>,
        rows: &[store::LayerRow],
        told: &solver::StepProgress,
    ) -> Result<(), EngineError> {
        let fetches = rows.iter().map(|row| self.fetch_layer(row, Some(told)));
        futures_util::future::try_join_all(fetches).await?;
        Ok(())
    }

    /// The image as it stands in the store: the same documents, byte for byte.
    async fn archive_image(
        self: &Arc<Self>,
        named: &NamedImage,
    ) -> Result<ArchiveImage, EngineError> {
        let image = &named.image;
        let layers = self.note_stored_layers(&named.reference, image)?;
        for row in self.store.layers().take(&self.lease, &layers)? {
            self.fetch_layer(&row, None).await?;
        }
        let read = |of: &Descriptor| self.store.blobs().read(&of.digest, MAX_DOCUMENT);
        let is_named = !super::is_untagged(&named.reference);
        let documents = Assembled {
            config: read(&image.manifest.config)?,
            config_descriptor: image.manifest.config.clone(),
            manifest: read(&image.descriptor)?,
            manifest_descriptor: image.descriptor.clone(),
        };
        let layers = image.manifest.layers.iter();
        let layers = layers.map(|layer| (layer.clone(), Vec::new())).collect();
        Ok(ArchiveImage {
            packed: Packed::one(documents, layers),
            names: if is_named {
                vec![named.reference.clone()]
            } else {
                Vec::new()
            },
            date: None,
        })
    }

    /// Every blob goes to the store as it comes; the documents decide afterwards what it was.
    fn load_archive(&self, input: impl Read + Send) -> Result<Vec<Reference>, EngineError> {
        let plain = self.uncompressed(input)?;
        let mut archive = Reader::new(plain);
        let mut members = Members::default();
        while let Some(member) = archive.next_entry()? {
            members.count(&member, &self.config.limits.archive())?;
            if member.kind != EntryKind::File {
                continue;
            }
            let path = member.path.to_string_lossy();
            let path = path.trim_start_matches("./").to_owned();
            if matches!(path.as_str(), "index.json" | "manifest.json" | "oci-layout") {
                let document = self.read_document(&mut archive)?;
                members.document(path, document)?;
            } else if !path.ends_with("/VERSION") && !path.ends_with("/json") {
                let mut writer = self.store.blobs().writer(&self.lease, None)?;
                std::io::copy(&mut archive, &mut writer)
                    .map_err(|source| EngineError::Write { source })?;
                members.blob(path, writer.commit()?)?;
            }
        }
        let documents = &members.documents;
        match (documents.get("index.json"), documents.get("manifest.json")) {
            (Some(index), _) => self.load_layout(index),
            (None, Some(manifest)) => self.load_docker(manifest, &members.blobs),
            (None, None) => Err(EngineError::Archive(
                "it has neither index.json nor manifest.json".to_owned(),
            )),
        }
    }

    /// Archives may be compressed as a whole.
    pub(crate) fn uncompressed<'a>(
        &self,
        mut input: impl Read + Send + 'a,
    ) -> Result<Box<dyn Read + Send + 'a>, EngineError> {
        let failed = |source| EngineError::Io {
            action: "read the archive",
            source,
        };
        let mut start = Vec::new();
        let begun = input.by_ref().take(4).read_to_end(&mut start);
        begun.map_err(failed)?;
        let compression = magic(&start);
        self.decompress(std::io::Cursor::new(start).chain(input), compression)
    }

    fn read_document(&self, archive: &mut Reader<impl Read>) -> Result<Vec<u8>, EngineError> {
        let mut bytes = Vec::new();
        archive
            .take(MAX_DOCUMENT)
            .read_to_end(&mut bytes)
            .map_err(|source| EngineError::Io {
                action: "read the archive",
                source,
            })?;
        Ok(bytes)
    }

    fn load_layout(&self, index: &[u8]) -> Result<Vec<Reference>, EngineError> {
        let digest = Digest::of(index);
        let document = super::parse_document(digest, index, Some(&MediaType::OciIndex))?;
        let Document::Index(index) = document else {
            return Err(EngineError::Archive("index.json is no index".to_owned()));
        };
        let mut names = Vec::new();
        for entry in &index.manifests {
            let name = match layout_name(entry) {
                Some(name) => name.parse::<Reference>()?.with_default_tag(),
                None => untagged(entry.digest)?,
            };
            let mut top = entry.clone();
            top.annotations.clear();
            let missing = ImageError::MissingBlob {
                digest: entry.digest,
            };
            let host = Platform::host();
            let image = match super::load_any(&self.store, &top, &host)? {
                Some(image) => image,
                // An index of no image that is here says which there would have to be.
                None => super::load(&self.store, &top, &host)?.ok_or(missing)?,
            };
            self.check_layers(&image)?;
            self.store.images().put(&name, &top, self.clock.now())?;
            names.push(name);
        }
        Ok(names)
    }

    /// An archive of before there were layouts in it: its manifest is made here.
    fn load_docker(
        &self,
        manifest: &[u8],
        blobs: &HashMap<String, Descriptor>,
    ) -> Result<Vec<Reference>, EngineError> {
        let entries: Vec<docker_archive::Entry> = oci::from_unambiguous_json(manifest)
            .map_err(|error| EngineError::Archive(format!("manifest.json: {error}")))?;
        let mut names = Vec::new();
        for entry in entries {
            let blob = |path: &String, media_type: MediaType| {
                let found = blobs.get(path).ok_or_else(|| {
                    EngineError::Archive(format!("{path} is named in manifest.json and missing"))
                })?;
                Ok::<_, EngineError>(Descriptor::new(media_type, found.digest, found.size))
            };
            let config = blob(&entry.config, MediaType::OciConfig)?;
            let layers = entry
                .layers
                .iter()
                .map(|path| {
                    let found = blob(path, MediaType::OciLayer(oci::Compression::Uncompressed))?;
                    let compression = self.compression_of(&found.digest)?;
                    Ok(Descriptor {
                        media_type: MediaType::OciLayer(compression),
                        ..found
                    })
                })
                .collect::<Result<Vec<_>, EngineError>>()?;
            let document = oci::Manifest {
                schema_version: 2,
                media_type: Some(MediaType::OciManifest),
                artifact_type: None,
                config,
                layers,
                subject: None,
                annotations: std::collections::BTreeMap::new(),
            };
            let bytes = oci::to_canonical_json(&document).map_err(EngineError::Serialize)?;
            self.store.blobs().put(&self.lease, &bytes)?;
            let top = Descriptor::of(MediaType::OciManifest, &bytes);
            let image = super::load(&self.store, &top, &Platform::host())?
                .ok_or(ImageError::MissingBlob { digest: top.digest })?;
            self.check_layers(&image)?;
            let tags = entry.repo_tags.unwrap_or_default();
            let mut own: Vec<Reference> = Vec::new();
            for tag in &tags {
                own.push(tag.parse::<Reference>()?.with_default_tag());
            }
            if own.is_empty() {
                own.push(untagged(top.digest)?);
            }
            for name in own {
                self.store.images().put(&name, &top, self.clock.now())?;
                names.push(name);
            }
        }
        Ok(names)
    }

    fn check_layers(&self, image: &LoadedImage) -> Result<(), EngineError> {
        for layer in &image.manifest.layers {
            if !self.store.blobs().has(&layer.digest)? {
                let digest = layer.digest;
                return Err(ImageError::MissingBlob { digest }.into());
            }
        }
        Ok(())
    }

    fn compression_of(&self, digest: &Digest) -> Result<oci::Compression, EngineError> {
        let mut start = [0; 4];
        let mut file: File = self.store.blobs().open(digest)?;
        let read = file.read(&mut start).map_err(|source| EngineError::Io {
            action: "read a blob",
            source,
        })?;
        Ok(magic(&start[..read]))
    }
}

/// What was found in an archive of images.
#[derive(Default)]
struct Members {
    documents: HashMap<String, Vec<u8>>,
    blobs: HashMap<String, Descriptor>,
    entries: u64,
    size: u64,
}

impl Members {
    fn count(
        &mut self,
        member: &snapshot::tar::Header,
        limits: &snapshot::Limits,
    ) -> Result<(), ExtractError> {
        self.entries += 1;
        self.size = self.size.saturating_add(member.size);
        Bound::Entries.check(self.entries, limits.entries)?;
        Bound::Bytes.check(self.size, limits.size)?;
        Bound::Name.check(member.path.as_os_str().len() as u64, limits.name as u64)
    }

    /// Two documents of one name: who reads the first sees other images than who reads the last.
    fn document(&mut self, path: String, bytes: Vec<u8>) -> Result<(), EngineError> {
        match self.documents.insert(path.clone(), bytes.clone()) {
            Some(before) if before != bytes => Err(twice(&path)),
            _ => Ok(()),
        }
    }

    fn blob(&mut self, path: String, blob: store::Blob) -> Result<(), EngineError> {
        let descriptor = Descriptor::new(MediaType::Other("".into()), blob.digest, blob.size);
        match self.blobs.insert(path.clone(), descriptor) {
            Some(before) if before.digest != blob.digest => Err(twice(&path)),
            _ => Ok(()),
        }
    }
}

fn twice(path: &str) -> EngineError {
    EngineError::Archive(format!("it has two different files {path}"))
}

/// What a stream is compressed with, by its first bytes.
fn magic(start: &[u8]) -> oci::Compression {
    match start {
        [0x1f, 0x8b, ..] => oci::Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => oci::Compression::Zstd,
        _ => oci::Compression::Uncompressed,
    }
}

fn layout_name(entry: &Descriptor) -> Option<&String> {
    let full = entry.annotations.get(annotation::IMAGE_NAME);
    let short = entry.annotations.get(annotation::REF_NAME);
    full.or_else(|| short.filter(|name| name.contains(['/', ':'])))
}
