//! Manifests and indexes (image-spec, manifest.md and image-index.md; Docker's schema 2).
//!
//! Ambiguous documents are refused: an index that carries layers, a manifest that carries
//! manifests, a media type that contradicts the descriptor that led here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Descriptor, MediaType, from_unambiguous_json};

/// The largest manifest or index that is read; what registries accept too.
pub const MAX_DOCUMENT_SIZE: u64 = 4 << 20;

/// The most layers of one image; more than any file system stacks.
pub const MAX_LAYERS: usize = 4096;

/// One image: its config and its layers, bottom first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// Its own type; image-spec lets it be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// What kind of artifact it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The image config.
    pub config: Descriptor,
    /// Bottom first.
    pub layers: Vec<Descriptor>,
    /// What it refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Box<Descriptor>>,
    /// Free key and value pairs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Several images under one name, by platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// Its own type; image-spec lets it be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// What kind of artifact it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The images, in order of preference.
    pub manifests: Vec<Descriptor>,
    /// What it refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Box<Descriptor>>,
    /// Free key and value pairs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What a reference leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// One image.
    Manifest(Box<Manifest>),
    /// Several.
    Index(Index),
}

/// Why a document is not read.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON, or a required field is missing or of the wrong kind.
    #[error("invalid {kind}")]
    Json {
        /// `manifest` or `index`.
        kind: &'static str,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// The document is larger than [`MAX_DOCUMENT_SIZE`].
    #[error("document of {0} bytes is over the limit of {MAX_DOCUMENT_SIZE}")]
    TooLarge(u64),
    /// The manifest has more than [`MAX_LAYERS`].
    #[error("manifest with {0} layers: at most {MAX_LAYERS} are accepted")]
    TooManyLayers(usize),
    /// Not version 2.
    #[error("unsupported schema version {0}: kiln reads version 2")]
    SchemaVersion(u64),
    /// The media type inside contradicts the one outside, or is none that kiln reads.
    #[error("unsupported media type {found:?} where {expected} was expected")]
    MediaType {
        /// What the document says.
        found: String,
        /// What was expected.
        expected: &'static str,
    },
    /// It has the fields of both kinds.
    #[error("ambiguous document: it has both {0} and {1}")]
    Ambiguous(&'static str, &'static str),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    #[serde(default)]
    schema_version: u64,
    media_type: Option<MediaType>,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    config: Option<serde::de::IgnoredAny>,
}

impl Document {
    /// Reads a manifest or an index; `media_type` is what the descriptor or the registry says.
    ///
    /// # Errors
    /// The document is too large, ambiguous, malformed or of another type.
    pub fn parse(bytes: &[u8], media_type: Option<&MediaType>) -> Result<Self, DocumentError> {
        if bytes.len() as u64 > MAX_DOCUMENT_SIZE {
            return Err(DocumentError::TooLarge(bytes.len() as u64));
        }
        let json = |kind| move |source| DocumentError::Json { kind, source };
        let probe: Probe = from_unambiguous_json(bytes).map_err(json("manifest"))?;
        if probe.schema_version != 2 {
            return Err(DocumentError::SchemaVersion(probe.schema_version));
        }
        if probe.manifests.is_some() && (probe.layers.is_some() || probe.config.is_some()) {
            return Err(DocumentError::Ambiguous("manifests", "layers"));
        }
        let is_index = probe.manifests.is_some();
        for stated in [media_type, probe.media_type.as_ref()]
            .into_iter()
            .flatten()
        {
            check_type(stated, is_index)?;
        }
        if is_index {
            serde_json::from_slice(bytes)
                .map(Self::Index)
                .map_err(json("index"))
        } else {
            let manifest: Box<Manifest> =
                serde_json::from_slice(bytes).map_err(json("manifest"))?;
            match manifest.layers.len() {
                count if count > MAX_LAYERS => Err(DocumentError::TooManyLayers(count)),
                _ => Ok(Self::Manifest(manifest)),
            }
        }
    }
}

fn check_type(stated: &MediaType, is_index: bool) -> Result<(), DocumentError> {
    let expected = if is_index { "an index" } else { "a manifest" };
    let fits = if is_index {
        stated.is_index()
    } else {
        stated.is_manifest()
    };
    // Registries answer with general types when they have lost the exact one.
    let general = matches!(stated, MediaType::Other(text)
        if matches!(&**text, "application/json" | "application/octet-stream" | "text/plain"));
    if fits || general {
        Ok(())
    } else {
        Err(DocumentError::MediaType {
            found: stated.to_string(),
            expected,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_ambiguous() {
        for (text, media_type, error) in [
            (
                r#"{"schemaVersion":1}"#,
                None,
                "unsupported schema version 1: kiln reads version 2",
            ),
            (
                r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#,
                None,
                "ambiguous document: it has both manifests and layers",
            ),
            (
                r#"{"schemaVersion":2,"manifests":[]}"#,
                Some(MediaType::OciManifest),
                "unsupported media type \"application/vnd.oci.image.manifest.v1+json\" where an index was expected",
            ),
            (r#"{"schemaVersion":2}"#, None, "invalid manifest"),
        ] {
            let found = Document::parse(text.as_bytes(), media_type.as_ref()).unwrap_err();
            assert_eq!(found.to_string(), error);
        }
    }
}
