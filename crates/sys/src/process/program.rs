//! What a new process does before it runs its program.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use crate::capability::{CapabilitySet, CapabilitySets};
use crate::mount::MountFlags;
use crate::seccomp::Filter;

/// All that a new process does. Values only: nothing is looked up when it runs.
#[derive(Debug)]
pub struct Program {
    /// Standard input, output and error.
    pub stdio: [OwnedFd; 3],
    /// What to do first, in this order. The index of a failed one is in [`Failure`].
    pub steps: Vec<Step>,
    /// What to become then.
    pub execute: Execute,
}

/// The program file and its arguments.
#[derive(Debug)]
pub struct Execute {
    /// The files to try, in order. One is an explicit path, and its failure is reported as it is;
    /// of several, those that are missing or not executable are passed over.
    pub candidates: Candidates,
    /// The arguments, the program's name first.
    pub arguments: Vec<CString>,
    /// The environment as `NAME=value`.
    pub environment: Vec<CString>,
}

/// Where a program may be.
#[derive(Debug)]
pub enum Candidates {
    /// At this path.
    Path(CString),
    /// In one of several directories.
    Search(Vec<CString>),
}

impl Candidates {
    pub(super) fn as_slice(&self) -> &[CString] {
        match self {
            Candidates::Path(path) => std::slice::from_ref(path),
            Candidates::Search(paths) => paths,
        }
    }
}

/// One thing that a new process does to itself. Paths are resolved as seen by the process at that
/// moment, so after [`Step::EnterRoot`] none can leave the new root.
#[derive(Debug)]
pub enum Step {
    /// Enter the namespaces of a running process, but for its processes and users, and see its root.
    Join {
        /// Its pidfd.
        process: OwnedFd,
        /// Its root directory.
        root: OwnedFd,
        /// Whether it has a network of its own. Ours, where that is the machine's, cannot be entered
        /// again by root of a user namespace.
        network: bool,
    },
    /// Move to a control group, by its file `cgroup.procs`.
    EnterGroup(OwnedFd),
    /// See the control groups that the process is in as the outermost ones.
    IsolateGroups,
    /// Become the leader of a new session.
    NewSession,
    /// Make standard input the controlling terminal.
    ControllingTerminal,
    /// Move to a new network namespace, and bring its loopback interface up.
    IsolateNetwork,
    /// Move to the network namespace that a descriptor leads to.
    EnterNetwork(OwnedFd),
    /// Make a detached mount the root, and leave nothing of the old one.
    EnterRoot(OwnedFd),
    /// Make a directory the root of this process alone.
    ChangeRoot(OwnedFd),
    /// Attach a detached mount.
    Attach {
        /// The mount.
        mount: OwnedFd,
        /// Where.
        target: CString,
    },
    /// Mount a file system that depends on the process's namespaces.
    Mount {
        /// The file system's type.
        fs_type: &'static CStr,
        /// Where.
        target: CString,
        /// How it may be used.
        flags: MountFlags,
        /// The file system's own options.
        options: CString,
    },
    /// Mount one path at another.
    Bind {
        /// What.
        source: CString,
        /// Where.
        target: CString,
    },
    /// Change how a mount may be used; what the flags do not name is allowed.
    Remount {
        /// Its root.
        path: CString,
        /// How it may be used from here on.
        flags: MountFlags,
    },
    /// Hide a path, if it exists.
    Mask(Masked),
    /// Make a path, and all that is mounted beneath, read-only, if it exists.
    ReadOnly(CString),
    /// Set the host name.
    HostName(Vec<u8>),
    /// Set a resource limit.
    Limit {
        /// `RLIMIT_*`.
        resource: u32,
        /// What holds.
        soft: u64,
        /// What it may be raised to.
        hard: u64,
    },
    /// Set the mask of new files' modes.
    Umask(u32),
    /// Change directory.
    Directory(CString),
    /// Never gain privileges by executing a file.
    NoNewPrivileges,
    /// Filter system calls from here on.
    Seccomp(Filter),
    /// Filter system calls from here on, and ask about some of them whoever has the other end of a
    /// socket.
    Ask {
        /// The filter.
        filter: Filter,
        /// The socket.
        to: OwnedFd,
    },
    /// Keep at most these capabilities in the bounding set.
    BoundingSet(CapabilitySet),
    /// Change user and groups, and have exactly these capabilities then.
    Identity {
        /// The user and the group; none to stay who it is.
        ids: Option<(u32, u32)>,
        /// The supplementary groups; none where this process may not choose them.
        groups: Option<Vec<rustix::process::Gid>>,
        /// The capabilities.
        capabilities: CapabilitySets,
        /// Capabilities that survive executing a file as another user than root.
        ambient: CapabilitySet,
    },
}

impl Step {
    /// The descriptors that the step needs.
    pub(super) fn fds(&self) -> [Option<RawFd>; 2] {
        match self {
            Step::EnterGroup(fd)
            | Step::EnterRoot(fd)
            | Step::ChangeRoot(fd)
            | Step::EnterNetwork(fd)
            | Step::Attach { mount: fd, .. }
            | Step::Ask { to: fd, .. } => [Some(fd.as_raw_fd()), None],
            Step::Join { process, root, .. } => [process, root].map(|fd| Some(fd.as_raw_fd())),
            _ => [None, None],
        }
    }
}

/// A path to hide.
#[derive(Debug)]
pub struct Masked {
    /// The path: a file reads as empty, a directory shows nothing.
    pub path: CString,
}

/// Why a process did not get to run its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it was at.
    pub stage: Stage,
    /// The kernel's error number.
    pub errno: i32,
}

/// What a process was at when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Before the first step.
    Prepare,
    /// The step with this index.
    Step(usize),
    /// Looking for the program: it is missing, a directory, or not executable.
    Lookup,
    /// Executing the candidate with this index, which is an executable file.
    Execute(usize),
}
