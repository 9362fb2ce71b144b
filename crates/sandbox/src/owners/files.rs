//! Owners of files: changed, and looked at.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Gid, Uid, chownat, fstat};
use rustix::io::Errno;
use sys::owner::{self, Owner};
use sys::process::other;
use sys::seccomp::Call;

use super::call::Answer;
use super::caller::Caller;
use super::credentials::{Credentials, KEEP};
use super::table::Table;

pub(super) const WORKING_DIRECTORY: u32 = (-100_i32).cast_unsigned();
const NO_FOLLOW: u32 = 0x100;
const EMPTY_PATH: u32 = 0x1000;

/// How a call names a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Name {
    Descriptor(u32),
    Path {
        directory: u32,
        address: u64,
        flags: u32,
    },
}

impl Name {
    /// By the first argument.
    pub(super) fn path(caller: &Caller<'_>, flags: u32) -> Name {
        Name::Path {
            directory: WORKING_DIRECTORY,
            address: caller.long(0),
            flags,
        }
    }

    /// By the first two.
    pub(super) fn path_at(caller: &Caller<'_>, flags: u32) -> Name {
        Name::Path {
            directory: caller.number(0),
            address: caller.long(1),
            flags,
        }
    }
}

/// `chown(2)` and the like.
pub(super) fn change_owner(
    call: Call,
    caller: &Caller<'_>,
    table: &Table,
) -> Result<Answer, Errno> {
    let (name, at) = match call {
        Call::Fchown => (Name::Descriptor(caller.number(0)), 1),
        Call::Fchownat => (Name::path_at(caller, caller.number(4)), 2),
        Call::Lchown => (Name::path(caller, NO_FOLLOW), 1),
        _ => (Name::path(caller, 0), 1),
    };
    let file = find(caller, name)?;
    let credentials = table.get(caller.pid())?;
    let wanted = (caller.number(at), caller.number(at + 1));
    change(caller, &file, credentials, wanted)?;
    Ok(Answer::Value(0))
}

/// The system's own change comes first: it clears set-user-ID bits and capabilities as any does.
fn change(
    caller: &Caller<'_>,
    file: &OwnedFd,
    credentials: &Credentials,
    (uid, gid): (u32, u32),
) -> Result<(), Errno> {
    let kind = FileType::from_raw_mode(fstat(file)?.st_mode);
    let before = owner_of(file)?;
    let or = |id, before| if id == KEEP { before } else { id };
    let after = Owner {
        uid: or(uid, before.uid),
        gid: or(gid, before.gid),
    };
    if !may_change(credentials, before, after) {
        return Err(Errno::PERM);
    }
    caller.check()?;
    let root = (Some(Uid::ROOT), Some(Gid::ROOT));
    chownat(file, c"", root.0, root.1, AtFlags::EMPTY_PATH)?;
    match owner::record(file, OsStr::new(""), kind, after).map_err(errno) {
        // A pipe or socket without a name has no attributes, and is in no image.
        Err(Errno::OPNOTSUPP | Errno::PERM)
            if kind == FileType::Fifo || kind == FileType::Socket =>
        {
            Ok(())
        }
        // As the kernel says of a user that there is not.
        Err(Errno::OPNOTSUPP) => Err(Errno::INVAL),
        result => result,
    }
}

fn may_change(credentials: &Credentials, before: Owner, after: Owner) -> bool {
    let keeps_group = after.gid == before.gid || credentials.is_in(after.gid);
    credentials.is_privileged()
        || (credentials.user.file == before.uid && after.uid == before.uid && keeps_group)
}

/// `stat(2)` and the like. What has no recorded owner the kernel knows all of.
pub(super) fn look(call: Call, caller: &Caller<'_>) -> Result<Answer, Errno> {
    let (name, to) = match call {
        Call::Fstat => (Name::Descriptor(caller.number(0)), caller.long(1)),
        Call::Fstatat => (Name::path_at(caller, caller.number(3)), caller.long(2)),
        Call::Statx => (Name::path_at(caller, caller.number(2)), caller.long(4)),
        Call::Lstat => (Name::path(caller, NO_FOLLOW), caller.long(1)),
        _ => (Name::path(caller, 0), caller.long(1)),
    };
    let Ok(file) = find(caller, name) else {
        return Ok(Answer::Pass);
    };
    let Ok(Some(owner)) = recorded(&file) else {
        return Ok(Answer::Pass);
    };
    let bytes = match call {
        Call::Statx => other::statx_of(&file, caller.number(2), caller.number(3), owner)?,
        _ => other::stat_of(&file, owner)?,
    };
    caller.write(to, &bytes)?;
    Ok(Answer::Value(0))
}

/// Whose a file is for those who are answered.
pub(super) fn owner_of(file: impl AsFd) -> Result<Owner, Errno> {
    let stat = fstat(&file)?;
    let own = Owner {
        uid: stat.st_uid,
        gid: stat.st_gid,
    };
    Ok(recorded(file)?.unwrap_or(own))
}

/// What is not ours has no record either.
fn recorded(file: impl AsFd) -> Result<Option<Owner>, Errno> {
    let stat = fstat(&file)?;
    if stat.st_uid != 0 {
        return Ok(None);
    }
    let kind = FileType::from_raw_mode(stat.st_mode);
    owner::recorded(file, OsStr::new(""), kind).map_err(errno)
}

/// The file that is named.
pub(super) fn find(caller: &Caller<'_>, name: Name) -> Result<OwnedFd, Errno> {
    let (directory, address, flags) = match name {
        Name::Descriptor(number) => return caller.open_descriptor(number),
        Name::Path {
            directory,
            address,
            flags,
        } => (directory, address, flags),
    };
    let may_be_empty = flags & EMPTY_PATH != 0;
    let path = match address {
        0 if may_be_empty => c"".to_owned(),
        _ => caller.text(address)?,
    };
    match path.to_bytes() {
        b"" if may_be_empty => caller.open_directory(directory),
        b"" => Err(Errno::NOENT),
        path => caller.open(directory, as_name(path), flags & NO_FOLLOW == 0),
    }
}

pub(super) fn as_name(bytes: &[u8]) -> &OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

pub(super) fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::User;

    #[test]
    fn who_may_give_a_file_away() {
        let owner = |uid, gid| Owner { uid, gid };
        let ann = Credentials::of(&User {
            uid: 7,
            gid: 8,
            groups: vec![9],
            home: "/".into(),
        });
        assert!(may_change(&ann, owner(7, 8), owner(7, 9)));
        assert!(!may_change(&ann, owner(7, 8), owner(7, 10)));
        assert!(!may_change(&ann, owner(7, 8), owner(0, 8)));
        assert!(!may_change(&ann, owner(0, 8), owner(0, 9)));
        let root = Credentials::of(&User::root());
        assert!(may_change(&root, owner(7, 8), owner(9, 10)));
    }
}
