//! Metadata of files that are made. Order matters: a change of owner clears set-user-ID bits and
//! capabilities, and any change of content the time.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{
    AtFlags, Mode, Timespec, Timestamps, UTIME_OMIT, XattrFlags, chmodat, fchmod, fsetxattr,
    futimens, lsetxattr, utimensat,
};
use rustix::io::Errno;
use sys::owner::{self, Owner};

use crate::file::{FileError, Named, failed};
use crate::marks::proc_path;
use crate::{Kind, Stat, Time, Xattr};

/// What a file gets beside its content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The permission bits, set-user-ID and the like included; without meaning for links.
    pub mode: u32,
    /// Time of the last change; left as it is if none.
    pub modified: Option<Time>,
    /// Extended attributes.
    pub xattrs: Vec<Xattr>,
}

impl Attributes {
    /// Those that a file has.
    #[must_use]
    pub const fn of(stat: &Stat, xattrs: Vec<Xattr>) -> Self {
        Self {
            uid: stat.uid,
            gid: stat.gid,
            mode: stat.mode,
            modified: Some(stat.modified),
            xattrs,
        }
    }

    /// Gives them to an open file or directory. `path` is for errors.
    pub(crate) fn apply_to(
        &self,
        file: BorrowedFd<'_>,
        path: impl Named + Copy,
    ) -> Result<(), FileError> {
        owner::give(file, self.owner()).map_err(failed("chown", path))?;
        self.apply_without_owner(file, path)
    }

    const fn owner(&self) -> Owner {
        Owner {
            uid: self.uid,
            gid: self.gid,
        }
    }

    /// The same for a file that has its owner already.
    pub(crate) fn apply_without_owner(
        &self,
        file: BorrowedFd<'_>,
        path: impl Named + Copy,
    ) -> Result<(), FileError> {
        fchmod(file, Mode::from_raw_mode(self.mode)).map_err(failed("chmod", path))?;
        for xattr in &self.xattrs {
            let name = OsStr::from_bytes(&xattr.name);
            let set = fsetxattr(file, name, &xattr.value, XattrFlags::empty());
            accept(set, &xattr.name, Kind::File).map_err(failed("setxattr", path))?;
        }
        match self.modified {
            Some(time) => set_times(file, time).map_err(failed("utimes", path)),
            None => Ok(()),
        }
    }

    /// Gives them to a link, device or the like in `dir`.
    pub(crate) fn apply_at(
        &self,
        dir: BorrowedFd<'_>,
        name: &OsStr,
        kind: Kind,
        path: impl Named + Copy,
    ) -> Result<(), FileError> {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        owner::give_at(dir, name, self.owner()).map_err(failed("chown", path))?;
        if kind != Kind::Symlink {
            chmodat(dir, name, Mode::from_raw_mode(self.mode), AtFlags::empty())
                .map_err(failed("chmod", path))?;
        }
        // Capabilities mean nothing on what is no file, and may be the record of its owner.
        let is_kept =
            |xattr: &&Xattr| xattr.name != b"security.capability" || !owner::are_recorded();
        for xattr in self.xattrs.iter().filter(is_kept) {
            let target = proc_path(dir, name);
            let key = OsStr::from_bytes(&xattr.name);
            let set = lsetxattr(&target, key, &xattr.value, XattrFlags::empty());
            accept(set, &xattr.name, kind).map_err(failed("setxattr", path))?;
        }
        match self.modified {
            Some(time) => {
                utimensat(dir, name, &timestamps(time), flags).map_err(failed("utimes", path))
            }
            None => Ok(()),
        }
    }
}

/// The system gives links and devices no attributes of users; archives that have some come from
/// systems that do.
fn accept(result: Result<(), Errno>, name: &[u8], kind: Kind) -> Result<(), Errno> {
    match result {
        Err(Errno::PERM)
            if name.starts_with(b"user.") && !matches!(kind, Kind::File | Kind::Directory) =>
        {
            Ok(())
        }
        result => result,
    }
}

/// Sets both times of an open file or directory.
pub(crate) fn set_times(file: impl AsFd, time: Time) -> Result<(), Errno> {
    futimens(file, &timestamps(time))
}

fn timestamps(time: Time) -> Timestamps {
    let time = Timespec {
        tv_sec: time.seconds,
        tv_nsec: i64::from(time.nanos),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// Puts back the time of a directory in which something was made.
pub(crate) fn restore_time(dir: impl AsFd, time: Time) -> Result<(), Errno> {
    let mut times = timestamps(time);
    times.last_access.tv_nsec = UTIME_OMIT;
    futimens(dir, &times)
}
