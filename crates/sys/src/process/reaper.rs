//! A process that stands above one program where there is no PID namespace, and ends all that the
//! program has started when it ends itself, or when we do.
//!
//! Whoever in there loses its parent becomes a child of this process (a "subreaper"), so all of
//! them are reached by killing children until none is left. It shares our memory and so costs
//! nearly none; see [`super::child`] for what code in such a process may do. It starts the program
//! itself, while the thread that asked for it stands still, and makes no C library call once it has
//! said that the program runs.

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_void};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, recvmsg, sendmsg, shutdown,
    socketpair,
};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, getpid, kill_process, set_child_subreaper,
    setsid, waitid,
};

use super::child::{self, Prepared};
use super::program::Program;
use super::spawn::{Host, SpawnError, Stack, with_prepared};
use super::wait::{Child, Exit};
use crate::raw;

/// The numbers of this thread's children (needs `CONFIG_PROC_CHILDREN`).
const CHILDREN: &CStr = c"/proc/thread-self/children";
/// [`Task::exit`] as long as nothing is known.
const UNKNOWN: i32 = -1;
/// Added to a signal's number in [`Task::exit`].
const BY_SIGNAL: i32 = 0x1000;

/// A program with the process above it. Dropping it ends the program and all that it started.
#[derive(Debug)]
pub struct Reaped {
    reaper: Child,
    program: OwnedFd,
    pid: i32,
    /// When this end is shut, all is ended.
    socket: OwnedFd,
    task: Box<Task>,
    has_ended: Cell<bool>,
    /// What the process runs on; freed when it has ended.
    _stack: Stack,
}

/// What the new process is told, and tells.
#[derive(Debug)]
struct Task {
    /// How to start the program; looked at only until it is started.
    prepared: *const c_void,
    stack: *mut c_void,
    parent: RawFd,
    socket: RawFd,
    /// How the program ended.
    exit: AtomicI32,
}

// SAFETY: the pointers are used by the new process alone, while `spawn_reaped` stands still.
unsafe impl Send for Task {}
// SAFETY: as above.
unsafe impl Sync for Task {}

/// Whether this machine can tell a process who its children are.
///
/// # Errors
/// It cannot.
pub fn can_reap() -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    openat(CWD, CHILDREN, flags, Mode::empty())?;
    Ok(())
}

