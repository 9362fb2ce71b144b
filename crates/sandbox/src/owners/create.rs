//! Files that are made, or opened to be changed: they are whose the process is that makes them.
//!
//! What would be root's anyway the kernel makes. Everything else is made here, in the process's
//! place: with its umask, and in the directory that it means.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, fstat, mkdirat, mknodat, openat, readlinkat, symlinkat};
use rustix::io::Errno;
use rustix::process::umask;
use sys::owner::{self, Owner};
use sys::process::other;
use sys::seccomp::Call;

use super::call::Answer;
use super::caller::{Caller, split};
use super::credentials::Credentials;
use super::files::{WORKING_DIRECTORY, as_name, errno, owner_of};
use super::permission::{self, READ, SEARCH, WRITE};
use super::table::Table;

/// As many as the kernel follows.
const MAX_LINKS: usize = 40;
const SET_GID: u32 = 0o2000;

/// A name that is to be made.
struct New {
    parent: OwnedFd,
    name: CString,
    owner: Owner,
}

/// What is at a name that may be made.
enum Found {
    /// Nothing, and the kernel would get the owner wrong.
    New(New),
    /// This file.
    There(OwnedFd),
    /// The kernel knows what to do.
    Usual,
}

/// `open(2)` and the like, where they may make or change a file.
pub(super) fn open(call: Call, caller: &Caller<'_>, table: &Table) -> Result<Answer, Errno> {
    let (directory, address, flags, mode) = match call {
        Call::Open => (WORKING_DIRECTORY, 0, caller.number(1), caller.number(2)),
        Call::Creat => {
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::TRUNC;
            (WORKING_DIRECTORY, 0, flags.bits(), caller.number(1))
        }
        Call::Openat => (caller.number(0), 1, caller.number(2), caller.number(3)),
        _ => return open_by_structure(caller, table),
    };
    let flags = OFlags::from_bits_retain(flags);
    let path = caller.text(caller.long(address))?;
    let credentials = table.get(caller.pid())?;
    if flags.contains(OFlags::TMPFILE) {
        return open_without_name(caller, credentials, (directory, &path), flags, mode);
    }
    if flags.contains(OFlags::PATH) {
        return Ok(Answer::Pass);
    }
    if !flags.contains(OFlags::CREATE) {
        return open_there(caller, credentials, (directory, &path), flags);
    }
    let follows = !flags.intersects(OFlags::EXCL | OFlags::NOFOLLOW);
    match find(caller, credentials, directory, path.clone(), follows)? {
        Found::New(new) => open_new(caller, &new, flags, mode),
        Found::There(file) if !flags.contains(OFlags::EXCL) => {
            may_open(credentials, &path, file, flags)
        }
        Found::There(_) | Found::Usual => Ok(Answer::Pass),
    }
}

fn open_new(caller: &Caller<'_>, new: &New, flags: OFlags, mode: u32) -> Result<Answer, Errno> {
    caller.check()?;
    umask(Mode::from_raw_mode(caller.umask()?));
    let made = flags | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(mode & 0o7777);
    let file = openat(&new.parent, &new.name, made, mode)?;
    record(&file, c"", FileType::RegularFile, new.owner)?;
    Ok(Answer::Descriptor(file, flags.contains(OFlags::CLOEXEC)))
}

fn open_there(
    caller: &Caller<'_>,
    credentials: &Credentials,
    (directory, path): (u32, &CStr),
    flags: OFlags,
) -> Result<Answer, Errno> {
    if credentials.user.file == 0 {
        return Ok(Answer::Pass);
    }
    let follows = !flags.contains(OFlags::NOFOLLOW);
    match caller.open(directory, as_name(path.to_bytes()), follows) {
        Ok(file) => may_open(credentials, path, file, flags),
        Err(_) => Ok(Answer::Pass),
    }
}

/// Files in `/proc` are whose the process is that they tell of, which for the kernel is root.
fn may_open(
    credentials: &Credentials,
    path: &CStr,
    file: OwnedFd,
    flags: OFlags,
) -> Result<Answer, Errno> {
    let wanted = match flags & OFlags::RWMODE {
        OFlags::RDONLY => READ,
        OFlags::WRONLY => WRITE,
        _ => READ | WRITE,
    };
    if !path.to_bytes().starts_with(b"/proc/") {
        permission::check(credentials, file, wanted)?;
    }
    Ok(Answer::Pass)
}

/// `openat2(2)`, which programs use only where there is one.
fn open_by_structure(caller: &Caller<'_>, table: &Table) -> Result<Answer, Errno> {
    let mut flags = [0; 8];
    other::read_memory(caller.pid(), caller.long(2), &mut flags)?;
    let makes = u64::from(
        (OFlags::CREATE | OFlags::TMPFILE)
            .difference(OFlags::DIRECTORY)
            .bits(),
    );
    let credentials = table.get(caller.pid())?;
    let is_root = (credentials.user.file, credentials.group.file) == (0, 0);
    if u64::from_ne_bytes(flags) & makes == 0 || is_root {
        return Ok(Answer::Pass);
    }
    Err(Errno::NOSYS)
}

