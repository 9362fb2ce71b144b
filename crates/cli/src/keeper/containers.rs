//! Containers, of either keeper.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use api::docker::{AskedUlimit, ContainerSummary, CreateContainer, HostConfig};
use daemon::view;
use engine::{Engine, EngineError, FileKind, MoreSettings, NetworkMode, Overwrite, PathStat};

use super::{Keeper, KeeperError, Shown, There, ask, no_container, no_image, told};
use crate::commands::session::block_on;
use crate::error::Error;

impl Keeper {
    /// All containers, newest first.
    pub(crate) fn containers(&self, now: SystemTime) -> Result<Vec<ContainerSummary>, Error> {
        match self {
            Self::Here(engine) => {
                let containers = engine.containers()?;
                Ok(view::containers(&containers, now, |_| Vec::new()))
            }
            Self::There(there) => Ok(ask(there.docker.containers(true))??),
        }
    }

    /// All that is known of a container.
    pub(crate) fn container(&self, name: &str) -> Result<Result<Shown, KeeperError>, Error> {
        Ok(match self {
            Self::Here(engine) => match engine.inspect_container(name) {
                Ok(found) => Ok(Shown::Container(Box::new(view::container(found)))),
                Err(error) => Err(error.into()),
            },
            Self::There(there) => told(ask(there.docker.container(name))?, no_container(name))
                .and_then(|text| Shown::read(&there.docker, &text)),
        })
    }

    /// Creates a container and does not start it; its ID.
    pub(crate) fn create_container(&self, new: engine::CreateContainer) -> Result<String, Error> {
        match self {
            Self::Here(engine) => Ok(block_on(engine.create_container(new))??),
            Self::There(there) => {
                let (image, name) = (new.image.clone(), new.name.clone());
                let asked = asked(new);
                let created = there.docker.create_container(&asked, name.as_deref());
                Ok(told(ask(created)?, no_image(&image))?)
            }
        }
    }

    /// Removes a container, and with `volumes` those of its own.
    pub(crate) fn remove_container(
        &self,
        name: &str,
        force: bool,
        volumes: bool,
    ) -> Result<Result<(), KeeperError>, Error> {
        Ok(match self {
            Self::Here(engine) => remove(engine, name, force, volumes).map_err(KeeperError::from),
            Self::There(there) => {
                let removed = there.docker.remove_container(name, force, volumes);
                told(ask(removed)?, no_container(name))
            }
        })
    }

    /// What is at a path of a container.
    pub(crate) fn path_stat(
        &self,
        name: &str,
        path: &str,
    ) -> Result<Result<PathStat, KeeperError>, Error> {
        Ok(match self {
            Self::Here(engine) => {
                block_on(engine.container_stat(name, path))?.map_err(KeeperError::from)
            }
            Self::There(there) => there.path_stat(name, path)?,
        })
    }

    /// Writes what is at a path of a container, and below, as a tar.
    pub(crate) fn read_path(
        &self,
        name: &str,
        path: &str,
        output: impl Write + Send + 'static,
    ) -> Result<(), Error> {
        match self {
            Self::Here(engine) => Ok(block_on(engine.container_read(name, path, output))??),
            Self::There(there) => {
                let read = block_on(there.docker.read_path(name, path, output))?;
                Ok(read.map_err(KeeperError::from)?)
            }
        }
    }

    /// Unpacks a tar in a directory of a container.
    pub(crate) fn write_path(
        &self,
        name: &str,
        path: &str,
        input: impl Read + Send + 'static,
    ) -> Result<(), Error> {
        match self {
            Self::Here(engine) => {
                let overwrite = Overwrite::SameKind;
                let written = engine.container_write(name, path, overwrite, input);
                Ok(block_on(written)??)
            }
            Self::There(there) => {
                let written = block_on(there.docker.write_path(name, path, input))?;
                Ok(written.map_err(KeeperError::from)?)
            }
        }
    }
}

impl There {
    fn path_stat(&self, name: &str, path: &str) -> Result<Result<PathStat, KeeperError>, Error> {
        let stat = ask(self.docker.path_stat(name, path))?;
        if stat.as_ref().is_err_and(KeeperError::is_not_found) {
            // That has no words, so it is not known yet what is missing.
            let container = told(ask(self.docker.container(name))?, no_container(name));
            if let Err(error) = container {
                return Ok(Err(error));
            }
        }
        let missing = || EngineError::NoSuchFile {
            path: path.to_owned(),
            container: name.to_owned(),
        };
        Ok(told(stat, missing).map(|stat| {
            let target = Some(stat.link_target).filter(|target| !target.is_empty());
            PathStat {
                name: stat.name,
                size: stat.size,
                mode: stat.mode & 0o777,
                kind: kind(stat.mode),
                modified: 0,
                link_target: target.map(PathBuf::from),
            }
        }))
    }
}