/// Starts a program in no namespace of its own, and returns as soon as it runs. It dies with the
/// thread that calls this, as with [`super::spawn`].
///
/// # Errors
/// No process could be made, or it failed before it got to its program.
pub fn spawn_reaped(
    host: &Host,
    stack: &mut Stack,
    program: Program,
) -> Result<Reaped, SpawnError> {
    let start = |errno: Errno| SpawnError::Start(errno.into());
    let (socket, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(start)?;
    let kept = Some(theirs.as_raw_fd());
    with_prepared(host, program, kept, |prepared| {
        let mut own_stack = Stack::new();
        let task = Box::new(Task {
            prepared: std::ptr::from_ref(prepared).cast(),
            stack: stack.top(),
            parent: host.as_raw_fd(),
            socket: theirs.as_raw_fd(),
            exit: AtomicI32::new(UNKNOWN),
        });
        let reaper = clone(&mut own_stack, &task).map_err(start)?;
        // Their end stays open here until they have answered or ended: closed earlier, it would
        // have to be known that they have their copy.
        let told = receive_started(&reaper, socket.as_fd());
        raw::keep_dumpable();
        let Some((program, pid)) = told else {
            reaper.wait().map_err(SpawnError::Start)?;
            return Err(match prepared.failure.take() {
                Some(failure) => SpawnError::Failed(failure),
                None => SpawnError::Start(io::ErrorKind::Other.into()),
            });
        };
        Ok(Reaped {
            reaper,
            program,
            pid,
            socket,
            task,
            has_ended: Cell::new(false),
            _stack: own_stack,
        })
    })
}

fn clone(stack: &mut Stack, task: &Task) -> Result<Child, Errno> {
    let flags = libc::CLONE_VM | libc::CLONE_PIDFD | libc::SIGCHLD;
    let mut pidfd: RawFd = -1;
    let signals = raw::SignalsBlocked::new();
    // SAFETY: stack and task live until the process has ended, see `Drop`; what the task points to
    // is used until it has answered or ended, and the caller waits for that without a call of the C
    // library.
    let pid = unsafe {
        raw::clone(
            run,
            stack.top(),
            flags,
            std::ptr::from_ref(task).cast_mut().cast(),
            &mut pidfd,
        )
    };
    drop(signals);
    let pid = pid?;
    // SAFETY: the kernel has just put a new descriptor there, which nobody else knows of.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Child::new(pidfd, pid))
}

/// The program's pidfd and number; none if the process has ended instead.
fn receive_started(reaper: &Child, socket: BorrowedFd<'_>) -> Option<(OwnedFd, i32)> {
    let (reaper, pidfd) = (reaper.pidfd(), socket);
    let mut fds = [
        PollFd::from_borrowed_fd(pidfd, PollFlags::IN),
        PollFd::from_borrowed_fd(reaper, PollFlags::IN),
    ];
    loop {
        match poll(&mut fds, None) {
            Err(Errno::INTR) => {}
            Err(_) => return None,
            Ok(_) if !fds[0].revents().is_empty() => break,
            Ok(_) => return None,
        }
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut number = [0; 4];
    let mut bytes = [IoSliceMut::new(&mut number)];
    recvmsg(socket, &mut bytes, &mut control, RecvFlags::CMSG_CLOEXEC).ok()?;
    let pidfd = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    })?;
    Some((pidfd, i32::from_ne_bytes(number)))
}

impl Reaped {
    /// Readable as soon as the program, and all that it started, has ended.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.reaper.pidfd()
    }

    /// The program's number.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The program itself, which what it started may outlive.
    #[must_use]
    pub fn program(&self) -> BorrowedFd<'_> {
        self.program.as_fd()
    }

    /// Sends the program a signal.
    ///
    /// # Errors
    /// `ESRCH` if it has ended.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        Ok(raw::pidfd_send_signal(self.program.as_fd(), signal)?)
    }

    /// Ends the program and all that it started.
    pub fn end(&self) {
        // A socket whose other end is gone is as good.
        let _ = shutdown(&self.socket, Shutdown::Both);
    }

    /// Blocks until the program, and all that it started, has ended.
    ///
    /// # Errors
    /// It has been waited for already.
    pub fn wait(&self) -> io::Result<Exit> {
        let of_reaper = self.reaper.wait()?;
        self.has_ended.set(true);
        Ok(match (self.task.exit.load(Ordering::Acquire), of_reaper) {
            (UNKNOWN, Exit::Signal(signal)) => Exit::Signal(signal),
            (UNKNOWN, Exit::Code(_)) => Exit::Signal(libc::SIGKILL),
            (exit, _) if exit >= BY_SIGNAL => Exit::Signal(exit - BY_SIGNAL),
            (exit, _) => Exit::Code(exit),
        })
    }
}

impl Drop for Reaped {
    fn drop(&mut self) {
        // Only when it has ended may its stack be freed.
        if !self.has_ended.get() {
            self.end();
            let _ = self.reaper.wait();
        }
    }
}

/// The process's life; never returns. All signals stay blocked.
extern "C" fn run(task: *mut c_void) -> c_int {
    // SAFETY: it is what `clone` has passed, and lives as long as this process.
    let task = unsafe { &*task.cast::<Task>() };
    if let Some((program, pid)) = start(task) {
        // SAFETY: it is open in this process for as long as it lives.
        let parent = unsafe { BorrowedFd::borrow_raw(task.parent) };
        // SAFETY: as above.
        let socket = unsafe { BorrowedFd::borrow_raw(task.socket) };
        if tell(socket, program.as_fd(), pid).is_ok() {
            wait_for_end(parent, socket, program.as_fd());
        }
        end_all(pid, &task.exit);
    }
    raw::exit(0)
}

