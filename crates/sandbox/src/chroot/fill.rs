//! `/dev`, `/proc` and `/sys`, as far as they can be had.
//!
//! `/dev` has Docker's devices. `/proc` has copies of those of the machine's files that programs ask
//! for its size; nothing of it tells of processes. `/sys` is empty. What the step writes there goes.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, chmodat, openat};
use rustix::io::Errno;

use super::place::Placed;
use crate::error::SandboxError;
use crate::plan::{is_ours, make_devices};
use crate::spec::Spec;

/// What programs read to learn how large the machine is.
const OF_MACHINE: [&str; 8] = [
    "cpuinfo",
    "filesystems",
    "loadavg",
    "meminfo",
    "stat",
    "uptime",
    "version",
    "vmstat",
];

/// Places what every process has, but for what the caller replaces.
pub(super) fn usual(spec: &Spec, placed: &mut Placed) -> Result<(), SandboxError> {
    for (target, fill) in [
        (
            "/dev",
            devices as fn(&Spec, &Path) -> Result<(), SandboxError>,
        ),
        ("/proc", machine),
        ("/sys", nothing),
    ] {
        if is_ours(spec, Path::new(target)) {
            let made = placed.new_directory(0o755)?;
            fill(spec, &made)?;
            placed.put_new(&made, Path::new(target))?;
        }
    }
    Ok(())
}

fn nothing(_: &Spec, _: &Path) -> Result<(), SandboxError> {
    Ok(())
}

fn devices(spec: &Spec, directory: &Path) -> Result<(), SandboxError> {
    let failed = |errno: Errno| SandboxError::Setup {
        what: "fill /dev".into(),
        source: errno.into(),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dev = openat(CWD, directory, flags, Mode::empty()).map_err(failed)?;
    make_devices(dev.as_fd(), spec).map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => SandboxError::MakeDevices(error),
        _ => SandboxError::Setup {
            what: "fill /dev".into(),
            source: error,
        },
    })?;
    let anybodys = Mode::from_raw_mode(0o1777);
    chmodat(&dev, "shm", anybodys, AtFlags::empty()).map_err(failed)?;
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    match openat(&dev, "null", flags, Mode::empty()) {
        Err(Errno::ACCESS | Errno::PERM) => Err(SandboxError::DeadDevices(directory.to_owned())),
        result => result.map(drop).map_err(failed),
    }
}

fn machine(_: &Spec, directory: &Path) -> Result<(), SandboxError> {
    for name in OF_MACHINE {
        // What we may not read nobody is told.
        let Ok(text) = std::fs::read(Path::new("/proc").join(name)) else {
            continue;
        };
        let path = directory.join(name);
        std::fs::write(&path, text).map_err(|source| SandboxError::Setup {
            what: format!("write /proc/{name}"),
            source,
        })?;
    }
    Ok(())
}
