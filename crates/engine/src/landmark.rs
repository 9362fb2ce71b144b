//! What a directory of this machine is told apart by: two processes that come to the same landmark
//! at the same path see the same files there, whatever namespaces they are in.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use oci::Digest;
use rustix::fs::{CWD, Mode, OFlags, fstat, major, minor, openat};

/// Another kernel has other directories, which may have the same numbers.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
const MOUNTS: &str = "/proc/self/mountinfo";

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
        let mounts = within(&fs::read(MOUNTS)?, &path);
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
fn within(table: &[u8], directory: &Path) -> Vec<u8> {
    let mut found = Vec::new();
    for line in table.split(|byte| *byte == b'\n') {
        let mut fields = line.split(|byte| *byte == b' ').skip(2);
        let (Some(device), Some(part), Some(point)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let point = unescaped(point);
        let Ok(place) = point.strip_prefix(directory) else {
            continue;
        };
        if place.as_os_str().is_empty() {
            continue;
        }
        for field in [place.as_os_str().as_bytes(), device, part] {
            found.extend_from_slice(field);
            found.push(0);
        }
    }
    found
}

/// A path of the table, in which some bytes are octal numbers.
fn unescaped(text: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let number = after.get(..3).filter(|_| byte == b'\\');
        let number = number.and_then(|digits| std::str::from_utf8(digits).ok());
        match number.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(number) => {
                path.push(number);
                rest = &after[3..];
            }
            None => {
                path.push(byte);
                rest = after;
            }
        }
    }
    std::ffi::OsString::from_vec(path).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_beneath_a_directory_and_no_others() {
        let table = b"22 1 254:0 / / rw - ext4 /dev/vda rw\n\
                      30 22 0:25 / /src rw shared:1 - tmpfs t rw\n\
                      31 30 0:26 /a /src/with\\040space rw - tmpfs t rw\n\
                      32 22 0:27 / /src-other rw - tmpfs t rw\n\
                      a line of something else\n";
        let here = within(table, Path::new("/src"));
        assert_eq!(here, b"with space\x000:26\0/a\0");
        assert_eq!(within(table, Path::new("/src/with space")), b"");
        assert!(within(table, Path::new("/")).starts_with(b"src\0"));
        assert_eq!(unescaped(b"a\\134b\\9"), Path::new("a\\b\\9"));
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
