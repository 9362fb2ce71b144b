//! A thread's own view of mounts.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::process::{fchdir, pivot_root};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use crate::mount::{MountError, MountFlags, MountKind, attach, detach, restrict};

/// The kernel's own file systems, which a user namespace may mount anew only where they can be seen
/// in full already.
const KERNEL: [&str; 2] = ["proc", "sys"];

/// What stays of the host's mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// `/proc` and `/sys`, for what is started in a user namespace.
    KernelFileSystems,
}

/// Gives the calling thread a mount namespace of its own with nothing in it but a read-only
/// directory, empty but for what is `left`, so that what it starts copies a short table of mounts,
/// whatever the host has. Other threads keep the host's mounts. There is no way back: the thread
/// should do nothing else.
///
/// # Errors
/// The thread lacks the right, or the root is the kernel's initial one, which cannot be left.
pub fn leave_host_mounts(left: Left) -> Result<(), MountError> {
    let root = match left {
        Left::Nothing => empty(MountFlags::READ_ONLY)?,
        Left::KernelFileSystems => empty(MountFlags::NONE)?,
    };
    let kept = match left {
        Left::Nothing => Vec::new(),
        Left::KernelFileSystems => kernel_file_systems(root.as_fd())?,
    };
    // SAFETY: the file descriptor table stays shared; what is unshared, the namespace and the
    // working directory, are this thread's own business.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }
        .map_err(MountError::call("unshare", "mounts"))?;
    leave_chroot()?;
    // Before anything else: what is unmounted here must not be unmounted on the host.
    make_private().map_err(MountError::call("mount private", "/"))?;
    attach(root.as_fd(), Path::new("/"))?;
    fchdir(&root).map_err(MountError::call("fchdir", "new root"))?;
    pivot_root(c".", c".").map_err(MountError::call("pivot_root", "new root"))?;
    unmount(c".", UnmountFlags::DETACH).map_err(MountError::call("umount", "the host's mounts"))?;
    for (name, mount) in &kept {
        attach(mount.as_fd(), Path::new(name))?;
    }
    match left {
        Left::Nothing => Ok(()),
        Left::KernelFileSystems => restrict(root.as_fd(), MountFlags::READ_ONLY),
    }
}

fn empty(flags: MountFlags) -> Result<OwnedFd, MountError> {
    let kind = MountKind::Tmpfs {
        size: None,
        mode: 0o555,
    };
    detach(&kind, flags)
}

/// Copies of the kernel's file systems with all that is mounted there, and places for them in
/// `root`.
fn kernel_file_systems(root: impl AsFd) -> Result<Vec<(&'static str, OwnedFd)>, MountError> {
    let copy = |name: &'static str| {
        mkdirat(&root, name, Mode::from_raw_mode(0o555))
            .map_err(MountError::call("mkdir", name))?;
        let kind = MountKind::Bind {
            source: Path::new("/").join(name),
            recursive: true,
        };
        Ok((name, detach(&kind, MountFlags::NONE)?))
    };
    KERNEL.into_iter().map(copy).collect()
}

fn make_private() -> Result<(), Errno> {
    mount_change(
        c"/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
}

/// In a `chroot` the root is not that of the namespace. If it is no mount it cannot be left; if it is
/// one, what is left is that mount alone, and a step that gets out of its root would find all of the
/// host's beneath. Entering the namespace that we are in anyway makes its own root this thread's.
fn leave_chroot() -> Result<(), MountError> {
    const OWN: &str = "/proc/thread-self/ns/mnt";
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let own = openat(CWD, OWN, flags, Mode::empty()).map_err(MountError::call("open", OWN))?;
    move_into_link_name_space(own.as_fd(), Some(LinkNameSpaceType::Mount))
        .map_err(MountError::call("setns", OWN))
}

/// Makes sure that ended children wait to be reaped: a parent that ignored `SIGCHLD` has left it so
/// for us, and the kernel would then throw their status away.
///
/// # Errors
/// The kernel's refusal.
pub fn keep_child_status() -> io::Result<()> {
    Ok(crate::raw::keep_child_status()?)
}
