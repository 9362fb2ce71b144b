//! The thread that starts all processes.
//!
//! It has left the host's mounts once and for all, so each process starts with a copy of a nearly
//! empty mount table, however many mounts the host has. It lives as long as anything that it
//! started: the kernel kills a process whose parent *thread* ends.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use sys::mount::MountError;
use sys::process::{Host, Namespaces, Program, Started, spawn};

use crate::error::SandboxError;

/// The way to the thread.
#[derive(Debug)]
pub(crate) struct Spawner {
    jobs: mpsc::Sender<Job>,
}

struct Job {
    program: Program,
    reply: mpsc::SyncSender<Result<Started, SandboxError>>,
}

impl Spawner {
    /// Starts the thread, and does not wait until it is ready.
    pub(crate) fn new() -> Result<Spawner, SandboxError> {
        let (jobs, todo) = mpsc::channel();
        thread::Builder::new()
            .name("sandbox-spawner".into())
            .spawn(move || run(&todo))
            .map_err(|source| SandboxError::Setup {
                what: "start a thread".into(),
                source,
            })?;
        Ok(Spawner { jobs })
    }

    /// Starts a process. It may not have got to its program yet.
    pub(crate) fn spawn(&self, program: Program) -> Result<Started, SandboxError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.jobs
            .send(Job { program, reply })
            .map_err(|_| SandboxError::SpawnerGone)?;
        answer.recv().map_err(|_| SandboxError::SpawnerGone)?
    }
}

/// Ends when the last [`Spawner`] is dropped.
fn run(todo: &mpsc::Receiver<Job>) {
    let host = prepare();
    for Job { program, reply } in todo {
        let started = match &host {
            Ok(host) => spawn(host, Namespaces::STEP, program).map_err(start_failed),
            Err(error) => Err(error.again()),
        };
        // Who asked has gone; dropping what was started kills it.
        let _ = reply.send(started);
    }
}

fn prepare() -> Result<Host, Unprepared> {
    sys::namespace::keep_child_status().map_err(Unprepared::Host)?;
    let host = Host::new().map_err(Unprepared::Host)?;
    sys::namespace::leave_host_mounts().map_err(|error| Unprepared::Mounts(Arc::new(error)))?;
    Ok(host)
}

/// Why nothing can be started; told to everyone who asks.
enum Unprepared {
    Host(std::io::Error),
    Mounts(Arc<MountError>),
}

impl Unprepared {
    fn again(&self) -> SandboxError {
        match self {
            Unprepared::Host(error) => {
                let source = match error.raw_os_error() {
                    Some(number) => std::io::Error::from_raw_os_error(number),
                    None => error.kind().into(),
                };
                SandboxError::Setup {
                    what: "open our own process".into(),
                    source,
                }
            }
            Unprepared::Mounts(error) => SandboxError::Prepare(Arc::clone(error)),
        }
    }
}

fn start_failed(source: std::io::Error) -> SandboxError {
    SandboxError::Setup {
        what: "start a process".into(),
        source,
    }
}
