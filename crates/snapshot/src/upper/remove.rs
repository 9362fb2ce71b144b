//! Removes a directory with all that is in it, however deep, with one descriptor and no recursion.

use std::ffi::{CStr, CString, OsStr};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, openat, unlinkat};
use rustix::io::Errno;

/// Removes `name` in `dir`; a link is removed itself.
pub(crate) fn remove_tree(dir: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    let name = CString::new(name.as_bytes()).map_err(|_| Errno::INVAL)?;
    match unlinkat(dir, &name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        result => return result,
    }
    // Each round goes down to a directory without directories in it, then one up. Paths are never
    // used, so none can be too long, and one descriptor is enough for any depth.
    let mut current = open_dir(dir, &name)?;
    let mut names = vec![name];
    while let Some(name) = names.last() {
        if let Some(child) = first_directory(current.as_fd())? {
            current = open_dir(current.as_fd(), &child)?;
            names.push(child);
            continue;
        }
        if names.len() == 1 {
            return unlinkat(dir, name, AtFlags::REMOVEDIR);
        }
        current = open_dir(current.as_fd(), c"..")?;
        unlinkat(&current, name, AtFlags::REMOVEDIR)?;
        names.pop();
    }
    Ok(())
}

/// Removes all that is no directory; the first name that is one.
fn first_directory(dir: BorrowedFd<'_>) -> Result<Option<CString>, Errno> {
    let fd = openat(
        dir,
        c".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let mut buffer = [const { MaybeUninit::uninit() }; 16 * 1024];
    let mut names = RawDir::new(fd.as_fd(), &mut buffer);
    while let Some(next) = names.next() {
        let next = next?;
        let name = next.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if next.file_type() == FileType::Directory {
            return Ok(Some(name.to_owned()));
        }
        match unlinkat(dir, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => return Ok(Some(name.to_owned())),
            result => result?,
        }
    }
    Ok(None)
}

fn open_dir(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty())
}
