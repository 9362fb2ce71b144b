//! `/dev`.
//!
//! The nodes are made on a file system of the process's own, so that changing their modes changes
//! nothing on the host. Root in there may make further nodes anywhere (package scripts do), and a
//! node for the host's disk must not open: so every mount is without devices, `/dev` too, and each
//! node that is meant to work is mounted on itself with devices allowed.
//!
//! In a user namespace no node can be made. There the host's own are mounted on empty files.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, chownat, mkdirat, openat, statat, symlinkat,
};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use sys::mount::{MountFlags, MountKind, detach};
use sys::node::{self, Device};
use sys::process::Step;

use super::{Host, Steps, text};
use crate::error::SandboxError;
use crate::spec::{DeviceKind, DeviceNode, Security, Spec};

/// 64 MiB, as Docker has it.
const SIZE: u64 = 64 << 20;

struct Node {
    name: Cow<'static, str>,
    file_type: FileType,
    mode: u32,
    major: u32,
    minor: u32,
}

impl Node {
    const fn device(&self) -> Device {
        Device {
            major: self.major,
            minor: self.minor,
        }
    }

    fn is_on_host(&self) -> bool {
        let path = Path::new("/dev").join(&*self.name);
        is_on_host(&path, self.file_type, self.device())
    }
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

/// What a process that is not held back has as well, with [`loops`].
const INSECURE: [Node; 6] = [
    character("kmsg", 0o600, 1, 11),
    character("cuse", 0o600, 10, 203),
    character("fuse", 0o600, 10, 229),
    character("kvm", 0o600, 10, 232),
    character("net/tun", 0o600, 10, 200),
    character("loop-control", 0o600, 10, 237),
];

const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

/// Where the kernel lists block devices.
const BLOCK: &str = "/sys/block";

/// Mount points of what is beneath.
const DIRECTORIES: [&str; 3] = ["pts", "shm", "mqueue"];

/// Makes the file system with all that is in it.
pub(super) fn create(spec: &Spec, host: &Host, terminal: bool) -> Result<OwnedFd, SandboxError> {
    let kind = MountKind::Tmpfs {
        size: Some(SIZE),
        mode: 0o755,
    };
    let dev = detach(&kind, MountFlags::NO_SUID).map_err(|source| SandboxError::Mount {
        target: "/dev".into(),
        source,
    })?;
    let makes_nodes = host.identities.are_whole();
    fill(dev.as_fd(), spec, makes_nodes, terminal).map_err(|source| SandboxError::Setup {
        what: "fill /dev".into(),
        source,
    })?;
    Ok(dev)
}

/// Makes all that every process has in `/dev`, in a directory that stands for it.
pub(crate) fn make_all(dev: BorrowedFd<'_>, spec: &Spec) -> io::Result<()> {
    fill(dev, spec, true, false)
}

/// What the process does once it is mounted, so that only the devices that are there now work.
pub(super) fn restrict(spec: &Spec, host: &Host, steps: &mut Steps) -> Result<(), SandboxError> {
    // Those of the host are mounts already.
    if host.identities.are_whole() {
        keep(spec, steps)?;
    }
    let flags = MountFlags::NO_SUID | MountFlags::NO_DEV;
    let remount = Step::Remount {
        path: text("path", "/dev")?,
        flags,
    };
    steps.push("forbid other devices in /dev", remount);
    Ok(())
}

fn keep(spec: &Spec, steps: &mut Steps) -> Result<(), SandboxError> {
    let usual = USUAL.into_iter().filter(|node| !is_replaced(node, spec));
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
    Ok(())
}

/// What the process does once it is mounted where no nodes can be made.
pub(super) fn borrow(spec: &Spec, steps: &mut Steps) -> Result<(), SandboxError> {
    for node in all_usual(spec) {
        let path = Path::new("/dev").join(&*node.name);
        // Of what is not in every process's /dev the host may lack some.
        if node.is_on_host() {
            attach_from_host(&path, steps)?;
        }
    }
    for node in &spec.devices {
        match node.kind {
            DeviceKind::Pipe => {}
            DeviceKind::Block(device) | DeviceKind::Character(device)
                if is_on_host(&node.path, node.kind.file_type(), device) =>
            {
                attach_from_host(&node.path, steps)?;
            }
            _ => return Err(SandboxError::NoHostDevice(node.path.clone())),
        }
    }
    Ok(())
}

fn attach_from_host(path: &Path, steps: &mut Steps) -> Result<(), SandboxError> {
    let kind = MountKind::Bind {
        source: path.to_owned(),
        recursive: false,
    };
    let fail = |source| SandboxError::Mount {
        target: path.to_owned(),
        source,
    };
    let mount = detach(&kind, MountFlags::NO_SUID | MountFlags::NO_EXEC).map_err(fail)?;
    let target = text("path", &path.to_string_lossy())?;
    steps.push(
        format!("mount {}", path.display()),
        Step::Attach { mount, target },
    );
    Ok(())
}

/// Whether the host has this very device there.
fn is_on_host(path: &Path, file_type: FileType, device: Device) -> bool {
    statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == file_type
            && Device::from_raw(stat.st_rdev) == device
    })
}

