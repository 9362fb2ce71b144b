//! Making a new process that carries out a [`Program`].

use std::ffi::{CString, c_char};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{PidfdFlags, getpid, pidfd_open};

use super::child::{self, Prepared};
use super::program::{FAILURE_SIZE, Failure, Program};
use super::wait::Child;
use crate::raw::{self, CloneArguments};

/// What a new process has to itself; a set. The network is isolated by a step of its own, which is slow enough to be
/// better done by the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespaces(u64);

impl Namespaces {
    /// Mounts, processes, System V IPC and message queues, host name, and the view of control groups.
    pub const STEP: Namespaces = Namespaces(
        (libc::CLONE_NEWNS
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS
            | libc::CLONE_NEWCGROUP) as u64,
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

/// A new process that may not have got to its program yet.
#[derive(Debug)]
pub struct Started {
    /// The process.
    pub child: Child,
    report: File,
}

impl Started {
    /// Blocks until the process runs its program, or says why not; then it has ended or is about to,
    /// and still has to be reaped.
    ///
    /// # Errors
    /// The pipe could not be read.
    pub fn outcome(&mut self) -> io::Result<Result<(), Failure>> {
        let mut bytes = [0; FAILURE_SIZE];
        match self.report.read_exact(&mut bytes) {
            Ok(()) => Ok(Err(Failure::decode(bytes))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Ok(())),
            Err(error) => Err(error),
        }
    }
}

/// Starts a process. It dies with the thread that calls this: the thread should live as long as
/// this process does.
///
/// # Errors
/// No process could be made. What goes wrong in the new process is told by [`Started::outcome`].
pub fn spawn(host: &Host, namespaces: Namespaces, mut program: Program) -> io::Result<Started> {
    for fd in &mut program.stdio {
        if fd.as_raw_fd() <= libc::STDERR_FILENO {
            *fd = fcntl_dupfd_cloexec(&*fd, libc::STDERR_FILENO + 1)?;
        }
    }
    let (report, reporter) = pipe_with(PipeFlags::CLOEXEC)?;
    let reporter = above_stdio(reporter)?;
    let arguments = pointers(&program.execute.arguments);
    let environment = pointers(&program.execute.environment);
    let closed = gaps(&program, &[host.pidfd.as_raw_fd(), reporter.as_raw_fd()]);
    let prepared = Prepared {
        program: &program,
        arguments: &arguments,
        environment: &environment,
        closed: &closed,
        reporter: reporter.as_raw_fd(),
        parent: host.pidfd.as_raw_fd(),
    };
    let (pidfd, pid) = clone(namespaces, &prepared)?;
    Ok(Started {
        child: Child::new(pidfd, pid),
        report: File::from(report),
    })
}

fn clone(namespaces: Namespaces, prepared: &Prepared<'_>) -> Result<(OwnedFd, i32), Errno> {
    let mut pidfd: RawFd = -1;
    let arguments = CloneArguments {
        flags: namespaces.0 | libc::CLONE_PIDFD as u64,
        pidfd: std::ptr::from_mut(&mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..Default::default()
    };
    let signals = raw::SignalsBlocked::new();
    // SAFETY: without CLONE_VM the child has its own copy of all memory, and with no new stack it
    // returns here like a fork. It then only runs `child::run`, which does nothing but system calls
    // on what has been prepared.
    let pid = unsafe { raw::clone3(&arguments) };
    if pid == Ok(0) {
        child::run(prepared);
    }
    drop(signals);
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

/// The ranges of descriptors that the program must not have: all but those it needs before `execve`.
fn gaps(program: &Program, further: &[RawFd]) -> Vec<(u32, u32)> {
    let mut kept: Vec<u32> = program
        .stdio
        .iter()
        .map(AsRawFd::as_raw_fd)
        .chain(program.steps.iter().filter_map(super::Step::fd))
        .chain(further.iter().copied())
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
