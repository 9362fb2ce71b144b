//! The threads that start all processes.
//!
//! The first has left the host's mounts once and for all, and the others are made by it and share
//! that: so each process starts with a copy of a nearly empty mount table, however many mounts the
//! host has. A thread stands still while its process gets ready, hence several. They live as long
//! as anything that they started: the kernel kills a process whose parent *thread* ends.

use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use sys::mount::MountError;
use sys::namespace::Left;
use sys::process::{Child, Failure, Host, Namespaces, Program, SpawnError, Stack, Watchdog, spawn};

use crate::error::SandboxError;

/// More than this many processes getting ready at once do not make any of them faster.
const MOST_THREADS: usize = 4;

/// The way to the threads.
#[derive(Debug)]
pub(crate) struct Spawner {
    jobs: mpsc::Sender<Job>,
}

/// The kernel's answer, or why it was not asked.
type Answer = Result<Result<Child, Failure>, SandboxError>;

struct Job {
    program: Program,
    reply: mpsc::SyncSender<Answer>,
}

/// What all threads share.
struct Shared {
    todo: Mutex<mpsc::Receiver<Job>>,
    prepared: Result<Prepared, Unprepared>,
}

struct Prepared {
    host: Host,
    watchdog: Watchdog,
}

impl Spawner {
    /// Starts the first thread, and does not wait until it is ready.
    pub(crate) fn new(left: Left) -> Result<Spawner, SandboxError> {
        let (jobs, todo) = mpsc::channel();
        start_thread(move || run_first(todo, left)).map_err(|source| SandboxError::Setup {
            what: "start a thread".into(),
            source,
        })?;
        Ok(Spawner { jobs })
    }

    /// Starts a process, and returns when it runs its program or has failed to.
    pub(crate) fn spawn(&self, program: Program) -> Answer {
        let (reply, answer) = mpsc::sync_channel(1);
        self.jobs
            .send(Job { program, reply })
            .map_err(|_| SandboxError::SpawnerGone)?;
        answer.recv().map_err(|_| SandboxError::SpawnerGone)?
    }
}

fn start_thread(run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    thread::Builder::new()
        .name("sandbox-spawner".into())
        .spawn(run)
        .map(drop)
}

fn run_first(todo: mpsc::Receiver<Job>, left: Left) {
    let shared = Arc::new(Shared {
        todo: Mutex::new(todo),
        prepared: prepare(left),
    });
    let threads = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(MOST_THREADS);
    for _ in 1..threads {
        let shared = Arc::clone(&shared);
        // One that cannot be started is one that we do without.
        let _ = start_thread(move || run(&shared));
    }
    run(&shared);
}

/// Ends when the [`Spawner`] is dropped.
fn run(shared: &Shared) {
    let mut stack = Stack::new();
    loop {
        let job = shared
            .todo
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(Job { program, reply }) = job else {
            return;
        };
        let answer = match &shared.prepared {
            Err(error) => Err(error.again()),
            Ok(prepared) => start(prepared, &mut stack, program),
        };
        // Nobody waits for it any more: then it must not go on.
        if let Err(mpsc::SendError(Ok(Ok(child)))) = reply.send(answer) {
            end(&child);
        }
    }
}

fn start(prepared: &Prepared, stack: &mut Stack, program: Program) -> Answer {
    let failed = |source| SandboxError::Setup {
        what: "start a process".into(),
        source,
    };
    match spawn(&prepared.host, stack, Namespaces::STEP, program) {
        Ok(child) => match prepared.watchdog.watch(&child) {
            Ok(()) => Ok(Ok(child)),
            Err(error) => {
                end(&child);
                Err(failed(error))
            }
        },
        Err(SpawnError::Failed(failure)) => Ok(Err(failure)),
        Err(SpawnError::Start(source)) => Err(failed(source)),
    }
}

fn end(child: &Child) {
    const SIGKILL: i32 = 9;
    // It may have ended by itself, which is as good.
    let _ = child.signal(SIGKILL);
    let _ = child.wait();
}

fn prepare(left: Left) -> Result<Prepared, Unprepared> {
    sys::namespace::keep_child_status().map_err(Unprepared::Host)?;
    let host = Host::new().map_err(Unprepared::Host)?;
    sys::namespace::leave_host_mounts(left).map_err(|error| Unprepared::Mounts(Arc::new(error)))?;
    let watchdog = Watchdog::start(&host).map_err(Unprepared::Host)?;
    Ok(Prepared { host, watchdog })
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
