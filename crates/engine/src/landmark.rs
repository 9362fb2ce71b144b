//! What a directory of this machine is told apart by: two processes that come to the same landmark
//! at the same path see the same files there, whatever namespaces they are in.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use oci::Digest;
use rustix::fs::{CWD, Mode, OFlags, fstat, major, minor, openat};
use sys::mount::{Mounted, mounted};

/// Another kernel has other directories, which may have the same numbers.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// A directory, and what it is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landmark {
    /// Where this process has it, without symbolic links.
    pub path: PathBuf,
    /// The same for whoever sees the same files there.
    pub mark: String,
}

impl Landmark {
    /// Of the directory at `path`. May block.
    ///
    /// # Errors
    /// It is no directory, or `/proc` does not say what it should.
    pub fn of(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, path, flags, Mode::empty())?;
        let path = fs::read_link(format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd()))?;
        let stat = fstat(&directory)?;
        let device = (major(stat.st_dev), minor(stat.st_dev));
        let boot = fs::read_to_string(BOOT)?;
        let mounts = within(&mounted()?, &path);
        let mark = format!(
            "{} {}:{} {} {}",
            boot.trim(),
            device.0,
            device.1,
            stat.st_ino,
            Digest::of(&mounts).hex()
        );
        Ok(Self { path, mark })
    }
}

/// What is mounted beneath `directory`: where in it, which file system, and which part of that.
fn within(all: &[Mounted], directory: &Path) -> Vec<u8> {
    let mut found = Vec::new();
    for mounted in all {
        let Ok(place) = mounted.point.strip_prefix(directory) else {
            continue;
        };
        if place.as_os_str().is_empty() {
            continue;
        }
        let fields = [
            place.as_os_str(),
            mounted.device.as_ref(),
            mounted.part.as_os_str(),
        ];
        for field in fields {
            found.extend_from_slice(field.as_bytes());
            found.push(0);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_beneath_a_directory_and_no_others() {
        let mounted = |device: &str, part: &str, point: &str| Mounted {
            device: device.to_owned(),
            part: part.into(),
            point: point.into(),
            kind: "tmpfs".to_owned(),
        };
        let all = [
            mounted("254:0", "/", "/"),
            mounted("0:25", "/", "/src"),
            mounted("0:26", "/a", "/src/with space"),
            mounted("0:27", "/", "/src-other"),
        ];
        let here = within(&all, Path::new("/src"));
        assert_eq!(here, b"with space\x000:26\0/a\0");
        assert_eq!(within(&all, Path::new("/src/with space")), b"");
        assert!(within(&all, Path::new("/")).starts_with(b"src\0"));
    }

    #[test]
    fn the_same_by_all_its_names_and_another_for_another() {
        let scratch = tempfile::tempdir().unwrap();
        let (one, other) = (scratch.path().join("one"), scratch.path().join("other"));
        fs::create_dir(&one).unwrap();
        fs::create_dir(&other).unwrap();
        let link = scratch.path().join("link");
        std::os::unix::fs::symlink(&one, &link).unwrap();
        let landmark = Landmark::of(&one).unwrap();
        assert_eq!(Landmark::of(&link).unwrap(), landmark);
        assert_ne!(Landmark::of(&other).unwrap().mark, landmark.mark);
        // Another directory at the same place.
        fs::rename(&one, scratch.path().join("moved")).unwrap();
        fs::create_dir(&one).unwrap();
        assert_ne!(Landmark::of(&one).unwrap().mark, landmark.mark);
        fs::write(scratch.path().join("file"), "").unwrap();
        assert!(Landmark::of(&scratch.path().join("file")).is_err());
    }
}
