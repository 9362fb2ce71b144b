//! Containers of front ends: file systems that are put together once, and processes that come into
//! them as long as the first one runs. What they write is kept nowhere.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use graph::{
    ExecOp, ExtraHost, Mount, MountSource, NetworkMode, Process as GraphProcess, SecurityMode,
};
use sandbox::{
    CapabilitySet, Place, PlaceStdio, Process, Running, Sandbox, Security, Stdio, Terminal,
};
use snapshot::Tree;
use tokio::sync::mpsc;

use super::mounts::Prepared;
use super::process::start_here;
use super::wait_for;
use crate::cache_mount::Seeds;
use crate::engine::Inner;
use crate::error::{EngineError, ProcessExit};
use crate::files::Files;
use crate::op::{InputTree, find_user};
use crate::output::Stack;
use crate::request::BuildRequest;
use crate::session::Session;

/// What a container has.
#[derive(Debug)]
pub struct NewContainer {
    /// Mounts, the root first; inputs are numbers of `inputs`.
    pub mounts: Vec<Mount>,
    /// What mounts show.
    pub inputs: Vec<Stack>,
    /// Which network it sees.
    pub network: NetworkMode,
    /// Its host name; the sandbox's own when none.
    pub hostname: Option<String>,
    /// Further lines for `/etc/hosts`.
    pub extra_hosts: Vec<ExtraHost>,
}

/// A process that comes into a container.
#[derive(Debug)]
pub struct ContainerProcess {
    /// Program and arguments.
    pub args: Vec<String>,
    /// `KEY=value`, in order.
    pub env: Vec<String>,
    /// Where it starts; made when it is missing and the process is the first one.
    pub cwd: String,
    /// As in `USER`; root when empty.
    pub user: String,
    /// How far it is held back. What the container shows goes by its first process.
    pub security: SecurityMode,
}

/// What a process speaks to.
#[derive(Debug)]
pub enum Speaks {
    /// Standard input, output and error.
    Files([OwnedFd; 3]),
    /// A terminal that is made for it.
    Terminal,
}

/// A container of a front end.
pub struct StepContainer {
    engine: Arc<Inner>,
    session: Session,
    mounts: Vec<Mount>,
    inputs: Vec<InputTree>,
    state: Mutex<State>,
}

struct State {
    prepared: Prepared,
    /// Where the first process runs.
    place: Option<Place>,
}

/// A process in a container. Dropping it kills it.
#[derive(Debug)]
pub struct StepProcess {
    running: Running,
    /// Its file systems outlive it.
    container: Arc<StepContainer>,
}

impl Inner {
    /// Puts a container together. No process is in it yet.
    pub(crate) async fn step_container(
        self: &Arc<Self>,
        request: &BuildRequest,
        new: NewContainer,
    ) -> Result<Arc<StepContainer>, EngineError> {
        let mut inputs = Vec::with_capacity(new.inputs.len());
        for stack in &new.inputs {
            let directories = self.snapshots(stack, None).await?;
            let stack = stack.clone();
            inputs.push(InputTree::Layers { stack, directories });
        }
        let (engine, session) = (Arc::clone(self), Session::of(request));
        crate::blocking(move || {
            let (op, trees) = (op(&new), inputs.clone());
            let prepared = Prepared::new(&engine, &session, &op, trees, Seeds::new())?;
            let state = State {
                prepared,
                place: None,
            };
            Ok(Arc::new(StepContainer {
                engine,
                session,
                mounts: new.mounts,
                inputs,
                state: Mutex::new(state),
            }))
        })
        .await?
    }
}

impl StepContainer {
    /// Starts a process; our side of its terminal if it has one. When the first one ends, so do the
    /// others.
    ///
    /// # Errors
    /// It cannot be started, or the first one has ended.
    pub async fn start(
        self: &Arc<Self>,
        process: ContainerProcess,
        speaks: Speaks,
    ) -> Result<(StepProcess, Option<OwnedFd>), EngineError> {
        let container = Arc::clone(self);
        crate::blocking(move || container.begin(process, speaks)).await?
    }

    /// What is mounted at `target`, to be looked at as it is now.
    ///
    /// # Errors
    /// Nothing is there that has files of its own.
    pub fn files(&self, target: &str) -> Result<Files, EngineError> {
        Ok(Files::new(self.tree(&self.state(), target)?))
    }

    /// The part of what is mounted at `target` that is seen there.
    #[must_use]
    pub fn part(&self, target: &str) -> &str {
        match self.mount(target).map(|mount| &mount.source) {
            Some(MountSource::Bind { selector, .. }) => selector,
            _ => "",
        }
    }

