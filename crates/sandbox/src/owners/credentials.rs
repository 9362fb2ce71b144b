//! Who a process takes itself for, and the kernel's rules for changing that. Nothing here touches a
//! process.

use rustix::io::Errno;

use crate::user::User;

/// The number that means "as it is".
pub(super) const KEEP: u32 = u32::MAX;

/// Users, or groups: the real, the effective and the saved one, and that for files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) real: u32,
    pub(super) effective: u32,
    pub(super) saved: u32,
    pub(super) file: u32,
}

/// All that a process is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: Ids,
    pub(super) group: Ids,
    pub(super) groups: Vec<u32>,
    pub(super) rights: Rights,
}

/// What becomes of root's rights when a process is root no longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rights {
    /// It has asked to keep them.
    pub(super) keeps: bool,
    /// It has kept them, and may take them up again.
    pub(super) kept: bool,
    /// It has done that.
    pub(super) taken_up: bool,
}

impl Ids {
    const fn all(id: u32) -> Ids {
        Ids {
            real: id,
            effective: id,
            saved: id,
            file: id,
        }
    }

    fn has(self, id: u32) -> bool {
        [self.real, self.effective, self.saved].contains(&id)
    }

    /// `setuid(2)`.
    pub(super) fn set(self, id: u32, privileged: bool) -> Result<Ids, Errno> {
        match id {
            KEEP => Err(Errno::INVAL),
            _ if privileged => Ok(Ids::all(id)),
            _ if id == self.real || id == self.saved => Ok(Ids {
                effective: id,
                file: id,
                ..self
            }),
            _ => Err(Errno::PERM),
        }
    }

    /// `setreuid(2)`.
    pub(super) fn set_two(self, real: u32, effective: u32, privileged: bool) -> Result<Ids, Errno> {
        let may_be_real = [KEEP, self.real, self.effective].contains(&real);
        let may_be_effective = effective == KEEP || self.has(effective);
        if !(privileged || (may_be_real && may_be_effective)) {
            return Err(Errno::PERM);
        }
        let new = Ids {
            real: or(real, self.real),
            effective: or(effective, self.effective),
            ..self
        };
        let is_saved = real != KEEP || (effective != KEEP && effective != self.real);
        Ok(Ids {
            saved: if is_saved { new.effective } else { self.saved },
            file: new.effective,
            ..new
        })
    }

    /// `setresuid(2)`.
    pub(super) fn set_three(self, ids: [u32; 3], privileged: bool) -> Result<Ids, Errno> {
        if !privileged && !ids.into_iter().all(|id| id == KEEP || self.has(id)) {
            return Err(Errno::PERM);
        }
        let [real, effective, saved] = ids;
        let effective = or(effective, self.effective);
        Ok(Ids {
            real: or(real, self.real),
            effective,
            saved: or(saved, self.saved),
            file: effective,
        })
    }

    /// `setfsuid(2)`, which says what was before, and nothing of whether it has done anything.
    pub(super) fn set_for_files(self, id: u32, privileged: bool) -> Ids {
        if id != KEEP && (privileged || self.has(id) || id == self.file) {
            Ids { file: id, ..self }
        } else {
            self
        }
    }

    /// After executing a file, which may be one that gives its owner's identity.
    pub(super) fn executed(self, given: Option<u32>) -> Ids {
        let effective = given.unwrap_or(self.effective);
        Ids {
            real: self.real,
            effective,
            saved: effective,
            file: effective,
        }
    }
}

impl Credentials {
    /// Those of a process that begins as `user`.
    pub(super) fn of(user: &User) -> Credentials {
        Credentials {
            user: Ids::all(user.uid),
            group: Ids::all(user.gid),
            groups: user.groups.clone(),
            rights: Rights::default(),
        }
    }

    /// Whether it may do what only root may.
    pub(super) const fn is_privileged(&self) -> bool {
        self.user.effective == 0 || self.rights.taken_up
    }

    /// With other users; rights go with the last of them that is root, unless they are kept.
    pub(super) fn with_users(mut self, user: Ids) -> Credentials {
        if self.user.has(0) && !user.has(0) {
            self.rights.kept = self.rights.keeps;
        }
        self.rights.taken_up &= self.user.effective == user.effective;
        self.user = user;
        self
    }

    /// With the rights that were kept, now used.
    pub(super) fn taking_up_rights(mut self) -> Credentials {
        self.rights.taken_up = self.rights.kept;
        self
    }

    /// Whether it belongs to a group, as far as files are concerned.
    pub(super) fn is_in(&self, group: u32) -> bool {
        self.group.file == group || self.groups.contains(&group)
    }
}

fn or(id: u32, before: u32) -> u32 {
    if id == KEEP { before } else { id }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ids(real: u32, effective: u32, saved: u32) -> Ids {
        Ids {
            real,
            effective,
            saved,
            file: effective,
        }
    }

    #[test]
    fn changes_of_identity() {
        let root = Ids::all(0);
        assert_eq!(root.set(7, true), Ok(Ids::all(7)));
        assert_eq!(Ids::all(7).set(0, false), Err(Errno::PERM));
        assert_eq!(ids(7, 8, 9).set(9, false), Ok(ids(7, 9, 9)));
        assert_eq!(root.set(KEEP, true), Err(Errno::INVAL));

        // Away and back, as servers do.
        let away = root.set_three([KEEP, 7, KEEP], true).unwrap();
        assert_eq!(away, ids(0, 7, 0));
        assert_eq!(away.set_three([KEEP, 0, KEEP], false), Ok(root));
        assert_eq!(root.set_three([7; 3], true), Ok(Ids::all(7)));
        assert_eq!(Ids::all(7).set_three([7, 0, 7], false), Err(Errno::PERM));

        assert_eq!(root.set_two(KEEP, 7, true), Ok(ids(0, 7, 7)));
        assert_eq!(ids(0, 7, 7).set_two(7, 0, false), Ok(ids(7, 0, 0)));
        assert_eq!(ids(1, 2, 3).set_two(3, KEEP, false), Err(Errno::PERM));
        assert_eq!(ids(1, 2, 3).set_two(KEEP, 1, false), Ok(ids(1, 1, 3)));

        assert_eq!(root.set_for_files(7, true), Ids { file: 7, ..root });
        assert_eq!(Ids::all(7).set_for_files(0, false), Ids::all(7));
        assert_eq!(Ids::all(7).executed(Some(0)), ids(7, 0, 0));
        assert_eq!(ids(0, 7, 0).executed(None), ids(0, 7, 7));
    }

    #[test]
    fn rights_that_are_kept() {
        let root = Credentials::of(&User::root());
        let away = root.clone().with_users(Ids::all(7));
        assert!(!away.is_privileged() && !away.taking_up_rights().is_privileged());
        let mut keeping = root;
        keeping.rights.keeps = true;
        let away = keeping.with_users(Ids::all(7));
        assert!(!away.is_privileged());
        let again = away.taking_up_rights();
        assert!(again.is_privileged());
        assert!(!again.with_users(Ids::all(8)).is_privileged());
    }
}
