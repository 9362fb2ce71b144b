//! Files that give whoever executes them their owner's identity.

use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use sys::seccomp::Call;

use super::call::Answer;
use super::caller::Caller;
use super::credentials::Rights;
use super::files::{WORKING_DIRECTORY, as_name, owner_of};
use super::permission;
use super::table::Table;

const SET_UID: u32 = 0o4000;
/// Without the other bit it means something else.
const SET_GID: u32 = 0o2010;
const ANY_EXECUTE: u32 = 0o111;
const EMPTY_PATH: u32 = 0x1000;

/// `execve(2)` and the like: the kernel executes the file, and what it makes of the process's
/// identity is noted before. What is about to fail for another reason has no consequence worth
/// undoing: the saved identity is the effective one then, which it mostly was.
pub(super) fn execute(call: Call, caller: &Caller<'_>, table: &mut Table) -> Result<Answer, Errno> {
    let (directory, address, flags) = match call {
        Call::Execveat => (caller.number(0), caller.long(1), caller.number(4)),
        _ => (WORKING_DIRECTORY, caller.long(0), 0),
    };
    let path = caller.text(address)?;
    let file = match path.to_bytes() {
        b"" if flags & EMPTY_PATH != 0 => caller.open_directory(directory),
        path => caller.open(directory, as_name(path), true),
    };
    let Ok(file) = file else {
        return Ok(Answer::Pass);
    };
    let mode = fstat(&file)?.st_mode;
    if !FileType::from_raw_mode(mode).is_file() || mode & ANY_EXECUTE == 0 {
        return Ok(Answer::Pass);
    }
    let owner = owner_of(&file)?;
    let before = table.get(caller.pid())?;
    permission::check(before, &file, permission::SEARCH)?;
    let mut after = before.clone();
    after.user = after
        .user
        .executed((mode & SET_UID != 0).then_some(owner.uid));
    after.rights = Rights::default();
    after.group = after
        .group
        .executed((mode & SET_GID == SET_GID).then_some(owner.gid));
    if after != *before {
        caller.check()?;
        table.set(caller.pid(), after)?;
    }
    Ok(Answer::Pass)
}
