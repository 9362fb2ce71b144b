//! Making a new process that carries out a [`Program`].

use std::cell::Cell;
use std::ffi::{CString, c_char, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use super::child::{self, Prepared};
use super::program::{Failure, Program};
use super::wait::Child;
use crate::raw;

/// What a new process has to itself; a set. The network is isolated by a step of its own, which is
/// slow enough to be better done by the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespaces(i32);

impl Namespaces {
    /// Mounts, processes, System V IPC and message queues, host name, and the view of control
    /// groups.
    pub const STEP: Namespaces = Namespaces(
        libc::CLONE_NEWNS
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWCGROUP,
    );
    /// Nothing.
    pub const NONE: Namespaces = Namespaces(0);
}

/// What every process started from here shares: this process's own pidfd, by which a new process
/// finds out that we are gone.
#[derive(Debug)]
pub struct Host {
    pidfd: OwnedFd,
}

impl Host {
    /// Of this process.
    ///
    /// # Errors
    /// The kernel has no pidfds (before Linux 5.3), or no descriptor is left.
    pub fn new() -> io::Result<Host> {
        Ok(Host {
            pidfd: above_stdio(pidfd_open(getpid(), PidfdFlags::empty())?)?,
        })
    }
}

impl AsRawFd for Host {
    fn as_raw_fd(&self) -> RawFd {
        self.pidfd.as_raw_fd()
    }
}

/// Why there is no new process.
#[derive(Debug)]
pub enum SpawnError {
    /// None could be made.
    Start(io::Error),
    /// It did not get to its program, and is gone.
    Failed(Failure),
}

/// Memory that new processes run in until they execute their program; one thread's, used again and
/// again.
#[derive(Debug)]
pub struct Stack(Box<[u128]>);

impl Stack {
    const SIZE: usize = 256 * 1024;

    /// Allocates one.
    #[must_use]
    pub fn new() -> Stack {
        Stack(vec![0; Stack::SIZE / size_of::<u128>()].into_boxed_slice())
    }

    /// The end that is used first, aligned as every machine wants it.
    pub(super) fn top(&mut self) -> *mut c_void {
        self.0.as_mut_ptr_range().end.cast()
    }
}

impl Default for Stack {
    fn default() -> Stack {
        Stack::new()
    }
}

/// Starts a process, and returns as soon as it runs its program. It dies with the thread that calls
/// this: the thread should live as long as this process does.
///
/// # Errors
/// No process could be made, or it failed before it got to its program.
pub fn spawn(
    host: &Host,
    stack: &mut Stack,
    namespaces: Namespaces,
    program: Program,
) -> Result<Child, SpawnError> {
    with_prepared(host, program, None, |prepared| {
        let (pidfd, pid) =
            clone(stack, namespaces, prepared).map_err(|errno| SpawnError::Start(errno.into()))?;
        let child = Child::new(pidfd, pid);
        match prepared.failure.take() {
            None => Ok(child),
            Some(failure) => {
                // It is on its way out by itself.
                child.wait().map_err(SpawnError::Start)?;
                Err(SpawnError::Failed(failure))
            }
        }
    })
}

/// Calls `start` with all that a new process needs; it keeps the descriptor `kept` until `execve`.
pub(super) fn with_prepared<T>(
    host: &Host,
    mut program: Program,
    kept: Option<RawFd>,
    start: impl FnOnce(&Prepared<'_>) -> Result<T, SpawnError>,
) -> Result<T, SpawnError> {
    for fd in &mut program.stdio {
        if fd.as_raw_fd() <= libc::STDERR_FILENO {
            *fd = fcntl_dupfd_cloexec(&*fd, libc::STDERR_FILENO + 1)
                .map_err(|errno| SpawnError::Start(errno.into()))?;
        }
    }
    let arguments = pointers(&program.execute.arguments);
    let environment = pointers(&program.execute.environment);
    let kept = [Some(host.pidfd.as_raw_fd()), kept];
    let closed = gaps(&program, kept);
    start(&Prepared {
        program: &program,
        arguments: &arguments,
        environment: &environment,
        closed: &closed,
        parent: host.pidfd.as_raw_fd(),
        failure: Cell::new(None),
    })
}

/// Starts a process as [`spawn`] does, among the processes of another one's PID namespace, which is
/// known by its pidfd. All that this thread starts from now on is there: root of a user namespace is
/// not let back into the machine's PID namespace.
///
/// # Errors
/// As [`spawn`]; and the other process has ended.
pub fn spawn_among(
    host: &Host,
    stack: &mut Stack,
    process: BorrowedFd<'_>,
    program: Program,
) -> Result<Child, SpawnError> {
    move_into_thread_name_spaces(process, ThreadNameSpaceType::PROCESS_ID)
        .map_err(|errno| SpawnError::Start(errno.into()))?;
    spawn(host, stack, Namespaces::NONE, program)
}

fn clone(
    stack: &mut Stack,
    namespaces: Namespaces,
    prepared: &Prepared<'_>,
) -> Result<(OwnedFd, i32), Errno> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let mut pidfd: RawFd = -1;
    let signals = raw::SignalsBlocked::new();
    // SAFETY: the child shares our memory, but this thread stands still until the child has
    // executed its program or ended, so what has been prepared outlives its use and nothing is used
    // by both at once; other threads hold no reference to any of it. It runs on a stack of its own.
    let pid = unsafe {
        raw::clone(
            child::run,
            stack.top(),
            namespaces.0 | flags,
            std::ptr::from_ref(prepared).cast_mut().cast(),
            &mut pidfd,
        )
    };
    drop(signals);
    // Changing credentials has made our memory, which was the child's too, unreadable to debuggers.
    raw::keep_dumpable();
    let pid = pid?;
    // SAFETY: the kernel has just put a new descriptor there, which nobody else knows of.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok((pidfd, pid))
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain([std::ptr::null()])
        .collect()
}

/// The ranges of descriptors that the program must not have: all but those it needs before
/// `execve`.
fn gaps(program: &Program, further: [Option<RawFd>; 2]) -> Vec<(u32, u32)> {
    let mut kept: Vec<u32> = program
        .stdio
        .iter()
        .map(AsRawFd::as_raw_fd)
        .chain(program.steps.iter().flat_map(super::Step::fds).flatten())
        .chain(further.into_iter().flatten())
        .filter_map(|fd| u32::try_from(fd).ok())
        .collect();
    kept.sort_unstable();
    let mut gaps = Vec::new();
    let mut next = 0;
    for fd in kept {
        if fd > next {
            gaps.push((next, fd - 1));
        }
        next = fd + 1;
    }
    gaps.push((next, u32::MAX));
    gaps
}

/// A descriptor that putting standard input, output and error in place cannot overwrite.
fn above_stdio(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > libc::STDERR_FILENO {
        return Ok(fd);
    }
    Ok(fcntl_dupfd_cloexec(&fd, libc::STDERR_FILENO + 1)?)
}
