//! Path resolution beneath a root without `openat2`: one component at a time, never letting the
//! kernel follow a link.
//!
//! The directories entered so far are kept open as a stack, so `..` goes to where we came from and
//! never above the root, also when the tree is moved meanwhile.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::Errno;

/// The kernel's own limit on links in one path.
const MAX_LINKS: usize = 40;

pub(super) fn open(
    root: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd, Errno> {
    let mut entered: Vec<OwnedFd> = Vec::new();
    let mut todo: VecDeque<OsString> = components(path.as_os_str());
    let mut links = 0;
    while let Some(name) = todo.pop_front() {
        let here = entered.last().map_or(root, AsFd::as_fd);
        let last = todo.is_empty();
        match name.as_bytes() {
            b"." => continue,
            b".." => {
                entered.pop();
                continue;
            }
            _ => {}
        }
        if let Some(target) = link_target(here, &name)?
            && !(last && flags.contains(OFlags::NOFOLLOW))
        {
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::LOOP);
            }
            if target.as_bytes().first() == Some(&b'/') {
                entered.clear();
            }
            for component in components(&target).into_iter().rev() {
                todo.push_front(component);
            }
            continue;
        }
        if last && !flags.contains(OFlags::DIRECTORY) {
            return openat(here, &name, flags | OFlags::NOFOLLOW, mode);
        }
        let dir_flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        entered.push(openat(here, &name, dir_flags, Mode::empty())?);
    }
    let here = entered.last().map_or(root, AsFd::as_fd);
    openat(here, ".", flags, mode)
}

/// The names of a path; a trailing slash asks for a directory, so it becomes a last `.`.
fn components(path: &OsStr) -> VecDeque<OsString> {
    let bytes = path.as_bytes();
    let mut names: VecDeque<OsString> = bytes
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
        .map(|name| OsStr::from_bytes(name).to_owned())
        .collect();
    if bytes.ends_with(b"/") {
        names.push_back(".".into());
    }
    names
}

/// Where the link `name` leads; nothing if it is no link, or does not exist. A magic link is not
/// followed, and shows as the loop that `openat2` reports.
fn link_target(dir: BorrowedFd<'_>, name: &OsStr) -> Result<Option<OsString>, Errno> {
    let stat = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        result => result?,
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        return Ok(None);
    }
    if is_magic(dir)? {
        return Err(Errno::LOOP);
    }
    let target = readlinkat(dir, name, Vec::new())?;
    Ok(Some(OsStr::from_bytes(target.as_bytes()).to_owned()))
}

/// Links in a process's own directory of `/proc` are the magic ones; `/proc/self` is not, but leads
/// there.
fn is_magic(dir: BorrowedFd<'_>) -> Result<bool, Errno> {
    const PROC_SUPER_MAGIC: i64 = 0x9fa0;
    Ok(rustix::fs::fstatfs(dir)?.f_type == PROC_SUPER_MAGIC)
}
