//! An image in a registry, looked at with all that an index says of it.
//!
//! What is held of it is bounded, however much the index leads to.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Descriptor, Digest, Document, Manifest, Reference, annotation};

use super::ImageTools;
use super::copy::DEPTH;
use super::error::ImageToolsError;
use super::gather::completed;
use crate::error::EngineError;

/// Manifests that are looked at.
const MANIFESTS: usize = 1024;
/// Manifests that are fetched at once.
const AT_ONCE: usize = 4;
/// Bytes of configs and statements that are held.
const BYTES: u64 = 128 << 20;

/// What a name leads to.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// The name.
    pub reference: Reference,
    /// The media type, digest and size of what it leads to.
    pub descriptor: Descriptor,
    /// Its exact bytes.
    pub bytes: Bytes,
    /// The same, read.
    pub document: Document,
}

/// What is known of one image.
#[derive(Debug, Clone, Default)]
pub struct InspectedImage {
    /// Its config.
    pub config: Vec<u8>,
    /// What is stated of where it comes from, as JSON.
    pub provenance: Option<Vec<u8>>,
    /// What is stated of what is in it: documents of SPDX, as JSON.
    pub sboms: Vec<Vec<u8>>,
}

/// Which statements are fetched.
#[derive(Debug, Clone, Copy)]
pub struct Statements {
    /// Those of where images come from.
    pub provenance: bool,
    /// Those of what is in images.
    pub sbom: bool,
}

/// Where the parts of what is looked at are.
#[derive(Default)]
struct Parts {
    manifests: usize,
    /// Manifests of images with what they are for, as far as the index says.
    images: Vec<(Descriptor, Descriptor)>,
    /// Statements, by the manifest that they are about.
    statements: HashMap<Digest, Vec<Descriptor>>,
}

impl ImageTools {
    /// What `reference` leads to.
    ///
    /// # Errors
    /// There is nothing, or it is no manifest and no index.
    pub async fn inspect(&self, reference: &Reference) -> Result<Inspected, EngineError> {
        let found = self.resolve(reference).await?;
        Ok(Inspected {
            reference: reference.clone(),
            descriptor: found.descriptor,
            bytes: found.bytes,
            document: found.document,
        })
    }

    /// The images that `inspected` leads to, by their platforms.
    ///
    /// # Errors
    /// A part of it is not there, or there is more of it than is looked at.
    pub async fn images(
        &self,
        inspected: &Inspected,
        wanted: Statements,
    ) -> Result<BTreeMap<String, InspectedImage>, EngineError> {
        let parts = self.parts(inspected).await?;
        let (from, mut left, mut images) = (&inspected.reference, BYTES, BTreeMap::new());
        for (manifest, config) in &parts.images {
            let config_bytes = self
                .read(from, config, left.min(oci::MAX_CONFIG_SIZE))
                .await?;
            left -= config.size;
            let given = manifest.platform.clone();
            let platform = completed(given, config.digest, &config_bytes)?;
            let mut image = InspectedImage {
                config: config_bytes,
                ..InspectedImage::default()
            };
            let about = parts.statements.get(&manifest.digest);
            for statement in about.into_iter().flatten() {
                let (is_provenance, is_sbom) = (is_provenance(statement), is_sbom(statement));
                if is_provenance && wanted.provenance || is_sbom && wanted.sbom {
                    let bytes = self.read(from, statement, left).await?;
                    left -= statement.size;
                    image.take(statement, predicate(statement, &bytes)?);
                }
            }
            images.insert(platform.normalised().to_string(), image);
        }
        Ok(images)
    }

    async fn parts(&self, inspected: &Inspected) -> Result<Parts, EngineError> {
        let mut parts = Parts::default();
        let mut level = parts.take(&inspected.descriptor, &inspected.document)?;
        for _ in 0..DEPTH {
            let mut documents = stream::iter(std::mem::take(&mut level))
                .map(|descriptor| async move {
                    let found = self.document(&inspected.reference, &descriptor).await?;
                    Ok::<_, EngineError>((descriptor, found.0))
                })
                .buffered(AT_ONCE);
            while let Some((descriptor, document)) = documents.try_next().await? {
                level.extend(parts.take(&descriptor, &document)?);
            }
        }
        match level.is_empty() {
            true => Ok(parts),
            false => Err(ImageToolsError::Nested(inspected.descriptor.digest).into()),
        }
    }
}

