//! The threads that start all processes.
//!
//! The first has left the host's mounts once and for all, and the others are made by it and share
//! that: so each process starts with a copy of a nearly empty mount table, however many mounts the
//! host has. A thread stands still while its process gets ready, hence several. They live as long
//! as anything that they started: the kernel kills a process whose parent *thread* ends. A process
//! that joins another one's PID namespace has a thread of its own, which cannot come back from there.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use sys::mount::MountError;
use sys::namespace::Left;
use sys::process::{
    Child, Failure, Host, Namespaces, Program, SpawnError, Stack, Watchdog, can_reap, spawn,
    spawn_among, spawn_reaped,
};

use crate::error::SandboxError;
use crate::running::Started;
use crate::spec::Isolation;

/// More than this many processes getting ready at once do not make any of them faster.
const MOST_THREADS: usize = 4;

/// The way to the threads.
#[derive(Debug)]
pub(crate) struct Spawner {
    jobs: mpsc::Sender<Job>,
    isolation: OnceLock<Isolation>,
    /// Tells it once.
    found: Mutex<mpsc::Receiver<Isolation>>,
}

/// The kernel's answer, or why it was not asked.
type Answer = Result<Result<Started, Failure>, SandboxError>;

struct Job {
    program: Program,
    /// In whose PID namespace; in a new one if there is nobody.
    among: Option<OwnedFd>,
    reply: mpsc::SyncSender<Answer>,
}

/// What all threads share.
struct Shared {
    todo: Mutex<mpsc::Receiver<Job>>,
    prepared: Result<Prepared, Unprepared>,
}

struct Prepared {
    host: Host,
    /// Kills what is in namespaces when we end; what is not has somebody of its own.
    watchdog: Option<Watchdog>,
}

impl Spawner {
    /// Starts the first thread, and does not wait until it is ready.
    pub(crate) fn new(left: Left, wanted: Option<Isolation>) -> Result<Spawner, SandboxError> {
        let (jobs, todo) = mpsc::channel();
        let (tell, found) = mpsc::channel();
        start_thread(move || run_first(todo, &tell, || prepare(left, wanted))).map_err(
            |source| SandboxError::Setup {
                what: "start a thread".into(),
                source,
            },
        )?;
        Ok(Spawner {
            jobs,
            isolation: OnceLock::new(),
            found: Mutex::new(found),
        })
    }

    /// How processes are kept away from the host, once that is known.
    pub(crate) fn isolation(&self) -> Isolation {
        *self.isolation.get_or_init(|| {
            let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            // Without an answer there is an error instead, which whoever starts a process is told.
            found.recv().unwrap_or(Isolation::Namespaces)
        })
    }

    /// Starts a process, and returns when it runs its program or has failed to.
    pub(crate) fn spawn(&self, program: Program, among: Option<OwnedFd>) -> Answer {
        let (reply, answer) = mpsc::sync_channel(1);
        let job = Job {
            program,
            among,
            reply,
        };
        self.jobs.send(job).map_err(|_| SandboxError::SpawnerGone)?;
        answer.recv().map_err(|_| SandboxError::SpawnerGone)?
    }
}

fn start_thread(run: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    thread::Builder::new()
        .name("sandbox-spawner".into())
        .spawn(run)
        .map(drop)
}

