//! A thread's own view of mounts.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::CWD;
use rustix::mount::{
    MountPropagationFlags, MoveMountFlags, UnmountFlags, mount_change, move_mount, unmount,
};
use rustix::process::{fchdir, pivot_root};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::mount::{MountError, MountFlags, MountKind, detach};

/// Gives the calling thread a mount namespace of its own with nothing in it but an empty, read-only
/// directory, so that what it starts copies a table of one mount, whatever the host has. Other
/// threads keep the host's mounts. There is no way back: the thread should do nothing else.
///
/// # Errors
/// The thread lacks the right, or the root is the kernel's initial one, which cannot be left.
pub fn leave_host_mounts() -> Result<(), MountError> {
    let kind = MountKind::Tmpfs {
        size: None,
        mode: 0o555,
    };
    let root = detach(&kind, MountFlags::READ_ONLY)?;
    // SAFETY: the file descriptor table stays shared; what is unshared, the namespace and the
    // working directory, are this thread's own business.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }
        .map_err(MountError::call("unshare", "mounts"))?;
    // Before anything else: what is unmounted here must not be unmounted on the host.
    mount_change(
        c"/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .map_err(MountError::call("mount private", "/"))?;
    move_mount(
        root.as_fd(),
        c"",
        CWD,
        c"/",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
    .map_err(MountError::call("move_mount", "new root"))?;
    fchdir(&root).map_err(MountError::call("fchdir", "new root"))?;
    pivot_root(c".", c".").map_err(MountError::call("pivot_root", "new root"))?;
    unmount(c".", UnmountFlags::DETACH).map_err(MountError::call("umount", "the host's mounts"))?;
    Ok(())
}

/// Makes sure that ended children wait to be reaped: a parent that ignored `SIGCHLD` has left it so
/// for us, and the kernel would then throw their status away.
///
/// # Errors
/// The kernel's refusal.
pub fn keep_child_status() -> io::Result<()> {
    Ok(crate::raw::keep_child_status()?)
}
