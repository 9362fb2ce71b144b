//! Images of containers as they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use oci::{Compression, Descriptor, DiffId, Digest, History, ImageConfig, Platform, Reference};
use snapshot::diff;
use store::ContainerState;

use super::list::read_settings;
use crate::clock::rfc3339;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::events::channel;
use crate::export::{Dialect, ImageLayer, Packed, assemble, layer_type};
use crate::layer::Wanted;
use crate::output::Stack;
use crate::progress::Task;

/// What an image of a container is to be.
#[derive(Debug, Clone, Default)]
pub struct CommitContainer {
    /// Its name; none if empty.
    pub name: Option<Reference>,
    /// Why it was made.
    pub comment: String,
    /// Who made it.
    pub author: String,
}

/// Bytes of progress that nobody reads.
const UNHEARD: u32 = 1 << 10;

impl Engine {
    /// Makes an image of a container and what it wrote; its ID.
    ///
    /// # Errors
    /// There is no such container, it runs, or its files cannot be read.
    pub async fn commit_container(
        &self,
        name: &str,
        new: &CommitContainer,
    ) -> Result<Digest, EngineError> {
        let engine = &self.0;
        let container = engine.container(name)?;
        if container.state == ContainerState::Running {
            return Err(EngineError::Unsupported {
                what: "an image of a running container".to_owned(),
                instead: "stop it first",
            });
        }
        let config = engine.committed_config(&container, new)?;
        let mut layers = engine.layers_below(&container).await?;
        let inherited = config.history.len() - 1;
        let top = {
            let (engine, id) = (Arc::clone(engine), container.id.clone());
            crate::blocking(move || engine.own_layer(&id)).await??
        };
        layers.extend(top);
        let image = assemble(
            &config,
            inherited,
            &layers,
            None,
            Dialect::Oci,
            BTreeMap::new(),
        )?;
        let names: Vec<Reference> = new.name.iter().cloned().collect();
        Ok(engine.keep(&Packed::one(image, Vec::new()), &names)?.id)
    }
}

impl Inner {
    /// The image's config with the container's settings, and an entry for what it did.
    fn committed_config(
        &self,
        container: &store::Container,
        new: &CommitContainer,
    ) -> Result<ImageConfig, EngineError> {
        let settings = read_settings(container)?;
        let found = self.find_image(&container.image).ok();
        let mut config = found.map_or_else(host_config, |found| found.image.config);
        let process = &mut config.config;
        process.env = settings.env;
        process.entrypoint = settings.more.entrypoint;
        process.cmd = Some(settings.more.command).filter(|command| !command.is_empty());
        process.user = settings.user;
        process.working_dir = settings.cwd;
        process.labels = settings.more.labels;
        if !new.author.is_empty() {
            config.author.clone_from(&new.author);
        }
        let now = Some(rfc3339(self.clock.now()));
        config.created.clone_from(&now);
        let is_empty = !self.has_changes(&container.id);
        config.history.push(History {
            created: now,
            created_by: settings.args.join(" "),
            author: new.author.clone(),
            comment: new.comment.clone(),
            empty_layer: is_empty,
        });
        Ok(config)
    }

    async fn layers_below(
        self: &Arc<Self>,
        container: &store::Container,
    ) -> Result<Vec<ImageLayer>, EngineError> {
        let (sender, _unheard) = channel(UNHEARD);
        let task = Task::begin(&sender, &self.clock, "commit");
        let stack = Stack::new(container.layers.clone());
        let told = task.progress();
        let layers = self
            .export_layers(&stack, Wanted::AnyBlob, None, &told)
            .await;
        let layers = task.end(layers)?;
        Ok(layers.into_iter().map(|layer| layer.layer).collect())
    }

    /// What the container wrote, as a blob; none if it wrote nothing.
    fn own_layer(&self, id: &str) -> Result<Option<ImageLayer>, EngineError> {
        if !self.has_changes(id) {
            return Ok(None);
        }
        let directory = self.store.containers().directory(id).join("fs");
        let options = diff::Options {
            clamp_mtime: None,
            pool: Some(self.pool()?),
        };
        let writer = self.store.blobs().writer(&self.lease, None)?;
        let blob = diff::tar(&directory, self.marks, &options, writer)?.commit()?;
        let media_type = layer_type(Compression::Uncompressed);
        Ok(Some(ImageLayer {
            diff_id: DiffId(blob.digest),
            blob: Descriptor::new(media_type, blob.digest, blob.size),
            created: self.clock.now(),
            latest: None,
        }))
    }

    fn has_changes(&self, id: &str) -> bool {
        let directory = self.store.containers().directory(id).join("fs");
        std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
    }
}

/// The config of an image that is gone: only what the container has is known.
fn host_config() -> ImageConfig {
    let Platform {
        os,
        architecture,
        variant,
        ..
    } = Platform::host();
    ImageConfig {
        os,
        architecture,
        variant,
        ..ImageConfig::default()
    }
}