fn run_first(
    todo: mpsc::Receiver<Job>,
    tell: &mpsc::Sender<Isolation>,
    prepare: impl FnOnce() -> Result<Prepared, Unprepared>,
) {
    let prepared = prepare();
    let isolation = match &prepared {
        Ok(Prepared { watchdog: None, .. }) => Isolation::Chroot,
        _ => Isolation::Namespaces,
    };
    // Nobody may want to know.
    let _ = tell.send(isolation);
    let shared = Arc::new(Shared {
        todo: Mutex::new(todo),
        prepared,
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
fn run(shared: &Arc<Shared>) {
    let mut stack = Stack::new();
    loop {
        let job = shared
            .todo
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(job) = job else {
            return;
        };
        if job.among.is_none() {
            drop(carry_out(shared, &mut stack, job));
            continue;
        }
        let (shared, reply) = (Arc::clone(shared), job.reply.clone());
        if let Err(source) = start_thread(move || run_once(&shared, job)) {
            let what = "start a thread".into();
            // Nobody may want to know.
            let _ = reply.send(Err(SandboxError::Setup { what, source }));
        }
    }
}

/// Ends with the process.
fn run_once(shared: &Shared, job: Job) {
    if let Some(pidfd) = carry_out(shared, &mut Stack::new(), job) {
        let mut ended = [PollFd::new(&pidfd, PollFlags::IN)];
        while poll(&mut ended, None) == Err(Errno::INTR) {}
    }
}

/// Starts a process, and tells of it. One that nobody waits for any more must not go on.
fn carry_out(shared: &Shared, stack: &mut Stack, job: Job) -> Option<OwnedFd> {
    let answer = match &shared.prepared {
        Err(error) => Err(error.again()),
        Ok(prepared) => start(prepared, stack, job.program, job.among.as_ref()),
    };
    let pidfd = match &answer {
        Ok(Ok(started)) => started.pidfd().try_clone_to_owned().ok(),
        _ => None,
    };
    if let Err(mpsc::SendError(Ok(Ok(Started::First(child))))) = job.reply.send(answer) {
        end(&child);
    }
    pidfd
}

fn start(
    prepared: &Prepared,
    stack: &mut Stack,
    program: Program,
    among: Option<&OwnedFd>,
) -> Answer {
    let started = match (&prepared.watchdog, among) {
        (Some(watchdog), among) => start_first(&prepared.host, watchdog, stack, program, among),
        (None, Some(_)) => {
            return Err(SandboxError::NotInChroot(
                "a further process in a container",
            ));
        }
        (None, None) => spawn_reaped(&prepared.host, stack, program).map(Started::Reaped),
    };
    match started {
        Ok(started) => Ok(Ok(started)),
        Err(SpawnError::Failed(failure)) => Ok(Err(failure)),
        Err(SpawnError::Start(source)) => Err(SandboxError::Setup {
            what: "start a process".into(),
            source,
        }),
    }
}

fn start_first(
    host: &Host,
    watchdog: &Watchdog,
    stack: &mut Stack,
    program: Program,
    among: Option<&OwnedFd>,
) -> Result<Started, SpawnError> {
    let child = match among {
        Some(process) => spawn_among(host, stack, process.as_fd(), program)?,
        None => spawn(host, stack, Namespaces::STEP, program)?,
    };
    match watchdog.watch(&child) {
        Ok(()) => Ok(Started::First(child)),
        Err(error) => {
            end(&child);
            Err(SpawnError::Start(error))
        }
    }
}

fn end(child: &Child) {
    const SIGKILL: i32 = 9;
    // It may have ended by itself, which is as good.
    let _ = child.signal(SIGKILL);
    let _ = child.wait();
}

fn prepare(left: Left, wanted: Option<Isolation>) -> Result<Prepared, Unprepared> {
    sys::namespace::keep_child_status().map_err(Unprepared::Host)?;
    let host = Host::new().map_err(Unprepared::Host)?;
    if wanted == Some(Isolation::Chroot) {
        return without_namespaces(host);
    }
    match sys::namespace::leave_host_mounts(left) {
        Err(error) if wanted.is_none() && is_forbidden(&error) => without_namespaces(host),
        Err(error) => Err(Unprepared::Mounts(Arc::new(error))),
        Ok(()) => {
            let watchdog = Watchdog::start(&host).map_err(Unprepared::Host)?;
            Ok(Prepared {
                host,
                watchdog: Some(watchdog),
            })
        }
    }
}

fn without_namespaces(host: Host) -> Result<Prepared, Unprepared> {
    can_reap().map_err(Unprepared::Host)?;
    Ok(Prepared {
        host,
        watchdog: None,
    })
}

/// Whether it is for want of rights: a container's filter, or its missing capabilities, or a profile
/// of AppArmor's.
fn is_forbidden(error: &MountError) -> bool {
    let forbidden = [Errno::PERM, Errno::ACCESS, Errno::NOSYS];
    let number = error.raw_os_error();
    forbidden
        .iter()
        .any(|errno| number == Some(errno.raw_os_error()))
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
