//! Volumes: directories of the store that outlive containers.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use snapshot::diff::{self, Part};
use snapshot::{Found, Limits, Marks, Overwrite, Owners, Tree, Upper};

use super::life::replace;
use super::list::ContainerSummary;
use super::settings::MountSource;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Where its files are.
    pub path: PathBuf,
    /// When it was made.
    pub created: SystemTime,
    /// Free key and value pairs.
    pub labels: BTreeMap<String, String>,
}

/// What stands in `volume.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    created: SystemTime,
    labels: BTreeMap<String, String>,
}

/// The label by which Docker knows volumes to which nobody gave a name.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

impl Volume {
    /// Whether nobody gave it its name.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.labels.contains_key(ANONYMOUS)
    }
}

impl Engine {
    /// Makes a volume, or finds the one of that name; one without a name gets one.
    ///
    /// # Errors
    /// The name is none, or it cannot be written.
    pub fn create_volume(
        &self,
        name: Option<&str>,
        mut labels: BTreeMap<String, String>,
    ) -> Result<Volume, EngineError> {
        let engine = &self.0;
        let made_up = super::create::new_id()?;
        let chosen = name.unwrap_or(&made_up);
        check(chosen)?;
        if let Some(found) = engine.volume(chosen)? {
            return Ok(found);
        }
        if name.is_none() {
            labels.insert(ANONYMOUS.to_owned(), String::new());
        }
        let stored = Stored {
            created: engine.clock.now(),
            labels,
        };
        let directory = engine.store.volumes().join(chosen);
        let data = directory.join("data");
        fs::create_dir_all(&data).map_err(write_failed(&data))?;
        let text = serde_json::to_vec(&stored).map_err(EngineError::Serialize)?;
        replace(&directory.join("volume.json"), &text)?;
        engine.find_volume(chosen)
    }

    /// The volume of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn inspect_volume(&self, name: &str) -> Result<Volume, EngineError> {
        self.0.find_volume(name)
    }

    /// All volumes by name.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn volumes(&self) -> Result<Vec<Volume>, EngineError> {
        let directory = self.0.store.volumes();
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(EngineError::Read {
                    path: directory,
                    source,
                });
            }
        };
        let mut volumes = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            volumes.extend(self.0.volume(&name)?);
        }
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(volumes)
    }

    /// Names of containers that have the volume of this name.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn volume_users(&self, name: &str) -> Result<Vec<String>, EngineError> {
        let wanted = MountSource::Volume(name.to_owned());
        let all = self.containers()?.into_iter();
        Ok(all
            .filter(|container| {
                let mut mounts = container.settings.more.mounts.iter();
                mounts.any(|mount| mount.source == wanted)
            })
            .map(|container| container.id)
            .collect())
    }

    /// Removes the volumes of a container that is gone to which nobody gave a name, but for those
    /// that another container has.
    ///
    /// # Errors
    /// One cannot be removed.
    pub fn remove_unnamed_volumes(&self, container: &ContainerSummary) -> Result<(), EngineError> {
        for mount in &container.settings.more.mounts {
            let MountSource::Volume(name) = &mount.source else {
                continue;
            };
            let volume = self.0.volume(name)?;
            if volume.is_some_and(|volume| volume.is_anonymous())
                && self.volume_users(name)?.is_empty()
            {
                self.remove_volume(name)?;
            }
        }
        Ok(())
    }

    /// The bytes of a volume's files, as far as they can be read.
    #[must_use]
    pub fn volume_size(&self, volume: &Volume) -> u64 {
        size(&volume.path)
    }

    /// Removes a volume that no container has.
    ///
    /// # Errors
    /// There is none, a container has it, or it cannot be removed.
    pub fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        self.0.find_volume(name)?;
        let users = self.volume_users(name)?;
        if !users.is_empty() {
            return Err(EngineError::VolumeInUse {
                name: name.to_owned(),
                users,
            });
        }
        let directory = self.0.store.volumes().join(name);
        fs::remove_dir_all(&directory).map_err(write_failed(&directory))
    }
}

impl Inner {
    fn find_volume(&self, name: &str) -> Result<Volume, EngineError> {
        let missing = || EngineError::NoSuchVolume(name.to_owned());
        check(name).map_err(|_| missing())?;
        self.volume(name)?.ok_or_else(missing)
    }

    fn volume(&self, name: &str) -> Result<Option<Volume>, EngineError> {
        let directory = self.store.volumes().join(name);
        let path = directory.join("volume.json");
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(EngineError::Read { path, source }),
        };
        let stored: Stored = serde_json::from_slice(&text).map_err(EngineError::Serialize)?;
        Ok(Some(Volume {
            name: name.to_owned(),
            path: directory.join("data"),
            created: stored.created,
            labels: stored.labels,
        }))
    }

    /// The directory of a volume. One that is empty takes over what the container has at `target`.
    pub(super) fn volume_for(
        &self,
        name: &str,
        target: &Path,
        tree: &Tree,
    ) -> Result<PathBuf, EngineError> {
        let path = self.find_volume(name)?.path;
        let mut entries = fs::read_dir(&path).map_err(write_failed(&path))?;
        let resolved = tree.lookup(target, true)?;
        if entries.next().is_some() || !matches!(resolved.found, Found::Directory) {
            return Ok(path);
        }
        let mut archive = tempfile::tempfile().map_err(|source| EngineError::Io {
            action: "make a file",
            source,
        })?;
        let part = Part {
            path: resolved.path.clone(),
            name: None,
        };
        diff::export(tree, &part, &diff::Options::default(), &mut archive)?;
        archive
            .seek(SeekFrom::Start(0))
            .map_err(|source| EngineError::Write { source })?;
        let upper = Upper::open(&path, &[], Marks::User)?;
        snapshot::unpack(
            archive,
            &upper,
            Path::new("/"),
            Overwrite::SameKind,
            Owners::Archive,
            Limits::default(),
        )?;
        crate::layer::adopt_root(&path, None)?;
        Ok(path)
    }
}

/// Docker's rule for names, which are directories here.
fn check(name: &str) -> Result<(), EngineError> {
    let first = |c: char| c.is_ascii_alphanumeric();
    let rest = |c: char| first(c) || matches!(c, '_' | '.' | '-');
    let is_name = name.len() > 1 && name.starts_with(first) && name.chars().all(rest);
    if is_name {
        Ok(())
    } else {
        Err(EngineError::VolumeName(name.to_owned()))
    }
}

fn write_failed(path: &Path) -> impl FnOnce(io::Error) -> EngineError {
    let path = path.to_owned();
    move |source| EngineError::WriteFile { path, source }
}

fn size(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}
