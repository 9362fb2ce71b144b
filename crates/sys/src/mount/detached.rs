//! Mounts made with the file-descriptor API (Linux 5.2), attached to nothing.
//!
//! Where the kernel lacks the API or one of its features, [`super::classic`] makes the same mount
//! the old way and hands out the same kind of descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use crate::Root;

use super::{CgroupMount, MountError, MountFlags, MountKind, classic, overlay};

/// Makes the mount, attached to nothing. The descriptor is its root directory (or file, for a
/// bind).
///
/// # Errors
/// Whatever the kernel refuses, with the call and the path.
pub fn detach(kind: &MountKind, flags: MountFlags) -> Result<OwnedFd, MountError> {
    match kind {
        MountKind::Overlay(overlay) => overlay::detach(overlay, flags),
        MountKind::Bind { source, recursive } => bind(source, *recursive, flags),
        MountKind::Part { of, path } => part(of, path, flags),
        MountKind::Tmpfs { size, mode } => {
            let mut options = vec![("mode", format!("{mode:o}"))];
            options.extend(size.map(|size| ("size", size.to_string())));
            file_system("tmpfs", &options, flags)
        }
        MountKind::Proc => file_system("proc", &[], flags),
        MountKind::Sysfs => file_system("sysfs", &[], flags),
        MountKind::Devpts => {
            let options = [("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")]
                .map(|(key, value)| (key, value.to_owned()));
            match file_system("devpts", &options, flags) {
                // A user namespace without that group: terminals are the user's own group's.
                Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                    file_system("devpts", &options[..2], flags)
                }
                result => result,
            }
        }
        MountKind::Mqueue => file_system("mqueue", &[], flags),
        MountKind::Cgroup(CgroupMount::Unified) => file_system("cgroup2", &[], flags),
        MountKind::Cgroup(CgroupMount::Legacy(controllers)) => {
            let options = controllers
                .to_string_lossy()
                .split(',')
                .map(|controller| match controller.split_once('=') {
                    Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                    None => (controller.to_owned(), None),
                })
                .collect::<Vec<_>>();
            legacy_cgroup(&options, flags)
        }
    }
}

