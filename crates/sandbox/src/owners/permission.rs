//! What is refused to those who are not root. The kernel takes everybody for the owner, so what is
//! not refused here nobody refuses.

use std::os::fd::AsFd;

use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use sys::owner::Owner;
use sys::seccomp::Call;

use super::call::Answer;
use super::caller::Caller;
use super::credentials::Credentials;
use super::files::{self, Name};
use super::table::Table;

pub(super) const READ: u32 = 0o4;
pub(super) const WRITE: u32 = 0o2;
/// Of a directory; of a file it is executing it.
pub(super) const SEARCH: u32 = 0o1;
/// `AT_EACCESS`: the effective identity is meant, not the real one.
const EFFECTIVE: u32 = 0x200;

/// `access(2)` and the like.
pub(super) fn access(call: Call, caller: &Caller<'_>, table: &Table) -> Result<Answer, Errno> {
    let (name, wanted, flags) = match call {
        Call::Access => (Name::path(caller, 0), caller.number(1), 0),
        Call::Faccessat => (Name::path_at(caller, 0), caller.number(2), 0),
        _ => {
            let flags = caller.number(3);
            (Name::path_at(caller, flags), caller.number(2), flags)
        }
    };
    let mut credentials = table.get(caller.pid())?.clone();
    if flags & EFFECTIVE == 0 {
        credentials.user.file = credentials.user.real;
        credentials.group.file = credentials.group.real;
    }
    if credentials.user.file == 0 || wanted == 0 {
        return Ok(Answer::Pass);
    }
    let Ok(file) = files::find(caller, name) else {
        return Ok(Answer::Pass);
    };
    check(&credentials, &file, wanted).map(|()| Answer::Pass)
}

/// Fails if somebody may not do that with a file. What is no file of an image has its own rules.
pub(super) fn check(credentials: &Credentials, file: impl AsFd, wanted: u32) -> Result<(), Errno> {
    let mode = fstat(&file)?.st_mode;
    let kind = FileType::from_raw_mode(mode);
    if !matches!(kind, FileType::RegularFile | FileType::Directory) {
        return Ok(());
    }
    match allows(credentials, files::owner_of(file)?, mode, wanted) {
        true => Ok(()),
        false => Err(Errno::ACCESS),
    }
}

fn allows(credentials: &Credentials, owner: Owner, mode: u32, wanted: u32) -> bool {
    let shift = if credentials.user.file == owner.uid {
        6
    } else if credentials.is_in(owner.gid) {
        3
    } else {
        0
    };
    let wanted = wanted & 0o7;
    credentials.user.file == 0 || (mode >> shift) & wanted == wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user::User;

    #[test]
    fn who_may_do_what() {
        let ann = Credentials::of(&User {
            uid: 7,
            gid: 8,
            groups: vec![9],
            home: "/".into(),
        });
        let owner = |uid, gid| Owner { uid, gid };
        let both = WRITE | SEARCH;
        assert!(allows(&ann, owner(7, 0), 0o700, both));
        assert!(!allows(&ann, owner(7, 8), 0o077, both));
        assert!(allows(&ann, owner(0, 9), 0o770, both));
        assert!(!allows(&ann, owner(0, 9), 0o757, both));
        assert!(allows(&ann, owner(0, 0), 0o1777, both));
        assert!(!allows(&ann, owner(0, 0), 0o755, both));
        assert!(allows(&ann, owner(0, 0), 0o755, SEARCH));
        let root = Credentials::of(&User::root());
        assert!(allows(&root, owner(7, 7), 0, both));
    }
}
