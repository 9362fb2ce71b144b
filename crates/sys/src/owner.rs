//! Who owns a file, also where this process's user namespace has one user and group only.
//!
//! Nobody but root exists there, so a file of somebody else's stays root's on disk and its owner is
//! *recorded* on it: on files and directories in an attribute of ours, on links, pipes and the like,
//! which take no attributes of users, in that of file capabilities, which mean nothing there. Being
//! on the inode, a record is shared by hard links, survives a rename, and overlayfs copies it up. It
//! is never part of what a file is: whoever lists attributes leaves it out by [`is_record_name`] and
//! [`is_record`].

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{AtFlags, FileType, Gid, Uid, chownat, fchown, statat};

use crate::user_namespace::{IdMap, NoSuchOwner};
use crate::xattr::{self, Target};

/// Holds `UID:GID`.
const NAME: &str = "user.kiln.owner";
/// Holds user and group in place of the first capabilities, and [`MARK`] in place of the others.
const CAPABILITIES: &str = "security.capability";
/// The version of file capabilities that has no user of its own.
const VERSION: u32 = 0x0200_0000;
/// Capabilities that no kernel has.
const MARK: [u8; 8] = *b"\xff\xff\xff\xffkiln";

/// A user and a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// Whether owners are recorded: this process's user namespace has one user only. Said once, after
/// the process has entered it.
#[must_use]
pub fn are_recorded() -> bool {
    static RECORDED: OnceLock<bool> = OnceLock::new();
    // Without `/proc` there are no user namespaces to tell of.
    *RECORDED.get_or_init(|| IdMap::users().is_ok_and(|users| users.is_single()))
}

/// Makes an open file `owner`'s.
///
/// # Errors
/// As `fchown(2)`, or the owner cannot be recorded.
pub fn give(file: impl AsFd, owner: Owner) -> io::Result<()> {
    let file = file.as_fd();
    if are_recorded() {
        return give_recorded(file, OsStr::new(""), owner);
    }
    let (uid, gid) = ids(owner);
    fchown(file, uid, gid).map_err(NoSuchOwner::explain(owner.uid, owner.gid))
}

/// Makes the file `name` in `dir` `owner`'s, also a link.
///
/// # Errors
/// As `fchownat(2)`, or the owner cannot be recorded.
pub fn give_at(dir: impl AsFd, name: &OsStr, owner: Owner) -> io::Result<()> {
    let dir = dir.as_fd();
    if are_recorded() {
        return give_recorded(dir, name, owner);
    }
    let (uid, gid) = ids(owner);
    chownat(dir, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(NoSuchOwner::explain(owner.uid, owner.gid))
}

/// Makes the file at `path` `owner`'s, also a link.
///
/// # Errors
/// As `lchown(2)`, or the owner cannot be recorded.
pub fn give_path(path: &Path, owner: Owner) -> io::Result<()> {
    give_at(rustix::fs::CWD, path.as_os_str(), owner)
}

/// The recorded owner of the file `name` in `dir`, or of `dir` itself without a name; a descriptor
/// may also be one by `O_PATH`.
///
/// # Errors
/// As `getxattr(2)`.
pub fn recorded(dir: impl AsFd, name: &OsStr, kind: FileType) -> io::Result<Option<Owner>> {
    Place::new(dir.as_fd(), name).recorded(kind)
}

/// Records `owner` on the file `name` in `dir`, or on `dir` itself without a name. Root needs no
/// record.
///
/// # Errors
/// As `setxattr(2)`.
pub fn record(dir: impl AsFd, name: &OsStr, kind: FileType, owner: Owner) -> io::Result<()> {
    Place::new(dir.as_fd(), name).record(kind, owner)
}

/// Whether an attribute of this name is a record, whatever its value.
#[must_use]
pub fn is_record_name(name: &[u8]) -> bool {
    name == NAME.as_bytes()
}

/// Whether an attribute is a record.
#[must_use]
pub fn is_record(name: &[u8], value: &[u8]) -> bool {
    is_record_name(name) || (name == CAPABILITIES.as_bytes() && unpack(value).is_some())
}

/// The system's own change comes first: it clears set-user-ID bits and capabilities as any does.
fn give_recorded(dir: BorrowedFd<'_>, name: &OsStr, owner: Owner) -> io::Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    let (uid, gid) = ids(Owner::default());
    chownat(dir, name, uid, gid, flags)?;
    let kind = FileType::from_raw_mode(statat(dir, name, flags)?.st_mode);
    record(dir, name, kind, owner)
}

fn ids(owner: Owner) -> (Option<Uid>, Option<Gid>) {
    (
        Some(Uid::from_raw(owner.uid)),
        Some(Gid::from_raw(owner.gid)),
    )
}

/// A file as the calls for attributes want it.
struct Place<'a> {
    path: PathBuf,
    /// Without a name the path in `/proc` must be followed, to the very file that is open.
    open: Option<BorrowedFd<'a>>,
}

