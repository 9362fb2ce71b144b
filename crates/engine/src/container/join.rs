//! Further processes in containers that run.

use std::sync::Arc;

use sandbox::{Place, PlaceStdio, Running, Security};
use store::ContainerState;
use tokio::sync::mpsc;

use super::list::read_settings;
use super::spec::process;
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ProcessExit};
use crate::op::wait_for;
use crate::output::Stack;

/// A further process.
#[derive(Debug, Clone, Default)]
pub struct JoinContainer {
    /// Program and arguments.
    pub args: Vec<String>,
    /// `NAME=value`, over the container's.
    pub env: Vec<String>,
    /// Instead of the container's user.
    pub user: Option<String>,
    /// Instead of the container's working directory.
    pub working_directory: Option<String>,
}

/// A further process that runs. Dropping it kills it.
#[derive(Debug)]
pub struct Joined {
    running: Running,
    _engine: Arc<Inner>,
}

impl Engine {
    /// Starts a further process in the container that runs at `place`.
    ///
    /// # Errors
    /// The container does not run, or the process could not be started.
    pub async fn join_container(
        &self,
        name: &str,
        place: &Place,
        new: &JoinContainer,
        stdio: PlaceStdio,
    ) -> Result<Joined, EngineError> {
        let engine = &self.0;
        let container = engine.container(name)?;
        if container.state != ContainerState::Running {
            return Err(EngineError::NotRunning(container.id));
        }
        let layers = engine
            .snapshots(&Stack::new(container.layers.clone()), None)
            .await?;
        let mut config = read_settings(&container)?;
        config.args.clone_from(&new.args);
        if let Some(user) = &new.user {
            config.user.clone_from(user);
        }
        if let Some(directory) = &new.working_directory {
            config.cwd.clone_from(directory);
        }
        for entry in &new.env {
            let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
            config.env.retain(|known| name(known) != name(entry));
            config.env.push(entry.clone());
        }
        let tree = engine.container_upper(&container, &layers)?.tree()?;
        let process = process(&config, &tree)?;
        let sandbox = engine.sandbox()?;
        let running = sandbox.join(place, &process, Security::Sandbox, stdio)?;
        Ok(Joined {
            running,
            _engine: Arc::clone(engine),
        })
    }
}

impl Joined {
    /// The number of the process on this machine.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.running.pid()
    }

    /// Waits for its end; what comes through `signals` is passed on. Dropping the future kills it.
    ///
    /// # Errors
    /// Its end could not be found out.
    pub async fn wait(self, signals: &mut mpsc::Receiver<i32>) -> Result<ProcessExit, EngineError> {
        wait_for(self.running, signals).await
    }
}
