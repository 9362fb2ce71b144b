//! Whether every tag has what it needs: documents that are here and valid, and layers that are here
//! or can be had again. Platforms that were not pulled are not missed.

use std::collections::HashSet;

use oci::{Descriptor, DiffId, Digest, Document, ImageConfig, MAX_CONFIG_SIZE, Manifest};

use super::Problem;
use super::check::Check;
use crate::error::{Result, StoreError};

/// Adds what the tags lack.
pub(super) fn check(check: &mut Check<'_>) -> Result<()> {
    let by_digest = check
        .layers
        .iter()
        .filter(|layer| check.is_usable(layer.id))
        .flat_map(|layer| layer.blobs.iter().map(|(digest, _)| *digest))
        .collect();
    let by_diff_id = check
        .layers
        .iter()
        .filter(|layer| check.is_usable(layer.id))
        .filter_map(|layer| layer.diff_id)
        .collect();
    for image in crate::image::list(check.connection)? {
        let mut walk = Walk {
            reference: image.reference.to_string(),
            by_digest: &by_digest,
            by_diff_id: &by_diff_id,
            visited: HashSet::new(),
            found: Vec::new(),
        };
        if walk.is_here(check, &image.descriptor) {
            walk.document(check, &image.descriptor)?;
        }
        check.problems.append(&mut walk.found);
    }
    Ok(())
}

struct Walk<'a> {
    reference: String,
    by_digest: &'a HashSet<Digest>,
    by_diff_id: &'a HashSet<DiffId>,
    visited: HashSet<Digest>,
    found: Vec<Problem>,
}

impl Walk<'_> {
    fn document(&mut self, check: &Check<'_>, descriptor: &Descriptor) -> Result<()> {
        let kind = &descriptor.media_type;
        let is_document = kind.is_index() || kind.is_manifest();
        if !is_document || !self.visited.insert(descriptor.digest) {
            return Ok(());
        }
        let Some(bytes) = self.read(check, descriptor)? else {
            return Ok(());
        };
        match Document::parse(&bytes, Some(kind)) {
            Ok(Document::Manifest(manifest)) => self.manifest(check, &manifest),
            Ok(Document::Index(index)) => index
                .manifests
                .iter()
                .filter(|child| check.blobs.contains_key(&child.digest))
                .try_for_each(|child| self.document(check, child)),
            Err(error) => {
                self.invalid(descriptor, &error);
                Ok(())
            }
        }
    }

    fn manifest(&mut self, check: &Check<'_>, manifest: &Manifest) -> Result<()> {
        if !self.is_here(check, &manifest.config) {
            return Ok(());
        }
        let diff_ids = self.diff_ids(check, &manifest.config)?;
        for (at, layer) in manifest.layers.iter().enumerate() {
            let is_here = check.blobs.contains_key(&layer.digest)
                || self.by_digest.contains(&layer.digest)
                || diff_ids
                    .get(at)
                    .is_some_and(|id| self.by_diff_id.contains(id));
            if !is_here {
                self.found.push(Problem::ImageLayer {
                    reference: self.reference.clone(),
                    digest: layer.digest,
                });
            }
        }
        Ok(())
    }

    /// The diff IDs that the config names; none if it is of an artifact.
    fn diff_ids(&mut self, check: &Check<'_>, config: &Descriptor) -> Result<Vec<DiffId>> {
        let is_config = matches!(
            config.media_type,
            oci::MediaType::OciConfig | oci::MediaType::DockerConfig
        );
        if !is_config {
            return Ok(Vec::new());
        }
        let Some(bytes) = self.read(check, config)? else {
            return Ok(Vec::new());
        };
        match serde_json::from_slice::<ImageConfig>(&bytes) {
            Ok(config) => Ok(config.rootfs.diff_ids),
            Err(error) => {
                self.invalid(config, &error);
                Ok(Vec::new())
            }
        }
    }

    fn is_here(&mut self, check: &Check<'_>, descriptor: &Descriptor) -> bool {
        match check.blobs.get(&descriptor.digest) {
            None => self.found.push(Problem::ImageDocument {
                reference: self.reference.clone(),
                digest: descriptor.digest,
            }),
            Some(size) if *size != descriptor.size => self.found.push(Problem::BlobSize {
                digest: descriptor.digest,
                expected: descriptor.size,
                found: *size,
            }),
            Some(_) => return true,
        }
        false
    }

    fn read(&mut self, check: &Check<'_>, descriptor: &Descriptor) -> Result<Option<Vec<u8>>> {
        match check
            .store
            .blobs()
            .read(&descriptor.digest, MAX_CONFIG_SIZE)
        {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error @ (StoreError::DigestMismatch { .. } | StoreError::TooLarge { .. })) => {
                self.invalid(descriptor, &error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn invalid(&mut self, descriptor: &Descriptor, error: &dyn std::error::Error) {
        let mut detail = error.to_string();
        if let Some(source) = error.source() {
            detail = format!("{detail}: {source}");
        }
        self.found.push(Problem::ImageInvalid {
            reference: self.reference.clone(),
            digest: descriptor.digest,
            detail,
        });
    }
}
