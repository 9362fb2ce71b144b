//! What people do with images that are in the store: list, inspect, tag, remove.

use std::collections::BTreeMap;
use std::time::SystemTime;

use oci::{Digest, History, ImageConfig, Reference};

use super::names::{NamedImage, is_untagged};
use crate::engine::{Engine, Inner};
use crate::error::EngineError;

/// A line of the list of images.
#[derive(Debug, Clone)]
pub struct ImageSummary {
    /// Its name; none when nobody gave it one.
    pub reference: Option<Reference>,
    /// The digest of its config.
    pub id: Digest,
    /// The digest that its name leads to.
    pub digest: Digest,
    /// When it was made, RFC 3339.
    pub created: Option<String>,
    /// Bytes of its layers, unpacked where they are, else as blobs.
    pub size: u64,
    /// Labels of its config.
    pub labels: BTreeMap<String, String>,
}

/// All that is known of an image.
#[derive(Debug, Clone)]
pub struct ImageDetails {
    /// What the list says of it.
    pub summary: ImageSummary,
    /// All names that lead to it.
    pub references: Vec<Reference>,
    /// Its config.
    pub config: ImageConfig,
    /// When a name last came to lead to it.
    pub updated: SystemTime,
}

/// One entry of an image's history, newest first.
#[derive(Debug, Clone)]
pub struct HistoryRow {
    /// The image's ID on the newest entry; Docker shows `<missing>` for the others.
    pub id: Option<Digest>,
    /// What was done.
    pub entry: History,
    /// Bytes of its layer.
    pub size: u64,
}

/// What removing an image did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A name leads nowhere now.
    Untagged(Reference),
    /// No name leads to the image any more.
    Deleted(Digest),
}

impl Engine {
    /// All images, by name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn images(&self) -> Result<Vec<ImageSummary>, EngineError> {
        self.0
            .named_images()?
            .iter()
            .map(|named| self.0.summary(named))
            .collect()
    }

    /// The image that `name` names, or whose ID begins with it.
    ///
    /// # Errors
    /// There is none.
    pub fn inspect_image(&self, name: &str) -> Result<ImageDetails, EngineError> {
        let found = self.0.find_image(name)?;
        let all = self.0.named_images()?;
        let same = all.iter().filter(|named| named.id() == found.id());
        let references = same
            .map(|n| n.reference.clone())
            .filter(|r| !is_untagged(r))
            .collect();
        let updated = self
            .0
            .store
            .images()
            .get(&found.reference)?
            .map(|image| image.updated);
        Ok(ImageDetails {
            summary: self.0.summary(&found)?,
            references,
            config: found.image.config,
            updated: updated.unwrap_or(SystemTime::UNIX_EPOCH),
        })
    }

    /// The history of an image, newest entry first.
    ///
    /// # Errors
    /// There is no such image.
    pub fn image_history(&self, name: &str) -> Result<Vec<HistoryRow>, EngineError> {
        let found = self.0.find_image(name)?;
        let mut sizes = self.0.layer_sizes(&found)?.into_iter();
        let mut rows: Vec<HistoryRow> = Vec::new();
        for entry in &found.image.config.history {
            let size = if entry.empty_layer {
                0
            } else {
                sizes.next().unwrap_or(0)
            };
            rows.push(HistoryRow {
                id: None,
                entry: entry.clone(),
                size,
            });
        }
        rows.reverse();
        if let Some(newest) = rows.first_mut() {
            newest.id = Some(found.id());
        }
        Ok(rows)
    }

    /// Gives the image a further name.
    ///
    /// # Errors
    /// There is no such image.
    pub fn tag_image(&self, source: &str, target: &Reference) -> Result<(), EngineError> {
        let found = self.0.find_image(source)?;
        self.0
            .store
            .images()
            .put(target, &found.top, self.0.clock.now())?;
        Ok(())
    }

    /// Removes a name, or all names of the image with this ID. Layers and blobs that nobody needs
    /// any more go with the next `prune`.
    ///
    /// # Errors
    /// There is no such image, a container uses it, or it has several names and `force` is not set.
    pub fn remove_image(&self, name: &str, force: bool) -> Result<Vec<Removed>, EngineError> {
        let engine = &self.0;
        let found = engine.find_image(name)?;
        let by_name = name
            .parse::<Reference>()
            .is_ok_and(|reference| reference.with_default_tag() == found.reference);
        let mut names: Vec<Reference> = engine
            .named_images()?
            .into_iter()
            .filter(|named| named.id() == found.id())
            .map(|named| named.reference)
            .collect();
        let is_last = names.len() == 1;
        if is_last || !by_name {
            let repositories = names.iter().filter(|name| !is_untagged(name)).count();
            engine.check_unused(&found, name, force, repositories)?;
        }
        if by_name {
            names = vec![found.reference.clone()];
        }
        let mut removed = Vec::new();
        for reference in names {
            engine.store.images().remove(&reference)?;
            if !is_untagged(&reference) {
                removed.push(Removed::Untagged(reference));
            }
        }
        if is_last || !by_name {
            removed.push(Removed::Deleted(found.id()));
        }
        Ok(removed)
    }
}

impl Inner {
    fn summary(&self, named: &NamedImage) -> Result<ImageSummary, EngineError> {
        let reference = &named.reference;
        Ok(ImageSummary {
            reference: (!is_untagged(reference)).then(|| reference.clone()),
            id: named.id(),
            digest: named.top.digest,
            created: named.image.config.created.clone(),
            size: self.layer_sizes(named)?.iter().sum(),
            labels: named.image.config.config.labels.clone(),
        })
    }

    fn layer_sizes(&self, named: &NamedImage) -> Result<Vec<u64>, EngineError> {
        let image = &named.image;
        let pairs = image
            .manifest
            .layers
            .iter()
            .zip(&image.config.rootfs.diff_ids);
        pairs
            .map(|(blob, diff_id)| {
                let rows = self.store.layers().by_diff_id(diff_id)?;
                Ok(rows.iter().find_map(|row| row.size).unwrap_or(blob.size))
            })
            .collect()
    }

    fn check_unused(
        &self,
        found: &NamedImage,
        name: &str,
        force: bool,
        repositories: usize,
    ) -> Result<(), EngineError> {
        let in_use = |why| EngineError::ImageInUse {
            image: name.to_owned(),
            why,
        };
        let user = self
            .store
            .containers()
            .list()?
            .into_iter()
            .find(|container| container.image_digest == Some(found.top.digest));
        match user {
            Some(container) if !force => {
                let id: String = container.id.chars().take(12).collect();
                Err(in_use(format!(
                    "container {id} is using its referenced image"
                )))
            }
            _ if repositories > 1 && !force => Err(in_use(
                "image is referenced in multiple repositories".to_owned(),
            )),
            _ => Ok(()),
        }
    }
}
