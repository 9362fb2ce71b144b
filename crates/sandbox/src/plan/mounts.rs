//! All mounts of a process, in the order in which they are attached.
//!
//! Those that depend on the process's namespaces are left for it to make; all others are made here.
//! A mount comes after those that it is beneath, and its mount point is made in the one that it
//! will be attached to.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, fstat, mkdirat, symlinkat};
use sys::Root;
use sys::mount::{CgroupMount, Mount, MountFlags, MountKind, detach};
use sys::process::Step;

use super::{Host, MountPoints, Steps, devices, text};
use crate::cgroup::Hierarchies;
use crate::error::SandboxError;
use crate::spec::{Security, Spec};

const SHM_SIZE: u64 = 64 << 20;

/// One mount to come.
struct Planned {
    target: PathBuf,
    flags: MountFlags,
    source: Source,
}

enum Source {
    /// Made already; `lasting` if what is in it outlives the process.
    Ready { mount: OwnedFd, lasting: bool },
    /// For the process to make.
    Later(MountKind),
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
    let root_error = |source| SandboxError::Mount {
        target: "/".into(),
        source,
    };
    let root = detach(&spec.root, restricted(spec, MountFlags::NONE)).map_err(root_error)?;
    let handle = duplicate(&root)?;
    steps.push("enter the root", Step::EnterRoot(root));
    let mut places = vec![Place {
        target: "/".into(),
        root: Some(Root::from_fd(handle)),
        lasting: true,
    }];
    let mut points = MountPoints::default();
    let terminal = devpts.is_some();
    let own_dev = is_ours(spec, Path::new("/dev"));
    for planned in in_order(spec, host, devpts)? {
        make_mount_point(&planned, &places, &mut points)?;
        let is_dev = planned.target == Path::new("/dev");
        places.push(attach(planned, steps)?);
        if is_dev && own_dev && spec.security == Security::Sandbox {
            devices::restrict(steps)?;
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
    let mut all = usual(spec, host, devpts)?;
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

fn usual(spec: &Spec, host: &Host, devpts: Option<OwnedFd>) -> Result<Vec<Planned>, SandboxError> {
    let closed = MountFlags::NO_SUID | MountFlags::NO_DEV | MountFlags::NO_EXEC;
    let system = match spec.security {
        Security::Sandbox => closed | MountFlags::READ_ONLY,
        Security::Insecure => closed,
    };
    let terminals = MountFlags::NO_SUID | MountFlags::NO_EXEC;
    let shm = MountKind::Tmpfs {
        size: Some(spec.shm_size.unwrap_or(SHM_SIZE)),
        mode: 0o1777,
    };
    let mut list = vec![
        later("/proc", MountKind::Proc, closed),
        later("/sys", MountKind::Sysfs, system),
        later("/dev/mqueue", MountKind::Mqueue, closed),
    ];
    if is_ours(spec, Path::new("/dev")) {
        list.push(ready(
            "/dev",
            devices::create(spec.security, devpts.is_some())?,
        ));
    }
    if is_ours(spec, Path::new("/dev/shm")) {
        list.push(ready("/dev/shm", made("/dev/shm", &shm, closed)?));
    }
    if is_ours(spec, Path::new("/dev/pts")) {
        let devpts = match devpts {
            Some(devpts) => devpts,
            None => made("/dev/pts", &MountKind::Devpts, terminals)?,
        };
        list.push(ready("/dev/pts", devpts));
    }
    if is_ours(spec, Path::new("/sys/fs/cgroup")) {
        list.extend(control_groups(&host.hierarchies, system)?);
    }
    Ok(list)
}

fn control_groups(
    hierarchies: &Hierarchies,
    flags: MountFlags,
) -> Result<Vec<Planned>, SandboxError> {
    const AT: &str = "/sys/fs/cgroup";
    let list = match hierarchies {
        Hierarchies::None => return Ok(Vec::new()),
        Hierarchies::Unified => {
            return Ok(vec![later(
                AT,
                MountKind::Cgroup(CgroupMount::Unified),
                flags,
            )]);
        }
        Hierarchies::Separate(list) => list,
    };
    // Filled first, so made writable; nothing in it is the host's.
    let above = made(
        AT,
        &MountKind::Tmpfs {
            size: None,
            mode: 0o755,
        },
        MountFlags::NO_SUID,
    )?;
    let fill = || -> rustix::io::Result<()> {
        for hierarchy in list {
            mkdirat(&above, &hierarchy.directory, Mode::from_raw_mode(0o755))?;
            for link in &hierarchy.links {
                symlinkat(&hierarchy.directory, &above, link)?;
            }
        }
        Ok(())
    };
    fill().map_err(|errno| SandboxError::MountPoint {
        target: AT.into(),
        source: errno.into(),
    })?;
    let mut planned = vec![Planned {
        target: AT.into(),
        flags,
        source: Source::Ready {
            mount: above,
            lasting: false,
        },
    }];
    planned.extend(list.iter().map(|hierarchy| {
        let target = format!("{AT}/{}", hierarchy.directory);
        later(&target, MountKind::Cgroup(hierarchy.mount.clone()), flags)
    }));
    Ok(planned)
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
    let is_dir = match &planned.source {
        Source::Later(_) => true,
        Source::Ready { mount, .. } => {
            let stat = fstat(mount).map_err(|errno| fail(errno.into()))?;
            FileType::from_raw_mode(stat.st_mode).is_dir()
        }
    };
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
fn is_ours(spec: &Spec, target: &Path) -> bool {
    !is_asked(spec, target)
}

fn is_asked(spec: &Spec, target: &Path) -> bool {
    spec.mounts
        .iter()
        .any(|mount| normalized(&mount.target) == target)
}

/// The flags that a mount has at least; see [`devices`].
fn restricted(spec: &Spec, flags: MountFlags) -> MountFlags {
    match spec.security {
        Security::Sandbox => flags | MountFlags::NO_DEV,
        Security::Insecure => flags,
    }
}

fn made(target: &str, kind: &MountKind, flags: MountFlags) -> Result<OwnedFd, SandboxError> {
    detach(kind, flags).map_err(|source| SandboxError::Mount {
        target: target.into(),
        source,
    })
}

fn ready(target: &str, mount: OwnedFd) -> Planned {
    let source = Source::Ready {
        mount,
        lasting: false,
    };
    Planned {
        target: target.into(),
        flags: MountFlags::NONE,
        source,
    }
}

fn later(target: &str, kind: MountKind, flags: MountFlags) -> Planned {
    Planned {
        target: target.into(),
        flags,
        source: Source::Later(kind),
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
