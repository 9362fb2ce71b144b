//! Finds out whether a tree was changed while a process had it.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, statat};

/// What a tree was like: no process can set the time of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    /// Of the file or directory `name` in `dir`.
    pub(super) fn of(dir: BorrowedFd<'_>, name: &Path) -> io::Result<Fingerprint> {
        let mut sum = 0_u64;
        let mut todo = vec![name.to_owned()];
        while let Some(path) = todo.pop() {
            let stat = statat(dir, &path, AtFlags::SYMLINK_NOFOLLOW)?;
            sum = sum.wrapping_add(of_one(&path, &stat));
            if FileType::from_raw_mode(stat.st_mode).is_dir() {
                todo.extend(entries(dir, &path)?);
            }
        }
        Ok(Fingerprint(sum))
    }
}

fn of_one(path: &Path, stat: &Stat) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    (stat.st_ino, stat.st_mode, stat.st_size).hash(&mut hasher);
    (stat.st_ctime, stat.st_ctime_nsec).hash(&mut hasher);
    hasher.finish()
}

fn entries(dir: BorrowedFd<'_>, path: &Path) -> io::Result<Vec<PathBuf>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = openat(dir, path, flags, Mode::empty())?;
    let mut found = Vec::new();
    for entry in Dir::new(open)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            found.push(path.join(std::ffi::OsStr::from_bytes(name)));
        }
    }
    Ok(found)
}
