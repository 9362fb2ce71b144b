//! Mounts as values, and what makes them real.
//!
//! A [`Mount`] says what appears where; it holds no kernel resource and can be cloned, compared and
//! sent between crates. [`detach`] makes the kernel's mount without attaching it anywhere: the
//! descriptor is the directory (or file), usable as a [`Root`](crate::Root) at once, and the mount
//! is gone when the last descriptor closes. [`MountGuard`] attaches one at a path until it is
//! dropped. Overlay options never depend on the kernel's module defaults: all of those that would
//! change what is written to the upper directory are given explicitly.

mod classic;
mod detached;
mod guard;
mod overlay;
mod table;

use std::ffi::OsString;
use std::io;
use std::ops::BitOr;
use std::path::PathBuf;

pub use detached::{attach, detach, restrict};
pub use guard::MountGuard;
pub use table::{Mounted, mounted};

/// One mount of a root file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted.
    pub kind: MountKind,
    /// Where: an absolute path inside the root.
    pub target: PathBuf,
    /// How it may be used.
    pub flags: MountFlags,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountKind {
    /// Several directories as one.
    Overlay(OverlayMount),
    /// A file or directory of the host (not following a last symbolic link).
    Bind {
        /// The path on the host.
        source: PathBuf,
        /// Whether mounts beneath the source come along.
        recursive: bool,
    },
    /// A file or directory of another mount, alone. The path is resolved beneath that mount's root,
    /// following links inside it.
    Part {
        /// The mount, made for this purpose only.
        of: Box<MountKind>,
        /// The path inside it.
        path: PathBuf,
    },
    /// A fresh file system in memory.
    Tmpfs {
        /// The limit in bytes; the kernel's default (half of the memory) without.
        size: Option<u64>,
        /// The mode of its root directory.
        mode: u32,
    },
    /// `/proc` of the mounting process's PID namespace.
    Proc,
    /// `/sys` of the mounting process's network namespace.
    Sysfs,
    /// A fresh instance of pseudo-terminals.
    Devpts,
    /// POSIX message queues of the mounting process's IPC namespace.
    Mqueue,
    /// The control groups as the mounting process's cgroup namespace shows them.
    Cgroup(CgroupMount),
}

/// Several directories as one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverlayMount {
    /// The read-only directories, top first; at least one. With no `upper` the mount is read-only.
    pub lower: Vec<PathBuf>,
    /// The writable directory; needs `work`.
    pub upper: Option<PathBuf>,
    /// An empty directory on the same file system as `upper`, for the kernel's own use.
    pub work: Option<PathBuf>,
    /// Skip all syncing of `upper`: it is lost as a whole if the machine dies.
    pub volatile: bool,
    /// Keep overlay's marks in `user.overlay.*` instead of `trusted.overlay.*` (user namespaces).
    pub user_xattr: bool,
}

/// One hierarchy of control groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CgroupMount {
    /// Version 2, the unified hierarchy.
    Unified,
    /// Version 1: the controllers as in the mount's options (`cpu,cpuacct`, or `name=systemd`).
    Legacy(OsString),
}

/// How a mount may be used; a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MountFlags(u8);

impl MountFlags {
    /// No restriction.
    pub const NONE: MountFlags = MountFlags(0);
    /// Not writable.
    pub const READ_ONLY: MountFlags = MountFlags(1);
    /// Set-user-ID bits and file capabilities have no effect.
    pub const NO_SUID: MountFlags = MountFlags(2);
    /// Device nodes cannot be opened.
    pub const NO_DEV: MountFlags = MountFlags(4);
    /// Nothing can be executed.
    pub const NO_EXEC: MountFlags = MountFlags(8);

    /// Whether all of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: MountFlags) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for MountFlags {
    type Output = MountFlags;

    fn bitor(self, other: MountFlags) -> MountFlags {
        MountFlags(self.0 | other.0)
    }
}

/// A mount that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The kernel refused one call.
    #[error("mount: {call} {subject}")]
    Call {
        /// The system call.
        call: &'static str,
        /// The path, file system or option concerned.
        subject: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// An overlay without any directory, or with only one of `upper` and `work`.
    #[error("overlay mount needs a lower directory, and `upper` and `work` together")]
    IncompleteOverlay,
    /// More lower directories than this kernel takes in one overlay.
    #[error("overlay mount of {layers} directories: this kernel takes {limit}")]
    TooManyLayers {
        /// How many were given.
        layers: usize,
        /// How many are possible.
        limit: usize,
    },
    /// A path with a NUL byte.
    #[error("path holds a NUL byte: {0:?}")]
    NulByte(PathBuf),
}

impl MountError {
    pub(crate) fn call(
        call: &'static str,
        subject: impl Into<String>,
    ) -> impl FnOnce(rustix::io::Errno) -> MountError {
        let subject = subject.into();
        move |errno| MountError::Call {
            call,
            subject,
            source: errno.into(),
        }
    }

    /// The kernel's error number, where there is one.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match self {
            MountError::Call { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
