//! The root, with a place for every mount.
//!
//! Making mount points in the upper directory of an overlay would leave traces there: directories
//! copied up, times changed, and work for the disk. So they are in a layer of memory below all
//! others, where the image's own files hide those that it has itself. What that layer cannot give
//! (the kernel does not take it before Linux 6.15, an image hides it by a link or a whiteout)
//! [`super::points`] makes afterwards.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;
use sys::Root;
use sys::mount::{MountError, MountFlags, MountKind, OverlayMount, detach};

use super::Host;
use super::mounts::{Planned, restricted};
use crate::error::SandboxError;
use crate::spec::Spec;

/// Makes the root.
pub(super) fn detach_root(
    spec: &Spec,
    host: &Host,
    planned: &[Planned],
) -> Result<OwnedFd, SandboxError> {
    let fail = |source| SandboxError::Mount {
        target: "/".into(),
        source,
    };
    let flags = restricted(spec, MountFlags::NONE);
    if let MountKind::Overlay(overlay) = &spec.root
        && host.takes_layers_of_memory(overlay.user_xattr)
    {
        let layer = layer(planned)?;
        match with_layer(overlay, &layer, flags) {
            // There is room for all others.
            Err(MountError::TooManyLayers { .. }) => {}
            result => return result.map_err(fail),
        }
    }
    detach(&spec.root, flags).map_err(fail)
}

/// Whether the kernel takes a directory of a detached mount as a layer. A mount that it refuses has
/// left marks in its work directory, for which the next one is refused too: hence one with none.
pub(super) fn takes_layers_of_memory(user_xattr: bool) -> bool {
    let taken = || {
        let (one, other) = (memory()?, memory()?);
        let overlay = OverlayMount {
            lower: vec![named(&one), named(&other)],
            user_xattr,
            ..OverlayMount::default()
        };
        detach(&MountKind::Overlay(overlay), MountFlags::READ_ONLY)
    };
    taken().is_ok()
}

fn memory() -> Result<OwnedFd, MountError> {
    let kind = MountKind::Tmpfs {
        size: None,
        mode: 0o755,
    };
    detach(&kind, MountFlags::NONE)
}

fn named(mount: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", mount.as_raw_fd()))
}

fn with_layer(
    overlay: &OverlayMount,
    layer: &OwnedFd,
    flags: MountFlags,
) -> Result<OwnedFd, MountError> {
    let mut overlay = overlay.clone();
    overlay.lower.push(named(layer));
    // One directory alone was read-only all the same.
    let flags = if overlay.upper.is_none() {
        flags | MountFlags::READ_ONLY
    } else {
        flags
    };
    detach(&MountKind::Overlay(overlay), flags)
}

/// A file system in memory with a mount point for each mount that is not beneath another.
fn layer(planned: &[Planned]) -> Result<OwnedFd, SandboxError> {
    let layer = memory().map_err(|source| SandboxError::Mount {
        target: "/".into(),
        source,
    })?;
    for one in planned {
        let is_above =
            |other: &&Planned| other.target != one.target && one.target.starts_with(&other.target);
        if planned.iter().any(|other| is_above(&other)) {
            continue;
        }
        let path = one.target.strip_prefix("/").unwrap_or(&one.target);
        one.is_dir()
            .and_then(|is_dir| place(layer.as_fd(), path, is_dir))
            .map_err(|source| SandboxError::MountPoint {
                target: one.target.clone(),
                source,
            })?;
    }
    Ok(layer)
}

fn place(layer: BorrowedFd<'_>, path: &Path, is_dir: bool) -> io::Result<()> {
    let mode = Mode::from_raw_mode(0o755);
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        Root::from_fd(layer.try_clone_to_owned()?).create_dir_all(above, mode)?;
    }
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    if is_dir {
        return made(mkdirat(layer, path, mode));
    }
    let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    made(openat(layer, path, flags, Mode::from_raw_mode(0o644)).map(drop))
}

/// It may be there already: two mounts can share a directory, or a target.
fn made(result: Result<(), Errno>) -> io::Result<()> {
    match result {
        Err(Errno::EXIST) => Ok(()),
        result => Ok(result?),
    }
}
