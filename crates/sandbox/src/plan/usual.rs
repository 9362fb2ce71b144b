//! The mounts that every process has, as Docker makes them: `/proc`, `/dev`, `/sys` and what is
//! beneath.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, mkdirat, symlinkat};
use sys::mount::{CgroupMount, MountFlags, MountKind, detach};

use super::Host;
use super::devices;
use super::mounts::{Planned, Source, is_ours};
use crate::cgroup::Hierarchies;
use crate::error::SandboxError;
use crate::spec::{Network, Security, Spec};

const SHM_SIZE: u64 = 64 << 20;
/// A directory in which something else is put.
const EMPTY: MountKind = MountKind::Tmpfs {
    size: None,
    mode: 0o755,
};

/// All but those that the caller replaces. `devpts` is the instance that the process's terminal is
/// in.
pub(super) fn usual(
    spec: &Spec,
    host: &Host,
    devpts: Option<OwnedFd>,
) -> Result<Vec<Planned>, SandboxError> {
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
        later("/dev/mqueue", MountKind::Mqueue, closed),
    ];
    if is_ours(spec, Path::new("/sys")) {
        list.push(sys(spec, host, system)?);
    }
    if is_ours(spec, Path::new("/dev")) {
        list.push(ready(
            "/dev",
            devices::create(spec, host, devpts.is_some())?,
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
        let over_hosts = is_ours(spec, Path::new("/sys")) && has_hosts_sys(spec, host);
        list.extend(control_groups(&host.hierarchies, over_hosts, system)?);
    }
    Ok(list)
}

/// `/sys` belongs to a network: a user namespace can mount that of a network of its own only, and
/// has the host's by a bind, which comes with all that is mounted there.
fn sys(spec: &Spec, host: &Host, flags: MountFlags) -> Result<Planned, SandboxError> {
    const AT: &str = "/sys";
    if !has_hosts_sys(spec, host) {
        return Ok(later(AT, MountKind::Sysfs, flags));
    }
    let of_host = MountKind::Bind {
        source: AT.into(),
        recursive: true,
    };
    Ok(ready(AT, made(AT, &of_host, flags)?))
}

fn has_hosts_sys(spec: &Spec, host: &Host) -> bool {
    !host.identities.are_whole() && spec.network == Network::Host
}

/// What is at `/sys/fs/cgroup`; `over_hosts` where that of the host is already.
fn control_groups(
    hierarchies: &Hierarchies,
    over_hosts: bool,
    flags: MountFlags,
) -> Result<Vec<Planned>, SandboxError> {
    const AT: &str = "/sys/fs/cgroup";
    let list = match hierarchies {
        Hierarchies::None => return Ok(Vec::new()),
        Hierarchies::Unified => {
            let own = later(AT, MountKind::Cgroup(CgroupMount::Unified), flags);
            // It is the same file system in all groups, and the kernel mounts none over itself.
            let between = match over_hosts {
                true => Some(ready(AT, made(AT, &EMPTY, flags)?)),
                false => None,
            };
            return Ok(between.into_iter().chain([own]).collect());
        }
        Hierarchies::Separate(list) => list,
    };
    // Filled first, so made writable; nothing in it is the host's.
    let above = made(AT, &EMPTY, MountFlags::NO_SUID)?;
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
