//! Results as plain files: a tar of the whole file system, or a directory. Of several platforms each
//! has a directory of its own there, such as `linux_arm64`.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oci::Platform;
use snapshot::Tree;
use snapshot::diff::{self, Whole};
use snapshot::{Dir, Kind, Time};
use solver::StepProgress;

use super::draft::{Draft, writing};
use super::image::send;
use super::statements::{beside, write_statements};
use super::{Attestation, ImageSet};
use crate::engine::Inner;
use crate::error::EngineError;
use crate::request::{Destination, FilesExport};

/// The files for one platform.
struct Files {
    platform: Platform,
    tree: Tree,
    latest: Option<i64>,
    /// What is stated beside them.
    stated: Vec<Attestation>,
}

impl Files {
    /// The directory that they are in among those for other platforms.
    fn directory(&self) -> String {
        self.platform.to_string().replace('/', "_")
    }
}

impl Inner {
    /// Writes the files of a target.
    pub(crate) async fn export_files(
        self: &Arc<Self>,
        set: &ImageSet,
        export: &FilesExport,
        progress: &StepProgress,
    ) -> Result<(), EngineError> {
        let mut all = Vec::with_capacity(set.images.len());
        for image in &set.images {
            let layers = self.snapshots(&image.stack, Some(progress)).await?;
            let stated = image.attestations.iter().filter(|one| !one.inline_only);
            let prefix = export.statement_prefix();
            let stated = stated.map(|one| Attestation {
                file_name: format!("{prefix}{}", one.file_name),
                ..one.clone()
            });
            let stated: Vec<Attestation> = stated.collect();
            check_names(&stated)?;
            all.push(Files {
                stated,
                platform: image.platform(),
                tree: Tree::layers(&layers, self.marks)?,
                latest: export.latest().seconds(image.epoch),
            });
        }
        let several = set.indexed || all.len() > 1;
        let (engine, export) = (Arc::clone(self), export.clone());
        writing(move |draft| match export {
            FilesExport::Directory { path, split, .. } => {
                engine.write_directories(&all, &path, split.unwrap_or(several), draft)
            }
            FilesExport::Tar { destination, .. } => {
                engine.write_tar_of_files(&all, several, destination, draft)
            }
        })
        .await
    }

    fn write_tar_of_files(
        &self,
        all: &[Files],
        split: bool,
        destination: Destination,
        draft: &Draft,
    ) -> Result<(), EngineError> {
        match destination {
            Destination::File(path) => {
                draft.replace(&path, |file| self.write_files(all, split, file))
            }
            Destination::Stdout => self.write_files(all, split, &mut io::stdout()),
            Destination::Stream(stream) => send(&stream, |sink| self.write_files(all, split, sink)),
            Destination::Directory(_) => Err(EngineError::Unsupported {
                what: "a tar that is a directory".to_owned(),
                instead: "use type=local",
            }),
        }
    }

    fn write_directories(
        &self,
        all: &[Files],
        path: &Path,
        split: bool,
        draft: &Draft,
    ) -> Result<(), EngineError> {
        if !split {
            check_apart(all)?;
        }
        for files in all {
            let own = path.join(files.directory());
            let to = if split { &own } else { path };
            self.write_directory(files, to)?;
            // Side by side they are told apart by their platforms.
            let is_shared = !split && all.len() > 1;
            let platform = is_shared.then(|| files.directory());
            write_statements(&files.tree, &files.stated, to, platform.as_deref(), draft)?;
        }
        Ok(())
    }

    /// Copies the files; their owners and times go along as far as the machine lets us.
    fn write_directory(&self, files: &Files, path: &Path) -> Result<(), EngineError> {
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
            latest: files.latest.map(Time::from_seconds),
            ..snapshot::copy::Copy::default()
        };
        let options = snapshot::copy::Options {
            share: false,
            pool: Some(self.pool()?),
            earlier: None,
            limits: snapshot::Limits::default(),
        };
        snapshot::copy::copy(&files.tree, &upper, &all, &options)?;
        Ok(())
    }

    fn write_files(
        &self,
        all: &[Files],
        split: bool,
        output: &mut (dyn Write + Send),
    ) -> Result<(), EngineError> {
        let directories: Vec<String> = all.iter().map(Files::directory).collect();
        let stated = all
            .iter()
            .map(|files| beside(&files.tree, &files.stated, None));
        let stated: Vec<_> = stated.collect::<Result<_, EngineError>>()?;
        let wholes = all.iter().zip(&directories).zip(&stated);
        let wholes: Vec<Whole<'_>> = wholes
            .map(|((files, directory), stated)| Whole {
                tree: &files.tree,
                directory: split.then_some(OsStr::new(directory)),
                clamp_mtime: files.latest,
                beside: stated,
            })
            .collect();
        let output = io::BufWriter::with_capacity(1 << 20, output);
        diff::export_all(&wholes, Some(self.pool()?), output)?;
        Ok(())
    }
}

/// What two platforms have at one path must be a directory in both, when all go into one.
fn check_apart(all: &[Files]) -> Result<(), EngineError> {
    for (number, files) in all.iter().enumerate() {
        for before in &all[..number] {
            let shared = shared(before.tree.root(), files.tree.root(), Path::new(""))?;
            if let Some(path) = shared {
                return Err(EngineError::Overwrites {
                    path,
                    first: before.platform.clone(),
                    second: files.platform.clone(),
                });
            }
        }
    }
    Ok(())
}

/// A path that is in both directories, and not a directory in both.
fn shared(one: &Dir, other: &Dir, path: &Path) -> Result<Option<PathBuf>, EngineError> {
    for entry in one.entries()? {
        let Some((same, _)) = other.find(&entry.name)? else {
            continue;
        };
        let path = path.join(&entry.name);
        if (entry.kind, same.kind) != (Kind::Directory, Kind::Directory) {
            return Ok(Some(path));
        }
        let found = shared(&one.enter(&entry)?, &other.enter(&same)?, &path)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Each statement is a file of its own.
fn check_names(stated: &[Attestation]) -> Result<(), EngineError> {
    for (number, one) in stated.iter().enumerate() {
        let mut before = stated[..number].iter();
        if before.any(|other| other.file_name == one.file_name) {
            return Err(EngineError::StatementName(one.file_name.clone()));
        }
    }
    Ok(())
}
