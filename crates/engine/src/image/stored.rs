//! Pushes images of the store: as they are there, with layers that are compressed for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use oci::{Descriptor, Document, Index, Platform, Reference, annotation};
use solver::ProgressSender;

use super::load::{LoadedImage, load_all, read_document};
use crate::annotation::{Annotation, AnnotationPlace, Annotations};
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ImageError};
use crate::export::{Attestation, ImageParts, ImageSet, Statement, Subject};
use crate::output::Stack;
use crate::progress::Task;
use crate::request::{AttestationFormat, ImageExport, LayerFormat, Times};
use crate::sbom::forget_layers;

/// The largest statement that is read.
const MAX_STATEMENT: u64 = 40 << 20;

impl Engine {
    /// Sends an image of the store to the registry that its name leads to, or the images of all its
    /// platforms, if all are here; the digest that the name leads to there.
    ///
    /// # Errors
    /// There is no such image, or the registry does not take it.
    pub async fn push(
        &self,
        reference: &Reference,
        progress: &ProgressSender,
    ) -> Result<Descriptor, EngineError> {
        let engine = &self.0;
        let reference = reference.clone().with_default_tag();
        let missing = || EngineError::NoSuchImage(reference.familiar());
        let found = engine.store.images().get(&reference)?.ok_or_else(missing)?;
        let set = engine.stored_set(&reference, &found.descriptor)?;
        let set = set.ok_or_else(missing)?;
        let name = format!("pushing {reference}");
        let task = Task::begin(progress, &engine.clock, &name);
        let told = task.progress();
        let export = ImageExport {
            names: Vec::new(),
            push: true,
            by_digest: false,
            insecure: false,
            store: false,
            layers: LayerFormat::default(),
            attestations: AttestationFormat::IMAGE,
            times: Times::default(),
            annotations: engine.stored_annotations(&set, &found.descriptor)?,
        };
        let names = std::slice::from_ref(&reference);
        let pushed = engine.push_set(&set, &export, names, &told).await;
        task.end(pushed).map(|pushed| pushed.manifest)
    }
}

impl Inner {
    /// What `top` leads to, to be exported again.
    fn stored_set(
        self: &Arc<Self>,
        reference: &Reference,
        top: &Descriptor,
    ) -> Result<Option<ImageSet>, EngineError> {
        let all: Option<Vec<LoadedImage>> = load_all(&self.store, top)?.into_iter().collect();
        let all = all.filter(|all| !all.is_empty());
        let Some(all) = all else {
            let image = super::load(&self.store, top, &Platform::host())?;
            let parts = image.map(|image| self.stored_parts(reference, image));
            return Ok(parts.transpose()?.map(ImageSet::from));
        };
        let index = match read_document(&self.store, top)? {
            Some(Document::Index(index)) => index,
            _ => return Ok(None),
        };
        let mut images = Vec::with_capacity(all.len());
        for image in all {
            let attestations = self.stored_attestations(&index, &image)?;
            images.push(ImageParts {
                attestations,
                ..self.stored_parts(reference, image)?
            });
        }
        Ok(Some(ImageSet {
            images,
            indexed: false,
        }))
    }

    /// What the images of `set`, which `top` leads to, say of themselves.
    fn stored_annotations(
        &self,
        set: &ImageSet,
        top: &Descriptor,
    ) -> Result<Annotations, EngineError> {
        let of = |place: AnnotationPlace, texts: BTreeMap<String, String>| {
            texts.into_iter().map(move |(key, value)| Annotation {
                place: place.clone(),
                key,
                value,
            })
        };
        let index = match read_document(&self.store, top)? {
            Some(Document::Index(index)) => index,
            Some(Document::Manifest(manifest)) => {
                return Ok(of(AnnotationPlace::Manifest(None), manifest.annotations).collect());
            }
            None => return Ok(Annotations::default()),
        };
        let has = |it: &Platform| set.images.iter().any(|image| image.platform() == *it);
        let mut all = Annotations::default();
        // A single image of it is pushed without an index.
        if set.has_index(true) {
            all.extend(of(AnnotationPlace::Index, index.annotations));
        }
        for entry in index.manifests {
            let Some(platform) = entry.platform.clone().filter(has) else {
                continue;
            };
            if let Some(Document::Manifest(manifest)) = read_document(&self.store, &entry)? {
                let place = AnnotationPlace::Manifest(Some(platform.clone()));
                all.extend(of(place, manifest.annotations));
            }
            let place = AnnotationPlace::ManifestDescriptor(Some(platform));
            all.extend(of(place, entry.annotations));
        }
        Ok(all)
    }

    fn stored_parts(
        &self,
        reference: &Reference,
        image: LoadedImage,
    ) -> Result<ImageParts, EngineError> {
        let layers = self.note_stored_layers(reference, &image)?;
        Ok(ImageParts {
            stack: Stack::new(layers),
            inherited: image.config.history.len(),
            config: image.config,
            epoch: None,
            cache: None,
            attestations: Vec::new(),
        })
    }

    /// What the index has about `image`, as far as it is here: about the image as it is pushed, of
    /// which the digest is another one, the same is stated.
    fn stored_attestations(
        &self,
        index: &Index,
        image: &LoadedImage,
    ) -> Result<Vec<Attestation>, EngineError> {
        let of = image.descriptor.digest.to_string();
        let attached = index
            .manifests
            .iter()
            .filter(|entry| entry.annotations.get(annotation::REFERENCE_DIGEST) == Some(&of));
        let mut attestations = Vec::new();
        for entry in attached {
            let Some(Document::Manifest(manifest)) = read_document(&self.store, entry)? else {
                continue;
            };
            for layer in &manifest.layers {
                attestations.extend(self.stored_attestation(layer, image)?);
            }
        }
        Ok(attestations)
    }

    fn stored_attestation(
        &self,
        layer: &Descriptor,
        image: &LoadedImage,
    ) -> Result<Option<Attestation>, EngineError> {
        if !self.store.blobs().has(&layer.digest)? {
            return Ok(None);
        }
        let bytes = self.store.blobs().read(&layer.digest, MAX_STATEMENT)?;
        let statement: Result<Statement<serde_json::Value>, _> = serde_json::from_slice(&bytes);
        let statement = statement.map_err(|source| ImageError::InvalidDocument {
            digest: layer.digest,
            source: oci::DocumentError::Json {
                kind: "statement",
                source,
            },
        })?;
        let own = Subject::new(String::new(), &image.descriptor.digest).digest;
        let is_about_image = statement.subject.iter().any(|one| one.digest == own);
        // Layers are others when they are pushed.
        let layers = image.manifest.layers.iter().map(|layer| layer.digest);
        let document = forget_layers(&statement.predicate, &layers.collect::<Vec<_>>());
        Ok(Some(Attestation {
            predicate_type: statement.predicate_type,
            is_core: document.is_some(),
            predicate: Arc::new(document.unwrap_or(statement.predicate)),
            subjects: match is_about_image {
                true => Vec::new(),
                false => statement.subject,
            },
            inline_only: false,
            file_name: String::new(),
        }))
    }
}
