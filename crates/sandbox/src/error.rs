//! What goes wrong before the process runs its program.

use std::io;
use std::path::PathBuf;

use sys::mount::MountError;

use crate::seccomp::FilterError;

/// Why a process was not started.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The program is missing or cannot be executed; the words are Docker's.
    #[error("{0}")]
    Command(#[from] LookupError),
    /// There is no program to run.
    #[error("no command specified")]
    NoCommand,
    /// A text that goes to the kernel holds a NUL byte.
    #[error("{what} holds a NUL byte: {text:?}")]
    NulByte {
        /// Which text.
        what: &'static str,
        /// The text.
        text: String,
    },
    /// A path that must be absolute is not.
    #[error("{what} must be an absolute path: {path:?}")]
    Relative {
        /// Which path.
        what: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// The user namespace does not have this user.
    #[error("user {0} does not exist in this user namespace")]
    NoUser(u32),
    /// The user namespace does not have this group.
    #[error("group {0} does not exist in this user namespace")]
    NoGroup(u32),
    /// The machine has no such device where it would have to be.
    #[error(
        "no device node can be made at {}: in a user namespace only devices that the host has \
         under the same name can be given", .0.display()
    )]
    NoHostDevice(PathBuf),
    /// There are device nodes to make, and something else is mounted where they would be.
    #[error("no device node can be made at {}: /dev is a mount of the step's own", .0.display())]
    NoDevices(PathBuf),
    /// It takes mounts or namespaces, and this process may make none.
    #[error("{0} cannot be had in a chroot: it takes namespaces and mounts")]
    NotInChroot(&'static str),
    /// No control group can be made that would have the limit.
    #[error("the limit {limit:?} cannot be had here: {why}")]
    NoMeans {
        /// Which limit.
        limit: &'static str,
        /// Why, and what would allow it.
        why: String,
    },
    /// The kernel does not take a limit.
    #[error("the limit {limit:?} cannot be {value}")]
    Limit {
        /// Which limit.
        limit: &'static str,
        /// What it was to be.
        value: String,
        /// Why not.
        source: io::Error,
    },
    /// A device node does not work where the root is.
    #[error("no device works in {}: its file system is mounted without devices", .0.display())]
    DeadDevices(PathBuf),
    /// No device node may be made.
    #[error("make device nodes for a step, which takes the capability MKNOD")]
    MakeDevices(#[source] io::Error),
    /// The process has changed what it was to read only.
    #[error("the step has changed {}, which it mounts read-only", .0.display())]
    ReadOnly(PathBuf),
    /// Something could not be moved into the root, or out of it.
    #[error("place {} in the root", target.display())]
    Place {
        /// Where it was to be.
        target: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A mount could not be made.
    #[error("mount {}", target.display())]
    Mount {
        /// Where it was to appear.
        target: PathBuf,
        /// Why not.
        source: MountError,
    },
    /// The place for a mount could not be made.
    #[error("create mount point {}", target.display())]
    MountPoint {
        /// Where.
        target: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Something that the new process had to do failed.
    #[error("{what}")]
    Setup {
        /// What it was at.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// No network can be given an interface.
    #[error("open /dev/net/tun, which a network of a step's own takes")]
    Tun(#[source] io::Error),
    /// The program that connects a network does not.
    #[error("connect a step's network by {}: {said}", program.display())]
    Connect {
        /// Which program.
        program: PathBuf,
        /// What it said.
        said: String,
    },
    /// Plugins do not set a network up.
    #[error(transparent)]
    Cni(#[from] crate::network::cni::CniError),
    /// The thread that starts processes could not leave the host's mounts.
    #[error("prepare the sandbox")]
    Prepare(#[source] std::sync::Arc<MountError>),
    /// There is no system call filter.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The thread that starts processes is gone.
    #[error("the thread that starts processes has ended")]
    SpawnerGone,
}

/// Why a program cannot be run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// No directory of `PATH` has it.
    #[error("exec: {0:?}: executable file not found in $PATH")]
    NotInPath(String),
    /// There is nothing at this path.
    #[error("exec: {0:?}: stat {0}: no such file or directory")]
    Missing(String),
    /// It is there, but is no executable file.
    #[error("exec: {path:?}: {reason}")]
    NotExecutable {
        /// The path as given.
        path: String,
        /// The kernel's reason.
        reason: &'static str,
    },
    /// The kernel would not run it: its format, or its interpreter, is unknown or missing.
    #[error("exec {path}: {reason}")]
    Refused {
        /// The path as found.
        path: String,
        /// The kernel's reason.
        reason: &'static str,
        /// The kernel's error number.
        errno: i32,
    },
}

impl SandboxError {
    /// The exit code by which a shell or Docker tells of this error: 127 if the program is missing,
    /// 126 if it cannot be executed. None if it is not the program's fault.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            SandboxError::Command(error) => Some(error.exit_code()),
            _ => None,
        }
    }
}

impl LookupError {
    /// 127 if something is missing, 126 if it cannot be executed.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        const NOT_FOUND: i32 = 127;
        const NOT_EXECUTABLE: i32 = 126;
        let missing = rustix::io::Errno::NOENT.raw_os_error();
        match self {
            LookupError::NotInPath(_) | LookupError::Missing(_) => NOT_FOUND,
            LookupError::Refused { errno, .. } if *errno == missing => NOT_FOUND,
            LookupError::NotExecutable { .. } | LookupError::Refused { .. } => NOT_EXECUTABLE,
        }
    }
}

/// The kernel's reason in the words that Docker's users know.
pub(crate) fn reason(errno: i32) -> &'static str {
    use rustix::io::Errno;
    match Errno::from_raw_os_error(errno) {
        Errno::NOENT => "no such file or directory",
        Errno::ACCESS => "permission denied",
        Errno::PERM => "operation not permitted",
        Errno::ISDIR => "is a directory",
        Errno::NOTDIR => "not a directory",
        Errno::NOEXEC => "exec format error",
        Errno::TOOBIG => "argument list too long",
        Errno::LOOP => "too many levels of symbolic links",
        Errno::NAMETOOLONG => "file name too long",
        Errno::TXTBSY => "text file busy",
        Errno::NOMEM => "cannot allocate memory",
        _ => "cannot be executed",
    }
}
