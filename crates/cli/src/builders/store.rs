//! The directory of buildx in which builders are kept.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use oci::Digest;
use serde::{Deserialize, Serialize};

use super::files::{document, failed, gone, json, read};
use super::{BuildersError, Group, name};
use crate::environment::Environment;

/// A file for each builder.
const INSTANCES: &str = "instances";
/// A file for each docker that has a builder of its own.
const DEFAULTS: &str = "defaults";
/// A file for each builder: when it was last built with.
const ACTIVITY: &str = "activity";
/// What clients remember of builds with each builder.
const REFS: &str = "refs";
/// Which builder was chosen last.
const CURRENT: &str = "current";

/// Bytes of a builder's file: it has those of its daemon in it.
const MAX_BUILDER: u64 = 4 << 20;
/// Bytes of the other files.
const MAX_SMALL: u64 = 64 << 10;
/// Builders in a directory.
const MAX_BUILDERS: usize = 1_000;
/// Nodes of a builder.
const MAX_NODES: usize = 100;

/// Where builders are kept.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    directory: PathBuf,
}

/// Changes files that nobody else changes meanwhile.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    store: &'a Store,
    _lock: File,
}

/// Which builder was chosen.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Current {
    /// For which docker.
    key: String,
    name: String,
    /// For every docker.
    global: bool,
}

impl Store {
    /// Where buildx has them.
    ///
    /// # Errors
    /// There is no home directory.
    pub(crate) fn of(environment: &Environment) -> Result<Self, BuildersError> {
        let directory = match environment.os("BUILDX_CONFIG") {
            Some(directory) => Some(environment.absolute(Path::new(directory))),
            None => environment
                .docker_config()
                .map(|docker| docker.join("buildx")),
        };
        let directory = directory.ok_or(BuildersError::Homeless)?;
        Ok(Self { directory })
    }

    /// The builder of this name, if there is one.
    ///
    /// # Errors
    /// Its file cannot be read, or makes no sense.
    pub(crate) fn group(&self, name: &str) -> Result<Option<Group>, BuildersError> {
        let path = self.instance(name)?;
        let Some(mut group) = document::<Group>(&path, MAX_BUILDER)? else {
            return Ok(None);
        };
        if !group.name.eq_ignore_ascii_case(name) {
            let name = group.name;
            return Err(BuildersError::Renamed { path, name });
        }
        if group.nodes.len() > MAX_NODES {
            let (most, what) = (MAX_NODES, "nodes");
            return Err(BuildersError::Many { path, most, what });
        }
        group.normalise();
        Ok(Some(group))
    }

    /// All builders, by their names.
    ///
    /// # Errors
    /// A file cannot be read, or makes no sense.
    pub(crate) fn groups(&self) -> Result<Vec<Group>, BuildersError> {
        let path = self.directory.join(INSTANCES);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed("open", &path, source)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        // What has no such name is no builder's: somebody writes beside them, or wrote.
        let mut names: Vec<String> = names
            .filter(|name| name::check(name).is_ok())
            .take(MAX_BUILDERS + 1)
            .collect();
        if names.len() > MAX_BUILDERS {
            let (most, what) = (MAX_BUILDERS, "builders");
            return Err(BuildersError::Many { path, most, what });
        }
        names.sort();
        let groups = names.iter().filter_map(|name| self.group(name).transpose());
        groups.collect()
    }

    /// The builder that was chosen for the docker at `endpoint`, if one was and is there.
    ///
    /// # Errors
    /// A file cannot be read, or makes no sense.
    pub(crate) fn current(&self, endpoint: &str) -> Result<Option<Group>, BuildersError> {
        let path = self.directory.join(CURRENT);
        let current: Current = document(&path, MAX_SMALL)?.unwrap_or_default();
        if !current.name.is_empty() {
            if current.global
                && let Some(group) = self.group(&current.name)?
            {
                return Ok(Some(group));
            }
            if current.key == endpoint {
                return self.group(&current.name);
            }
        }
        match read(&self.default_of(endpoint), MAX_SMALL)? {
            Some(name) => self.group(&String::from_utf8_lossy(&name)),
            None => Ok(None),
        }
    }

    /// When the builder was last built with, as its file says.
    pub(crate) fn last_activity(&self, name: &str) -> Option<SystemTime> {
        let path = self.directory.join(ACTIVITY).join(name::file(name).ok()?);
        let text = String::from_utf8(read(&path, MAX_SMALL).ok()??).ok()?;
        let at: jiff::Timestamp = text.trim().parse().ok()?;
        SystemTime::try_from(at).ok()
    }