impl<'a> Place<'a> {
    fn new(dir: BorrowedFd<'a>, name: &OsStr) -> Place<'a> {
        let open = name.is_empty().then_some(dir);
        let path = if dir.as_raw_fd() == rustix::fs::CWD.as_raw_fd() || open.is_some() {
            PathBuf::from(name)
        } else {
            Path::new("/proc/self/fd")
                .join(dir.as_raw_fd().to_string())
                .join(name)
        };
        Place { path, open }
    }

    fn target(&self) -> Target<'_> {
        match self.open {
            Some(fd) => Target::Fd(fd),
            None => Target::Path(&self.path),
        }
    }

    fn recorded(&self, kind: FileType) -> io::Result<Option<Owner>> {
        let value = xattr::get(self.target(), OsStr::new(attribute(kind)))?;
        Ok(match kind {
            FileType::RegularFile | FileType::Directory => value.and_then(|value| parse(&value)),
            _ => value.and_then(|value| unpack(&value)),
        })
    }

    fn record(&self, kind: FileType, owner: Owner) -> io::Result<()> {
        let name = OsStr::new(attribute(kind));
        if owner == Owner::default() {
            return xattr::remove(self.target(), name).map(drop);
        }
        let value = match kind {
            FileType::RegularFile | FileType::Directory => {
                format!("{}:{}", owner.uid, owner.gid).into_bytes()
            }
            _ => pack(owner),
        };
        xattr::set(self.target(), name, &value)
    }
}

const fn attribute(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile | FileType::Directory => NAME,
        _ => CAPABILITIES,
    }
}

fn parse(value: &[u8]) -> Option<Owner> {
    let (uid, gid) = std::str::from_utf8(value).ok()?.split_once(':')?;
    Some(Owner {
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
    })
}

fn pack(owner: Owner) -> Vec<u8> {
    let numbers = [VERSION, owner.uid, owner.gid].map(u32::to_le_bytes);
    [numbers.as_flattened(), &MARK].concat()
}

fn unpack(value: &[u8]) -> Option<Owner> {
    let (numbers, mark) = value.split_at_checked(12)?;
    let number = |at| Some(u32::from_le_bytes(*numbers.get(at..)?.first_chunk()?));
    // The kernel may add a flag to the version.
    (mark == MARK && number(0)? & VERSION != 0).then_some(())?;
    Some(Owner {
        uid: number(4)?,
        gid: number(8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, Mode, OFlags, mknodat, open};
    use std::os::unix::fs::symlink;

    #[test]
    fn records_of_each_kind_of_file() {
        let dir = tempfile::tempdir().unwrap();
        let at = open(dir.path(), OFlags::PATH, Mode::empty()).unwrap();
        std::fs::write(dir.path().join("file"), "x").unwrap();
        std::fs::create_dir(dir.path().join("dir")).unwrap();
        symlink("nowhere", dir.path().join("link")).unwrap();
        mknodat(&at, "pipe", FileType::Fifo, Mode::RUSR, 0).unwrap();
        mknodat(&at, "socket", FileType::Socket, Mode::RUSR, 0).unwrap();
        let owner = Owner {
            uid: 7,
            gid: 4_000_000_000,
        };
        for (name, kind) in [
            ("file", FileType::RegularFile),
            ("dir", FileType::Directory),
            ("link", FileType::Symlink),
            ("pipe", FileType::Fifo),
            ("socket", FileType::Socket),
        ] {
            let flags = OFlags::PATH | OFlags::NOFOLLOW;
            let own = rustix::fs::openat(&at, name, flags, Mode::empty()).unwrap();
            let name = OsStr::new(name);
            let read = || recorded(&at, name, kind).unwrap();
            assert_eq!(read(), None);
            record(&at, name, kind, owner).unwrap();
            assert_eq!(read(), Some(owner), "{name:?}");
            assert_eq!(recorded(&own, OsStr::new(""), kind).unwrap(), Some(owner));
            let path = dir.path().join(name);
            for listed in xattr::list(path.as_path()).unwrap() {
                let value = xattr::get(path.as_path(), &listed).unwrap().unwrap();
                assert!(is_record(listed.as_encoded_bytes(), &value));
            }
            let path = path.as_os_str();
            assert_eq!(recorded(CWD, path, kind).unwrap(), Some(owner));
            record(&own, OsStr::new(""), kind, Owner::default()).unwrap();
            assert_eq!(read(), None);
            record(&at, name, kind, Owner::default()).unwrap();
        }
    }

    #[test]
    fn what_is_no_record() {
        for value in [
            &b""[..],
            b"7",
            b"7:",
            b"7:8:9",
            b"-1:2",
            b"x:y",
            b"7:4294967296",
        ] {
            assert_eq!(parse(value), None);
        }
        assert!(!is_record(b"user.kiln", b"7:8"));
        let capabilities = [&1_u32.to_le_bytes()[..], &[0; 16]].concat();
        assert!(!is_record(b"security.capability", &capabilities));
        assert!(!is_record(b"security.capability", &capabilities[..12]));
    }
}
