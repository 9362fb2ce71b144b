//! Answering for the kernel: a process whose filter asks about a call waits until it is told what
//! becomes of it.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use super::Instruction;
use crate::raw::check;

/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV` (Linux 5.19): once it is known what a process asks, no
/// signal but a deadly one makes it ask again.
const WAIT_KILLABLE: u64 = 1 << 5;
/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP` (Linux 6.6): who asks and who answers take turns.
const TAKE_TURNS: u64 = 1;
/// `SECCOMP_ADDFD_FLAG_SEND` (Linux 5.14): the descriptor is the answer.
const AS_ANSWER: u32 = 1 << 1;

/// The end at which questions arrive.
#[derive(Debug)]
pub struct Listener(OwnedFd);

/// A call that a process waits with.
#[derive(Clone, Copy, Debug)]
pub struct Notification {
    /// By which it is answered.
    pub id: u64,
    /// The thread, in our own PID namespace.
    pub pid: i32,
    /// The call's number.
    pub number: u32,
    /// Its arguments.
    pub arguments: [u64; 6],
}

impl Listener {
    /// One whose descriptor has come from the process.
    #[must_use]
    pub fn new(fd: OwnedFd) -> Listener {
        // Only faster.
        // SAFETY: it takes a number, and changes nothing but how threads are woken.
        unsafe {
            libc::ioctl(
                fd.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS as _,
                TAKE_TURNS,
            )
        };
        Listener(fd)
    }

    /// Waits for the next call; nothing when no process is left that could make one.
    ///
    /// # Errors
    /// As `ioctl(2)`.
    pub fn receive(&self) -> Result<Option<Notification>, Errno> {
        loop {
            if self.is_forsaken()? {
                return Ok(None);
            }
            // SAFETY: all zeroes is a valid structure, and what the kernel demands.
            let mut asked: libc::seccomp_notif = unsafe { std::mem::zeroed() };
            // SAFETY: the kernel fills in the structure, which is as long as it was at first.
            let result = unsafe {
                libc::ioctl(
                    self.0.as_raw_fd(),
                    libc::SECCOMP_IOCTL_NOTIF_RECV as _,
                    &raw mut asked,
                )
            };
            match check(result.into()) {
                // It has been killed meanwhile.
                Err(Errno::NOENT | Errno::INTR) => {}
                Err(errno) => return Err(errno),
                Ok(_) => return Ok(Some(Notification::from(&asked))),
            }
        }
    }

    /// Waits until there is something to receive, or nobody to receive it from.
    fn is_forsaken(&self) -> Result<bool, Errno> {
        use rustix::event::{PollFd, PollFlags, poll};
        loop {
            let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
            match poll(&mut fds, None) {
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
                Ok(_) => return Ok(!fds[0].revents().contains(PollFlags::IN)),
            }
        }
    }

    /// Whether the process still waits: if so, its number has been its own all the time.
    #[must_use]
    pub fn is_waiting(&self, notification: &Notification) -> bool {
        let id = notification.id;
        // SAFETY: the kernel reads the number.
        let result = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_ID_VALID as _,
                &raw const id,
            )
        };
        result == 0
    }

    /// Lets the kernel carry out the call.
    pub fn let_pass(&self, notification: &Notification) {
        let flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        self.send(notification, Ok(0), flags);
    }

    /// Makes this the call's result.
    pub fn answer(&self, notification: &Notification, result: Result<i64, Errno>) {
        self.send(notification, result, 0);
    }

    /// Makes a new descriptor of the same file, in the process, the call's result.
    pub fn answer_with(&self, notification: &Notification, fd: impl AsFd, close_on_exec: bool) {
        let fd = fd.as_fd().as_raw_fd();
        let flag = if close_on_exec { libc::O_CLOEXEC } else { 0 };
        let given = libc::seccomp_notif_addfd {
            id: notification.id,
            flags: AS_ANSWER,
            srcfd: fd.cast_unsigned(),
            newfd: 0,
            newfd_flags: flag.cast_unsigned(),
        };
        // SAFETY: the kernel reads the structure, and takes a reference to the file of its own.
        let result = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_ADDFD as _,
                &raw const given,
            )
        };
        if let Err(errno) = check(result.into()) {
            // Such as when it may have no more descriptors.
            self.answer(notification, Err(errno));
        }
    }

    /// A process that has ended meanwhile needs no answer.
    fn send(&self, notification: &Notification, result: Result<i64, Errno>, flags: u32) {
        let mut answer = libc::seccomp_notif_resp {
            id: notification.id,
            val: *result.as_ref().unwrap_or(&0),
            error: result.err().map_or(0, |errno| -errno.raw_os_error()),
            flags,
        };
        // SAFETY: the kernel reads the structure.
        unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_SEND as _,
                &raw mut answer,
            )
        };
    }
}

impl From<&libc::seccomp_notif> for Notification {
    fn from(asked: &libc::seccomp_notif) -> Notification {
        Notification {
            id: asked.id,
            pid: asked.pid.cast_signed(),
            number: asked.data.nr.cast_unsigned(),
            arguments: asked.data.args,
        }
    }
}

/// Loads a filter into this thread, and the way to answer what it asks. For a new process: allocates
/// nothing.
pub(super) fn load(instructions: &[Instruction]) -> Result<OwnedFd, Errno> {
    match load_with(instructions, WAIT_KILLABLE) {
        Err(Errno::INVAL) => load_with(instructions, 0),
        result => result,
    }
}

fn load_with(instructions: &[Instruction], flags: u64) -> Result<OwnedFd, Errno> {
    let length = u16::try_from(instructions.len()).map_err(|_| Errno::TOOBIG)?;
    // `Instruction` has the layout of `sock_filter`, and the kernel only reads.
    let program = libc::sock_fprog {
        len: length,
        filter: instructions.as_ptr().cast_mut().cast(),
    };
    // SAFETY: the program and its instructions outlive the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | flags,
            std::ptr::from_ref(&program),
        )
    };
    let fd = i32::try_from(check(result)?).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel has just made it, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
