//! One directory that is written, and what shows through from below.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, linkat, mkdirat, openat, symlinkat, unlinkat};
use rustix::io::Errno;
use sys::node::Device;

use super::attributes::restore_time;
use super::{Attributes, UpperError, remove_tree};
use crate::file::{At, FileError, failed};
use crate::marks::Marks;
use crate::tree::MAX_DEPTH;
use crate::{Dir, Entry, Kind, Stat, Time};

/// Set-group-ID: what is made in such a directory gets its group.
const SET_GID: u32 = 0o2000;

/// A directory open for changes.
#[derive(Debug, Clone)]
pub struct UpperDir {
    fd: Arc<OwnedFd>,
    path: PathBuf,
    depth: usize,
    marks: Marks,
    below: Below,
    /// Its time, if it was there before.
    before: Option<Time>,
    /// Nothing is in it, nor below, but what was made through this handle.
    is_fresh: bool,
    gives_group: bool,
}

/// The same directory in the layers below.
#[derive(Debug, Clone)]
pub(super) enum Below {
    /// There is none, or it is hidden.
    Nothing,
    /// The layer is made without knowing what it will lie on.
    Unknown,
    /// This one.
    Dir(Dir),
}

/// A directory that was asked for.
#[derive(Debug)]
pub enum Made {
    /// It was there, here or below.
    Existed(UpperDir),
    /// It was made, as root's and closed to others.
    New(UpperDir),
}

impl UpperDir {
    pub(super) fn root(fd: Arc<OwnedFd>, below: Below, stat: &Stat, marks: Marks) -> Self {
        Self {
            fd,
            path: PathBuf::new(),
            depth: 0,
            marks,
            below,
            before: Some(stat.modified),
            is_fresh: false,
            gives_group: stat.mode & SET_GID != 0,
        }
    }

    /// Its path, without a leading slash; empty for the root.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory itself.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Whether files made here get another group than the process has.
    pub(crate) const fn gives_group(&self) -> bool {
        self.gives_group
    }

    /// What `stat` says of the directory.
    ///
    /// # Errors
    /// The system refuses.
    pub fn own_stat(&self) -> Result<Stat, FileError> {
        Stat::of(&self.fd).map_err(failed("stat", &self.path))
    }

    /// The file of that name, here or below.
    ///
    /// # Errors
    /// The system refuses.
    pub fn find(&self, name: &OsStr) -> Result<Option<Stat>, FileError> {
        match self.own(name)? {
            Some(stat) => Ok((!stat.is_whiteout()).then_some(stat)),
            None => Ok(self.find_below(name)?.map(|(_, stat)| stat)),
        }
    }

