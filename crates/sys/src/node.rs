//! Files that are neither regular nor directories: devices, pipes, sockets, and overlay's whiteout,
//! which is a character device 0:0.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Mode, Stat, chmodat, makedev, mknodat};

/// The number of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Device {
    /// Which driver.
    pub major: u32,
    /// Which of the driver's devices.
    pub minor: u32,
}

impl Device {
    /// The number as `st_rdev` holds it.
    #[must_use]
    pub fn from_raw(raw: u64) -> Device {
        Device {
            major: rustix::fs::major(raw),
            minor: rustix::fs::minor(raw),
        }
    }
}

/// Makes a device, pipe or socket with exactly `mode`, whatever the umask.
///
/// # Errors
/// As `mknod(2)`.
pub fn create(
    dir: impl AsFd,
    name: &OsStr,
    file_type: FileType,
    mode: Mode,
    device: Device,
) -> io::Result<()> {
    let dir = dir.as_fd();
    mknodat(
        dir,
        name,
        file_type,
        mode,
        makedev(device.major, device.minor),
    )?;
    Ok(chmodat(dir, name, mode, AtFlags::empty())?)
}

/// Makes a whiteout: in an upper directory it hides what the lower ones have under that name. Needs
/// no privilege.
///
/// # Errors
/// As `mknod(2)`.
pub fn create_whiteout(dir: impl AsFd, name: &OsStr) -> io::Result<()> {
    Ok(mknodat(
        dir,
        name,
        FileType::CharacterDevice,
        Mode::empty(),
        makedev(0, 0),
    )?)
}

/// Whether a file is overlay's whiteout.
#[must_use]
pub fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode).is_char_device() && stat.st_rdev == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, OFlags, openat, statat};

    #[test]
    fn a_whiteout_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let fd = openat(
            CWD,
            dir.path(),
            OFlags::PATH | OFlags::DIRECTORY,
            Mode::empty(),
        )
        .unwrap();
        create_whiteout(&fd, OsStr::new("gone")).unwrap();
        let stat = statat(&fd, "gone", AtFlags::SYMLINK_NOFOLLOW).unwrap();
        assert!(is_whiteout(&stat));
        create(
            &fd,
            OsStr::new("pipe"),
            FileType::Fifo,
            Mode::from_raw_mode(0o622),
            Device::default(),
        )
        .unwrap();
        let stat = statat(&fd, "pipe", AtFlags::SYMLINK_NOFOLLOW).unwrap();
        assert!(!is_whiteout(&stat));
        assert_eq!(stat.st_mode & 0o7777, 0o622);
    }
}
