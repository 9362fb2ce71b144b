//! What is moved into a root before the process starts, and taken out after all of it has ended.
//!
//! The root is at rest both times. What was where something is placed waits in a directory beside
//! the root. What the process has put in the place of what was placed goes with it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Stat, chmodat, mkdirat, openat, readlinkat, renameat,
    statat,
};
use rustix::io::Errno;
use sys::Root;
use sys::mount::{Mount, MountFlags, MountKind};

use super::watch::Fingerprint;
use crate::error::SandboxError;
use crate::plan::MountPoints;

/// As many links as the kernel follows in one path.
const MAX_LINKS: usize = 40;

/// Written to by packages that go on when they may not.
const OF_SYSTEM: [&str; 2] = ["/etc/hosts", "/etc/resolv.conf"];

/// All that is placed in one root; lifted when dropped.
#[derive(Debug)]
pub(crate) struct Placed {
    root: Root,
    list: Vec<One>,
    points: MountPoints,
    /// The directory beside the root.
    beside: PathBuf,
    made: usize,
    /// Files that are where they were, but have been moved.
    moved: Vec<u64>,
    changed: Option<PathBuf>,
    is_lifted: bool,
}

/// One thing in its place.
#[derive(Debug)]
struct One {
    target: PathBuf,
    at: Place,
    /// Which file it is: device and inode.
    identity: (u64, u64),
    /// Where it came from; nowhere if it was made for this.
    home: Option<Place>,
    /// Where what it hides waits.
    hidden: PathBuf,
    /// Of a directory: one that the process has removed is an empty one afterwards.
    mode: Option<Mode>,
    before: Option<Fingerprint>,
}

/// A name in a directory.
#[derive(Debug)]
struct Place {
    dir: OwnedFd,
    name: OsString,
}

impl Place {
    fn stat(&self) -> Result<Stat, Errno> {
        statat(&self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW)
    }

    fn fingerprint(&self) -> io::Result<Fingerprint> {
        Fingerprint::of(self.dir.as_fd(), Path::new(&self.name))
    }
}

impl Placed {
    /// Nothing yet, in the root at `path`.
    pub(super) fn new(root: Root, path: &Path) -> Result<Placed, SandboxError> {
        let beside = path.with_file_name("placed");
        std::fs::create_dir(&beside).map_err(at(Path::new("/")))?;
        Ok(Placed {
            root,
            list: Vec::new(),
            points: MountPoints::default(),
            beside,
            made: 0,
            moved: Vec::new(),
            changed: None,
            is_lifted: false,
        })
    }

    /// A new directory, to be filled and placed.
    pub(super) fn new_directory(&mut self, mode: u32) -> Result<PathBuf, SandboxError> {
        let path = self.new_path();
        mkdirat(CWD, &path, Mode::RWXU)
            .and_then(|()| chmodat(CWD, &path, Mode::from_raw_mode(mode), AtFlags::empty()))
            .map_err(|errno| at(&path)(errno.into()))?;
        Ok(path)
    }

    /// Places a directory that was made here.
    pub(super) fn put_new(&mut self, made: &Path, target: &Path) -> Result<(), SandboxError> {
        let source = place_of(made).map_err(at(target))?;
        self.put(source, false, target, false).map_err(at(target))
    }

    /// Places what a mount would show.
    pub(super) fn mount(&mut self, mount: &Mount) -> Result<(), SandboxError> {
        let target = mount.target.as_path();
        let source = match &mount.kind {
            MountKind::Bind { source, .. } => place_of(source).map_err(at(target))?,
            MountKind::Part { of, path } => match &**of {
                MountKind::Bind { source, .. } => part(source, path).map_err(at(target))?,
                _ => return Err(SandboxError::NotInChroot("a part of a mount")),
            },
            MountKind::Tmpfs { mode, .. } => {
                let made = self.new_directory(*mode)?;
                return self.put_new(&made, target);
            }
            _ => return Err(SandboxError::NotInChroot("a file system of the kernel's")),
        };
        let is_watched = mount.flags.contains(MountFlags::READ_ONLY)
            && !OF_SYSTEM.iter().any(|system| target == Path::new(system));
        self.put(source, true, target, is_watched)
            .map_err(at(target))
    }

    /// Notes what the root looks like, just before the process starts.
    pub(super) fn finish(&mut self) -> Result<(), SandboxError> {
        self.points.finish().map_err(at(Path::new("/")))
    }

