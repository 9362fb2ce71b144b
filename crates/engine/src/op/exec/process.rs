//! Starts a process in the sandbox and follows it to its end.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::BytesMut;
use sandbox::{Disconnected, Exit, Network, Running, Sandbox, SandboxError, Spec, Stdio};
use solver::StepProgress;
use solver::progress::LogStream;
use tokio::io::AsyncReadExt as _;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;

use super::bounds::{Bounds, Meter};
use crate::engine::Inner;
use crate::error::{EngineError, ProcessExit, chain};
use crate::op::InputTree;
use crate::resources::Exceeded;

/// Bytes of output that are passed on at a time, at most.
const PIECE: usize = 32 << 10;

/// How a process ended, and what is left of it.
pub(crate) struct Ended {
    pub(crate) exit: ProcessExit,
    /// Files in its root whose time of change says nothing; an error if it has changed what it was
    /// not to change.
    pub(crate) moved: Result<Vec<u64>, SandboxError>,
    /// What it was ended for.
    pub(super) exceeded: Option<Exceeded>,
    /// Which limit of the kernel's it has met, if it did.
    pub(crate) met: Option<sandbox::Exceeded>,
    /// What its network was cut off by, if it was.
    pub(super) disconnected: Option<Disconnected>,
    /// Why something of its network is left, if it is.
    unreleased: Vec<String>,
}

impl From<ProcessExit> for Ended {
    fn from(exit: ProcessExit) -> Self {
        Self {
            exit,
            moved: Ok(Vec::new()),
            exceeded: None,
            met: None,
            disconnected: None,
            unreleased: Vec::new(),
        }
    }
}

/// Runs the process without input and passes on what it writes, until it ends or has taken too much.
/// Dropping the future kills it.
pub(super) async fn run_to_end(
    engine: &Arc<Inner>,
    progress: &StepProgress,
    spec: &Spec,
    root: Option<&InputTree>,
    bounds: &Bounds,
) -> Result<Ended, EngineError> {
    let (stdout, stdout_end) = pipe()?;
    let (stderr, stderr_end) = pipe()?;
    let stdin = File::open("/dev/null")
        .map_err(io("open /dev/null"))?
        .into();
    let stdio = Stdio::Files {
        stdin,
        stdout: stdout_end,
        stderr: stderr_end,
    };
    tell(progress, &left(engine).await?).await;
    let running = match try_start(engine, spec, stdio).await? {
        Ok(running) => running,
        Err(error) => return Ok(not_started(engine, progress, error, root).await?.into()),
    };
    let meter = &bounds.meter;
    let ended = async {
        let (running, exceeded) = wait(running, bounds.exceeded()).await?;
        engine.discarded.run(move || end(running, exceeded)).await?
    };
    let (ended, out, err) = tokio::join!(
        ended,
        pass_on(progress, LogStream::Stdout, stdout, meter),
        pass_on(progress, LogStream::Stderr, stderr, meter)
    );
    out.and(err)?;
    let mut ended = ended?;
    tell(progress, &ended.unreleased).await;
    if ended.exceeded.is_none() {
        ended.exceeded = bounds.at_end().await?;
    }
    Ok(ended)
}

/// What was not taken down of networks that were lost with the kiln that ran their steps. They are
/// looked for when the engine runs its first step, and the others wait for that.
async fn left(engine: &Arc<Inner>) -> Result<Vec<String>, EngineError> {
    let mut told = Vec::new();
    let swept = engine.networks_are_swept.get_or_try_init(|| async {
        if engine.store.networks().exists() {
            let sweeper = Arc::clone(engine);
            let left = engine.discarded.run(move || sweeper.sweep_networks());
            told = left.await?.iter().map(|error| chain(error)).collect();
        }
        Ok::<(), EngineError>(())
    });
    swept.await?;
    Ok(told)
}

/// Tells of what is left of networks, which is no fault of the step's.
async fn tell(progress: &StepProgress, left: &[String]) {
    for why in left {
        let words = format!("a network was not taken down: {why}\n");
        progress.log(LogStream::Stderr, words.into()).await;
    }
}

/// Starts a process, without keeping the runtime's thread. However it is dropped, its network is taken
/// down among what is discarded.
pub(crate) async fn start(
    engine: &Arc<Inner>,
    spec: &Spec,
    stdio: Stdio,
) -> Result<Running, EngineError> {
    Ok(try_start(engine, spec, stdio).await??)
}

/// Connecting a network takes many times as long as all the rest.
async fn try_start(
    engine: &Arc<Inner>,
    spec: &Spec,
    stdio: Stdio,
) -> Result<Result<Running, SandboxError>, EngineError> {
    if !matches!(spec.network, Network::Connected(_) | Network::Cni(_)) {
        return Ok(start_here(engine, engine.sandbox()?, spec, stdio));
    }
    let (owner, sandbox, spec) = (Arc::clone(engine), engine.sandbox()?.clone(), spec.clone());
    let start = move || start_here(&owner, &sandbox, &spec, stdio);
    engine.discarded.run(start).await
}

/// The same on this thread, which has to be one that may block.
pub(super) fn start_here(
    engine: &Arc<Inner>,
    sandbox: &Sandbox,
    spec: &Spec,
    stdio: Stdio,
) -> Result<Running, SandboxError> {
    let mut running = sandbox.start(spec, stdio)?;
    let owner = Arc::clone(engine);
    running.leave_network_to(move |network| owner.discarded.add(network));
    Ok(running)
}

