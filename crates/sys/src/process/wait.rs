//! A started process, known by its pidfd.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process_group, waitid,
};

/// A process that has been started and not yet reaped.
#[derive(Debug)]
pub struct Child {
    pidfd: OwnedFd,
    pid: i32,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Child {
    pub(super) fn new(pidfd: OwnedFd, pid: i32) -> Child {
        Child { pidfd, pid }
    }

    /// Readable as soon as the process has ended.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// The number in our own PID namespace; meaningless once reaped.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// `ESRCH` if it has ended and been reaped.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        Ok(crate::raw::pidfd_send_signal(self.pidfd.as_fd(), signal)?)
    }

    /// Kills all processes of the group that this one leads, as it does after
    /// [`super::Step::NewSession`]. To be called before it is reaped: until then its number, which is
    /// the group's, is nobody else's.
    ///
    /// # Errors
    /// `ESRCH` if it leads no group, or all of them have ended.
    pub fn kill_group(&self) -> io::Result<()> {
        let group = Pid::from_raw(self.pid).ok_or(Errno::SRCH)?;
        Ok(kill_process_group(group, Signal::KILL)?)
    }

    /// Blocks until the process has ended, and reaps it.
    ///
    /// # Errors
    /// It has been reaped already.
    pub fn wait(&self) -> io::Result<Exit> {
        loop {
            if let Some(exit) = self.wait_with(WaitIdOptions::EXITED)? {
                return Ok(exit);
            }
        }
    }

    /// Reaps the process if it has ended.
    ///
    /// # Errors
    /// It has been reaped already.
    pub fn try_wait(&self) -> io::Result<Option<Exit>> {
        self.wait_with(WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
    }

    /// Whether the process has ended; does not reap it.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        matches!(
            poll(&mut fds, Some(&rustix::time::Timespec::default())),
            Ok(1)
        )
    }

    fn wait_with(&self, options: WaitIdOptions) -> io::Result<Option<Exit>> {
        loop {
            match waitid(WaitId::PidFd(self.pidfd.as_fd()), options) {
                Err(Errno::INTR) => {}
                result => return Ok(result?.as_ref().and_then(exit_of)),
            }
        }
    }
}

fn exit_of(status: &WaitIdStatus) -> Option<Exit> {
    if let Some(code) = status.exit_status() {
        return Some(Exit::Code(code));
    }
    status.terminating_signal().map(Exit::Signal)
}