    /// Makes an empty file that only root can read. A file that was there is replaced.
    ///
    /// # Errors
    /// A directory is there, or the system refuses.
    pub fn create_file(&self, name: &OsStr) -> Result<File, UpperError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o600);
        let fd = self.in_place(name, "create", || openat(&self.fd, name, flags, mode))?;
        Ok(File::from(fd))
    }

    /// Makes a symbolic link. A file that was there is replaced.
    ///
    /// # Errors
    /// A directory is there, or the system refuses.
    pub fn create_symlink(&self, name: &OsStr, target: &Path) -> Result<(), UpperError> {
        self.in_place(name, "symlink", || symlinkat(target, &self.fd, name))
    }

    /// Makes a device or pipe. A file that was there is replaced.
    ///
    /// # Errors
    /// A directory is there, or the system refuses.
    pub fn create_node(&self, name: &OsStr, kind: Kind, device: Device) -> Result<(), UpperError> {
        let file_type = match kind {
            Kind::Character => FileType::CharacterDevice,
            Kind::Block => FileType::BlockDevice,
            Kind::Fifo => FileType::Fifo,
            Kind::Socket | Kind::File | Kind::Directory | Kind::Symlink => FileType::Socket,
        };
        self.in_place(name, "mknod", || {
            let number = rustix::fs::makedev(device.major, device.minor);
            rustix::fs::mknodat(&self.fd, name, file_type, Mode::RUSR, number)
        })
    }

    /// Makes `name` another name of `from_name` in `from`. A file that was there is replaced.
    ///
    /// # Errors
    /// A directory is there, or the system refuses.
    pub fn create_link(
        &self,
        name: &OsStr,
        from: BorrowedFd<'_>,
        from_name: &OsStr,
    ) -> Result<(), UpperError> {
        self.in_place(name, "link", || {
            linkat(from, from_name, &self.fd, name, AtFlags::empty())
        })
    }

    /// Opens a directory for changes, copied up if it is below, made if it is missing.
    ///
    /// # Errors
    /// Something else is there, it lies too deep, or the system refuses.
    pub fn create_dir(&self, name: &OsStr) -> Result<Made, UpperError> {
        if self.depth >= MAX_DEPTH {
            let error = FileError::new("mkdir", self.at(name), Errno::NAMETOOLONG);
            return Err(error.into());
        }
        if self.is_fresh {
            match self.make_dir(name) {
                Err(error) if error.source.kind() == std::io::ErrorKind::AlreadyExists => {}
                result => return Ok(Made::New(result?)),
            }
        }
        match self.own(name)? {
            Some(stat) if stat.kind == Kind::Directory => Ok(Made::Existed(self.enter(name)?)),
            Some(stat) if stat.is_whiteout() => {
                self.unlink(name)?;
                let dir = self.make_dir(name)?;
                let hides = match self.find_below(name)? {
                    Some((entry, _)) => entry.kind == Kind::Directory,
                    None => matches!(self.below, Below::Unknown),
                };
                if hides {
                    dir.set_opaque()?;
                }
                Ok(Made::New(dir))
            }
            Some(_) => Err(UpperError::NotDirectory(self.join(name))),
            None => match (self.find_below(name)?, &self.below) {
                (Some((entry, stat)), Below::Dir(dir)) if entry.kind == Kind::Directory => {
                    let dir = dir.enter(&entry)?;
                    Ok(Made::Existed(self.copy_up(&entry, dir, &stat)?))
                }
                (Some(_), _) => Err(UpperError::NotDirectory(self.join(name))),
                (None, _) => Ok(Made::New(self.make_dir(name)?)),
            },
        }
    }

    /// Removes what has that name, with all that is in it; false if there is nothing.
    ///
    /// # Errors
    /// The system refuses.
    pub fn remove(&self, name: &OsStr) -> Result<bool, FileError> {
        let own = self.own(name)?;
        let is_below = self.find_below(name)?.is_some();
        if own.is_some_and(|stat| stat.is_whiteout()) {
            return Ok(false);
        }
        self.clear(name, own.as_ref())?;
        if is_below {
            sys::node::create_whiteout(&self.fd, name).map_err(failed("mknod", self.at(name)))?;
        }
        Ok(own.is_some() || is_below)
    }

    /// Removes what this layer itself has under that name; what is below may show through again.
    pub(crate) fn clear(&self, name: &OsStr, own: Option<&Stat>) -> Result<(), FileError> {
        match own {
            None => Ok(()),
            Some(stat) if stat.kind == Kind::Directory => {
                remove_tree(self.fd.as_fd(), name).map_err(failed("remove", self.at(name)))
            }
            Some(_) => self.unlink(name),
        }
    }

    /// Hides what is below.
    pub(crate) fn set_opaque(&self) -> Result<(), FileError> {
        self.marks
            .set_opaque(&self.fd)
            .map_err(failed("setxattr", &self.path))
    }

    /// What this layer itself has under that name, marks included.
    pub(crate) fn own(&self, name: &OsStr) -> Result<Option<Stat>, FileError> {
        match Stat::at(&self.fd, name) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(FileError::new("stat", self.at(name), errno)),
        }
    }

    /// Gives the directory itself its metadata.
    ///
    /// # Errors
    /// The system refuses.
    pub fn set_attributes(&self, attributes: &Attributes) -> Result<(), FileError> {
        attributes.apply_to(self.fd.as_fd(), &self.path)
    }

    /// Gives the directory the time back that it had before, if it was there before.
    ///
    /// # Errors
    /// The system refuses.
    pub fn restore_times(&self) -> Result<(), FileError> {
        match self.before {
            Some(time) => restore_time(&self.fd, time).map_err(failed("utimes", &self.path)),
            None => Ok(()),
        }
    }

    /// The same directory as one that was there before what comes next.
    pub(crate) fn settled(self) -> Result<Self, FileError> {
        let stat = self.own_stat()?;
        Ok(Self {
            before: Some(stat.modified),
            gives_group: stat.mode & SET_GID != 0,
            ..self
        })
    }

    /// The path of a name in this directory, for an error.
    pub(crate) fn at<'a>(&'a self, name: &'a OsStr) -> At<'a> {
        At {
            dir: &self.path,
            name,
        }
    }

    pub(crate) fn join(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// Makes something of that name, after what is in the way is gone.
    fn in_place<T>(
        &self,
        name: &OsStr,
        call: &'static str,
        make: impl Fn() -> Result<T, Errno>,
    ) -> Result<T, UpperError> {
        if let Some((entry, _)) = self.find_below(name)?
            && entry.kind == Kind::Directory
            && self.own(name)?.is_none()
        {
            return Err(UpperError::IsDirectory(self.join(name)));
        }
        store::fail::point("make a file of a layer").map_err(failed(call, self.at(name)))?;
        match make() {
            Err(Errno::EXIST) => {
                if let Some(stat) = self.own(name)? {
                    if stat.kind == Kind::Directory {
                        return Err(UpperError::IsDirectory(self.join(name)));
                    }
                    self.unlink(name)?;
                }
                Ok(make().map_err(failed(call, self.at(name)))?)
            }
            result => Ok(result.map_err(failed(call, self.at(name)))?),
        }
    }

    fn find_below(&self, name: &OsStr) -> Result<Option<(Entry, Stat)>, FileError> {
        match &self.below {
            Below::Dir(below) => below.find(name),
            Below::Nothing | Below::Unknown => Ok(None),
        }
    }

    fn unlink(&self, name: &OsStr) -> Result<(), FileError> {
        unlinkat(&self.fd, name, AtFlags::empty()).map_err(failed("unlink", self.at(name)))
    }

    fn make_dir(&self, name: &OsStr) -> Result<Self, FileError> {
        store::fail::point("make a directory of a layer")
            .map_err(failed("mkdir", self.at(name)))?;
        mkdirat(&self.fd, name, Mode::RWXU).map_err(failed("mkdir", self.at(name)))?;
        let dir = Self {
            fd: Arc::new(self.open(name)?),
            path: self.join(name),
            depth: self.depth + 1,
            marks: self.marks,
            below: Below::Nothing,
            before: None,
            is_fresh: true,
            gives_group: false,
        };
        if self.gives_group {
            // Passed on by the system.
            rustix::fs::fchmod(&dir.fd, Mode::RWXU).map_err(failed("chmod", &dir.path))?;
        }
        Ok(dir)
    }

    fn enter(&self, name: &OsStr) -> Result<Self, FileError> {
        let fd = self.open(name)?;
        let stat = Stat::of(&fd).map_err(failed("stat", self.at(name)))?;
        let below = match &self.below {
            Below::Dir(below) => {
                let is_opaque = self.marks.is_opaque(&fd);
                match below.find(name)? {
                    _ if is_opaque.map_err(failed("getxattr", self.at(name)))? => Below::Nothing,
                    Some((entry, _)) if entry.kind == Kind::Directory => {
                        Below::Dir(below.enter(&entry)?)
                    }
                    _ => Below::Nothing,
                }
            }
            other => other.clone(),
        };
        Ok(self.child(name, Arc::new(fd), below, &stat))
    }

    /// A directory of this name with the metadata of the one below.
    fn copy_up(&self, entry: &Entry, below: Dir, stat: &Stat) -> Result<Self, FileError> {
        let attributes = Attributes::of(stat, below.own_xattrs()?);
        let dir = self.make_dir(&entry.name)?;
        dir.set_attributes(&attributes)?;
        self.restore_times()?;
        Ok(self.child(&entry.name, dir.fd, Below::Dir(below), stat))
    }

    fn child(&self, name: &OsStr, fd: Arc<OwnedFd>, below: Below, stat: &Stat) -> Self {
        Self {
            fd,
            path: self.join(name),
            depth: self.depth + 1,
            marks: self.marks,
            below,
            before: Some(stat.modified),
            is_fresh: false,
            gives_group: stat.mode & SET_GID != 0,
        }
    }

    fn open(&self, name: &OsStr) -> Result<OwnedFd, FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.fd, name, flags, Mode::empty()).map_err(failed("open", self.at(name)))
    }
}