/// Attaches a detached mount at `target`, which must exist; it stays until it is unmounted.
///
/// # Errors
/// The kernel's refusal.
pub fn attach(mount: impl AsFd, target: &Path) -> Result<(), MountError> {
    move_mount(
        mount,
        c"",
        CWD,
        target,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
    .map_err(MountError::call("move_mount", target.display().to_string()))
}

/// Restricts a mount alone; what the set does not name stays as it is.
///
/// # Errors
/// The kernel's refusal.
pub fn restrict(mount: BorrowedFd<'_>, flags: MountFlags) -> Result<(), MountError> {
    set_attributes(mount, false, flags)
}

fn set_attributes(
    mount: BorrowedFd<'_>,
    recursive: bool,
    flags: MountFlags,
) -> Result<(), MountError> {
    if flags == MountFlags::NONE {
        return Ok(());
    }
    let attributes = crate::raw::MountAttributes {
        set: u64::from(attribute_bits(flags).bits()),
        ..Default::default()
    };
    match crate::raw::mount_setattr(mount, recursive, &attributes) {
        Err(Errno::NOSYS) => classic::remount(mount, flags),
        result => result.map_err(MountError::call("mount_setattr", "")),
    }
}

pub(super) fn attribute_bits(flags: MountFlags) -> MountAttrFlags {
    [
        (MountFlags::READ_ONLY, MountAttrFlags::MOUNT_ATTR_RDONLY),
        (MountFlags::NO_SUID, MountAttrFlags::MOUNT_ATTR_NOSUID),
        (MountFlags::NO_DEV, MountAttrFlags::MOUNT_ATTR_NODEV),
        (MountFlags::NO_EXEC, MountAttrFlags::MOUNT_ATTR_NOEXEC),
    ]
    .into_iter()
    .filter(|(flag, _)| flags.contains(*flag))
    .fold(MountAttrFlags::empty(), |bits, (_, bit)| bits | bit)
}

fn file_system(
    name: &'static str,
    options: &[(&str, String)],
    flags: MountFlags,
) -> Result<OwnedFd, MountError> {
    let context = match fsopen(name, FsOpenFlags::FSOPEN_CLOEXEC) {
        Err(Errno::NOSYS) => return classic::file_system(name, options, flags),
        result => result.map_err(MountError::call("fsopen", name))?,
    };
    // Shown as the device in the mount table.
    fsconfig_set_string(&context, "source", name)
        .map_err(MountError::call("fsconfig", format!("{name} source")))?;
    for (key, value) in options {
        fsconfig_set_string(&context, *key, value.as_str()).map_err(MountError::call(
            "fsconfig",
            format!("{name} {key}={value}"),
        ))?;
    }
    create(context.as_fd(), name, flags)
}

fn legacy_cgroup(
    options: &[(String, Option<String>)],
    flags: MountFlags,
) -> Result<OwnedFd, MountError> {
    let context = fsopen("cgroup", FsOpenFlags::FSOPEN_CLOEXEC)
        .map_err(MountError::call("fsopen", "cgroup"))?;
    for (key, value) in options {
        match value {
            Some(value) => fsconfig_set_string(&context, key.as_str(), value.as_str()),
            None => fsconfig_set_flag(&context, key.as_str()),
        }
        .map_err(MountError::call("fsconfig", format!("cgroup {key}")))?;
    }
    create(context.as_fd(), "cgroup", flags)
}

/// The last two calls for every file system.
pub(super) fn create(
    context: BorrowedFd<'_>,
    name: &'static str,
    flags: MountFlags,
) -> Result<OwnedFd, MountError> {
    fsconfig_create(context).map_err(MountError::call("fsconfig create", name))?;
    fsmount(
        context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        attribute_bits(flags),
    )
    .map_err(MountError::call("fsmount", name))
}

pub(super) fn bind(
    source: &Path,
    recursive: bool,
    flags: MountFlags,
) -> Result<OwnedFd, MountError> {
    let mut how = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    if recursive {
        how |= OpenTreeFlags::AT_RECURSIVE;
    }
    let tree = open_tree(CWD, source, how)
        .map_err(MountError::call("open_tree", source.display().to_string()))?;
    restricted(tree, recursive, flags)
}

fn part(of: &MountKind, path: &Path, flags: MountFlags) -> Result<OwnedFd, MountError> {
    let whole = detach(of, MountFlags::NONE)?;
    let root = Root::from_fd(whole);
    let at = root
        .open_at(path, OFlags::PATH, Mode::empty())
        .map_err(|source| MountError::Call {
            call: "open",
            subject: path.display().to_string(),
            source,
        })?;
    let how = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = match open_tree(&at, c"", how) {
        // Before Linux 6.15 only an attached mount can be cloned.
        Err(Errno::INVAL) => classic::while_attached(root.as_fd(), || open_tree(&at, c"", how))?,
        result => result,
    };
    let tree = tree.map_err(MountError::call("open_tree", path.display().to_string()))?;
    restricted(tree, false, flags)
}

fn restricted(tree: OwnedFd, recursive: bool, flags: MountFlags) -> Result<OwnedFd, MountError> {
    // A bind starts out in the source's peer group: what is mounted on one would show up on the
    // other.
    crate::raw::mount_setattr(
        tree.as_fd(),
        recursive,
        &crate::raw::MountAttributes::PRIVATE,
    )
    .or_else(|errno| {
        if errno == Errno::NOSYS {
            Ok(())
        } else {
            Err(errno)
        }
    })
    .map_err(MountError::call("mount_setattr", "private"))?;
    set_attributes(tree.as_fd(), recursive, flags)?;
    Ok(tree)
}
