//! What the sandbox is asked for to run a container.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use graph::ExtraHost;
use sandbox::{CapabilitySet, Network, Process, SandboxError, Security, Spec};
use snapshot::Upper;
use store::TempSnapshot;
use sys::mount::{Mount, MountFlags, MountKind};

use super::list::read_settings;
use super::root::ContainerRoot;
use super::settings::{ContainerMount, ContainerSettings, MountSource};
use crate::config::StepNetwork;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::op::{SystemFiles, find_user, limits};
use crate::resources::bounded;

impl Inner {
    pub(super) fn container_spec(
        &self,
        container: &store::Container,
        root: &ContainerRoot,
        upper: &Upper,
        scratch: &TempSnapshot,
    ) -> Result<Spec, EngineError> {
        let config = read_settings(container)?;
        self.check_place(&config, &container.id)?;
        let network = self.container_network(&config)?;
        let hosts = extra_hosts(&config);
        let dns = &self.config.build.dns;
        let files = SystemFiles::write(scratch.path(), &config.hostname, &hosts, &network, dns)?;
        let tree = upper.tree()?;
        let mut mounts = files.mounts(MountFlags::NONE);
        for mount in &config.more.mounts {
            mounts.push(self.container_mount(mount, &tree)?);
        }
        Ok(Spec {
            root: root.mount(),
            mounts,
            devices: Vec::new(),
            process: process(&config, &tree)?,
            hostname: config.hostname,
            network,
            security: Security::Sandbox,
            limits: limits(&config.more.ulimits)?,
            shm_size: config.more.shm_size,
            group: bounded(&config.more.limits),
        })
    }

    /// A container with published ports has a network of its own, since others may have the same ports.
    /// It is connected as steps are. Where these have the machine's network, what it reaches from there
    /// depends on what there is to connect it.
    fn container_network(&self, config: &ContainerSettings) -> Result<Network, EngineError> {
        if !config.isolated {
            return Ok(Network::Host);
        }
        if config.more.ports.is_empty() || self.places_mounts()? {
            return Ok(Network::None);
        }
        match self.config.build.network {
            StepNetwork::Cni => Ok(Network::Cni(Arc::new(self.cni(None)?))),
            StepNetwork::Host => Ok(match self.connector(StepNetwork::Sandbox) {
                Ok(connector) if sandbox::network::can_connect().is_ok() => {
                    Network::Connected(connector)
                }
                _ => Network::None,
            }),
            chosen => Ok(Network::Connected(self.connector(chosen)?)),
        }
    }

    /// Refuses what nothing can stand for where what is mounted is moved.
    fn check_place(&self, config: &ContainerSettings, id: &str) -> Result<(), EngineError> {
        if !self.places_mounts()? {
            return Ok(());
        }
        let is_bind = |mount: &ContainerMount| matches!(mount.source, MountSource::Bind(_));
        let what = if config.more.mounts.iter().any(is_bind) {
            "a directory of this machine in a container"
        } else if !id.starts_with(&config.hostname) {
            "a host name of a container's own"
        } else {
            return Ok(());
        };
        Err(SandboxError::NotInChroot(what).into())
    }

    fn container_mount(
        &self,
        mount: &ContainerMount,
        tree: &snapshot::Tree,
    ) -> Result<Mount, EngineError> {
        let kind = match &mount.source {
            MountSource::Bind(source) => {
                if !source.exists() {
                    return Err(EngineError::NoMountSource(source.clone()));
                }
                MountKind::Bind {
                    source: source.clone(),
                    recursive: true,
                }
            }
            MountSource::Volume(name) => MountKind::Bind {
                source: self.volume_for(name, Path::new(&mount.target), tree)?,
                recursive: false,
            },
            MountSource::Memory { size, mode } => MountKind::Tmpfs {
                size: *size,
                mode: *mode,
            },
        };
        Ok(Mount {
            kind,
            target: PathBuf::from(&mount.target),
            flags: if mount.read_only {
                MountFlags::READ_ONLY
            } else {
                MountFlags::NONE
            },
        })
    }
}

/// The container's process, by the names that its file system has for users.
pub(super) fn process(
    config: &ContainerSettings,
    tree: &snapshot::Tree,
) -> Result<Process, EngineError> {
    let name = if config.user.is_empty() {
        "0"
    } else {
        &config.user
    };
    let user = find_user(tree, name)?;
    let mut env = config.env.clone();
    user.add_home(&mut env);
    if !env.iter().any(|entry| entry.starts_with("HOSTNAME=")) {
        env.push(format!("HOSTNAME={}", config.hostname));
    }
    Ok(Process {
        args: config.args.clone(),
        env,
        cwd: config.cwd.clone(),
        user,
        capabilities: CapabilitySet::DOCKER_DEFAULT,
        no_new_privileges: false,
    })
}

fn extra_hosts(config: &ContainerSettings) -> Vec<ExtraHost> {
    let hosts = config.hosts.iter();
    hosts
        .map(|(host, address)| ExtraHost {
            host: host.clone(),
            address: address.clone(),
        })
        .collect()
}