    fn begin(
        self: Arc<Self>,
        process: ContainerProcess,
        speaks: Speaks,
    ) -> Result<(StepProcess, Option<OwnedFd>), EngineError> {
        let mut state = self.state();
        let security = self.session.security(process.security)?;
        let process = self.process(process, &self.tree(&state, "/")?)?;
        let sandbox = self.engine.sandbox()?;
        let (running, terminal) = match &state.place {
            Some(place) => {
                may_join(state.prepared.spec.security, security)?;
                join(sandbox, place, (&process, security), speaks)?
            }
            None => {
                state.prepared.spec.security = security;
                self.begin_first(sandbox, &mut state, process, speaks)?
            }
        };
        drop(state);
        let container = self;
        Ok((StepProcess { running, container }, terminal))
    }

    fn begin_first(
        &self,
        sandbox: &Sandbox,
        state: &mut State,
        process: Process,
        speaks: Speaks,
    ) -> Result<(Running, Option<OwnedFd>), EngineError> {
        if let Some(root) = state.prepared.written(&self.engine, "/")? {
            crate::op::make_directory(&root, std::path::Path::new(&process.cwd))?;
        }
        state.prepared.spec.process = process;
        let (stdio, terminal) = match speaks {
            Speaks::Files([stdin, stdout, stderr]) => {
                let stdio = Stdio::Files {
                    stdin,
                    stdout,
                    stderr,
                };
                (stdio, None)
            }
            Speaks::Terminal => {
                let (terminal, ours) = Terminal::open()?;
                (Stdio::Terminal(terminal), Some(ours))
            }
        };
        let running = start_here(&self.engine, sandbox, &state.prepared.spec, stdio)?;
        let place = running.place().map_err(|source| EngineError::Io {
            action: "watch a process",
            source,
        })?;
        state.place = Some(place);
        Ok((running, terminal))
    }

    /// The process, by the names that the root has for users.
    fn process(&self, process: ContainerProcess, root: &Tree) -> Result<Process, EngineError> {
        let name = match process.user.as_str() {
            "" => "0",
            name => name,
        };
        let user = find_user(root, name)?;
        let mut env = process.env;
        user.add_home(&mut env);
        Ok(Process {
            args: process.args,
            env,
            cwd: process.cwd,
            user,
            capabilities: CapabilitySet::DOCKER_DEFAULT,
            no_new_privileges: false,
        })
    }

    fn tree(&self, state: &State, target: &str) -> Result<Tree, EngineError> {
        if let Some(upper) = state.prepared.written(&self.engine, target)? {
            return Ok(upper.tree()?);
        }
        let input = match self.mount(target).map(|mount| &mount.source) {
            Some(MountSource::Bind {
                input: Some(input), ..
            }) => self.inputs.get(*input as usize),
            _ => None,
        };
        let none = || EngineError::Solve(format!("the mount {target:?} has no files to look at"));
        self.engine.tree(input.ok_or_else(none)?)
    }

    fn mount(&self, target: &str) -> Option<&Mount> {
        self.mounts.iter().find(|mount| mount.target == target)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StepProcess {
    /// Waits for its end. What comes through `signals` is passed on to it. Dropping the future
    /// kills it.
    ///
    /// # Errors
    /// Its end could not be found out.
    pub async fn wait(self, signals: &mut mpsc::Receiver<i32>) -> Result<ProcessExit, EngineError> {
        let Self { running, container } = self;
        let exit = wait_for(running, signals).await;
        crate::blocking(move || drop(container)).await?;
        exit
    }
}

/// Whether a process may come into a container whose first one is held back as `first` says.
fn may_join(first: Security, later: Security) -> Result<(), EngineError> {
    match (first, later) {
        (Security::Sandbox, Security::Insecure) => Err(EngineError::Unsupported {
            what: "security.insecure beside a process without it".to_owned(),
            instead: "the first process of the container has to have it",
        }),
        _ => Ok(()),
    }
}

fn join(
    sandbox: &Sandbox,
    place: &Place,
    (process, security): (&Process, Security),
    speaks: Speaks,
) -> Result<(Running, Option<OwnedFd>), EngineError> {
    let (stdio, terminal) = match speaks {
        Speaks::Files(files) => (PlaceStdio::Files(files), None),
        Speaks::Terminal => {
            let (ours, theirs) = place.terminal()?;
            (PlaceStdio::Terminal(theirs), Some(ours))
        }
    };
    Ok((sandbox.join(place, process, security, stdio)?, terminal))
}

/// What the container is put together from, before there is a process.
fn op(new: &NewContainer) -> ExecOp {
    ExecOp {
        process: GraphProcess {
            args: Vec::new(),
            env: std::iter::empty::<String>().collect(),
            cwd: "/".to_owned(),
            user: String::new(),
        },
        mounts: new.mounts.clone(),
        network: new.network,
        security: SecurityMode::Sandbox,
        devices: Vec::new(),
        extra_hosts: new.extra_hosts.clone(),
        hostname: new.hostname.clone(),
        shm_size: None,
        ulimits: Vec::new(),
        proxy: std::collections::BTreeMap::new(),
        valid_exit_codes: Vec::new(),
    }
}

impl fmt::Debug for StepContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StepContainer")
    }
}