    /// Notes that the builder is built with.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn touch(&self, name: &str, now: SystemTime) -> Result<(), BuildersError> {
        self.change()?.touch(name, now)
    }

    /// Begins to change something; waits for who does so already.
    ///
    /// # Errors
    /// The directory cannot be made or locked.
    pub(crate) fn change(&self) -> Result<Change<'_>, BuildersError> {
        for part in [INSTANCES, DEFAULTS, ACTIVITY] {
            let path = self.directory.join(part);
            let mut builder = fs::DirBuilder::new();
            let made = builder.recursive(true).mode(0o700).create(&path);
            made.map_err(|source| failed("make", &path, source))?;
        }
        let path = self.directory.join(".lock");
        let mut options = File::options();
        let opened = options
            .read(true)
            .write(true)
            .create(true)
            .mode(0o600)
            .open(&path);
        let lock = opened.map_err(|source| failed("open", &path, source))?;
        lock.lock()
            .map_err(|source| failed("lock", &path, source))?;
        Ok(Change {
            store: self,
            _lock: lock,
        })
    }

    fn instance(&self, name: &str) -> Result<PathBuf, BuildersError> {
        Ok(self.directory.join(INSTANCES).join(name::file(name)?))
    }

    fn default_of(&self, endpoint: &str) -> PathBuf {
        let hash = Digest::of(endpoint.as_bytes()).hex();
        self.directory.join(DEFAULTS).join(&hash[..20])
    }
}

impl Change<'_> {
    /// Writes a builder's file.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn save(&self, group: &Group, now: SystemTime) -> Result<(), BuildersError> {
        let path = self.store.instance(&group.name)?;
        self.touch(&group.name, now)?;
        self.write(&path, &json(&path, group)?)
    }

    /// Removes a builder, and what is remembered of builds with it.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub(crate) fn remove(&self, name: &str) -> Result<(), BuildersError> {
        let file = name::file(name)?;
        let directory = &self.store.directory;
        let refs = directory.join(REFS).join(&file);
        gone(fs::remove_dir_all(&refs), &refs)?;
        for part in [ACTIVITY, INSTANCES] {
            let path = directory.join(part).join(&file);
            gone(fs::remove_file(&path), &path)?;
        }
        Ok(())
    }

    /// Chooses a builder for the docker at `endpoint`, or for every docker; none when `name` is
    /// empty. With `default` it is that docker's from then on, whatever is chosen for others.
    ///
    /// # Errors
    /// The files cannot be written.
    pub(crate) fn choose(
        &self,
        endpoint: &str,
        name: &str,
        (global, default): (bool, bool),
    ) -> Result<(), BuildersError> {
        let path = self.store.directory.join(CURRENT);
        let current = Current {
            key: endpoint.to_owned(),
            name: name.to_owned(),
            global,
        };
        self.write(&path, &json(&path, &current)?)?;
        let path = self.store.default_of(endpoint);
        match default {
            true => self.write(&path, name.as_bytes()),
            false => gone(fs::remove_file(&path), &path),
        }
    }

    fn touch(&self, name: &str, now: SystemTime) -> Result<(), BuildersError> {
        let path = self.store.directory.join(ACTIVITY).join(name::file(name)?);
        let at = jiff::Timestamp::try_from(now).unwrap_or_default();
        // To the second, as buildx has it.
        let text = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        self.write(&path, text.as_bytes())
    }

    /// Writes a file so that nobody ever reads half of it.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), BuildersError> {
        // Beside the directories, where nobody takes it for a builder.
        let beside = self.store.directory.join(".kiln-new");
        let write = || {
            let mut options = File::options();
            let options = options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&beside)?;
            file.write_all(bytes)?;
            self.hand_over(&beside)?;
            fs::rename(&beside, path)
        };
        write().map_err(|source| failed("write", path, source))
    }

    /// What root writes into a user's directory is that user's.
    fn hand_over(&self, path: &Path) -> io::Result<()> {
        let (owner, own) = (fs::metadata(&self.store.directory)?, fs::metadata(path)?);
        if own.uid() == owner.uid() || own.uid() != 0 {
            return Ok(());
        }
        std::os::unix::fs::lchown(path, Some(owner.uid()), Some(owner.gid()))
    }
}
