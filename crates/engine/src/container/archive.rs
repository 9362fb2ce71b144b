//! Files in and out of containers, as tars; works on containers that never ran.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use snapshot::diff::{self, Part};
use snapshot::{Found, Kind, Overwrite, Owners, Stat, Upper};

use super::list::read_settings;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::layer::adopt_root;
use crate::output::Stack;

/// What is at a path of a container; a link is told of, not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStat {
    /// The last part of the path.
    pub name: String,
    /// Bytes of a file.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// What kind of file it is.
    pub kind: Kind,
    /// Seconds since 1970.
    pub modified: i64,
    /// Where a symbolic link leads, inside the container.
    pub link_target: Option<PathBuf>,
}

impl Engine {
    /// What is at `path` of a container.
    ///
    /// # Errors
    /// There is no such container, or nothing at the path.
    pub async fn container_stat(&self, name: &str, path: &str) -> Result<PathStat, EngineError> {
        let (container, upper) = self.0.open_container(name).await?;
        let missing = || EngineError::NoSuchFile {
            path: path.to_owned(),
            container: name.to_owned(),
        };
        let tree = upper.tree()?;
        let full = absolute(path, &read_settings(&container)?.cwd);
        let resolved = tree.lookup(&full, follows_link(path))?;
        let name = full
            .file_name()
            .map_or("/".into(), |name| name.to_string_lossy().into_owned());
        match &resolved.found {
            Found::Directory => {
                let stat = resolved.dir.own_stat()?;
                Ok(path_stat(name, &stat, Kind::Directory, None))
            }
            Found::File(entry, stat) if entry.kind == Kind::Symlink => {
                let target = resolved.dir.read_link(entry)?;
                Ok(path_stat(name, stat, entry.kind, Some(target)))
            }
            Found::File(entry, stat) => Ok(path_stat(name, stat, entry.kind, None)),
            Found::Missing(_) | Found::NotDirectory(_) => Err(missing()),
        }
    }

    /// Writes what is at `path` of a container as a tar whose one root member has the path's last
    /// part as its name.
    ///
    /// # Errors
    /// There is no such container, or nothing at the path.
    pub async fn container_read<W: Write + Send + 'static>(
        &self,
        name: &str,
        path: &str,
        output: W,
    ) -> Result<(), EngineError> {
        let (container, upper) = self.0.open_container(name).await?;
        let full = absolute(path, &read_settings(&container)?.cwd);
        let follow = follows_link(path);
        let engine = Arc::clone(&self.0);
        crate::blocking(move || {
            let tree = upper.tree()?;
            let name = full.file_name().map(std::ffi::OsStr::to_owned);
            // The name stays when a link at the end of the path is followed.
            let full = if follow {
                tree.lookup(&full, true)?.path
            } else {
                full
            };
            let options = diff::Options {
                clamp_mtime: None,
                pool: Some(engine.pool()?),
            };
            let part = Part { path: full, name };
            diff::export(&tree, &part, &options, output)?;
            Ok(())
        })
        .await?
    }

    /// Writes all files of a container as a tar.
    ///
    /// # Errors
    /// There is no such container, or a file cannot be read.
    pub async fn container_export<W: Write + Send + 'static>(
        &self,
        name: &str,
        output: W,
    ) -> Result<(), EngineError> {
        let (_, upper) = self.0.open_container(name).await?;
        let engine = Arc::clone(&self.0);
        crate::blocking(move || {
            let options = diff::Options {
                clamp_mtime: None,
                pool: Some(engine.pool()?),
            };
            let part = Part {
                path: "/".into(),
                name: None,
            };
            diff::export(&upper.tree()?, &part, &options, output)?;
            Ok(())
        })
        .await?
    }

    /// Unpacks a tar into the directory at `path` of a container.
    ///
    /// # Errors
    /// There is no such container or directory, or the tar is no tar.
    pub async fn container_write<R: Read + Send + 'static>(
        &self,
        name: &str,
        path: &str,
        overwrite: Overwrite,
        input: R,
    ) -> Result<(), EngineError> {
        let (container, upper) = self.0.open_container(name).await?;
        let full = absolute(path, &read_settings(&container)?.cwd);
        let missing = EngineError::NoSuchFile {
            path: path.to_owned(),
            container: name.to_owned(),
        };
        let limits = self.0.config.limits.archive();
        crate::blocking(move || {
            let tree = upper.tree()?;
            let resolved = tree.lookup(&full, true)?;
            if !matches!(resolved.found, Found::Directory) {
                return Err(missing);
            }
            let owners = Owners::Archive;
            snapshot::unpack(input, &upper, &resolved.path, overwrite, owners, limits)?;
            Ok(())
        })
        .await?
    }
}

impl Inner {
    async fn open_container(
        self: &Arc<Self>,
        name: &str,
    ) -> Result<(store::Container, Upper), EngineError> {
        let container = self.container(name)?;
        if container.state == store::ContainerState::Running {
            let upper = self.live_root(&container)?;
            return Ok((container, upper));
        }
        let layers = self
            .snapshots(&Stack::new(container.layers.clone()), None)
            .await?;
        let upper = self.container_upper(&container, &layers)?;
        Ok((container, upper))
    }

    /// The files that a running container sees: what is changed beneath its mount, it may not see.
    fn live_root(&self, container: &store::Container) -> Result<Upper, EngineError> {
        let pid = self.life(&container.id).pid;
        let root = PathBuf::from(format!("/proc/{pid}/root"));
        let upper = Upper::open(&root, &[], self.marks)?;
        // The number could be another process's by now; not while the container runs.
        match self.store.containers().get(&container.id)? {
            Some(now) if now.state == store::ContainerState::Running => Ok(upper),
            _ => Err(EngineError::NotRunning(container.id.clone())),
        }
    }

    /// The container's own layer, made when it is first needed.
    pub(crate) fn container_upper(
        &self,
        container: &store::Container,
        layers: &[PathBuf],
    ) -> Result<Upper, EngineError> {
        let directory = self.store.containers().directory(&container.id).join("fs");
        if !directory.exists() {
            std::fs::create_dir_all(&directory).map_err(|source| EngineError::WriteFile {
                path: directory.clone(),
                source,
            })?;
            adopt_root(&directory, layers.last().map(PathBuf::as_path))?;
        }
        Ok(Upper::open(&directory, layers, self.marks)?)
    }
}

/// A trailing slash asks for what a link leads to.
fn follows_link(path: &str) -> bool {
    path.ends_with('/') || path.ends_with("/.")
}

fn absolute(path: &str, cwd: &str) -> PathBuf {
    Path::new("/").join(cwd).join(path)
}

const fn path_stat(
    name: String,
    stat: &Stat,
    kind: Kind,
    link_target: Option<PathBuf>,
) -> PathStat {
    PathStat {
        name,
        size: stat.size,
        mode: stat.mode,
        kind,
        modified: stat.modified.seconds,
        link_target,
    }
}
