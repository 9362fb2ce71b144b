//! Who a process runs as: Docker's `USER` against the `/etc/passwd` and `/etc/group` of the root.
//!
//! A name or number, a colon, a group's name or number; all optional. A number means that number,
//! even if there is a user of that name, and needs no entry. The first entry that matches counts.
//! Supplementary groups are those that list the user, and only when no group was given; the user's
//! own group is always among them, so that files which are closed to that group stay closed.

use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use sys::Root;

/// The largest user or group number.
const MAX_ID: u32 = i32::MAX as u32;
/// Files larger than this are nobody's list of users.
const MAX_FILE: u64 = 16 << 20;

/// Who a process runs as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
    /// The home directory; `/` if nothing is known of one.
    pub home: String,
}

/// Why a user cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// No such user.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    NoUser(String),
    /// No such group.
    #[error("unable to find group {0}: no matching entries in group file")]
    NoGroup(String),
    /// A number that no user or group can have.
    #[error("uids and gids must be in range 0-{MAX_ID}")]
    Range,
    /// The file could not be read.
    #[error("read {file}")]
    Read {
        /// Which.
        file: &'static str,
        /// Why not.
        source: io::Error,
    },
}

impl User {
    /// Root, as in a root file system without users.
    #[must_use]
    pub fn root() -> User {
        User {
            home: "/".into(),
            groups: vec![0],
            ..User::default()
        }
    }

    /// Adds `HOME` to an environment that lacks it.
    pub fn add_home(&self, env: &mut Vec<String>) {
        if !env.iter().any(|entry| entry.starts_with("HOME=")) {
            env.push(format!("HOME={}", self.home));
        }
    }
}

/// Finds the user called `user` in the root's files. A missing file is an empty one.
///
/// # Errors
/// There is no such user or group, or a file cannot be read.
pub fn resolve(root: &Root, user: &str) -> Result<User, UserError> {
    find(&read(root, "etc/passwd")?, &read(root, "etc/group")?, user)
}

/// Finds the user called `user` in the texts of the two files.
///
/// # Errors
/// There is no such user or group.
pub fn find(passwd: &str, group: &str, user: &str) -> Result<User, UserError> {
    let (user_part, group_part) = user.split_once(':').unwrap_or((user, ""));
    let mut found = find_parts(passwd, group, user_part, group_part)?;
    if !found.groups.contains(&found.gid) {
        found.groups.insert(0, found.gid);
    }
    Ok(found)
}

/// The same in texts, with the groups that list the user.
fn find_parts(
    passwd: &str,
    group: &str,
    user: &str,
    wanted_group: &str,
) -> Result<User, UserError> {
    let uid = if user.is_empty() {
        Some(0)
    } else {
        number(user)?
    };
    let entry = entries(passwd)
        .filter_map(Passwd::parse)
        .find(|entry| match uid {
            Some(uid) => entry.uid == uid,
            None => entry.name == user,
        });
    let mut found = match (&entry, uid) {
        (Some(entry), _) => User {
            uid: entry.uid,
            gid: entry.gid,
            groups: Vec::new(),
            home: if entry.home.is_empty() {
                "/".into()
            } else {
                entry.home.into()
            },
        },
        (None, Some(uid)) => User {
            uid,
            groups: Vec::new(),
            ..User::root()
        },
        (None, None) => return Err(UserError::NoUser(user.into())),
    };
    let mut groups = entries(group).filter_map(Group::parse);
    if wanted_group.is_empty() {
        if let Some(entry) = entry {
            found.groups = groups
                .filter(|group| group.members.split(',').any(|member| member == entry.name))
                .map(|group| group.gid)
                .collect();
        }
        return Ok(found);
    }
    found.gid = match number(wanted_group)? {
        Some(gid) => gid,
        None => match groups.find(|group| group.name == wanted_group) {
            Some(group) => group.gid,
            None => return Err(UserError::NoGroup(wanted_group.into())),
        },
    };
    Ok(found)
}

struct Passwd<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl<'a> Passwd<'a> {
    fn parse(line: &'a str) -> Option<Passwd<'a>> {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Passwd {
            name,
            uid,
            gid,
            home: fields.nth(1).unwrap_or(""),
        })
    }
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

impl<'a> Group<'a> {
    fn parse(line: &'a str) -> Option<Group<'a>> {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some(Group {
            name,
            gid,
            members: fields.next().unwrap_or(""),
        })
    }
}

fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The number that `text` is, if it is one; it may be out of range.
fn number(text: &str) -> Result<Option<u32>, UserError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(number) if number <= MAX_ID => Ok(Some(number)),
        _ => Err(UserError::Range),
    }
}

fn read(root: &Root, file: &'static str) -> Result<String, UserError> {
    let fail = |source| UserError::Read { file, source };
    // A pipe in this place must not block us.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    let open = match root.open_at(Path::new(file), flags, Mode::empty()) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(String::new());
        }
        result => result.map_err(fail)?,
    };
    let mut bytes = Vec::new();
    std::fs::File::from(open)
        .take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