/// What the process does once its terminals are mounted too: the only one is its console.
pub(super) fn mount_console(steps: &mut Steps) -> Result<(), SandboxError> {
    let (source, target) = (text("path", "/dev/pts/0")?, text("path", "/dev/console")?);
    steps.push("mount /dev/console", Step::Bind { source, target });
    Ok(())
}

fn fill(dev: BorrowedFd<'_>, spec: &Spec, makes_nodes: bool, terminal: bool) -> io::Result<()> {
    let directory = Mode::from_raw_mode(0o755);
    for name in DIRECTORIES {
        mkdirat(dev, name, directory)?;
    }
    for node in all_usual(spec) {
        if makes_nodes {
            make(dev, &node)?;
        } else if node.is_on_host() {
            make_place(dev, Path::new(&*node.name))?;
        }
    }
    for node in &spec.devices {
        if makes_nodes || node.kind == DeviceKind::Pipe {
            make_own(dev, node)?;
        } else {
            make_place(dev, node.path.strip_prefix("/dev").unwrap_or(&node.path))?;
        }
    }
    for (name, target) in LINKS {
        symlinkat(target, dev, name)?;
    }
    if terminal {
        make_place(dev, Path::new("console"))?;
    }
    Ok(())
}

/// The usual nodes that the caller does not replace.
fn all_usual(spec: &Spec) -> impl Iterator<Item = Node> + '_ {
    let more = match spec.security {
        Security::Sandbox => Vec::new(),
        Security::Insecure => INSECURE
            .into_iter()
            .chain(loops(Path::new(BLOCK)))
            .collect(),
    };
    USUAL
        .into_iter()
        .chain(more)
        .filter(|node| !is_replaced(node, spec))
}

/// Loop devices, and so many that some are free whichever the machine uses: `mount -o loop` takes
/// the one that the kernel says is free.
fn loops(block: &Path) -> impl Iterator<Item = Node> {
    const FREE: u32 = 8;
    const MOST: u32 = 1024;
    let is_used = |minor: &u32| {
        let file = block.join(format!("loop{minor}/loop/backing_file"));
        file.exists()
    };
    let used = (0..MOST).take_while(is_used).count();
    let used = u32::try_from(used).unwrap_or(MOST);
    (0..used + FREE).map(disk)
}

/// An empty file, to mount something on.
fn make_place(dev: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    make_directories(dev, path)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    openat(dev, path, flags, Mode::from_raw_mode(0o600))?;
    Ok(())
}

/// Whether the caller has something else at the path of a usual node.
fn is_replaced(node: &Node, spec: &Spec) -> bool {
    let at = Path::new("/dev").join(&*node.name);
    spec.devices.iter().any(|own| own.path == at)
}

fn make_own(dev: BorrowedFd<'_>, node: &DeviceNode) -> io::Result<()> {
    let inside = node.path.strip_prefix("/dev").unwrap_or(&node.path);
    let device = match node.kind {
        DeviceKind::Block(device) | DeviceKind::Character(device) => device,
        DeviceKind::Pipe => Device::default(),
    };
    make_directories(dev, inside)?;
    let mode = Mode::from_raw_mode(node.mode & 0o7777);
    node::create(dev, inside.as_os_str(), node.kind.file_type(), mode, device)?;
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
    make_directories(dev, Path::new(&*node.name))?;
    node::create(
        dev,
        OsStr::new(&*node.name),
        node.file_type,
        Mode::from_raw_mode(node.mode),
        node.device(),
    )
}

const fn character(name: &'static str, mode: u32, major: u32, minor: u32) -> Node {
    Node {
        name: Cow::Borrowed(name),
        file_type: FileType::CharacterDevice,
        mode,
        major,
        minor,
    }
}

fn disk(minor: u32) -> Node {
    const LOOP: u32 = 7;
    Node {
        name: format!("loop{minor}").into(),
        file_type: FileType::BlockDevice,
        mode: 0o660,
        major: LOOP,
        minor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loop_devices_beyond_those_in_use() {
        let block = tempfile::tempdir().unwrap();
        let names = || -> Vec<_> { loops(block.path()).map(|node| node.name).collect() };
        assert_eq!(names().last().map(|name| &**name), Some("loop7"));
        for used in [0, 1, 3] {
            let device = block.path().join(format!("loop{used}/loop"));
            std::fs::create_dir_all(&device).unwrap();
            std::fs::write(device.join("backing_file"), "/disk").unwrap();
        }
        let names = names();
        assert_eq!((names.len(), &*names[9]), (10, "loop9"));
    }
}
