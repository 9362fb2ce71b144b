//! One image of all that the nodes push.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::events::ProgressSender;
use engine::{
    BuildRequest, Combining, EngineError, EngineOptions, Export, ImageSource, ImageTools,
};
use oci::Reference;

use crate::commands::build::elsewhere::{Built, Ended};
use crate::error::Error;
use crate::remote;

/// What is to lead to what the parts push.
pub(super) struct Index {
    pub(super) names: Vec<Reference>,
    pub(super) options: Box<EngineOptions>,
}

impl Index {
    /// Has the names lead to all that was pushed.
    pub(super) async fn push(
        &self,
        built: &[Built],
        progress: &ProgressSender,
    ) -> Result<Built, Ended> {
        let failed = |error: EngineError| Ended::NoIndex(error.into());
        let tools = ImageTools::new(&self.options).map_err(failed)?;
        let place = self.names[0].without_tag();
        let sources = built.iter().map(|part| {
            let manifest = remote::image(&part.response).map(|image| image.manifest);
            let manifest = manifest
                .ok_or_else(|| Ended::NoIndex(Error::new("a node does not say what it pushed")))?;
            Ok(ImageSource::Name(
                place.clone().with_digest(manifest.digest),
            ))
        });
        let sources = sources.collect::<Result<Vec<_>, Ended>>()?;
        let how = Combining::default();
        let image = tools.combine(&sources, &self.names, &how).await;
        let image = image.map_err(failed)?;
        let published = tools.publish(&image, &self.names, progress).await;
        published.map_err(failed)?;
        let descriptor = serde_json::to_vec(&image.descriptor).unwrap_or_default();
        let names: Vec<String> = self.names.iter().map(Reference::to_string).collect();
        let response = HashMap::from([
            (
                "containerimage.digest".to_owned(),
                image.descriptor.digest.to_string(),
            ),
            (
                "containerimage.descriptor".to_owned(),
                STANDARD.encode(descriptor),
            ),
            ("image.name".to_owned(), names.join(",")),
        ]);
        Ok(Built {
            response,
            pushes: Vec::new(),
        })
    }
}

/// Under which names the image is pushed.
pub(super) fn pushed(request: &BuildRequest) -> Vec<Reference> {
    let mut names: Vec<Reference> = Vec::new();
    for export in &request.exports {
        let Export::Image(image) = export else {
            continue;
        };
        if !image.push || image.by_digest {
            continue;
        }
        for name in request.tags.iter().chain(&image.names) {
            let name = name.clone().with_default_tag();
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}
