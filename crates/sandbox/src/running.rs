//! A process that has been started.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use sys::process::{Child, Exit};

use crate::plan::MountPoints;
use crate::spawner::Spawner;

/// A process that runs its program. Dropping it kills the process and all that it started, and
/// waits until they are gone.
#[derive(Debug)]
pub struct Running {
    child: Child,
    exit: Option<Exit>,
    mount_points: MountPoints,
    /// The process would be killed if the thread that started it ended.
    _spawner: Arc<Spawner>,
}

impl Running {
    pub(crate) fn new(child: Child, mount_points: MountPoints, spawner: Arc<Spawner>) -> Running {
        Running {
            child,
            exit: None,
            mount_points,
            _spawner: spawner,
        }
    }

    /// Readable as soon as the process has ended; [`Running::wait`] does not block then.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.child.pidfd()
    }

    /// The process's number in our own PID namespace.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.child.pid()
    }

    /// Sends a signal to the process. It is PID 1 where it is: what it does not handle, but for
    /// `SIGKILL` and `SIGSTOP`, has no effect.
    ///
    /// # Errors
    /// The process has ended, or there is no such signal.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        self.child.signal(signal)
    }

    /// Blocks until the process has ended. Everything that it started, and every mount, is gone
    /// then.
    ///
    /// # Errors
    /// The kernel's refusal to tell, or a mount point that could not be removed.
    pub fn wait(&mut self) -> io::Result<Exit> {
        if let Some(exit) = self.exit {
            return Ok(exit);
        }
        let exit = self.child.wait()?;
        self.exit = Some(exit);
        self.mount_points.remove()?;
        Ok(exit)
    }

    /// Kills the process and all that it started, and waits until they are gone.
    ///
    /// # Errors
    /// As [`Running::wait`].
    pub fn kill(&mut self) -> io::Result<Exit> {
        if self.exit.is_none() {
            const SIGKILL: i32 = 9;
            self.child.signal(SIGKILL)?;
        }
        self.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nobody is left to tell; the process is gone in any case.
        let _ = self.kill();
    }
}
