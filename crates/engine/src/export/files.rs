//! Results as plain files: a tar of the whole file system, or a directory.

use std::sync::Arc;

use snapshot::Tree;
use snapshot::diff::{self, Part};
use solver::StepProgress;

use super::draft::writing;
use super::image::send;
use super::{ImageParts, ImageSet};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::request::{Destination, FilesExport};

impl Inner {
    /// Writes the files of a target.
    pub(crate) async fn export_files(
        self: &Arc<Self>,
        set: &ImageSet,
        export: &FilesExport,
        progress: &StepProgress,
    ) -> Result<(), EngineError> {
        let ImageParts { stack, epoch, .. } = &set.images[0];
        let epoch = *epoch;
        let layers = self.snapshots(stack, Some(progress)).await?;
        let (engine, export) = (Arc::clone(self), export.clone());
        writing(move |draft| {
            let tree = Tree::layers(&layers, engine.marks)?;
            match export {
                FilesExport::Directory(path) => engine.write_directory(&tree, &path),
                FilesExport::Tar(Destination::File(path)) => {
                    draft.replace(&path, |file| engine.write_files(&tree, epoch, file))
                }
                FilesExport::Tar(Destination::Stdout) => {
                    engine.write_files(&tree, epoch, &mut std::io::stdout())
                }
                FilesExport::Tar(Destination::Stream(stream)) => {
                    send(&stream, |sink| engine.write_files(&tree, epoch, sink))
                }
                FilesExport::Tar(Destination::Directory(_)) => Err(EngineError::Unsupported {
                    what: "a tar that is a directory".to_owned(),
                    instead: "use type=local",
                }),
            }
        })
        .await
    }

    /// Copies the files; their owners and times go along as far as the machine lets us.
    fn write_directory(&self, tree: &Tree, path: &std::path::Path) -> Result<(), EngineError> {
        std::fs::create_dir_all(path).map_err(|source| EngineError::WriteFile {
            path: path.to_owned(),
            source,
        })?;
        let upper = snapshot::Upper::open(path, &[], self.marks)?;
        let all = snapshot::copy::Copy {
            source: snapshot::Selector {
                path: "/".into(),
                ..snapshot::Selector::default()
            },
            destination: "/".into(),
            owner: snapshot::copy::CopyOwner::Process,
            directory_contents: true,
            create_destination: true,
            ..snapshot::copy::Copy::default()
        };
        let options = snapshot::copy::Options {
            share: false,
            pool: Some(self.pool()?),
            earlier: None,
            limits: snapshot::Limits::default(),
        };
        snapshot::copy::copy(tree, &upper, &all, &options)?;
        Ok(())
    }

    fn write_files(
        &self,
        tree: &Tree,
        epoch: Option<i64>,
        output: &mut (dyn std::io::Write + Send),
    ) -> Result<(), EngineError> {
        let options = diff::Options {
            clamp_mtime: epoch,
            pool: Some(self.pool()?),
        };
        let whole = Part {
            path: "/".into(),
            name: None,
        };
        let output = std::io::BufWriter::with_capacity(1 << 20, output);
        diff::export(tree, &whole, &options, output)?;
        Ok(())
    }
}
