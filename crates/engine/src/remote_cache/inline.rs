//! Records inside of an image: its own layers are the results.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use buildkit::CacheConfig;

use super::export::Exported;
use super::request::CacheMode;
use super::steps::placeholder;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::output::Stack;

/// The records of a build for the images that it makes.
#[derive(Debug)]
pub(crate) struct InlineRecords(CacheConfig);

impl InlineRecords {
    /// As the config of an image with these layers has them.
    pub(crate) fn text(&self, stack: &Stack) -> Result<String, EngineError> {
        let layers: Vec<_> = stack.layers().iter().map(|id| placeholder(*id)).collect();
        let records = self.0.clone().into_inline(&layers);
        let json = oci::to_canonical_json(&records).map_err(EngineError::Serialize)?;
        Ok(STANDARD.encode(json))
    }
}

impl Inner {
    /// The records of a build for its images.
    pub(crate) async fn inline_records(
        self: &Arc<Self>,
        exported: &Arc<Exported>,
    ) -> Result<Arc<InlineRecords>, EngineError> {
        let (engine, exported) = (Arc::clone(self), Arc::clone(exported));
        let recorded = crate::blocking(move || exported.records(&engine, CacheMode::Min)).await??;
        Ok(Arc::new(InlineRecords(recorded.config)))
    }
}
