//! `/dev`.
//!
//! The nodes are made on a file system of the process's own, so that changing their modes changes
//! nothing on the host. Root in there may make further nodes anywhere (package scripts do), and a
//! node for the host's disk must not open: so every mount is without devices, `/dev` too, and each
//! node that is meant to work is mounted on itself with devices allowed.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, mkdirat, openat, symlinkat};
use sys::mount::{MountFlags, MountKind, detach};
use sys::node::{self, Device};
use sys::process::Step;

use super::{Steps, text};
use crate::error::SandboxError;
use crate::spec::Security;

/// 64 MiB, as Docker has it.
const SIZE: u64 = 64 << 20;

struct Node {
    name: &'static str,
    file_type: FileType,
    mode: u32,
    major: u32,
    minor: u32,
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
pub(super) fn create(security: Security, terminal: bool) -> Result<OwnedFd, SandboxError> {
    let kind = MountKind::Tmpfs {
        size: Some(SIZE),
        mode: 0o755,
    };
    let dev = detach(&kind, MountFlags::NO_SUID).map_err(|source| SandboxError::Mount {
        target: "/dev".into(),
        source,
    })?;
    fill(dev.as_fd(), security, terminal).map_err(|source| SandboxError::Setup {
        what: "fill /dev".into(),
        source,
    })?;
    Ok(dev)
}

/// What the process does once it is mounted.
pub(super) fn restrict(steps: &mut Steps) -> Result<(), SandboxError> {
    for node in USUAL {
        let path = text("path", &format!("/dev/{}", node.name))?;
        let keep = Step::Bind {
            source: path.clone(),
            target: path,
        };
        steps.push(format!("keep /dev/{}", node.name), keep);
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

fn fill(dev: BorrowedFd<'_>, security: Security, terminal: bool) -> io::Result<()> {
    let directory = Mode::from_raw_mode(0o755);
    for name in DIRECTORIES {
        mkdirat(dev, name, directory)?;
    }
    for node in USUAL {
        make(dev, &node)?;
    }
    for (name, target) in LINKS {
        symlinkat(target, dev, name)?;
    }
    if security == Security::Insecure {
        mkdirat(dev, "net", directory)?;
        for node in INSECURE {
            make(dev, &node)?;
        }
    }
    if terminal {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        openat(dev, "console", flags, Mode::from_raw_mode(0o600))?;
    }
    Ok(())
}

fn make(dev: BorrowedFd<'_>, node: &Node) -> io::Result<()> {
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
