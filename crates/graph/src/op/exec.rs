//! Ops that run a process.
//!
//! Input 0 of the vertex is the root file system when there is one; the mounts say how each
//! input is used and which of them becomes an output. The secrets that a step may read are named
//! here and never held.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use oci::Digest;
use serde::{Deserialize, Serialize};

use crate::content_hash::{
    ContentHash, ContentHasher, content_hash_plain_enum, content_hash_struct,
};

/// Runs a process in the file system that its mounts make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecOp {
    /// What runs.
    pub process: Process,
    /// Root first (`target` is `/`), then in the order in which they are made.
    pub mounts: Vec<Mount>,
    /// Which network it sees.
    pub network: NetworkMode,
    /// How closely it is held.
    pub security: SecurityMode,
    /// Devices of the machine that it sees, beside those that every process has.
    pub devices: Vec<Device>,
    /// Further lines for `/etc/hosts`.
    pub extra_hosts: Vec<ExtraHost>,
    /// Host name inside; the sandbox's own when none.
    pub hostname: Option<String>,
    /// Size of `/dev/shm` in bytes; Docker's 64 MiB when none.
    pub shm_size: Option<u64>,
    /// Limits that differ from the sandbox's own.
    pub ulimits: Vec<Ulimit>,
    /// Values of the predefined proxy arguments; they enter the environment but no key. They may
    /// hold credentials, so they are written nowhere.
    #[serde(skip)]
    pub proxy: BTreeMap<String, String>,
    /// Exit codes that are no failure; only 0 when empty.
    pub valid_exit_codes: Vec<u32>,
}

/// What runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Program and arguments.
    pub args: Vec<String>,
    /// `KEY=value`, in order.
    pub env: Environment,
    /// Where it starts; made when it is missing.
    pub cwd: String,
    /// As in `USER`; root when empty.
    pub user: String,
}

/// `KEY=value`, in order. Steps of a stage share them while nothing is set between them, and so
/// their digest too.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Environment {
    entries: Arc<[String]>,
    digest: Digest,
}

/// Something at a path of the process's file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path inside.
    pub target: String,
    /// What is there.
    pub source: MountSource,
    /// The process cannot write there.
    pub read_only: bool,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountSource {
    /// An input of the vertex, or an empty file system when `input` is none.
    Bind {
        /// Index of the input.
        input: Option<u32>,
        /// The path within it; all of it when empty.
        selector: String,
        /// The output that the changed file system becomes; none drops what was written.
        output: Option<u32>,
    },
    /// A directory that outlives the build.
    Cache {
        /// Which one.
        id: String,
        /// Who else may use it at the same time.
        sharing: CacheSharing,
        /// Input whose content a new directory starts with.
        input: Option<u32>,
        /// The path within that input.
        selector: String,
        /// Permission bits of a new directory.
        mode: u32,
        /// Owner of a new directory.
        owner: FileOwner,
    },
    /// Memory.
    Tmpfs {
        /// Bytes at most.
        size: Option<u64>,
    },
    /// A secret that the client offers.
    Secret {
        /// Which one.
        id: String,
        /// A file at `target`, or an environment variable.
        at: SecretTarget,
        /// Fail when it is not offered; leave it out otherwise.
        required: bool,
        /// What stands for its bytes when the result is to depend on them.
        digest: Option<[u8; 32]>,
    },
    /// A socket of an SSH agent that the client offers.
    Ssh {
        /// Which one.
        id: String,
        /// Permission bits of the socket.
        mode: u32,
        /// Owner of the socket.
        owner: FileOwner,
        /// Fail when it is not offered; leave it out otherwise.
        required: bool,
    },
}

/// Where a secret is put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretTarget {
    /// A file at the mount's target.
    File {
        /// Permission bits.
        mode: u32,
        /// Owner.
        owner: FileOwner,
    },
    /// An environment variable of this name.
    Env(String),
}

/// Owner and group by number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOwner {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// Who may use a cache mount at the same time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CacheSharing {
    /// Everybody.
    #[default]
    Shared,
    /// Nobody: another user gets a directory of its own.
    Private,
    /// Nobody: another user waits.
    Locked,
}

/// Which network a process sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// What the configuration says; the host's unless told otherwise.
    #[default]
    Default,
    /// The host's.
    Host,
    /// Only a loopback device of its own.
    None,
}

