//! Sources looked up in their registries.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use oci::{Digest, Document, Platform};
use serde::Deserialize;

use super::ImageTools;
use super::combine::Gathered;
use super::error::ImageToolsError;
use super::source::Located;
use crate::error::EngineError;

/// Sources that are looked up at once.
const AT_ONCE: usize = 4;

impl ImageTools {
    /// What `sources` lead to, in their order.
    pub(super) async fn gather(&self, sources: Vec<Located>) -> Result<Vec<Gathered>, EngineError> {
        stream::iter(sources)
            .map(|source| self.look_up(source))
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn look_up(&self, Located { from, given }: Located) -> Result<Gathered, EngineError> {
        let found = self.resolve(&from).await?;
        let mut descriptor = match given {
            Some(given) => given.over(found.descriptor)?,
            None => found.descriptor,
        };
        let index = match found.document {
            Document::Index(index) => Some(index),
            Document::Manifest(manifest) => {
                if !descriptor.platform.as_ref().is_some_and(is_complete) {
                    let config = &manifest.config;
                    let bytes = self.read(&from, config, oci::MAX_CONFIG_SIZE).await?;
                    let platform = completed(descriptor.platform, config.digest, &bytes)?;
                    descriptor.platform = Some(platform);
                }
                None
            }
        };
        Ok(Gathered {
            from,
            descriptor,
            bytes: found.bytes,
            index,
        })
    }
}

fn is_complete(platform: &Platform) -> bool {
    !platform.os.is_empty() && !platform.architecture.is_empty()
}

/// The platform `given`; what it does not say is that of the image's config.
pub(super) fn completed(
    given: Option<Platform>,
    digest: Digest,
    config: &[u8],
) -> Result<Platform, ImageToolsError> {
    let runs_on: RunsOn = serde_json::from_slice(config)
        .map_err(|source| ImageToolsError::Config { digest, source })?;
    let mut platform = given.unwrap_or(Platform {
        architecture: String::new(),
        os: String::new(),
        os_version: String::new(),
        os_features: Vec::new(),
        variant: String::new(),
    });
    runs_on.fill(&mut platform);
    Ok(platform)
}

/// What the config of an image says that it runs on. That of another artifact says nothing.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RunsOn {
    architecture: String,
    os: String,
    variant: String,
}

impl RunsOn {
    fn fill(&self, platform: &mut Platform) {
        let mut found = Platform::new(&self.os, &self.architecture, &self.variant);
        if found.os.is_empty() {
            found.os = Platform::host().os;
        }
        if platform.architecture.is_empty() {
            platform.architecture = found.architecture;
            if platform.variant.is_empty() {
                platform.variant = found.variant;
            }
        }
        if platform.os.is_empty() {
            platform.os = found.os;
        }
    }
}
