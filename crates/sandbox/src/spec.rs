//! What can be asked of a sandbox.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::FileType;
use serde::{Deserialize, Serialize};
use sys::capability::CapabilitySet;
use sys::mount::{Mount, MountKind};
use sys::node::Device;

use crate::network::Connector;
use crate::network::cni::Cni;
use crate::terminal::Terminal;
use crate::user::User;

/// One process, and what it is to see.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The root file system. What the process changes there stays.
    pub root: MountKind,
    /// Mounts beyond those that every process has (`/proc`, `/dev`, `/sys` and what is beneath).
    /// One at the same target takes the place of the usual one. Targets that do not exist are made,
    /// and removed afterwards if nothing has been put there.
    pub mounts: Vec<Mount>,
    /// Device nodes beyond those that every process has; one at the same path takes the place of
    /// the usual one.
    pub devices: Vec<DeviceNode>,
    /// The process.
    pub process: Process,
    /// The name of the host that the process sees.
    pub hostname: String,
    /// Which network it has.
    pub network: Network,
    /// How far it is held back.
    pub security: Security,
    /// Resource limits; those not named are as Docker's.
    pub limits: Vec<Limit>,
    /// The size of `/dev/shm` in bytes; 64 MiB without.
    pub shm_size: Option<u64>,
    /// What the process, and all that it starts, may take together.
    pub group: GroupLimits,
}

/// What a process, and all that it starts, may take together; what is not said is not limited. Its
/// fields are written under their names, and those that are missing are not said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupLimits {
    /// Bytes of memory, pages of files included.
    pub memory: Option<u64>,
    /// Bytes of memory and swap together; `u64::MAX` is no limit. As much swap as memory without.
    pub memory_swap: Option<u64>,
    /// The weight among all who want a CPU: 1024 is the usual one.
    pub cpu_shares: Option<u64>,
    /// In how many microseconds [`cpu_quota`](Self::cpu_quota) is spent; a tenth of a second without.
    pub cpu_period: Option<u64>,
    /// Microseconds of all CPUs in a period.
    pub cpu_quota: Option<u64>,
    /// Which CPUs, as `0-2,5`.
    pub cpuset_cpus: Option<String>,
    /// Which nodes of memory.
    pub cpuset_mems: Option<String>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

impl GroupLimits {
    /// The kernel's own period, in microseconds.
    pub const PERIOD: u64 = 100_000;
}

/// The process.
#[derive(Clone, Debug)]
pub struct Process {
    /// The program and its arguments. The program is looked for in the environment's `PATH`, inside
    /// the root, if it has no slash.
    pub args: Vec<String>,
    /// The environment as `NAME=value`; all of it.
    pub env: Vec<String>,
    /// The directory to start in: an absolute path that exists in the root.
    pub cwd: String,
    /// As whom.
    pub user: User,
    /// What root may do.
    pub capabilities: CapabilitySet,
    /// Whether executing a file may never give more privileges.
    pub no_new_privileges: bool,
}

/// A device node, or a pipe, in `/dev`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceNode {
    /// Where it is: a path that [`crate::is_device_path`] takes.
    pub path: PathBuf,
    /// What it is.
    pub kind: DeviceKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// A block device.
    Block(Device),
    /// A character device.
    Character(Device),
    /// A pipe, which is the process's own.
    Pipe,
}

impl DeviceKind {
    /// The type of the file.
    pub(crate) const fn file_type(self) -> FileType {
        match self {
            DeviceKind::Block(_) => FileType::BlockDevice,
            DeviceKind::Character(_) => FileType::CharacterDevice,
            DeviceKind::Pipe => FileType::Fifo,
        }
    }
}

/// How processes are kept away from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// In namespaces of their own, with mounts of their own.
    Namespaces,
    /// By another root directory alone, where nothing may be mounted. What a [`Spec`] mounts is
    /// moved into the root and taken out afterwards, so binds must be of the step's own files, on
    /// the file system of the root.
    Chroot,
}

/// Which network a process has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    /// The host's.
    Host,
    /// A loopback interface of its own and nothing else.
    None,
    /// One of its own, in which a program passes on what is for others.
    Connected(Connector),
    /// One of its own, which plugins set up.
    Cni(Arc<Cni>),
}

/// How far a process is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Docker's defaults: system call filter, masked paths, read-only `/sys`, device nodes that
    /// work in `/dev` only.
    Sandbox,
    /// Not at all: all capabilities that we have ourselves, no filter, nothing masked.
    Insecure,
}

/// One resource limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Of what.
    pub resource: Resource,
    /// What holds; `u64::MAX` is no limit.
    pub soft: u64,
    /// What the process may raise it to.
    pub hard: u64,
}

/// What can be limited. The numbers are the kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "setrlimit(2) describes each")]
pub enum Resource {
    Cpu = 0,
    FileSize = 1,
    Data = 2,
    Stack = 3,
    Core = 4,
    ResidentSet = 5,
    Processes = 6,
    OpenFiles = 7,
    LockedMemory = 8,
    AddressSpace = 9,
    Locks = 10,
    PendingSignals = 11,
    MessageQueues = 12,
    Nice = 13,
    RealTimePriority = 14,
    RealTimeTime = 15,
}

/// Standard input, output and error.
#[derive(Debug)]
pub enum Stdio {
    /// Three descriptors.
    Files {
        /// Standard input.
        stdin: OwnedFd,
        /// Standard output.
        stdout: OwnedFd,
        /// Standard error.
        stderr: OwnedFd,
    },
    /// A terminal, which controls the process and is `/dev/console` to it.
    Terminal(Terminal),
}
