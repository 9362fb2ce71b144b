//! What is known of one file, and what goes wrong with one.
//!
//! A [`Stat`] is of the file itself, never of what a link leads to.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, StatxFlags, StatxTimestamp, statx};
use rustix::io::Errno;
use sys::node::Device;
use sys::owner;

/// The bits that `chmod(2)` sets.
pub(crate) const PERMISSIONS: u32 = 0o7777;

/// An operation on a file that the system refused.
#[derive(Debug, thiserror::Error)]
#[error("{call} {}", path.display())]
pub struct FileError {
    /// What was tried.
    pub call: &'static str,
    /// On which file, as the user knows it.
    pub path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

impl FileError {
    pub(crate) fn new(call: &'static str, path: impl Named, source: impl Into<io::Error>) -> Self {
        Self {
            call,
            path: path.to_path(),
            source: source.into(),
        }
    }
}

/// What names a file in an error. The path is put together only when there is one.
pub(crate) trait Named {
    /// The path, as the user knows it.
    fn to_path(self) -> PathBuf;
}

/// A name in a directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'a> {
    /// The directory.
    pub(crate) dir: &'a Path,
    /// The name.
    pub(crate) name: &'a OsStr,
}

impl Named for At<'_> {
    fn to_path(self) -> PathBuf {
        self.dir.join(self.name)
    }
}

impl<P: AsRef<Path>> Named for P {
    fn to_path(self) -> PathBuf {
        self.as_ref().to_owned()
    }
}

/// Makes a system error one of `path`.
pub(crate) fn failed<E: Into<io::Error>>(
    call: &'static str,
    path: impl Named,
) -> impl FnOnce(E) -> FileError {
    move |source| FileError::new(call, path, source)
}

fn errno(error: io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// A point in time, since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// The rest, below a thousand million.
    pub nanos: u32,
}

impl Time {
    /// Whole seconds.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { seconds, nanos: 0 }
    }

    /// Nanoseconds since 1970, as far as they fit.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(self.nanos as i64)
    }
}

impl From<StatxTimestamp> for Time {
    fn from(time: StatxTimestamp) -> Self {
        Self {
            seconds: time.tv_sec,
            nanos: time.tv_nsec,
        }
    }
}

/// What kind of file one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl Kind {
    /// `None` if the directory does not tell.
    pub(crate) const fn from_file_type(file_type: FileType) -> Option<Self> {
        Some(match file_type {
            FileType::RegularFile => Self::File,
            FileType::Directory => Self::Directory,
            FileType::Symlink => Self::Symlink,
            FileType::CharacterDevice => Self::Character,
            FileType::BlockDevice => Self::Block,
            FileType::Fifo => Self::Fifo,
            FileType::Socket => Self::Socket,
            FileType::Unknown => return None,
        })
    }
}

/// What `stat` says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What kind it is.
    pub kind: Kind,
    /// The permission bits, set-user-ID and the like included.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Bytes of content.
    pub size: u64,
    /// Bytes on the disk.
    pub allocated: u64,
    /// Last change of the content.
    pub modified: Time,
    /// Last change of content or metadata.
    pub changed: Time,
    /// When the inode was made, where the file system keeps that.
    pub born: Option<Time>,
    /// How many names it has.
    pub links: u32,
    /// The file system that it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// The device that it stands for.
    pub node: Device,
}

impl Stat {
    /// The file `name` in `dir`; `dir` itself when the name is empty.
    pub(crate) fn at(dir: impl AsFd, name: &OsStr) -> Result<Self, Errno> {
        let mut flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
        if name.is_empty() {
            flags |= AtFlags::EMPTY_PATH;
        }
        let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        let stat = statx(&dir, name, flags, mask)?;
        let mode = u32::from(stat.stx_mode);
        let file_type = FileType::from_raw_mode(mode);
        let kind = Kind::from_file_type(file_type).ok_or(Errno::INVAL)?;
        let stat = Self {
            kind,
            mode: mode & PERMISSIONS,
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            size: stat.stx_size,
            allocated: stat.stx_blocks.saturating_mul(512),
            modified: stat.stx_mtime.into(),
            changed: stat.stx_ctime.into(),
            born: (stat.stx_mask & StatxFlags::BTIME.bits() != 0).then(|| stat.stx_btime.into()),
            links: stat.stx_nlink,
            device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            node: Device {
                major: stat.stx_rdev_major,
                minor: stat.stx_rdev_minor,
            },
        };
        if !owner::are_recorded() || stat.is_whiteout() {
            return Ok(stat);
        }
        let recorded = owner::recorded(dir, name, file_type).map_err(errno)?;
        let owner::Owner { uid, gid } = recorded.unwrap_or(owner::Owner {
            uid: stat.uid,
            gid: stat.gid,
        });
        Ok(Self { uid, gid, ..stat })
    }

    /// The open file or directory.
    pub(crate) fn of(fd: impl AsFd) -> Result<Self, Errno> {
        Self::at(fd, OsStr::new(""))
    }

    /// Whether it is overlay's mark that the name is gone.
    pub(crate) fn is_whiteout(&self) -> bool {
        self.kind == Kind::Character && self.node == Device::default()
    }
}
