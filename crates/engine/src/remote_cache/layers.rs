//! Layers of a cache in the store: noted with where their blobs are, and fetched when needed.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use buildkit::{Found, annotation};
use oci::{ChainId, Descriptor, DiffId, Digest};
use store::{LayerSource, NewLayer};

use super::request::CacheFrom;
use crate::clock::parse_rfc3339;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::output::Stack;

/// Begins the source of a blob that is in an OCI layout; no reference begins so.
const LAYOUT: &str = "oci-layout:/";

/// The directory that a source of a blob names, if it names one.
pub(crate) fn layout_of(source: &LayerSource) -> Option<PathBuf> {
    let path = source.reference.strip_prefix(LAYOUT)?;
    Some(Path::new("/").join(path))
}

impl Inner {
    /// The layers of a result of the cache `from`. None when it does not say what they hold, or
    /// is in a place that cannot be written down.
    pub(super) fn note_found(
        &self,
        from: &CacheFrom,
        found: &Found,
    ) -> Result<Option<Stack>, EngineError> {
        let reference = match from {
            CacheFrom::Registry(reference) => reference.clone().without_tag().to_string(),
            CacheFrom::Layout(layout) => match layout.path.strip_prefix("/") {
                Ok(path) => match path.to_str() {
                    Some(path) => format!("{LAYOUT}{path}"),
                    None => return Ok(None),
                },
                Err(_) => return Ok(None),
            },
        };
        let mut chain = None;
        let mut layers = Vec::with_capacity(found.layers.len());
        for blob in &found.layers {
            let Some(diff_id) = diff_id(blob) else {
                return Ok(None);
            };
            chain = Some(ChainId::on(chain, diff_id));
            let new = NewLayer {
                diff_id: Some(diff_id),
                chain,
                blobs: vec![Descriptor::new(
                    blob.media_type.clone(),
                    blob.digest,
                    blob.size,
                )],
                sources: vec![LayerSource {
                    digest: blob.digest,
                    reference: reference.clone(),
                }],
                created: created(blob),
                ..NewLayer::default()
            };
            layers.push(self.store.layers().ensure(&self.lease, &new)?);
        }
        Ok(Some(Stack::new(layers)))
    }
}

fn diff_id(blob: &Descriptor) -> Option<DiffId> {
    let text = blob.annotations.get(annotation::UNCOMPRESSED)?;
    text.parse::<Digest>().ok().map(DiffId)
}

fn created(blob: &Descriptor) -> Option<SystemTime> {
    parse_rfc3339(blob.annotations.get(annotation::CREATED)?)
}