impl Parts {
    /// Notes what `document` is; what it leads to further.
    fn take(
        &mut self,
        descriptor: &Descriptor,
        document: &Document,
    ) -> Result<Vec<Descriptor>, ImageToolsError> {
        match document {
            Document::Index(index) => {
                let known = |part: &&Descriptor| {
                    part.media_type.is_index() || part.media_type.is_manifest()
                };
                let parts: Vec<_> = index.manifests.iter().filter(known).cloned().collect();
                self.manifests += parts.len();
                let (digest, most) = (descriptor.digest, MANIFESTS);
                match self.manifests > most {
                    true => Err(ImageToolsError::TooMany { digest, most }),
                    false => Ok(parts),
                }
            }
            Document::Manifest(manifest) => {
                self.take_manifest(descriptor, manifest);
                Ok(Vec::new())
            }
        }
    }

    fn take_manifest(&mut self, descriptor: &Descriptor, manifest: &Manifest) {
        let keys = ["com.docker.reference.digest", annotation::REFERENCE_DIGEST];
        let mut about = keys
            .iter()
            .filter_map(|key| descriptor.annotations.get(*key));
        match about.next() {
            None => {
                let image = (descriptor.clone(), manifest.config.clone());
                self.images.push(image);
            }
            Some(about) => {
                let Ok(about) = about.parse() else { return };
                let statements = manifest.layers.iter();
                let statements = statements.filter(|layer| is_provenance(layer) || is_sbom(layer));
                let all = self.statements.entry(about).or_default();
                all.extend(statements.cloned());
            }
        }
    }
}

impl InspectedImage {
    fn take(&mut self, descriptor: &Descriptor, predicate: Vec<u8>) {
        match is_sbom(descriptor) {
            true => self.sboms.push(predicate),
            false => self.provenance = Some(predicate),
        }
    }
}

fn is_provenance(layer: &Descriptor) -> bool {
    states(layer).is_some_and(|kind| kind.starts_with("https://slsa.dev/provenance/"))
}

fn is_sbom(layer: &Descriptor) -> bool {
    states(layer) == Some("https://spdx.dev/Document")
}

/// What kind of statement the layer of an attestation is.
fn states(layer: &Descriptor) -> Option<&str> {
    let media_type = layer.media_type.as_str();
    let is_statement = media_type == "application/vnd.in-toto+json" || is_enveloped(layer);
    let kind = layer.annotations.get(annotation::PREDICATE_TYPE)?;
    is_statement.then_some(kind.as_str())
}

fn is_enveloped(layer: &Descriptor) -> bool {
    let media_type = layer.media_type.as_str();
    media_type.starts_with("application/vnd.in-toto.") && media_type.ends_with("+dsse")
}

/// What a statement says of its subjects. One that is signed is in an envelope.
fn predicate(layer: &Descriptor, bytes: &[u8]) -> Result<Vec<u8>, ImageToolsError> {
    #[derive(serde::Deserialize)]
    struct Statement {
        predicate: Box<serde_json::value::RawValue>,
    }
    let digest = layer.digest;
    let wrong = |source| ImageToolsError::Statement { digest, source };
    let statement: Statement = match is_enveloped(layer) {
        true => serde_json::from_slice(&payload(bytes).map_err(wrong)?),
        false => serde_json::from_slice(bytes),
    }
    .map_err(wrong)?;
    Ok(statement.predicate.get().as_bytes().to_vec())
}

fn payload(envelope: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    use base64::Engine as _;
    use serde::de::Error as _;
    #[derive(serde::Deserialize)]
    struct Envelope {
        payload: String,
    }
    let envelope: Envelope = serde_json::from_slice(envelope)?;
    let payload = base64::engine::general_purpose::STANDARD.decode(envelope.payload);
    payload.map_err(serde_json::Error::custom)
}
