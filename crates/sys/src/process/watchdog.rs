//! A process that outlives us just long enough to kill what we have started.
//!
//! The kernel kills a process whose parent dies if it asked for that, but forgets when the process
//! changes its user or capabilities, as `su` does. So every pidfd is also given to the watchdog,
//! which waits for our end. It shares our memory and so costs nearly none, and has a stack and
//! descriptors of its own; see [`super::child`] for what code in such a process may do.

use std::ffi::{c_int, c_void};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, send, sendmsg,
    socketpair,
};
use rustix::process::{Signal, pidfd_send_signal, setsid};

use super::spawn::{Host, Stack};
use super::wait::Child;
use crate::raw;

/// How many processes are watched at once; more than run at once on any machine. Those beyond have
/// the kernel's word only.
const WATCHED: usize = 1024;
/// Our process and the socket come before them.
const FIRST: usize = 2;

/// The watchdog, for as long as this lives.
#[derive(Debug)]
pub struct Watchdog {
    socket: OwnedFd,
    process: Child,
    /// What it runs on; freed when it has ended.
    _stack: Stack,
    _task: Box<Task>,
}

/// What the new process is told.
#[derive(Debug)]
struct Task {
    parent: RawFd,
    socket: RawFd,
}

impl Watchdog {
    /// Starts it, and waits until it watches.
    ///
    /// # Errors
    /// No process or socket could be made.
    pub fn start(host: &Host) -> io::Result<Watchdog> {
        let (socket, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let mut stack = Stack::new();
        let task = Box::new(Task {
            parent: host.as_raw_fd(),
            socket: theirs.as_raw_fd(),
        });
        let flags = libc::CLONE_VM | libc::CLONE_PIDFD | libc::SIGCHLD;
        let mut pidfd: RawFd = -1;
        let signals = raw::SignalsBlocked::new();
        // SAFETY: the stack and the task live until the process has ended, see `drop`; only the
        // process uses the one, and both only read the other. It makes no C library call once it
        // has said that it is ready, and this thread makes none before.
        let pid = unsafe {
            raw::clone(
                run,
                stack.top(),
                flags,
                std::ptr::from_ref(&*task).cast_mut().cast(),
                &mut pidfd,
            )
        };
        drop(signals);
        let pid = pid?;
        // SAFETY: the kernel has just put a new descriptor there, which nobody else knows of.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        let process = Child::new(pidfd, pid);
        let watchdog = Watchdog {
            socket,
            process,
            _stack: stack,
            _task: task,
        };
        // Its copy is its own by then; with ours closed, its end would end this too.
        let mut ready = [0];
        let read = recv(&watchdog.socket, &mut ready, RecvFlags::empty());
        drop(theirs);
        match read?.0 {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(watchdog),
        }
    }

    /// Has a process killed when we end. One that ends before is forgotten.
    ///
    /// # Errors
    /// The watchdog is gone.
    pub fn watch(&self, child: &Child) -> io::Result<()> {
        let pidfds = [child.pidfd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&pidfds));
        let byte = [IoSlice::new(&[0])];
        sendmsg(&self.socket, &byte, &mut control, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Only then may its stack be freed. It can only be gone already.
        let _ = self.process.signal(libc::SIGKILL);
        let _ = self.process.wait();
    }
}

/// The watchdog's life; never returns. All signals stay blocked: it is not for a terminal to end
/// it.
extern "C" fn run(task: *mut c_void) -> c_int {
    // SAFETY: it is what `start` has passed, and lives as long as this process.
    let task = unsafe { &*task.cast::<Task>() };
    let (low, high) = (
        task.parent.min(task.socket) as u32,
        task.parent.max(task.socket) as u32,
    );
    raw::close_range(0, low - 1);
    if low + 1 < high {
        raw::close_range(low + 1, high - 1);
    }
    raw::close_range(high + 1, u32::MAX);
    // SAFETY: it is open in this process for as long as it lives.
    let parent = unsafe { BorrowedFd::borrow_raw(task.parent) };
    // SAFETY: as above.
    let socket = unsafe { BorrowedFd::borrow_raw(task.socket) };
    // Not of the terminal's foreground processes.
    let _ = setsid();
    let _ = send(socket, &[0], SendFlags::NOSIGNAL);
    watch(parent, socket);
    raw::exit(0)
}

fn watch(parent: BorrowedFd<'_>, socket: BorrowedFd<'_>) {
    let mut fds: [PollFd<'_>; WATCHED + FIRST] =
        std::array::from_fn(|_| PollFd::from_borrowed_fd(parent, PollFlags::IN));
    fds[1] = PollFd::from_borrowed_fd(socket, PollFlags::IN);
    let mut count = FIRST;
    loop {
        match poll(&mut fds[..count], None) {
            Err(Errno::INTR) => continue,
            Err(_) => break,
            Ok(_) => {}
        }
        if !fds[0].revents().is_empty() {
            break;
        }
        for index in (FIRST..count).rev() {
            if !fds[index].revents().is_empty() {
                close(&fds[index]);
                count -= 1;
                fds.swap(index, count);
            }
        }
        if !fds[1].revents().is_empty() {
            match receive(socket, RecvFlags::empty()) {
                Received::Nothing => {}
                Received::End => break,
                Received::Pidfd(pidfd) if count < fds.len() => {
                    // SAFETY: it stays open until `close`.
                    let pidfd = unsafe { BorrowedFd::borrow_raw(pidfd.into_raw_fd()) };
                    fds[count] = PollFd::from_borrowed_fd(pidfd, PollFlags::IN);
                    count += 1;
                }
                Received::Pidfd(_) => {}
            }
        }
    }
    for fd in &fds[FIRST..count] {
        // It may have ended by itself.
        let _ = pidfd_send_signal(fd.as_fd(), Signal::KILL);
    }
    // Those that we were told of last.
    while let Received::Pidfd(pidfd) = receive(socket, RecvFlags::DONTWAIT) {
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    }
}

enum Received {
    Pidfd(OwnedFd),
    Nothing,
    End,
}

fn receive(socket: BorrowedFd<'_>, flags: RecvFlags) -> Received {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    match recvmsg(
        socket,
        &mut bytes,
        &mut control,
        flags | RecvFlags::CMSG_CLOEXEC,
    ) {
        Ok(message) if message.bytes == 0 => return Received::End,
        Err(Errno::INTR | Errno::AGAIN) => return Received::Nothing,
        Err(_) => return Received::End,
        Ok(_) => {}
    }
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = message
            && let Some(fd) = fds.next()
        {
            return Received::Pidfd(fd);
        }
    }
    Received::Nothing
}

fn close(fd: &PollFd<'_>) {
    // SAFETY: it was taken out of its owner when it was received, and is used no more.
    drop(unsafe { OwnedFd::from_raw_fd(fd.as_fd().as_raw_fd()) });
}