/// Removes a container, and with `volumes` those to which nobody gave a name.
fn remove(engine: &Engine, name: &str, force: bool, volumes: bool) -> Result<(), EngineError> {
    let going = engine.inspect_container(name)?;
    engine.remove_container(&going.id, force)?;
    match volumes {
        true => engine.remove_unnamed_volumes(&going),
        false => Ok(()),
    }
}

/// A kind of file by Go's mode.
fn kind(mode: u32) -> FileKind {
    let has = |bit: u32| mode & (1 << bit) != 0;
    match () {
        () if has(31) => FileKind::Directory,
        () if has(27) => FileKind::Symlink,
        () if has(21) => FileKind::Character,
        () if has(26) => FileKind::Block,
        () if has(25) => FileKind::Fifo,
        () if has(24) => FileKind::Socket,
        () => FileKind::File,
    }
}

/// What a daemon is asked for.
fn asked(new: engine::CreateContainer) -> CreateContainer {
    let hosts = new.extra_hosts.iter();
    let hosts = hosts.map(|host| format!("{}:{}", host.host, host.address));
    CreateContainer {
        image: new.image,
        cmd: Some(new.command).filter(|command| !command.is_empty()),
        // "None" is one empty word.
        entrypoint: new.entrypoint.map(|words| match words.is_empty() {
            true => vec![String::new()],
            false => words,
        }),
        env: Some(new.env),
        user: new.user.unwrap_or_default(),
        working_dir: new.working_directory.unwrap_or_default(),
        hostname: new.hostname.unwrap_or_default(),
        tty: new.more.tty,
        open_stdin: new.more.open_stdin,
        stdin_once: new.more.stdin_once,
        host_config: HostConfig {
            network_mode: match new.network {
                NetworkMode::Default => "default",
                NetworkMode::None => "none",
                NetworkMode::Host => "host",
            }
            .to_owned(),
            extra_hosts: Some(hosts.collect()),
            auto_remove: new.more.auto_remove,
            ..limits(&new.more)
        },
        ..CreateContainer::default()
    }
}

/// What a container may take, in the words of a daemon.
fn limits(more: &MoreSettings) -> HostConfig {
    let kernel = &more.limits;
    let number = |limit: Option<u64>, unlimited| match limit {
        None => 0,
        Some(u64::MAX) => unlimited,
        Some(limit) => i64::try_from(limit).unwrap_or(i64::MAX),
    };
    // What is asked for as CPUs is not asked for as a quota too.
    let in_period = |limit| if more.nano_cpus > 0 { None } else { limit };
    let ulimits = more.ulimits.iter().map(|limit| AskedUlimit {
        name: limit.name.clone(),
        hard: limit.hard,
        soft: limit.soft,
    });
    HostConfig {
        shm_size: number(more.shm_size, 0),
        memory: number(kernel.memory, 0),
        memory_swap: number(kernel.memory_swap, -1),
        nano_cpus: number(Some(more.nano_cpus), 0),
        cpu_shares: number(kernel.cpu_shares, 0),
        cpu_period: number(in_period(kernel.cpu_period), 0),
        cpu_quota: number(in_period(kernel.cpu_quota), -1),
        cpuset_cpus: kernel.cpuset_cpus.clone().unwrap_or_default(),
        cpuset_mems: kernel.cpuset_mems.clone().unwrap_or_default(),
        pids_limit: kernel.pids.map(|pids| number(Some(pids), -1)),
        ulimits: Some(ulimits.collect()),
        ..HostConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::docker::file_mode;

    #[test]
    fn kinds_of_files() {
        for (kernel, expected) in [
            (0o040_755, FileKind::Directory),
            (0o120_777, FileKind::Symlink),
            (0o020_666, FileKind::Character),
            (0o060_666, FileKind::Block),
            (0o010_644, FileKind::Fifo),
            (0o140_644, FileKind::Socket),
            (0o104_755, FileKind::File),
        ] {
            assert_eq!(kind(file_mode(kernel)), expected, "{kernel:o}");
        }
    }
}