/// How closely a process is held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecurityMode {
    /// As Docker holds a container.
    #[default]
    Sandbox,
    /// With all capabilities and without filters.
    Insecure,
}

/// A device of the machine, by what the machine has registered for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// `vendor/class=name`.
    pub name: String,
    /// Of what it changes for a process: variables, nodes, files.
    pub digest: Digest,
}

/// A further line of `/etc/hosts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraHost {
    /// The name.
    pub host: String,
    /// Its address.
    pub address: String,
}

/// A limit of the process (`getrlimit(2)`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Such as `nofile`.
    pub name: String,
    /// What the process starts with; -1 is no limit.
    pub soft: i64,
    /// What it can raise that to; -1 is no limit.
    pub hard: i64,
}

impl ContentHash for ExecOp {
    fn feed(&self, hasher: &mut ContentHasher) {
        // Shared memory, limits and proxies do not change what a step is meant to make.
        let Self {
            process,
            mounts,
            network,
            security,
            devices,
            extra_hosts,
            hostname,
            shm_size: _,
            ulimits: _,
            proxy: _,
            valid_exit_codes,
        } = self;
        process.feed(hasher);
        mounts.feed(hasher);
        network.feed(hasher);
        security.feed(hasher);
        devices.feed(hasher);
        extra_hosts.feed(hasher);
        hostname.feed(hasher);
        valid_exit_codes.feed(hasher);
    }
}

impl FromIterator<String> for Environment {
    fn from_iter<T: IntoIterator<Item = String>>(entries: T) -> Self {
        let entries: Arc<[String]> = entries.into_iter().collect();
        let mut hasher = ContentHasher::new("environment");
        entries.feed(&mut hasher);
        Self {
            digest: hasher.finish(),
            entries,
        }
    }
}

impl From<Vec<String>> for Environment {
    fn from(entries: Vec<String>) -> Self {
        entries.into_iter().collect()
    }
}

impl From<Environment> for Vec<String> {
    fn from(environment: Environment) -> Self {
        environment.to_vec()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries.fmt(f)
    }
}

impl Deref for Environment {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.entries
    }
}

impl ContentHash for Environment {
    fn feed(&self, hasher: &mut ContentHasher) {
        let Self { entries: _, digest } = self;
        digest.feed(hasher);
    }
}

impl ContentHash for MountSource {
    fn feed(&self, hasher: &mut ContentHasher) {
        match self {
            Self::Bind {
                input,
                selector,
                output,
            } => {
                hasher.number(0);
                input.feed(hasher);
                selector.feed(hasher);
                output.feed(hasher);
            }
            Self::Cache {
                id,
                sharing,
                input,
                selector,
                mode,
                owner,
            } => {
                hasher.number(1);
                id.feed(hasher);
                sharing.feed(hasher);
                input.feed(hasher);
                selector.feed(hasher);
                mode.feed(hasher);
                owner.feed(hasher);
            }
            Self::Tmpfs { size } => {
                hasher.number(2);
                size.feed(hasher);
            }
            Self::Secret {
                id,
                at,
                required,
                digest,
            } => {
                hasher.number(if digest.is_some() { 5 } else { 3 });
                id.feed(hasher);
                at.feed(hasher);
                required.feed(hasher);
                if let Some(digest) = digest {
                    hasher.bytes(digest);
                }
            }
            Self::Ssh {
                id,
                mode,
                owner,
                required,
            } => {
                hasher.number(4);
                id.feed(hasher);
                mode.feed(hasher);
                owner.feed(hasher);
                required.feed(hasher);
            }
        }
    }
}

impl ContentHash for SecretTarget {
    fn feed(&self, hasher: &mut ContentHasher) {
        match self {
            Self::File { mode, owner } => {
                hasher.number(0);
                mode.feed(hasher);
                owner.feed(hasher);
            }
            Self::Env(name) => {
                hasher.number(1);
                name.feed(hasher);
            }
        }
    }
}

content_hash_struct!(Process {
    args,
    env,
    cwd,
    user
});
content_hash_struct!(Mount {
    target,
    source,
    read_only
});
content_hash_struct!(Device { name, digest });
content_hash_struct!(FileOwner { uid, gid });
content_hash_struct!(ExtraHost { host, address });
content_hash_plain_enum!(CacheSharing);
content_hash_plain_enum!(NetworkMode);
content_hash_plain_enum!(SecurityMode);
