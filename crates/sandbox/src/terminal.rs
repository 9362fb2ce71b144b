//! A terminal for one process.
//!
//! It is made in the process's own instance of `/dev/pts`, before there is a process: so it is
//! `/dev/pts/0` there, and nothing of the host's terminals can be seen. Where nothing may be mounted it
//! is one of the host's, which the process has by its descriptors and under no name.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use sys::mount::{MountFlags, MountKind, detach};

use crate::error::SandboxError;

/// The process's side of a terminal, with the instance of `/dev/pts` that it is in, unless that is the
/// host's.
#[derive(Debug)]
pub struct Terminal {
    pub(crate) devpts: Option<OwnedFd>,
    pub(crate) slave: OwnedFd,
}

impl Terminal {
    /// Makes a terminal. The second value is our side: what the process writes is read there. Its
    /// window size is set with `tcsetwinsize`.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn open() -> Result<(Terminal, OwnedFd), SandboxError> {
        let flags = MountFlags::NO_SUID | MountFlags::NO_EXEC;
        let devpts = match detach(&MountKind::Devpts, flags) {
            Ok(devpts) => Some(devpts),
            Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => None,
            Err(source) => {
                let target = "/dev/pts".into();
                return Err(SandboxError::Mount { target, source });
            }
        };
        let pair = match &devpts {
            Some(devpts) => open_pair(devpts.as_fd()),
            None => File::open("/dev/pts").and_then(|host| open_pair(host.as_fd())),
        };
        let (master, slave) = pair.map_err(|source| SandboxError::Setup {
            what: "open a terminal".into(),
            source,
        })?;
        Ok((Terminal { devpts, slave }, master))
    }
}

/// Our side of a new terminal in this instance of `/dev/pts`, and the process's.
pub(crate) fn open_pair(devpts: BorrowedFd<'_>) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let master = openat(devpts, "ptmx", flags, Mode::empty())?;
    unlockpt(&master)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    Ok((master, slave))
}