    fn put(
        &mut self,
        source: Place,
        goes_back: bool,
        target: &Path,
        is_watched: bool,
    ) -> io::Result<()> {
        let stat = source.stat()?;
        let is_dir = FileType::from_raw_mode(stat.st_mode).is_dir();
        self.points.make(&self.root, target, is_dir, true)?;
        let place = resolve(&self.root, target)?;
        let there = FileType::from_raw_mode(place.stat()?.st_mode).is_dir();
        if there != is_dir {
            return Err(if is_dir { Errno::NOTDIR } else { Errno::ISDIR }.into());
        }
        self.points.remember(place.dir.try_clone()?)?;
        let hidden = self.new_path();
        renameat(&place.dir, &place.name, CWD, &hidden)?;
        if let Err(errno) = renameat(&source.dir, &source.name, &place.dir, &place.name) {
            renameat(CWD, &hidden, &place.dir, &place.name)?;
            return Err(errno.into());
        }
        let mut one = One {
            target: target.to_owned(),
            at: place,
            identity: (stat.st_dev, stat.st_ino),
            home: goes_back.then_some(source),
            hidden,
            mode: is_dir.then(|| Mode::from_raw_mode(stat.st_mode & 0o7777)),
            before: None,
        };
        if is_watched {
            one.before = one.at.fingerprint().ok();
        }
        self.list.push(one);
        Ok(())
    }

    fn new_path(&mut self) -> PathBuf {
        self.made += 1;
        self.beside.join(self.made.to_string())
    }

    /// Takes everything out, and puts back what was there.
    pub(crate) fn lift(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.is_lifted, true) {
            return Ok(());
        }
        let list = &mut self.list;
        let (moved, changed) = (&mut self.moved, &mut self.changed);
        let lifted = self.points.remove_after(|| {
            let mut result = Ok(());
            while let Some(one) = list.pop() {
                if one.is_changed() {
                    *changed = Some(one.target.clone());
                }
                result = result.and(one.lift(moved));
            }
            result
        });
        std::fs::remove_dir_all(&self.beside)?;
        lifted
    }

    /// Inodes of files that were moved and are back: nothing else of them is different.
    pub(crate) fn moved(&self) -> &[u64] {
        &self.moved
    }

    /// What the process has changed though it was to be read only.
    pub(crate) fn changed(&self) -> Option<&Path> {
        self.changed.as_deref()
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        // For processes that were never started; nobody is left to tell.
        let _ = self.lift();
    }
}

impl One {
    fn is_there(&self) -> bool {
        self.at
            .stat()
            .is_ok_and(|stat| (stat.st_dev, stat.st_ino) == self.identity)
    }

    fn is_changed(&self) -> bool {
        let after = || self.at.fingerprint().ok();
        self.before.is_some() && (!self.is_there() || self.before != after())
    }

    fn lift(self, moved: &mut Vec<u64>) -> io::Result<()> {
        match &self.home {
            Some(home) if self.is_there() => {
                renameat(&self.at.dir, &self.at.name, &home.dir, &home.name)?;
            }
            home => {
                self.drop_what_is_there()?;
                if let (Some(home), Some(mode)) = (home, self.mode) {
                    mkdirat(&home.dir, &home.name, mode)?;
                }
            }
        }
        self.restore(moved)
    }

    fn drop_what_is_there(&self) -> io::Result<()> {
        let mut gone = self.hidden.clone().into_os_string();
        gone.push("-gone");
        match renameat(&self.at.dir, &self.at.name, CWD, PathBuf::from(gone)) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Without the directory that it was in it is gone as well.
    fn restore(&self, moved: &mut Vec<u64>) -> io::Result<()> {
        match renameat(CWD, &self.hidden, &self.at.dir, &self.at.name) {
            Ok(()) => moved.push(self.at.stat()?.st_ino),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }
}

fn at(target: &Path) -> impl FnOnce(io::Error) -> SandboxError {
    let target = target.to_owned();
    move |source| SandboxError::Place { target, source }
}

fn place_of(path: &Path) -> io::Result<Place> {
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::INVAL.into());
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(Place {
        dir: openat(CWD, above, flags, Mode::empty())?,
        name: name.to_owned(),
    })
}

/// A path beneath a directory, past links there.
fn part(of: &Path, path: &Path) -> io::Result<Place> {
    resolve(&Root::open(of)?, path)
}

/// The name that a path leads to in the end.
fn resolve(root: &Root, path: &Path) -> io::Result<Place> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let parent = root.open_parent(&path)?;
        let link = match readlinkat(&parent.dir, &parent.name, Vec::new()) {
            Ok(link) => link.into_bytes(),
            Err(Errno::INVAL) => {
                return Ok(Place {
                    dir: parent.dir,
                    name: parent.name,
                });
            }
            Err(errno) => return Err(errno.into()),
        };
        use std::os::unix::ffi::OsStrExt as _;
        let above = path.parent().unwrap_or(Path::new(""));
        path = above.join(OsStr::from_bytes(&link));
    }
    Err(Errno::LOOP.into())
}
