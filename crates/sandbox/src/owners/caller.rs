//! The process that has made a call: its memory, and names as it means them.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{chroot, fchdir};
use sys::process::other;
use sys::seccomp::{Listener, Notification};

/// `AT_FDCWD`, as far as it counts.
const WORKING_DIRECTORY: i32 = -100;
/// The longest path that the kernel takes.
const MAX_PATH: usize = 4096;
/// Reads of memory end where a page does, behind which there may be nothing.
const PAGE: u64 = 4096;

/// The directories of our own thread, which has them to itself.
#[derive(Debug)]
pub(super) struct Directories(());

/// A process that waits for an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'a> {
    pub(super) notification: &'a Notification,
    pub(super) listener: &'a Listener,
    pub(super) directories: &'a Directories,
}

impl Directories {
    /// Makes those of this thread its own.
    pub(super) fn new() -> Result<Directories, Errno> {
        other::unshare_directories()?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        fchdir(openat(CWD, c"/", flags, Mode::empty())?)?;
        Ok(Directories(()))
    }

    /// Does something with another root, and comes back.
    fn within<T>(&self, root: &str, act: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
        chroot(root)?;
        let result = act();
        // The thread's directory is still the root that it has left.
        chroot(c".")?;
        result
    }
}

impl Caller<'_> {
    pub(super) const fn pid(&self) -> i32 {
        self.notification.pid
    }

    /// An argument that is a number of 32 bits.
    pub(super) const fn number(&self, index: usize) -> u32 {
        self.notification.arguments[index] as u32
    }

    /// An argument that is an address, or a number of 64 bits.
    pub(super) const fn long(&self, index: usize) -> u64 {
        self.notification.arguments[index]
    }

    /// The text at an address.
    pub(super) fn text(&self, address: u64) -> Result<CString, Errno> {
        let mut text = Vec::new();
        let mut buffer = [0; 256];
        while text.len() < MAX_PATH {
            let at = address.wrapping_add(text.len() as u64);
            let room = usize::try_from(PAGE - at % PAGE).unwrap_or(1);
            let room = room.min(buffer.len());
            let length = other::read_memory(self.pid(), at, &mut buffer[..room])?;
            let read = &buffer[..length];
            match read.iter().position(|byte| *byte == 0) {
                Some(end) => {
                    text.extend_from_slice(&read[..end]);
                    return CString::new(text).map_err(|_| Errno::INVAL);
                }
                None if length == 0 => return Err(Errno::FAULT),
                None => text.extend_from_slice(read),
            }
        }
        Err(Errno::NAMETOOLONG)
    }

    /// The file that a descriptor of the process is of.
    pub(super) fn open_descriptor(&self, number: u32) -> Result<OwnedFd, Errno> {
        self.open_own(&format!("fd/{number}"))
    }

    /// The file that `path` names, seen from the directory that is open as `directory`. Nothing of it
    /// is read or written.
    pub(super) fn open(
        &self,
        directory: u32,
        path: &OsStr,
        follow: bool,
    ) -> Result<OwnedFd, Errno> {
        if let Some(number) = own_descriptor(path).filter(|_| follow) {
            return self.open_descriptor(number);
        }
        if path.as_bytes().starts_with(b"/") {
            return self.open_at(CWD, path, follow);
        }
        self.open_at(self.open_directory(directory)?.as_fd(), path, follow)
    }

    /// The same from an open directory.
    pub(super) fn open_at(
        &self,
        directory: BorrowedFd<'_>,
        path: &OsStr,
        follow: bool,
    ) -> Result<OwnedFd, Errno> {
        let mut flags = OFlags::PATH | OFlags::CLOEXEC;
        flags.set(OFlags::NOFOLLOW, !follow);
        let root = format!("/proc/{}/root", self.pid());
        let open = || openat(directory, path, flags, Mode::empty());
        self.directories.within(&root, open)
    }

    /// The directory that relative paths begin in.
    pub(super) fn open_directory(&self, directory: u32) -> Result<OwnedFd, Errno> {
        match directory.cast_signed() {
            WORKING_DIRECTORY => self.open_own("cwd"),
            number if number < 0 => Err(Errno::BADF),
            _ => self.open_descriptor(directory),
        }
    }

    fn open_own(&self, what: &str) -> Result<OwnedFd, Errno> {
        let path = format!("/proc/{}/{what}", self.pid());
        openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
    }

    /// The umask of the process.
    pub(super) fn umask(&self) -> Result<u32, Errno> {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).map_err(|_| Errno::SRCH)?;
        let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        mask.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok())
            .ok_or(Errno::SRCH)
    }

    /// Writes to the memory of the process.
    pub(super) fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.check()?;
        other::write_memory(self.pid(), address, bytes)
    }

    /// Fails if the process is gone, so that what was found by its number may be another's.
    pub(super) fn check(&self) -> Result<(), Errno> {
        match self.listener.is_waiting(self.notification) {
            true => Ok(()),
            false => Err(Errno::SRCH),
        }
    }
}

/// The directory in which a path's last component is, and that component.
pub(super) fn split(path: &OsStr) -> Option<(&OsStr, &OsStr)> {
    let bytes = path.as_bytes();
    let end = bytes.iter().rposition(|byte| *byte != b'/')? + 1;
    let start = bytes[..end].iter().rposition(|byte| *byte == b'/');
    let name = &bytes[start.map_or(0, |slash| slash + 1)..end];
    let parent = match start {
        None => &b"."[..],
        Some(slash) => &bytes[..=slash],
    };
    if matches!(name, b"." | b"..") {
        return None;
    }
    Some((OsStr::from_bytes(parent), OsStr::from_bytes(name)))
}

/// The names of a process's own descriptors lead nowhere for others.
fn own_descriptor(path: &OsStr) -> Option<u32> {
    let number = match path.to_str()? {
        "/dev/stdin" => "0",
        "/dev/stdout" => "1",
        "/dev/stderr" => "2",
        path => path
            .strip_prefix("/proc/self/fd/")
            .or_else(|| path.strip_prefix("/dev/fd/"))?,
    };
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_paths() {
        let check = |path, expected: Option<(&str, &str)>| {
            let expected = expected.map(|(parent, name)| (OsStr::new(parent), OsStr::new(name)));
            assert_eq!(split(OsStr::new(path)), expected, "{path}");
        };
        check("a", Some((".", "a")));
        check("/a", Some(("/", "a")));
        check("/a/b//", Some(("/a/", "b")));
        check("a/../b", Some(("a/../", "b")));
        check("/", None);
        check("", None);
        check("a/..", None);
        assert_eq!(own_descriptor(OsStr::new("/dev/stderr")), Some(2));
        assert_eq!(own_descriptor(OsStr::new("/dev/fd/12")), Some(12));
        assert_eq!(own_descriptor(OsStr::new("/dev/fd/1/x")), None);
        assert_eq!(own_descriptor(OsStr::new("/etc/passwd")), None);
    }
}
