//! All mounts of a process, in the order in which they are attached.
//!
//! Those that depend on the process's namespaces are left for it to make; all others are made here.
//! A mount comes after those that it is beneath, and its mount point is made in the one that it
//! will be attached to.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, fstat};
use sys::Root;
use sys::mount::{CgroupMount, Mount, MountFlags, MountKind, detach};
use sys::process::Step;

use super::{Host, MountPoints, Steps, devices, root, text, usual};
use crate::error::SandboxError;
use crate::spec::{Security, Spec};

/// One mount to come.
pub(super) struct Planned {
    pub(super) target: PathBuf,
    pub(super) flags: MountFlags,
    pub(super) source: Source,
}

pub(super) enum Source {
    /// Made already; `lasting` if what is in it outlives the process.
    Ready { mount: OwnedFd, lasting: bool },
    /// For the process to make.
    Later(MountKind),
}

impl Planned {
    pub(super) fn is_dir(&self) -> io::Result<bool> {
        match &self.source {
            Source::Later(_) => Ok(true),
            Source::Ready { mount, .. } => {
                Ok(FileType::from_raw_mode(fstat(mount)?.st_mode).is_dir())
            }
        }
    }
}

/// Where mount points can be made.
struct Place {
    target: PathBuf,
    root: Option<Root>,
    lasting: bool,
}

/// Adds the steps that enter the root and mount everything.
pub(super) fn plan(
    spec: &Spec,
    host: &Host,
    devpts: Option<OwnedFd>,
    steps: &mut Steps,
) -> Result<MountPoints, SandboxError> {
    let terminal = devpts.is_some();
    let all = in_order(spec, host, devpts)?;
    let root = root::detach_root(spec, host, &all)?;
    let handle = duplicate(&root)?;
    steps.push("enter the root", Step::EnterRoot(root));
    let mut places = vec![Place {
        target: "/".into(),
        root: Some(Root::from_fd(handle)),
        lasting: true,
    }];
    let mut points = MountPoints::default();
    let own_dev = is_ours(spec, Path::new("/dev"));
    if let Some(node) = spec.devices.first().filter(|_| !own_dev) {
        return Err(SandboxError::NoDevices(node.path.clone()));
    }
    for planned in all {
        make_mount_point(&planned, &places, &mut points)?;
        let is_dev = planned.target == Path::new("/dev");
        places.push(attach(planned, steps)?);
        if is_dev && own_dev && !host.identities.are_whole() {
            devices::borrow(spec, steps)?;
        }
        if is_dev && own_dev && spec.security == Security::Sandbox {
            devices::restrict(spec, host, steps)?;
        }
    }
    if terminal && own_dev {
        devices::mount_console(steps)?;
    }
    points.finish().map_err(|source| SandboxError::MountPoint {
        target: "/".into(),
        source,
    })?;
    Ok(points)
}

/// Those that every process has, but for those that the caller replaces, and the caller's own; each
/// after what it is beneath.
fn in_order(
    spec: &Spec,
    host: &Host,
    devpts: Option<OwnedFd>,
) -> Result<Vec<Planned>, SandboxError> {
    let mut all = usual::usual(spec, host, devpts)?;
    let mut asked = Vec::new();
    for mount in &spec.mounts {
        asked.push(own(spec, mount)?);
    }
    all.retain(|usual| asked.iter().all(|mount| mount.target != usual.target));
    all.extend(asked);
    all.sort_by_key(|planned| planned.target.components().count());
    Ok(all)
}

fn own(spec: &Spec, mount: &Mount) -> Result<Planned, SandboxError> {
    if !mount.target.is_absolute() {
        return Err(SandboxError::Relative {
            what: "mount target",
            path: mount.target.clone(),
        });
    }
    let target = normalized(&mount.target);
    let flags = restricted(spec, mount.flags);
    let source = match &mount.kind {
        MountKind::Proc | MountKind::Sysfs | MountKind::Mqueue | MountKind::Cgroup(_) => {
            Source::Later(mount.kind.clone())
        }
        kind => Source::Ready {
            mount: detach(kind, flags).map_err(|source| SandboxError::Mount {
                target: target.clone(),
                source,
            })?,
            lasting: !matches!(kind, MountKind::Tmpfs { .. } | MountKind::Devpts),
        },
    };
    Ok(Planned {
        target,
        flags,
        source,
    })
}

