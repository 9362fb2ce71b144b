//! Images worked on where they are, in registries: looked at, and put together of others.
//!
//! No store is opened. `source` is what people name, `gather` looks it up, `combine` decides what
//! comes of it and is pure, `copy` brings what is needed into the repository where the result is
//! to be. Names lead to the result only when all that it leads to is there.

mod annotation;
mod combine;
mod copy;
mod error;
mod gather;
mod look;
mod source;

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use oci::{Descriptor, Document, Reference};
use solver::ProgressSender;

use crate::clock::Clock;
use crate::engine::{Engine, EngineOptions};
use crate::error::EngineError;
use crate::progress::Task;

pub use annotation::IndexAnnotation;
pub use combine::{Combined, Combining};
pub use error::{ImageToolsError, SourceError};
pub use look::{Inspected, InspectedImage, Statements};
pub use source::{Given, Source as ImageSource};

/// Looks at images in registries, and makes images of others.
#[derive(Debug, Clone)]
pub struct ImageTools {
    registry: registry::Client,
    clock: Arc<dyn Clock>,
}

impl ImageTools {
    /// What asks registries as an engine with these options would; no store is opened.
    ///
    /// # Errors
    /// The configuration or the credentials make no sense.
    pub fn new(options: &EngineOptions) -> Result<Self, EngineError> {
        let docker_config = options.docker_config.as_deref();
        let helpers = options.helper_path.clone();
        let credentials = crate::engine::docker_credentials(docker_config, helpers)?;
        let variables = &options.fetch_variables;
        Ok(Self {
            registry: crate::registries::client(&options.config, variables, credentials)?,
            clock: Arc::clone(&options.clock),
        })
    }

    /// What asks registries as `engine` does.
    ///
    /// # Errors
    /// The engine's configuration or credentials make no sense.
    pub fn of(engine: &Engine) -> Result<Self, EngineError> {
        Ok(Self {
            registry: engine.0.registry()?.clone(),
            clock: Arc::clone(&engine.0.clock),
        })
    }

    /// Puts `sources` together, as an image for `names`: an index of all that they lead to, or the
    /// only source as it is. Nothing is written.
    ///
    /// Sources are looked for in their own repositories; digests and descriptors in the one that
    /// the other sources and `names` have in common.
    ///
    /// # Errors
    /// A source is not there, or they cannot be put together so.
    pub async fn combine(
        &self,
        sources: &[ImageSource],
        names: &[Reference],
        how: &Combining,
    ) -> Result<Combined, EngineError> {
        let located = source::locate(sources, names)?;
        let gathered = self.gather(located).await?;
        Ok(combine::combine(gathered, how)?)
    }

    /// Sees to it that `names` lead to `image`: what it leads to is copied to where it is missing,
    /// and only then the names are put.
    ///
    /// # Errors
    /// A registry does not give or take something. Some of the names may lead to it then, and it
    /// is whole under them.
    pub async fn publish(
        &self,
        image: &Combined,
        names: &[Reference],
        progress: &ProgressSender,
    ) -> Result<(), EngineError> {
        let repositories: BTreeSet<Reference> = names.iter().map(Reference::without_tag).collect();
        for repository in &repositories {
            let elsewhere = |part: &&combine::Part| part.from.without_tag() != *repository;
            let parts: Vec<_> = image.parts.iter().filter(elsewhere).collect();
            if !parts.is_empty() {
                self.bring(&parts, repository, progress).await?;
            }
        }
        for name in names {
            let task = Task::begin(progress, &self.clock, &format!("pushing {name}"));
            let (media_type, bytes) = (&image.descriptor.media_type, image.bytes.clone());
            let put = self.registry.put_manifest(name, media_type, bytes).await;
            task.end(put.map_err(|source| EngineError::Push {
                reference: name.clone(),
                source,
            }))?;
        }
        Ok(())
    }

    async fn bring(
        &self,
        parts: &[&combine::Part],
        repository: &Reference,
        progress: &ProgressSender,
    ) -> Result<(), EngineError> {
        let task = Task::begin(progress, &self.clock, &format!("copying to {repository}"));
        let told = task.progress();
        let copied = async {
            for part in parts {
                self.copy(part, repository, &told).await?;
            }
            Ok(())
        };
        let copied = copied.await;
        task.end(copied)
    }

    /// What `reference` leads to.
    async fn resolve(&self, reference: &Reference) -> Result<registry::Resolved, EngineError> {
        let found = self.registry.resolve(reference).await;
        found.map_err(|source| EngineError::Resolve {
            reference: reference.clone(),
            source,
        })
    }

    /// The document of `descriptor` and its exact bytes, from the repository of `from`.
    async fn document(
        &self,
        from: &Reference,
        descriptor: &Descriptor,
    ) -> Result<(Document, Bytes), EngineError> {
        let found = self.registry.manifest_by_descriptor(from, descriptor).await;
        let found = found.map_err(|source| EngineError::Fetch {
            reference: from.without_tag(),
            source,
        })?;
        Ok((found.document, found.bytes))
    }

    /// All of a blob that has at most `most` bytes, from the repository of `from`.
    async fn read(
        &self,
        from: &Reference,
        blob: &Descriptor,
        most: u64,
    ) -> Result<Vec<u8>, EngineError> {
        let (digest, size) = (blob.digest, blob.size);
        if size > most {
            return Err(ImageToolsError::TooLarge { digest, size, most }.into());
        }
        let failed = |source| EngineError::Fetch {
            reference: from.without_tag(),
            source,
        };
        let mut stream = self.registry.blob(from, blob, 0).await.map_err(failed)?;
        let mut bytes = Vec::new();
        while let Some(piece) = stream.next().await.map_err(failed)? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests;