/// The program's pidfd and number.
fn start(task: &Task) -> Option<(OwnedFd, i32)> {
    // SAFETY: `spawn_reaped` stands still until this process answers or ends.
    let prepared = unsafe { &*task.prepared.cast::<Prepared<'_>>() };
    // Soon: a file that somebody writes elsewhere cannot be executed while it is open here.
    for (first, last) in prepared.closed {
        raw::close_range(*first, *last);
    }
    set_child_subreaper(Some(getpid())).ok()?;
    // Not of the terminal's foreground processes.
    let _ = setsid();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let mut pidfd: RawFd = -1;
    // SAFETY: this process stands still until the program runs or has failed, and so does the
    // thread whose stack this is.
    let pid = unsafe {
        raw::clone(
            child::run,
            task.stack,
            flags,
            std::ptr::from_ref(prepared).cast_mut().cast(),
            &mut pidfd,
        )
    };
    let pid = pid.ok()?;
    // SAFETY: the kernel has just put a new descriptor there.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    if prepared.has_failed() {
        let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
        return None;
    }
    keep_only([task.parent, task.socket, pidfd.as_raw_fd()]);
    Some((pidfd, pid))
}

fn keep_only(mut kept: [RawFd; 3]) {
    kept.sort_unstable();
    let mut next = 0;
    for fd in kept {
        let fd = fd as u32;
        if fd > next {
            raw::close_range(next, fd - 1);
        }
        next = fd + 1;
    }
    raw::close_range(next, u32::MAX);
}

fn tell(socket: BorrowedFd<'_>, program: BorrowedFd<'_>, pid: i32) -> Result<(), Errno> {
    let fds = [program];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&fds));
    let number = pid.to_ne_bytes();
    let bytes = [IoSlice::new(&number)];
    sendmsg(socket, &bytes, &mut control, SendFlags::NOSIGNAL).map(drop)
}

/// Until the program has ended, we have, or somebody wants it to end.
fn wait_for_end(parent: BorrowedFd<'_>, socket: BorrowedFd<'_>, program: BorrowedFd<'_>) {
    let mut fds = [parent, socket, program].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    while let Ok(0) | Err(Errno::INTR) = poll(&mut fds, None) {}
}

/// Ends the program, unless it has ended by itself, then kills children until none is left: those
/// of a killed one come to this process by that.
fn end_all(program: i32, exit: &AtomicI32) {
    if let Some(pid) = Pid::from_raw(program) {
        // It has not been waited for, so the number is still its own.
        let _ = kill_process(pid, Signal::KILL);
        note(waitid(WaitId::Pid(pid), WaitIdOptions::EXITED), exit);
    }
    loop {
        kill_children();
        match waitid(WaitId::All, WaitIdOptions::EXITED) {
            Ok(_) | Err(Errno::INTR) => {}
            // There are none.
            Err(_) => return,
        }
    }
}

fn note(status: Result<Option<WaitIdStatus>, Errno>, exit: &AtomicI32) {
    let Ok(Some(status)) = status else { return };
    let value = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => BY_SIGNAL + signal,
        (None, None) => return,
    };
    exit.store(value, Ordering::Release);
}

/// Those that the kernel lists. Each is a child that nobody has waited for, so the numbers are
/// still theirs.
fn kill_children() {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let Ok(list) = openat(CWD, CHILDREN, flags, Mode::empty()) else {
        return;
    };
    let mut buffer = [0_u8; 4096];
    let mut number = 0_i32;
    while let Ok(length) = rustix::io::read(&list, &mut buffer) {
        for byte in buffer.iter().take(length) {
            if byte.is_ascii_digit() {
                number = number.wrapping_mul(10).wrapping_add(i32::from(byte - b'0'));
            } else if let Some(pid) = Pid::from_raw(std::mem::take(&mut number)) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        if length == 0 {
            return;
        }
    }
}