fn make_mount_point(
    planned: &Planned,
    places: &[Place],
    points: &mut MountPoints,
) -> Result<(), SandboxError> {
    let fail = |source| SandboxError::MountPoint {
        target: planned.target.clone(),
        source,
    };
    let deepest = places
        .iter()
        .filter(|place| planned.target.starts_with(&place.target))
        .max_by_key(|place| place.target.components().count());
    // The kernel's own file systems have what they have.
    let Some(Place {
        target,
        root: Some(root),
        lasting,
    }) = deepest
    else {
        return Ok(());
    };
    let inside = planned
        .target
        .strip_prefix(target)
        .unwrap_or(&planned.target);
    if inside.as_os_str().is_empty() {
        // It covers what is there.
        return Ok(());
    }
    let is_dir = planned.is_dir().map_err(fail)?;
    points.make(root, inside, is_dir, *lasting).map_err(fail)
}

fn attach(planned: Planned, steps: &mut Steps) -> Result<Place, SandboxError> {
    let Planned {
        target,
        flags,
        source,
    } = planned;
    let at = std::ffi::CString::new(target.as_os_str().as_bytes()).map_err(|_| {
        SandboxError::NulByte {
            what: "mount target",
            text: target.display().to_string(),
        }
    })?;
    let label = format!("mount {}", target.display());
    match source {
        Source::Ready { mount, lasting } => {
            let root = Some(Root::from_fd(duplicate(&mount)?));
            steps.push(label, Step::Attach { mount, target: at });
            if flags.contains(MountFlags::READ_ONLY) && !lasting {
                // A file system that had to be filled first.
                let path = text("mount target", &target.to_string_lossy())?;
                steps.push("make it read-only", Step::Remount { path, flags });
            }
            Ok(Place {
                target,
                root,
                lasting,
            })
        }
        Source::Later(kind) => {
            let (fs_type, options) = match &kind {
                MountKind::Proc => (c"proc", String::new()),
                MountKind::Sysfs => (c"sysfs", String::new()),
                MountKind::Mqueue => (c"mqueue", String::new()),
                MountKind::Cgroup(CgroupMount::Legacy(controllers)) => {
                    (c"cgroup", controllers.to_string_lossy().into_owned())
                }
                _ => (c"cgroup2", String::new()),
            };
            let options = text("mount option", &options)?;
            steps.push(
                label,
                Step::Mount {
                    fs_type,
                    target: at,
                    flags,
                    options,
                },
            );
            Ok(Place {
                target,
                root: None,
                lasting: false,
            })
        }
    }
}

/// Whether the caller leaves this target to us.
pub(crate) fn is_ours(spec: &Spec, target: &Path) -> bool {
    !is_asked(spec, target)
}

fn is_asked(spec: &Spec, target: &Path) -> bool {
    spec.mounts
        .iter()
        .any(|mount| normalized(&mount.target) == target)
}

/// The flags that a mount has at least; see [`devices`].
pub(super) fn restricted(spec: &Spec, flags: MountFlags) -> MountFlags {
    match spec.security {
        Security::Sandbox => flags | MountFlags::NO_DEV,
        Security::Insecure => flags,
    }
}

fn duplicate(fd: &OwnedFd) -> Result<OwnedFd, SandboxError> {
    fd.as_fd()
        .try_clone_to_owned()
        .map_err(|source| SandboxError::Setup {
            what: "duplicate a descriptor".into(),
            source,
        })
}

/// Without `.` and `..`, which no mount table has.
fn normalized(path: &Path) -> PathBuf {
    let mut normalized = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => normalized.push(name),
            Component::ParentDir => {
                normalized.pop();
            }
            _ => {}
        }
    }
    normalized
}
