//! `/dev`.
//!
//! The nodes are made on a file system of the process's own, so that changing their modes changes
//! nothing on the host. Root in there may make further nodes anywhere (package scripts do), and a
//! node for the host's disk must not open: so every mount is without devices, `/dev` too, and each
//! node that is meant to work is mounted on itself with devices allowed.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, chownat, mkdirat, openat, symlinkat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use sys::mount::{MountFlags, MountKind, detach};
use sys::node::{self, Device};
use sys::process::Step;

use super::{Steps, text};
use crate::error::SandboxError;
use crate::spec::{DeviceKind, DeviceNode, Security, Spec};

/// 64 MiB, as Docker has it.
const SIZE: u64 = 64 << 20;

struct Node {
    name: &'static str,
    file_type: FileType,
    mode: u32,
    major: u32,
    minor: u32,
}

/// Whether a device node can be at `path`: in `/dev`, and in nothing that is mounted there.
#[must_use]
pub fn is_device_path(path: &Path) -> bool {
    let plain = path
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let Ok(inside) = path.strip_prefix("/dev") else {
        return false;
    };
    let mut names = inside.iter();
    let first = names.next();
    let is_taken = |first: &OsStr| DIRECTORIES.iter().any(|directory| first == *directory);
    plain && first.is_some_and(|first| !is_taken(first))
}

/// What every process has.
const USUAL: [Node; 6] = [
    character("null", 0o666, 1, 3),
    character("zero", 0o666, 1, 5),
    character("full", 0o666, 1, 7),
    character("random", 0o666, 1, 8),
    character("urandom", 0o666, 1, 9),
    character("tty", 0o666, 5, 0),
];

/// What a process that is not held back has as well.
const INSECURE: [Node; 14] = [
    character("kmsg", 0o600, 1, 11),
    character("cuse", 0o600, 10, 203),
    character("fuse", 0o600, 10, 229),
    character("kvm", 0o600, 10, 232),
    character("net/tun", 0o600, 10, 200),
    character("loop-control", 0o600, 10, 237),
    disk("loop0", 0),
    disk("loop1", 1),
    disk("loop2", 2),
    disk("loop3", 3),
    disk("loop4", 4),
    disk("loop5", 5),
    disk("loop6", 6),
    disk("loop7", 7),
];

const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// Mount points of what is beneath.
const DIRECTORIES: [&str; 3] = ["pts", "shm", "mqueue"];

/// Makes the file system with all that is in it.
pub(super) fn create(spec: &Spec, terminal: bool) -> Result<OwnedFd, SandboxError> {
    let kind = MountKind::Tmpfs {
        size: Some(SIZE),
        mode: 0o755,
    };
    let dev = detach(&kind, MountFlags::NO_SUID).map_err(|source| SandboxError::Mount {
        target: "/dev".into(),
        source,
    })?;
    fill(dev.as_fd(), spec, terminal).map_err(|source| SandboxError::Setup {
        what: "fill /dev".into(),
        source,
    })?;
    Ok(dev)
}

/// What the process does once it is mounted.
pub(super) fn restrict(spec: &Spec, steps: &mut Steps) -> Result<(), SandboxError> {
    let usual = USUAL.iter().filter(|node| !is_replaced(node, spec));
    let usual = usual.map(|node| format!("/dev/{}", node.name));
    let own = spec
        .devices
        .iter()
        .map(|node| node.path.display().to_string());
    for path in usual.chain(own) {
        let at = text("path", &path)?;
        let keep = Step::Bind {
            source: at.clone(),
            target: at,
        };
        steps.push(format!("keep {path}"), keep);
    }
    let flags = MountFlags::NO_SUID | MountFlags::NO_DEV;
    let remount = Step::Remount {
        path: text("path", "/dev")?,
        flags,
    };
    steps.push("forbid other devices in /dev", remount);
    Ok(())
}

/// What the process does once its terminals are mounted too: the only one is its console.
pub(super) fn mount_console(steps: &mut Steps) -> Result<(), SandboxError> {
    let (source, target) = (text("path", "/dev/pts/0")?, text("path", "/dev/console")?);
    steps.push("mount /dev/console", Step::Bind { source, target });
    Ok(())
}

fn fill(dev: BorrowedFd<'_>, spec: &Spec, terminal: bool) -> io::Result<()> {
    let directory = Mode::from_raw_mode(0o755);
    for name in DIRECTORIES {
        mkdirat(dev, name, directory)?;
    }
    let all_usual: &[&[Node]] = match spec.security {
        Security::Sandbox => &[&USUAL],
        Security::Insecure => &[&USUAL, &INSECURE],
    };
    for node in all_usual.iter().copied().flatten() {
        if !is_replaced(node, spec) {
            make(dev, node)?;
        }
    }
    for node in &spec.devices {
        make_own(dev, node)?;
    }
    for (name, target) in LINKS {
        symlinkat(target, dev, name)?;
    }
    if terminal {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        openat(dev, "console", flags, Mode::from_raw_mode(0o600))?;
    }
    Ok(())
}

/// Whether the caller has something else at the path of a usual node.
fn is_replaced(node: &Node, spec: &Spec) -> bool {
    let at = Path::new("/dev").join(node.name);
    spec.devices.iter().any(|own| own.path == at)
}

fn make_own(dev: BorrowedFd<'_>, node: &DeviceNode) -> io::Result<()> {
    let inside = node.path.strip_prefix("/dev").unwrap_or(&node.path);
    let (file_type, device) = match node.kind {
        DeviceKind::Block(device) => (FileType::BlockDevice, device),
        DeviceKind::Character(device) => (FileType::CharacterDevice, device),
        DeviceKind::Pipe => (FileType::Fifo, Device::default()),
    };
    make_directories(dev, inside)?;
    let mode = Mode::from_raw_mode(node.mode & 0o7777);
    node::create(dev, inside.as_os_str(), file_type, mode, device)?;
    let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
    Ok(chownat(
        dev,
        inside,
        Some(uid),
        Some(gid),
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

/// Makes the directories above `path`.
fn make_directories(dev: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let above = path
        .ancestors()
        .skip(1)
        .filter(|above| *above != Path::new(""));
    for directory in above.collect::<Vec<_>>().into_iter().rev() {
        match mkdirat(dev, directory, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn make(dev: BorrowedFd<'_>, node: &Node) -> io::Result<()> {
    make_directories(dev, Path::new(node.name))?;
    let device = Device {
        major: node.major,
        minor: node.minor,
    };
    node::create(
        dev,
        OsStr::new(node.name),
        node.file_type,
        Mode::from_raw_mode(node.mode),
        device,
    )
}

const fn character(name: &'static str, mode: u32, major: u32, minor: u32) -> Node {
    Node {
        name,
        file_type: FileType::CharacterDevice,
        mode,
        major,
        minor,
    }
}

const fn disk(name: &'static str, minor: u32) -> Node {
    const LOOP: u32 = 7;
    Node {
        name,
        file_type: FileType::BlockDevice,
        mode: 0o660,
        major: LOOP,
        minor,
    }
}
