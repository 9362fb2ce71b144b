//! Paths beneath a root descriptor.
//!
//! A [`Root`] is a directory that is `/` for every path given to it: absolute paths and absolute
//! symbolic links start there, `..` stops there, and magic links (`/proc/*/fd`, `/proc/*/root`) are
//! not followed. It holds against a tree that somebody else changes at the same time. The kernel
//! does this (`openat2`, Linux 5.6); where it cannot, [`walk`] does it component by component.

mod walk;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, ResolveFlags, Stat, fstat, mkdirat, openat, openat2, readlinkat,
    statat,
};
use rustix::io::Errno;

/// How often `openat2` is asked again after a rename raced with a `..` in the path.
const RACES: usize = 64;

/// A directory as the root of all paths.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
}

/// The directory that holds a path's last component, and that component.
#[derive(Debug)]
pub struct Parent {
    /// The directory, opened for paths only.
    pub dir: OwnedFd,
    /// The last component: one name, never `.`, `..` or empty.
    pub name: OsString,
}

impl Root {
    /// The directory at a path of the host.
    ///
    /// # Errors
    /// It does not exist, or is no directory.
    pub fn open(path: &Path) -> io::Result<Root> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Root {
            fd: openat(CWD, path, flags, Mode::empty())?,
        })
    }

    /// A directory that is open already: a detached mount, or an `O_PATH` descriptor.
    #[must_use]
    pub fn from_fd(fd: OwnedFd) -> Root {
        Root { fd }
    }

    /// A second handle on the same directory.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn try_clone(&self) -> io::Result<Root> {
        Ok(Root {
            fd: self.fd.try_clone()?,
        })
    }

    /// Opens what `path` names, following symbolic links inside the root; `OFlags::NOFOLLOW` leaves
    /// a last one alone. Descriptors are always close-on-exec.
    ///
    /// # Errors
    /// As `open(2)`.
    pub fn open_at(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        Ok(self.open_errno(path, flags, mode)?)
    }

    /// Opens the directory of a path's last component, following links on the way but not the last.
    /// A path that ends in `..`, or is the root itself, has no such component.
    ///
    /// # Errors
    /// A component is missing or no directory; `EINVAL` when there is no last component.
    pub fn open_parent(&self, path: &Path) -> io::Result<Parent> {
        let Some(Component::Normal(name)) = path.components().next_back() else {
            return Err(Errno::INVAL.into());
        };
        let above = path.parent().unwrap_or(Path::new(""));
        Ok(Parent {
            dir: self.open_dir(above)?,
            name: name.to_owned(),
        })
    }

    /// Opens a directory for paths only.
    ///
    /// # Errors
    /// It is missing, or no directory.
    pub fn open_dir(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open_at(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
    }

    /// What `path` names, itself if it is a symbolic link.
    ///
    /// # Errors
    /// As `lstat(2)`.
    pub fn symlink_metadata(&self, path: &Path) -> io::Result<Stat> {
        let fd = self.open_at(path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
        Ok(fstat(&fd)?)
    }

    /// What `path` names after symbolic links.
    ///
    /// # Errors
    /// As `stat(2)`.
    pub fn metadata(&self, path: &Path) -> io::Result<Stat> {
        Ok(fstat(&self.open_at(path, OFlags::PATH, Mode::empty())?)?)
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    /// As `readlink(2)`.
    pub fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        let fd = self.open_at(path, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
        let target = readlinkat(&fd, c"", Vec::new())?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    /// Makes a directory and those above it that are missing, and opens it for paths only. A
    /// symbolic link to a directory is as good as one. New ones get `mode` exactly, whatever the
    /// umask, and are listed in the order they were made, as far as links have been resolved.
    ///
    /// # Errors
    /// A component is something other than a directory, or a dangling link; or as `mkdir(2)`.
    pub fn create_dir_all(&self, path: &Path, mode: Mode) -> io::Result<Created> {
        let mut created = Vec::new();
        let mut at = PathBuf::new();
        let mut dir = self.fd.try_clone()?;
        for component in path.components() {
            match component {
                Component::RootDir | Component::CurDir => continue,
                Component::Prefix(_) => return Err(Errno::INVAL.into()),
                Component::ParentDir => at.push(".."),
                Component::Normal(name) => at.push(name),
            }
            dir = match self.open_dir(&at) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let name = at.file_name().unwrap_or(OsStr::new("."));
                    if make_dir(dir.as_fd(), name, mode)? {
                        created.push(at.clone());
                    }
                    self.open_dir(&at)?
                }
                result => result?,
            };
        }
        Ok(Created { dir, created })
    }

    fn open_errno(&self, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        static LACKING: AtomicBool = AtomicBool::new(false);
        let flags = flags | OFlags::CLOEXEC;
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        if LACKING.load(Ordering::Relaxed) {
            return walk::open(self.fd.as_fd(), path, flags, mode);
        }
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..RACES {
            match openat2(&self.fd, path, flags, mode, resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                // Old kernels lack the call; old container seccomp filters answer EPERM for it. A
                // real EPERM (an immutable file) comes out of the walk just the same.
                Err(errno @ (Errno::NOSYS | Errno::PERM)) => {
                    LACKING.store(errno == Errno::NOSYS, Ordering::Relaxed);
                    return walk::open(self.fd.as_fd(), path, flags, mode);
                }
                result => return result,
            }
        }
        Err(Errno::AGAIN)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Root> for OwnedFd {
    fn from(root: Root) -> OwnedFd {
        root.fd
    }
}

/// What [`Root::create_dir_all`] did.
#[derive(Debug)]
pub struct Created {
    /// The directory, opened for paths only.
    pub dir: OwnedFd,
    /// Each directory that did not exist before, as a path in the root.
    pub created: Vec<PathBuf>,
}

/// Makes one directory with exactly `mode`; false if there is one already.
fn make_dir(dir: BorrowedFd<'_>, name: &OsStr, mode: Mode) -> io::Result<bool> {
    match mkdirat(dir, name, mode) {
        Ok(()) => {}
        Err(Errno::EXIST) => {
            // A directory that somebody else made just now, or a dangling link.
            let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let is_dir = rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir();
            return if is_dir {
                Ok(false)
            } else {
                Err(Errno::NOTDIR.into())
            };
        }
        Err(errno) => return Err(errno.into()),
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let fd = openat(dir, name, flags, Mode::empty())?;
    rustix::fs::fchmod(&fd, mode)?;
    Ok(true)
}

#[cfg(test)]
mod tests;
