//! A terminal for one process.
//!
//! It is made in the process's own instance of `/dev/pts`, before there is a process: so it is
//! `/dev/pts/0` there, and nothing of the host's terminals can be seen.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use sys::mount::{MountFlags, MountKind, detach};

use crate::error::SandboxError;

/// The process's side of a terminal, with the instance of `/dev/pts` that it is in.
#[derive(Debug)]
pub struct Terminal {
    pub(crate) devpts: OwnedFd,
    pub(crate) slave: OwnedFd,
}

impl Terminal {
    /// Makes a terminal. The second value is our side: what the process writes is read there. Its
    /// window size is set with `tcsetwinsize`.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn open() -> Result<(Terminal, OwnedFd), SandboxError> {
        let devpts = detach(
            &MountKind::Devpts,
            MountFlags::NO_SUID | MountFlags::NO_EXEC,
        )
        .map_err(|source| SandboxError::Mount {
            target: "/dev/pts".into(),
            source,
        })?;
        let open = || -> io::Result<(OwnedFd, OwnedFd)> {
            let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
            let master = openat(devpts.as_fd(), "ptmx", flags, Mode::empty())?;
            unlockpt(&master)?;
            let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
            let slave = ioctl_tiocgptpeer(&master, flags)?;
            Ok((master, slave))
        };
        let (master, slave) = open().map_err(|source| SandboxError::Setup {
            what: "open a terminal".into(),
            source,
        })?;
        Ok((Terminal { devpts, slave }, master))
    }
}
