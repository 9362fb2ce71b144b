//! Whom a process can be: in a user namespace not everybody.

use std::io;

use rustix::process::Gid;
use sys::owner;
use sys::user_namespace::{IdMap, may_set_groups};

use crate::error::SandboxError;
use crate::user::User;

/// The users and groups that there are.
#[derive(Debug)]
pub(crate) struct Identities {
    users: IdMap,
    groups: IdMap,
    sets_groups: bool,
}

impl Identities {
    /// Those of this process's user namespace.
    pub(crate) fn of_process() -> io::Result<Identities> {
        Ok(Identities {
            users: IdMap::users()?,
            groups: IdMap::groups()?,
            sets_groups: may_set_groups()?,
        })
    }

    /// Whether there are all of them: we are in the machine's own user namespace.
    pub(crate) fn are_whole(&self) -> bool {
        self.users.is_whole()
    }

    /// Whether a process can be this user.
    pub(crate) fn check(&self, user: &User) -> Result<(), SandboxError> {
        if owner::are_recorded() {
            return Ok(());
        }
        if !self.users.has(user.uid) {
            return Err(SandboxError::NoUser(user.uid));
        }
        let mut groups = vec![user.gid];
        if self.sets_groups {
            groups.extend(&user.groups);
        }
        match groups.into_iter().find(|gid| !self.groups.has(*gid)) {
            Some(gid) => Err(SandboxError::NoGroup(gid)),
            None => Ok(()),
        }
    }

    /// The user and group to become; none where every process is the same for the kernel.
    pub(super) fn ids(user: &User) -> Option<(u32, u32)> {
        (!owner::are_recorded()).then_some((user.uid, user.gid))
    }

    /// The supplementary groups to take for a user; none where they cannot be chosen. Then the
    /// process keeps ours, of which its namespace knows nothing: it is root there, and what an
    /// image's groups would allow root may do anyway.
    pub(super) fn groups(&self, user: &User) -> Option<Vec<Gid>> {
        let all = user.groups.iter().map(|gid| Gid::from_raw(*gid));
        self.sets_groups.then(|| all.collect())
    }
}
