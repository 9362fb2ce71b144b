//! Exports what a build came to.

use std::collections::BTreeSet;
use std::sync::Arc;

use oci::Reference;
use solver::ProgressSender;

use super::BuildOutcome;
use super::stages::Delivery;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::export::{ExportedImage, ImageSet};
use crate::progress::Task;
use crate::remote_cache::{CacheTo, Exported};
use crate::request::{BuildRequest, Export, FilesExport, ImageExport, MoreTarget};

impl Inner {
    /// Makes what was asked for of each target.
    pub(super) async fn export_targets(
        self: &Arc<Self>,
        delivery: &Delivery,
        targets: &[ImageSet],
        progress: &ProgressSender,
    ) -> Result<BuildOutcome, EngineError> {
        let mut outcome = BuildOutcome::default();
        let Some((first, others)) = targets.split_first() else {
            return Ok(outcome);
        };
        for export in &delivery.exports {
            let exported = self.export(&delivery.tags, first, export, progress).await?;
            if outcome.image.is_none() && exported.is_some() {
                outcome.image = exported;
                outcome.exporter = export.name();
            }
        }
        for (set, more) in others.iter().zip(&delivery.more_targets) {
            let exported = self
                .export_more(more, set, &delivery.exports, progress)
                .await?;
            outcome.more_images.extend(exported);
        }
        Ok(outcome)
    }

    /// Writes all caches that stand on their own, at once.
    pub(super) async fn export_caches(
        self: &Arc<Self>,
        request: &BuildRequest,
        cached: Option<&Arc<Exported>>,
        progress: &ProgressSender,
    ) -> Result<(), EngineError> {
        let Some(cached) = cached else {
            return Ok(());
        };
        let exports = request.cache_to.iter().filter_map(|cache| match cache {
            CacheTo::Export(export) => Some(self.export_cache(cached, export, progress)),
            CacheTo::Inline => None,
        });
        futures_util::future::try_join_all(exports).await?;
        Ok(())
    }

    /// A further target becomes an image under its own names, wherever the target does.
    async fn export_more(
        self: &Arc<Self>,
        more: &MoreTarget,
        set: &ImageSet,
        exports: &[Export],
        progress: &ProgressSender,
    ) -> Result<Option<ExportedImage>, EngineError> {
        let mut image = None;
        for export in exports {
            let Export::Image(export) = export else {
                continue;
            };
            if more.tags.is_empty() {
                continue;
            }
            let export = Export::Image(ImageExport {
                names: Vec::new(),
                ..export.clone()
            });
            let exported = self.export(&more.tags, set, &export, progress).await?;
            image = image.or(exported);
        }
        Ok(image)
    }

    async fn export(
        self: &Arc<Self>,
        tags: &[Reference],
        set: &ImageSet,
        export: &Export,
        progress: &ProgressSender,
    ) -> Result<Option<ExportedImage>, EngineError> {
        let names = |own: &[Reference]| {
            let mut names: Vec<Reference> = Vec::new();
            for name in tags.iter().chain(own) {
                let name = name.clone().with_default_tag();
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            names
        };
        match export {
            Export::Image(image) => {
                let names = names(&image.names);
                self.export_image(names, set, image, progress).await
            }
            Export::Archive(archive) => {
                let task = Task::begin(progress, &self.clock, "exporting to archive");
                let told = task.progress();
                let names = names(&archive.names);
                let result = self.export_archive(set, archive, &names, &told).await;
                task.end(result).map(Some)
            }
            Export::Files(files) => {
                let name = match files {
                    FilesExport::Directory { .. } => "exporting to client directory",
                    FilesExport::Tar { .. } => "exporting to client tarball",
                };
                let task = Task::begin(progress, &self.clock, name);
                let told = task.progress();
                let result = self.export_files(set, files, &told).await;
                task.end(result).map(|()| None)
            }
        }
    }

    /// Into the store, into registries, or both.
    async fn export_image(
        self: &Arc<Self>,
        mut names: Vec<Reference>,
        set: &ImageSet,
        image: &ImageExport,
        progress: &ProgressSender,
    ) -> Result<Option<ExportedImage>, EngineError> {
        let by_digest = image.push && image.by_digest;
        if by_digest {
            let places: BTreeSet<Reference> = names.iter().map(Reference::without_tag).collect();
            names = places.into_iter().collect();
        }
        let mut exported = None;
        if image.store && !by_digest {
            let task = Task::begin(progress, &self.clock, "exporting to image");
            let told = task.progress();
            let result = self.export_to_store(set, image, &names, &told).await;
            exported = Some(task.end(result)?);
        }
        if image.push {
            if names.is_empty() {
                return Err(EngineError::NoTag);
            }
            let task = Task::begin(progress, &self.clock, "pushing image");
            let told = task.progress();
            let result = self.push_set(set, image, &names, &told).await;
            exported = Some(task.end(result)?);
        }
        Ok(exported)
    }
}
