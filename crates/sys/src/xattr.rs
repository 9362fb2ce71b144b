//! Extended attributes of one file, never of what it links to.
//!
//! A [`Target`] is a path (its last component is not followed) or any descriptor, also one opened
//! with `O_PATH`, which the plain calls refuse. Names are as the kernel gives them, sorted.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{self, XattrFlags};
use rustix::io::Errno;

/// The kernel's limit on one value and on the list of names.
const MAX_SIZE: usize = 64 * 1024;
/// What is tried first, on the stack: most lists and values are far smaller.
const FIRST: usize = 512;

/// The file meant.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A path; a link at its end is meant itself.
    Path(&'a Path),
    /// An open file or directory, also by `O_PATH`.
    Fd(BorrowedFd<'a>),
}

impl<'a> From<&'a Path> for Target<'a> {
    fn from(path: &'a Path) -> Target<'a> {
        Target::Path(path)
    }
}

impl<'a> From<BorrowedFd<'a>> for Target<'a> {
    fn from(fd: BorrowedFd<'a>) -> Target<'a> {
        Target::Fd(fd)
    }
}

/// The names, sorted. A file system without extended attributes has none.
///
/// # Errors
/// As `listxattr(2)`.
pub fn list<'a>(target: impl Into<Target<'a>>) -> io::Result<Vec<OsString>> {
    let place = Place::new(target.into())?;
    let bytes = match sized(|buffer| place.list(buffer)) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Vec::new()),
        result => result?,
    };
    let mut names: Vec<OsString> = bytes
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| OsStr::from_bytes(name).to_owned())
        .collect();
    names.sort();
    Ok(names)
}

/// One value; nothing if there is no such attribute.
///
/// # Errors
/// As `getxattr(2)`.
pub fn get<'a>(target: impl Into<Target<'a>>, name: &OsStr) -> io::Result<Option<Vec<u8>>> {
    let place = Place::new(target.into())?;
    match sized(|buffer| place.get(name, buffer)) {
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(None),
        result => Ok(Some(result?)),
    }
}

/// Sets a value, whether or not there was one.
///
/// # Errors
/// As `setxattr(2)`.
pub fn set<'a>(target: impl Into<Target<'a>>, name: &OsStr, value: &[u8]) -> io::Result<()> {
    let place = Place::new(target.into())?;
    Ok(match place {
        Place::NoFollow(path) => fs::lsetxattr(path, name, value, XattrFlags::empty()),
        Place::Magic(path) => fs::setxattr(path, name, value, XattrFlags::empty()),
    }?)
}

/// Removes an attribute; false if there was none.
///
/// # Errors
/// As `removexattr(2)`.
pub fn remove<'a>(target: impl Into<Target<'a>>, name: &OsStr) -> io::Result<bool> {
    let place = Place::new(target.into())?;
    let result = match place {
        Place::NoFollow(path) => fs::lremovexattr(path, name),
        Place::Magic(path) => fs::removexattr(path, name),
    };
    match result {
        Err(Errno::NODATA) => Ok(false),
        result => Ok(result.map(|()| true)?),
    }
}

/// A target as a path. A descriptor's own path in `/proc` is followed exactly once, to the very
/// file that is open, so a link opened with `O_PATH` stays the link.
enum Place<'a> {
    NoFollow(&'a Path),
    Magic(CString),
}

impl<'a> Place<'a> {
    fn new(target: Target<'a>) -> io::Result<Place<'a>> {
        Ok(match target {
            Target::Path(path) => Place::NoFollow(path),
            Target::Fd(fd) => {
                Place::Magic(CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd()))?)
            }
        })
    }

    fn list(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Place::NoFollow(path) => fs::llistxattr(*path, buffer),
            Place::Magic(path) => fs::listxattr(path, buffer),
        }
    }

    fn get(&self, name: &OsStr, buffer: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Place::NoFollow(path) => fs::lgetxattr(*path, name, buffer),
            Place::Magic(path) => fs::getxattr(path, name, buffer),
        }
    }
}

/// Reads with a small buffer, then with the largest one that the kernel would ever fill.
fn sized(mut read: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0; FIRST];
    match read(&mut small) {
        Err(Errno::RANGE) => {}
        result => return Ok(small[..result?].to_vec()),
    }
    let mut large = vec![0; MAX_SIZE];
    let size = read(&mut large)?;
    large.truncate(size);
    Ok(large)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn values_of_paths_and_descriptors() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        std::os::unix::fs::symlink("file", dir.path().join("link")).unwrap();
        let name = OsStr::new("user.a");
        set(file.as_path(), name, b"1").unwrap();
        set(file.as_path(), OsStr::new("user.big"), &[7; 2000]).unwrap();
        assert_eq!(list(file.as_path()).unwrap(), ["user.a", "user.big"]);

        let flags = fs::OFlags::PATH | fs::OFlags::NOFOLLOW;
        let open = fs::open(&file, flags, fs::Mode::empty()).unwrap();
        assert_eq!(get(open.as_fd(), name).unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(
            get(open.as_fd(), OsStr::new("user.big")).unwrap(),
            Some(vec![7; 2000])
        );

        let link = fs::open(dir.path().join("link"), flags, fs::Mode::empty()).unwrap();
        assert_eq!(list(link.as_fd()).unwrap(), Vec::<OsString>::new());
        assert_eq!(get(dir.path().join("link").as_path(), name).unwrap(), None);

        assert!(remove(open.as_fd(), name).unwrap());
        assert!(!remove(file.as_path(), name).unwrap());
        assert_eq!(list(open.as_fd()).unwrap(), ["user.big"]);
    }
}