/// A file that may get a name later.
fn open_without_name(
    caller: &Caller<'_>,
    credentials: &Credentials,
    (directory, path): (u32, &CString),
    flags: OFlags,
    mode: u32,
) -> Result<Answer, Errno> {
    let parent = caller.open(directory, as_name(path.to_bytes()), true)?;
    let owner = owner_of_new(credentials, &parent)?;
    if owner == Owner::default() {
        return Ok(Answer::Pass);
    }
    caller.check()?;
    umask(Mode::from_raw_mode(caller.umask()?));
    let mode = Mode::from_raw_mode(mode & 0o7777);
    let file = openat(&parent, c".", flags | OFlags::CLOEXEC, mode)?;
    record(&file, c"", FileType::RegularFile, owner)?;
    Ok(Answer::Descriptor(file, flags.contains(OFlags::CLOEXEC)))
}

/// `mkdir(2)` and the like.
pub(super) fn directory(call: Call, caller: &Caller<'_>, table: &Table) -> Result<Answer, Errno> {
    let (directory, at) = base(call == Call::Mkdirat, caller);
    let mode = Mode::from_raw_mode(caller.number(at + 1) & 0o7777);
    make(caller, table, (directory, caller.long(at)), |new| {
        mkdirat(&new.parent, &new.name, mode)?;
        record(&new.parent, &new.name, FileType::Directory, new.owner)
    })
}

/// `mknod(2)` and the like. Devices are for the kernel to refuse.
pub(super) fn node(call: Call, caller: &Caller<'_>, table: &Table) -> Result<Answer, Errno> {
    let (directory, at) = base(call == Call::Mknodat, caller);
    let raw = caller.number(at + 1);
    let kind = match raw & 0o170_000 {
        0 => FileType::RegularFile,
        _ => FileType::from_raw_mode(raw),
    };
    if !matches!(
        kind,
        FileType::RegularFile | FileType::Fifo | FileType::Socket
    ) {
        return Ok(Answer::Pass);
    }
    let mode = Mode::from_raw_mode(raw & 0o7777);
    make(caller, table, (directory, caller.long(at)), |new| {
        mknodat(&new.parent, &new.name, kind, mode, 0)?;
        record(&new.parent, &new.name, kind, new.owner)
    })
}

/// `symlink(2)` and the like.
pub(super) fn link(call: Call, caller: &Caller<'_>, table: &Table) -> Result<Answer, Errno> {
    let (directory, at) = match call {
        Call::Symlinkat => (caller.number(1), 2),
        _ => (WORKING_DIRECTORY, 1),
    };
    let target = caller.text(caller.long(0))?;
    make(caller, table, (directory, caller.long(at)), |new| {
        symlinkat(&target, &new.parent, &new.name)?;
        record(&new.parent, &new.name, FileType::Symlink, new.owner)
    })
}

const fn base(has_directory: bool, caller: &Caller<'_>) -> (u32, usize) {
    match has_directory {
        true => (caller.number(0), 1),
        false => (WORKING_DIRECTORY, 0),
    }
}

fn make(
    caller: &Caller<'_>,
    table: &Table,
    (directory, address): (u32, u64),
    make: impl FnOnce(&New) -> Result<(), Errno>,
) -> Result<Answer, Errno> {
    let path = caller.text(address)?;
    let credentials = table.get(caller.pid())?;
    let Found::New(new) = find(caller, credentials, directory, path, false)? else {
        return Ok(Answer::Pass);
    };
    caller.check()?;
    umask(Mode::from_raw_mode(caller.umask()?));
    make(&new)?;
    Ok(Answer::Value(0))
}

/// What is at `path`.
fn find(
    caller: &Caller<'_>,
    credentials: &Credentials,
    directory: u32,
    mut path: CString,
    follows: bool,
) -> Result<Found, Errno> {
    let mut from = None;
    for _ in 0..MAX_LINKS {
        let Some((above, name)) = split(as_name(path.to_bytes())) else {
            return Ok(Found::Usual);
        };
        let parent = match &from {
            None => caller.open(directory, above, true),
            Some(from) => caller.open_at(AsFd::as_fd(from), above, true),
        };
        let Ok(parent) = parent else {
            return Ok(Found::Usual);
        };
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let there = match openat(&parent, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return new(credentials, parent, name),
            Err(_) => return Ok(Found::Usual),
            Ok(there) => there,
        };
        if !follows || !FileType::from_raw_mode(fstat(&there)?.st_mode).is_symlink() {
            return Ok(Found::There(there));
        }
        path = readlinkat(&there, c"", Vec::new())?;
        from = Some(parent);
    }
    Ok(Found::Usual)
}

fn new(credentials: &Credentials, parent: OwnedFd, name: &OsStr) -> Result<Found, Errno> {
    let owner = owner_of_new(credentials, &parent)?;
    if owner == Owner::default() {
        return Ok(Found::Usual);
    }
    let name = CString::new(name.as_encoded_bytes()).map_err(|_| Errno::INVAL)?;
    Ok(Found::New(New {
        parent,
        name,
        owner,
    }))
}

/// Whose a new file is. In a directory that passes on its group it is that group's.
fn owner_of_new(credentials: &Credentials, parent: &OwnedFd) -> Result<Owner, Errno> {
    let mode = fstat(parent)?.st_mode;
    let (uid, gid) = (credentials.user.file, credentials.group.file);
    if (uid, gid) == (0, 0) && mode & SET_GID == 0 {
        return Ok(Owner::default());
    }
    permission::check(credentials, parent, WRITE | SEARCH)?;
    let gid = match mode & SET_GID {
        0 => gid,
        _ => owner_of(parent)?.gid,
    };
    Ok(Owner { uid, gid })
}

fn record(at: impl AsFd, name: &CStr, kind: FileType, owner: Owner) -> Result<(), Errno> {
    owner::record(at, as_name(name.to_bytes()), kind, owner).map_err(errno)
}
