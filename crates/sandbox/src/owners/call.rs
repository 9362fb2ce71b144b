//! From a call to what becomes of it.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use sys::seccomp::{Call, Listener, Notification};

use super::caller::{Caller, Directories};
use super::table::Table;
use super::{create, execute, files, identity, permission};

/// All that answers are made of.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) listener: Listener,
    pub(super) directories: Directories,
    pub(super) table: Table,
}

/// What becomes of a call.
#[derive(Debug)]
pub(super) enum Answer {
    /// The kernel does as it would.
    Pass,
    /// This is its result.
    Value(i64),
    /// Its result is a descriptor of this file, perhaps closed when a file is executed.
    Descriptor(OwnedFd, bool),
}

impl Answers {
    pub(super) fn answer(&mut self, notification: &Notification) {
        let caller = Caller {
            notification,
            listener: &self.listener,
            directories: &self.directories,
        };
        let answer = match Call::of(notification.number) {
            None => Ok(Answer::Pass),
            Some(call) => decide(call, &caller, &mut self.table),
        };
        match answer {
            Ok(Answer::Pass) => self.listener.let_pass(notification),
            Ok(Answer::Value(value)) => self.listener.answer(notification, Ok(value)),
            Ok(Answer::Descriptor(file, closes)) => {
                self.listener.answer_with(notification, file, closes);
            }
            Err(errno) => self.listener.answer(notification, Err(errno)),
        }
    }
}

fn decide(call: Call, caller: &Caller<'_>, table: &mut Table) -> Result<Answer, Errno> {
    match call {
        Call::Chown | Call::Lchown | Call::Fchown | Call::Fchownat => {
            files::change_owner(call, caller, table)
        }
        Call::Stat | Call::Lstat | Call::Fstat | Call::Fstatat | Call::Statx => {
            files::look(call, caller)
        }
        Call::Access | Call::Faccessat | Call::Faccessat2 => {
            permission::access(call, caller, table)
        }
        Call::Open | Call::Creat | Call::Openat | Call::Openat2 => {
            create::open(call, caller, table)
        }
        Call::Mkdir | Call::Mkdirat => create::directory(call, caller, table),
        Call::Mknod | Call::Mknodat => create::node(call, caller, table),
        Call::Symlink | Call::Symlinkat => create::link(call, caller, table),
        Call::Execve | Call::Execveat => execute::execute(call, caller, table),
        _ => identity::identity(call, caller, table),
    }
}
