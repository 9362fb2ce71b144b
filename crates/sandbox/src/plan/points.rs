//! Mount points that a root lacks: made before the process starts, removed after it has ended, so
//! that what the process leaves behind is what it made itself.
//!
//! A directory that has got something in it meanwhile stays, and so does a file that is no longer
//! empty. The time of the directory above is set back to what it would be had we never been there.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, chmodat, fstat, futimens,
    mkdirat, openat, readlinkat, statat, unlinkat,
};
use rustix::io::Errno;
use sys::Root;

/// As many links as the kernel follows in one path.
const MAX_LINKS: usize = 40;

/// What was made, and where.
#[derive(Debug, Default)]
pub(crate) struct MountPoints {
    made: Vec<Made>,
    changed: Vec<Changed>,
}

#[derive(Debug)]
struct Made {
    dir: OwnedFd,
    name: OsString,
    is_dir: bool,
}

/// A directory that something was made in.
#[derive(Debug)]
struct Changed {
    dir: OwnedFd,
    identity: (u64, u64),
    /// Its time before and after.
    before: Timespec,
    after: Timespec,
}

impl MountPoints {
    /// Makes sure that there is something to mount on at `path`. If `lasting`, it is remembered.
    pub(crate) fn make(
        &mut self,
        root: &Root,
        path: &Path,
        is_dir: bool,
        lasting: bool,
    ) -> io::Result<()> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            match self.make_once(root, &path, is_dir, lasting)? {
                None => return Ok(()),
                Some(target) => path = target,
            }
        }
        Err(Errno::LOOP.into())
    }

    /// Remembers what the directories look like now, just before the process starts.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        for changed in &mut self.changed {
            changed.after = modified(&changed.dir)?;
        }
        Ok(())
    }

    /// Removes what is still as it was made.
    pub(crate) fn remove(&mut self) -> io::Result<()> {
        self.remove_after(|| Ok(()))
    }

    /// The same, after something else that is no change of the process's.
    pub(crate) fn remove_after(
        &mut self,
        first: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let mut times = Vec::new();
        for Changed {
            dir, before, after, ..
        } in self.changed.drain(..)
        {
            let now = modified(&dir)?;
            times.push((dir, if now == after { before } else { now }));
        }
        let first = first();
        while let Some(made) = self.made.pop() {
            made.remove()?;
        }
        first?;
        for (dir, modified) in times {
            set_modified(&dir, modified)?;
        }
        Ok(())
    }

    /// If `path` is a link to something missing, says where that would be.
    fn make_once(
        &mut self,
        root: &Root,
        path: &Path,
        is_dir: bool,
        lasting: bool,
    ) -> io::Result<Option<PathBuf>> {
        match root.metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => return result.map(|_| None),
        }
        let above = path.parent().unwrap_or(Path::new(""));
        if above != Path::new("") {
            self.make(root, above, true, lasting)?;
        }
        let parent = root.open_parent(path)?;
        if lasting {
            self.remember(parent.dir.as_fd().try_clone_to_owned()?)?;
        }
        match create(&parent.dir, &parent.name, is_dir) {
            Err(Errno::EXIST) => {
                let target = readlinkat(&parent.dir, &parent.name, Vec::new())?;
                let target = PathBuf::from(target.to_string_lossy().into_owned());
                return Ok(Some(above.join(target)));
            }
            result => result?,
        }
        if lasting {
            self.made.push(Made {
                dir: parent.dir,
                name: parent.name,
                is_dir,
            });
        }
        Ok(None)
    }

    /// Notes the time of a directory in which something is about to be made.
    pub(crate) fn remember(&mut self, dir: OwnedFd) -> io::Result<()> {
        let stat = fstat(&dir)?;
        let identity = (stat.st_dev, stat.st_ino);
        if self
            .changed
            .iter()
            .all(|changed| changed.identity != identity)
        {
            let before = modified(&dir)?;
            self.changed.push(Changed {
                dir,
                identity,
                before,
                after: before,
            });
        }
        Ok(())
    }
}

impl Drop for MountPoints {
    fn drop(&mut self) {
        // For processes that were never started; nobody is left to tell.
        let _ = self.remove();
    }
}

impl Made {
    fn remove(&self) -> io::Result<()> {
        let Made { dir, name, is_dir } = self;
        if !is_dir {
            let unchanged = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => return Ok(()),
                result => result.map(|stat| {
                    FileType::from_raw_mode(stat.st_mode).is_file() && stat.st_size == 0
                })?,
            };
            if !unchanged {
                return Ok(());
            }
        }
        let flags = if *is_dir {
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        match unlinkat(dir, name, flags) {
            // The process has put something there, or has itself removed or replaced it.
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT | Errno::NOTDIR) => Ok(()),
            result => Ok(result?),
        }
    }
}

/// With these modes whatever the umask, since the process may come to use them.
fn create(dir: &OwnedFd, name: &OsString, is_dir: bool) -> Result<(), Errno> {
    if is_dir {
        mkdirat(dir, name, Mode::RWXU)?;
        return chmodat(dir, name, Mode::from_raw_mode(0o755), AtFlags::empty());
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::RUSR | Mode::WUSR)?;
    chmodat(dir, name, Mode::from_raw_mode(0o644), AtFlags::empty())
}

fn modified(dir: &OwnedFd) -> io::Result<Timespec> {
    let stat = fstat(dir)?;
    Ok(Timespec {
        tv_sec: stat.st_mtime as _,
        tv_nsec: stat.st_mtime_nsec as _,
    })
}

fn set_modified(dir: &OwnedFd, modified: Timespec) -> io::Result<()> {
    // What we have is for paths only.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = match openat(dir, ".", flags, Mode::empty()) {
        // It is gone.
        Err(Errno::NOENT) => return Ok(()),
        result => result?,
    };
    let untouched = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_OMIT as _,
    };
    Ok(futimens(
        &dir,
        &Timestamps {
            last_access: untouched,
            last_modification: modified,
        },
    )?)
}

#[cfg(test)]
mod tests;
