//! The marks of overlayfs in a layer directory: a whiteout is a character device 0:0, and a
//! directory that hides those below it carries an `opaque` attribute.
//!
//! The attribute is in one of two namespaces, and a mount looks at one only. So does everything
//! here: what is in the other is neither a mark nor content.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::Xattr;

/// Where overlay's marks are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Marks {
    /// In `trusted.overlay.*`, which takes root outside of user namespaces.
    #[default]
    Trusted,
    /// In `user.overlay.*`.
    User,
}

impl Marks {
    /// What this process can use. Nothing is written: the kernel says who may remove an attribute
    /// before it says that there is none.
    #[must_use]
    pub fn detect(directory: &Path) -> Self {
        match rustix::fs::removexattr(directory, "trusted.kiln.probe") {
            Err(Errno::PERM) => Self::User,
            _ => Self::Trusted,
        }
    }

    const fn opaque(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.opaque",
            Self::User => "user.overlay.opaque",
        }
    }

    /// Whether a directory hides those below it.
    pub(crate) fn is_opaque(self, directory: impl AsFd) -> Result<bool, Errno> {
        let mut value = [0; 4];
        match rustix::fs::fgetxattr(directory, self.opaque(), &mut value) {
            Ok(length) => Ok(&value[..length] == b"y"),
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Makes a directory hide those below it.
    pub(crate) fn set_opaque(self, directory: impl AsFd) -> Result<(), Errno> {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::fsetxattr(directory, self.opaque(), b"y", flags)
    }

    /// Makes a directory that is opaque an ordinary one.
    pub(crate) fn clear_opaque(self, directory: impl AsFd) -> Result<(), Errno> {
        rustix::fs::fremovexattr(directory, self.opaque())
    }
}

/// Whether an attribute belongs to what a file is: not overlay's marks, nor the record of an owner,
/// nor labels that the host's security modules give to every file.
pub(crate) fn is_content(name: &[u8]) -> bool {
    match name.strip_prefix(b"security.") {
        Some(security) => security == b"capability",
        None => {
            !name.starts_with(b"trusted.overlay.")
                && !name.starts_with(b"user.overlay.")
                && !sys::owner::is_record_name(name)
                && (name.starts_with(b"user.")
                    || name.starts_with(b"trusted.")
                    || name.starts_with(b"system.posix_acl_"))
        }
    }
}

/// Whether an attribute of this value belongs to what a file is. Others are kiln's, overlay's or the
/// host's.
#[must_use]
pub fn is_content_attribute(name: &[u8], value: &[u8]) -> bool {
    is_content(name) && !sys::owner::is_record(name, value)
}

/// The attributes that belong to what an open file or directory is, sorted.
pub(crate) fn xattrs_of(file: impl AsFd) -> io::Result<Vec<Xattr>> {
    let mut small = [0; 256];
    let names = match rustix::fs::flistxattr(&file, &mut small[..]) {
        // By far the most files have none.
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Ok(length) => small[..length].to_vec(),
        Err(Errno::RANGE) => {
            let mut large = vec![0; 64 * 1024];
            let length = rustix::fs::flistxattr(&file, &mut large[..])?;
            large.truncate(length);
            large
        }
        Err(errno) => return Err(errno.into()),
    };
    read_all(&names, |name, value| {
        rustix::fs::fgetxattr(&file, name, value)
    })
}

/// The same of a file that is not open.
pub(crate) fn xattrs_at(dir: impl AsFd, name: &OsStr) -> io::Result<Vec<Xattr>> {
    let path = proc_path(dir, name);
    let mut small = [0; 256];
    let names = match rustix::fs::llistxattr(&path, &mut small[..]) {
        Ok(0) | Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Ok(length) => small[..length].to_vec(),
        Err(Errno::RANGE) => {
            let mut large = vec![0; 64 * 1024];
            let length = rustix::fs::llistxattr(&path, &mut large[..])?;
            large.truncate(length);
            large
        }
        Err(errno) => return Err(errno.into()),
    };
    read_all(&names, |name, value| {
        rustix::fs::lgetxattr(&path, name, value)
    })
}

fn read_all(
    names: &[u8],
    get: impl Fn(&OsStr, &mut [u8]) -> Result<usize, Errno>,
) -> io::Result<Vec<Xattr>> {
    let mut xattrs = Vec::new();
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| is_content(name))
    {
        let mut value = vec![0; 256];
        let length = match get(OsStr::from_bytes(name), &mut value) {
            Err(Errno::RANGE) => {
                value.resize(64 * 1024, 0);
                get(OsStr::from_bytes(name), &mut value)
            }
            result => result,
        };
        match length {
            Ok(length) => value.truncate(length),
            // Removed meanwhile.
            Err(Errno::NODATA) => continue,
            Err(errno) => return Err(errno.into()),
        }
        if !sys::owner::is_record(name, &value) {
            xattrs.push(Xattr {
                name: name.to_vec(),
                value,
            });
        }
    }
    xattrs.sort();
    Ok(xattrs)
}

/// A path to a file that is known by its directory, for calls that take only paths. The last
/// component is the file's name, which such calls do not follow.
pub(crate) fn proc_path(dir: impl AsFd, name: &OsStr) -> PathBuf {
    let mut path = PathBuf::from("/proc/self/fd");
    path.push(dir.as_fd().as_raw_fd().to_string());
    path.push(name);
    path
}
