//! Running containers.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use sandbox::{Place, Running, Stdio};
use store::{ContainerState, KeyGuard, TempSnapshot};
use tokio::sync::mpsc;

use super::life::ContainerLife;
use super::list::read_settings;
use super::root::ContainerRoot;
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ProcessExit};
use crate::op::{make_directory, start, wait_for_end};
use crate::output::Stack;

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunOutcome {
    /// How its process ended.
    pub exit: ProcessExit,
    /// Whether something in it was killed since it needed more memory than it may have.
    pub oom_killed: bool,
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

/// A container that runs. Dropping it kills its process, and notes that.
#[derive(Debug)]
pub struct ContainerRun {
    running: Running,
    place: Place,
    // After the process.
    root: ContainerRoot,
    ending: Ending,
    _scratch: TempSnapshot,
}

impl From<Terminal> for Stdio {
    fn from(terminal: Terminal) -> Self {
        match terminal {
            Terminal::Files {
                stdin,
                stdout,
                stderr,
            } => Self::Files {
                stdin,
                stdout,
                stderr,
            },
            Terminal::Own(terminal) => Self::Terminal(terminal),
        }
    }
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
        let run = self.start_container(name, terminal).await?;
        run.wait(&mut signals).await
    }

    /// Starts a created container. Why it cannot be started is noted with it.
    ///
    /// # Errors
    /// There is no such container, it runs already, or it could not be started.
    pub async fn start_container(
        &self,
        name: &str,
        terminal: Terminal,
    ) -> Result<ContainerRun, EngineError> {
        let engine = &self.0;
        let container = engine.container(name)?;
        let runs = || EngineError::AlreadyRuns(name.to_owned());
        let lock = engine.store.containers().run(&container.id)?;
        let lock = lock.ok_or_else(runs)?;
        let started = engine.start(&container, terminal).await;
        let (running, root, scratch) = match started {
            Ok(started) => started,
            Err(error) => {
                engine.note_failure(&container.id, &error)?;
                return Err(error);
            }
        };
        let ending = Ending {
            engine: Arc::clone(engine),
            id: container.id,
            life: ContainerLife {
                started: Some(engine.clock.now()),
                pid: running.pid(),
                ..ContainerLife::default()
            },
            noted: false,
            _lock: lock,
        };
        engine.note_life(&ending.id, &ending.life)?;
        engine
            .store
            .containers()
            .set_state(&ending.id, ContainerState::Running)?;
        Ok(ContainerRun {
            place: running.place().map_err(|source| EngineError::Io {
                action: "watch a process",
                source,
            })?,
            running,
            root,
            ending,
            _scratch: scratch,
        })
    }
}

impl ContainerRun {
    /// Where it runs.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place.clone()
    }

    /// Waits for its end. What comes through `signals` is passed on to its process. Dropping the
    /// future kills it.
    ///
    /// # Errors
    /// Its end could not be noted.
    pub async fn wait(self, signals: &mut mpsc::Receiver<i32>) -> Result<RunOutcome, EngineError> {
        let Self {
            running,
            root,
            ending,
            _scratch,
            ..
        } = self;
        let ended = wait_for_end(running, signals).await?;
        crate::blocking(move || root.close()).await??;
        let outcome = RunOutcome {
            exit: ended.exit,
            oom_killed: ended.met == Some(sandbox::Exceeded::Memory),
        };
        ending.note(outcome)?;
        Ok(outcome)
    }
}

/// Sees to it that the end of a container is noted, however it comes.
#[derive(Debug)]
struct Ending {
    engine: Arc<Inner>,
    id: String,
    life: ContainerLife,
    noted: bool,
    _lock: KeyGuard,
}

impl Ending {
    fn note(mut self, outcome: RunOutcome) -> Result<(), EngineError> {
        self.noted = true;
        self.life.oom_killed = outcome.oom_killed;
        self.write(outcome.exit.code())
    }

    fn write(&mut self, code: i32) -> Result<(), EngineError> {
        self.life.finished = Some(self.engine.clock.now());
        self.life.pid = 0;
        let containers = self.engine.store.containers();
        if !containers.directory(&self.id).exists() {
            // Somebody has removed it.
            return Ok(());
        }
        self.engine.note_life(&self.id, &self.life)?;
        containers.set_state(&self.id, ContainerState::Exited(code))?;
        Ok(())
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        const KILLED: i32 = 128 + 9;
        if !self.noted {
            // Nobody is left to tell that this failed.
            let _ = self.write(KILLED);
        }
    }
}

impl Inner {
    async fn start(
        self: &Arc<Self>,
        container: &store::Container,
        terminal: Terminal,
    ) -> Result<(Running, ContainerRoot, TempSnapshot), EngineError> {
        let layers = self
            .snapshots(&Stack::new(container.layers.clone()), None)
            .await?;
        let scratch = self.store.snapshots().allocate(&self.lease)?;
        let upper = self.container_upper(container, &layers)?;
        make_directory(&upper, Path::new(&read_settings(container)?.cwd))?;
        let root = ContainerRoot::open(self, container, &layers)?;
        let spec = self.container_spec(container, &root, &upper, &scratch)?;
        let running = start(self, &spec, terminal.into()).await?;
        Ok((running, root, scratch))
    }

    fn note_failure(&self, id: &str, error: &EngineError) -> Result<(), EngineError> {
        const NOT_STARTED: i32 = 128;
        let code = match error {
            EngineError::Sandbox(error) => error.exit_code(),
            _ => None,
        };
        let life = ContainerLife {
            error: error.chain(),
            exit_code: code.unwrap_or(NOT_STARTED),
            ..self.life(id)
        };
        self.note_life(id, &life)
    }
}