/// A missing program is the step's own fault, and ends as a shell would end for it.
async fn not_started(
    engine: &Arc<Inner>,
    progress: &StepProgress,
    error: SandboxError,
    root: Option<&InputTree>,
) -> Result<ProcessExit, EngineError> {
    let Some(code) = error.exit_code() else {
        return Err(error.into());
    };
    let mut words = format!("{error}\n");
    if let (SandboxError::Command(error), Some(root)) = (&error, root) {
        let why = super::foreign::why(engine, root, error);
        words.extend(why.map(|why| format!("{why}\n")));
    }
    progress.log(LogStream::Stderr, words.into()).await;
    Ok(ProcessExit::Code(code))
}

/// Waits, and passes on what comes through `signals`. Dropping the future kills the process.
pub(crate) async fn wait_for(
    running: Running,
    signals: &mut mpsc::Receiver<i32>,
) -> Result<ProcessExit, EngineError> {
    Ok(wait_for_end(running, signals).await?.exit)
}

/// The same, with what is left of it.
pub(crate) async fn wait_for_end(
    running: Running,
    signals: &mut mpsc::Receiver<i32>,
) -> Result<Ended, EngineError> {
    let process = running
        .process()
        .try_clone_to_owned()
        .map_err(io("watch a process"))?;
    let ended = wait(running, std::future::pending());
    tokio::pin!(ended);
    loop {
        tokio::select! {
            ended = &mut ended => {
                let (running, exceeded) = ended?;
                return crate::blocking(move || end(running, exceeded)).await?;
            }
            Some(signal) = signals.recv() => pass_signal(&process, signal),
        }
    }
}

/// A process that has ended meanwhile needs no signal, and one that is unknown changes nothing.
fn pass_signal(process: &OwnedFd, signal: i32) {
    if let Some(signal) = rustix::process::Signal::from_named_raw(signal) {
        let _ = rustix::process::pidfd_send_signal(process, signal);
    }
}

/// Waits without blocking a thread, and ends the process when it is `too_much`, which is told then.
/// Dropping the future kills the process.
async fn wait(
    running: Running,
    too_much: impl Future<Output = Result<Exceeded, EngineError>>,
) -> Result<(Running, Option<Exceeded>), EngineError> {
    let pidfd = running
        .pidfd()
        .try_clone_to_owned()
        .map_err(io("watch a process"))?;
    let pidfd = watch(pidfd)?;
    // Dropped here, the process is killed by its guard.
    let exceeded = tokio::select! {
        biased;
        ready = pidfd.readable() => {
            let _ready = ready.map_err(io("watch a process"))?;
            None
        }
        exceeded = too_much => Some(exceeded?),
    };
    Ok((running, exceeded))
}

/// What came of a process that has ended, or is to end for what it has `exceeded`. Its network may
/// have to be taken down, which takes many times as long as all the rest.
fn end(mut running: Running, exceeded: Option<Exceeded>) -> Result<Ended, EngineError> {
    let ended = match exceeded {
        None => running.wait(),
        Some(_) => running.kill(),
    };
    let exit = match ended.map_err(io("wait for a process"))? {
        Exit::Code(code) => ProcessExit::Code(code),
        Exit::Signal(signal) => ProcessExit::Signal(signal),
    };
    let unreleased = running.unreleased().map(|error| chain(error));
    Ok(Ended {
        exit,
        moved: running.moved().map(<[u64]>::to_vec),
        exceeded,
        met: running.exceeded(),
        disconnected: running.disconnected().cloned(),
        unreleased: unreleased.into_iter().collect(),
    })
}

#[expect(
    deprecated,
    reason = "the new name is unsafe, and an owned descriptor is sound"
)]
fn watch(pidfd: OwnedFd) -> Result<AsyncFd<OwnedFd>, EngineError> {
    AsyncFd::new(pidfd).map_err(io("watch a process"))
}

async fn pass_on(
    progress: &StepProgress,
    stream: LogStream,
    mut pipe: Receiver,
    meter: &Meter,
) -> Result<(), EngineError> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(PIECE);
        let read = pipe
            .read_buf(&mut buffer)
            .await
            .map_err(io("read a step's output"))?;
        if read == 0 {
            return Ok(());
        }
        let piece = meter.take(buffer.split().freeze());
        if !piece.is_empty() {
            progress.log(stream, piece).await;
        }
    }
}

fn pipe() -> Result<(Receiver, OwnedFd), EngineError> {
    let flags = rustix::pipe::PipeFlags::CLOEXEC;
    let (read, write) = rustix::pipe::pipe_with(flags).map_err(|errno| EngineError::Io {
        action: "make a pipe",
        source: errno.into(),
    })?;
    rustix::io::ioctl_fionbio(&read, true).map_err(|errno| EngineError::Io {
        action: "make a pipe",
        source: errno.into(),
    })?;
    Ok((
        Receiver::from_owned_fd(read).map_err(io("make a pipe"))?,
        write,
    ))
}

fn io(action: &'static str) -> impl FnOnce(std::io::Error) -> EngineError {
    move |source| EngineError::Io { action, source }
}
