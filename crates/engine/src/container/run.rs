//! Running containers.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use graph::ExtraHost;
use sandbox::{CapabilitySet, Network, Process, Security, Spec, Stdio};
use store::{ContainerState, TempSnapshot};
use sys::mount::{MountFlags, MountKind, OverlayMount};
use tokio::sync::mpsc;

use super::create::read_config;
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ProcessExit};
use crate::op::{SystemFiles, find_user, make_directory, wait_for};
use crate::output::Stack;

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunOutcome {
    /// How its process ended.
    pub exit: ProcessExit,
}

/// What the process of a container speaks to.
#[derive(Debug)]
pub enum Terminal {
    /// Three files.
    Files {
        /// Standard input.
        stdin: OwnedFd,
        /// Standard output.
        stdout: OwnedFd,
        /// Standard error.
        stderr: OwnedFd,
    },
    /// A terminal of its own.
    Own(sandbox::Terminal),
}

impl Engine {
    /// Starts a created container and waits for its end. What comes through `signals` is passed on
    /// to its process. Dropping the future kills it.
    ///
    /// # Errors
    /// There is no such container, or it could not be started.
    pub async fn run_container(
        &self,
        name: &str,
        terminal: Terminal,
        mut signals: mpsc::Receiver<i32>,
    ) -> Result<RunOutcome, EngineError> {
        let engine = &self.0;
        let container = engine.container(name)?;
        let layers = engine
            .snapshots(&Stack::new(container.layers.clone()), None)
            .await?;
        let scratch = engine.store.snapshots().allocate(&engine.lease)?;
        let spec = engine.container_spec(&container, &layers, &scratch)?;
        let stdio = match terminal {
            Terminal::Files {
                stdin,
                stdout,
                stderr,
            } => Stdio::Files {
                stdin,
                stdout,
                stderr,
            },
            Terminal::Own(terminal) => Stdio::Terminal(terminal),
        };
        let running = engine.sandbox()?.start(&spec, stdio)?;
        engine
            .store
            .containers()
            .set_state(&container.id, ContainerState::Running)?;
        let ending = Ending {
            engine: Arc::clone(engine),
            id: container.id,
        };
        let exit = wait_for(running, &mut signals).await?;
        ending.note(exit)?;
        Ok(RunOutcome { exit })
    }
}

/// Sees to it that the end of a container is noted, however it comes.
struct Ending {
    engine: Arc<Inner>,
    id: String,
}

impl Ending {
    fn note(self, exit: ProcessExit) -> Result<(), EngineError> {
        let code = exit.code();
        self.engine
            .store
            .containers()
            .set_state(&self.id, ContainerState::Exited(code))?;
        Ok(())
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        const KILLED: i32 = 128 + 9;
        let containers = self.engine.store.containers();
        let is_running = |container: store::Container| container.state == ContainerState::Running;
        if containers
            .get(&self.id)
            .ok()
            .flatten()
            .is_some_and(is_running)
        {
            // Nobody is left to tell that this failed.
            let _ = containers.set_state(&self.id, ContainerState::Exited(KILLED));
        }
    }
}

impl Inner {
    fn container_spec(
        &self,
        container: &store::Container,
        layers: &[std::path::PathBuf],
        scratch: &TempSnapshot,
    ) -> Result<Spec, EngineError> {
        let config = read_config(container)?;
        let network = if config.isolated {
            Network::None
        } else {
            Network::Host
        };
        let hosts: Vec<ExtraHost> = config
            .hosts
            .iter()
            .map(|(host, address)| ExtraHost {
                host: host.clone(),
                address: address.clone(),
            })
            .collect();
        let files = SystemFiles::write(scratch.path(), &config.hostname, &hosts, network)?;
        let upper = self.container_upper(container, layers)?;
        make_directory(&upper, std::path::Path::new(&config.cwd))?;
        let tree = upper.tree()?;
        let name = if config.user.is_empty() {
            "0"
        } else {
            &config.user
        };
        let user = find_user(&tree, name)?;
        let mut env = config.env;
        user.add_home(&mut env);
        if !env.iter().any(|entry| entry.starts_with("HOSTNAME=")) {
            env.push(format!("HOSTNAME={}", config.hostname));
        }
        let directory = self.store.containers().directory(&container.id);
        let work = directory.join("work");
        std::fs::create_dir_all(&work).map_err(|source| EngineError::WriteFile {
            path: work.clone(),
            source,
        })?;
        Ok(Spec {
            root: MountKind::Overlay(OverlayMount {
                lower: self.lower(layers, scratch)?,
                upper: Some(directory.join("fs")),
                work: Some(work),
                volatile: false,
                user_xattr: self.marks == snapshot::Marks::User,
            }),
            mounts: files.mounts(MountFlags::NONE),
            devices: Vec::new(),
            process: Process {
                args: config.args,
                env,
                cwd: config.cwd,
                user,
                capabilities: CapabilitySet::DOCKER_DEFAULT,
                no_new_privileges: false,
            },
            hostname: config.hostname,
            network,
            security: Security::Sandbox,
            limits: Vec::new(),
            shm_size: None,
        })
    }

    /// Top first, and never nothing, which overlay would refuse.
    fn lower(
        &self,
        layers: &[std::path::PathBuf],
        scratch: &TempSnapshot,
    ) -> Result<Vec<std::path::PathBuf>, EngineError> {
        if layers.is_empty() {
            let nothing = scratch.path().join("nothing");
            std::fs::create_dir_all(&nothing).map_err(|source| EngineError::WriteFile {
                path: nothing.clone(),
                source,
            })?;
            return Ok(vec![nothing]);
        }
        Ok(layers.iter().rev().cloned().collect())
    }
}
