//! How an ordinary user becomes root of a user namespace: with all the users and groups that
//! `/etc/subuid` and `/etc/subgid` give, or with nobody else.
//!
//! The files are read as `newuidmap` reads them without a name service, and it has the last word:
//! it is privileged, and refuses what the files do not give.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sys::user_namespace;

pub use sys::user_namespace::EnterError;

const USERS: &str = "/etc/subuid";
const GROUPS: &str = "/etc/subgid";
const USER_PROGRAM: &str = "newuidmap";
const GROUP_PROGRAM: &str = "newgidmap";
/// Where distributions begin to give ranges.
const FIRST: u32 = 100_000;

/// Who this process runs as on the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its name, if `/etc/passwd` has one.
    pub name: Option<String>,
}

/// Which users and groups there are to be in the namespace beside root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// Those that the machine's owner has given to the account.
    Subordinate(Subordinates),
    /// None, for want of these.
    Single(Vec<Lack>),
}

/// Users and groups given to an account, and the programs that map them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subordinates {
    users: Vec<Range>,
    groups: Vec<Range>,
    user_program: PathBuf,
    group_program: PathBuf,
}

/// Something without which there are no subordinate users and groups, as the machine's owner is told
/// of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// A program of the package `uidmap` is not installed.
    #[error("{0} is not installed")]
    Program(&'static str),
    /// A file has no line for the account.
    #[error("{file} has no line for {account}")]
    Range {
        /// Which.
        file: &'static str,
        /// The account, as the line would name it.
        account: String,
        /// The first number that the file gives to nobody.
        free: u32,
    },
}

/// Consecutive numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    start: u32,
    count: u32,
}

impl Range {
    fn end(self) -> u64 {
        u64::from(self.start) + u64::from(self.count)
    }

    fn overlaps(self, other: Range) -> bool {
        u64::from(self.start) < other.end() && u64::from(other.start) < self.end()
    }
}

impl Account {
    /// The one that this process runs as.
    #[must_use]
    pub fn of_process() -> Account {
        let uid = rustix::process::geteuid().as_raw();
        // Without the file there are no names.
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        Account {
            uid,
            gid: rustix::process::getegid().as_raw(),
            name: name_of(uid, &passwd),
        }
    }

    fn shown(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.uid.to_string())
    }
}

impl Mapping {
    /// What there is for `account` on this machine. The programs are looked for in `search`.
    #[must_use]
    pub fn of(account: &Account, search: &[PathBuf]) -> Mapping {
        let read = |file| fs::read_to_string(file).unwrap_or_default();
        let find = |program: &str| {
            let mut places = search.iter().map(|directory| directory.join(program));
            places.find(|path| path.is_file())
        };
        Mapping::from(
            account,
            (&read(USERS), &read(GROUPS)),
            (find(USER_PROGRAM), find(GROUP_PROGRAM)),
        )
    }

    fn from(
        account: &Account,
        texts: (&str, &str),
        programs: (Option<PathBuf>, Option<PathBuf>),
    ) -> Mapping {
        let (users, groups) = (ranges(account, texts.0), ranges(account, texts.1));
        let mut lacks = Vec::new();
        for (program, found) in [(USER_PROGRAM, &programs.0), (GROUP_PROGRAM, &programs.1)] {
            if found.is_none() {
                lacks.push(Lack::Program(program));
            }
        }
        for (file, text, found) in [(USERS, texts.0, &users), (GROUPS, texts.1, &groups)] {
            if found.is_empty() {
                let (account, free) = (account.shown(), free(text));
                lacks.push(Lack::Range {
                    file,
                    account,
                    free,
                });
            }
        }
        match programs {
            (Some(user_program), Some(group_program)) if lacks.is_empty() => {
                Mapping::Subordinate(Subordinates {
                    users,
                    groups,
                    user_program,
                    group_program,
                })
            }
            _ => Mapping::Single(lacks),
        }
    }

    /// Makes this process root of a new user namespace and of a mount namespace in it.
    ///
    /// # Errors
    /// There are further threads, the kernel refuses, or a program does.
    pub fn enter(&self, account: &Account) -> Result<(), EnterError> {
        match self {
            Mapping::Single(_) => user_namespace::enter_alone(),
            Mapping::Subordinate(subordinates) => user_namespace::enter_mapped(|pid| {
                let Subordinates {
                    users,
                    groups,
                    user_program,
                    group_program,
                } = subordinates;
                map(user_program, pid, account.uid, users)?;
                map(group_program, pid, account.gid, groups)
            }),
        }
    }
}

impl Lack {
    /// What the machine's owner does about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Lack::Program(_) => {
                "install newuidmap and newgidmap (package uidmap, or shadow-utils)".to_owned()
            }
            Lack::Range {
                file,
                account,
                free,
            } => {
                format!("as root: echo {account}:{free}:65536 >> {file}")
            }
        }
    }
}

/// Root is the account, and the users after it are the subordinate ones in order.
fn map(program: &Path, pid: i32, own: u32, ranges: &[Range]) -> Result<(), String> {
    let mut arguments = vec![pid.to_string(), "0".into(), own.to_string(), "1".into()];
    let mut next = 1;
    for Range { start, count } in ranges {
        arguments.extend([next, *start, *count].map(|number: u32| number.to_string()));
        next = next.saturating_add(*count);
    }
    let failed = |why: &str| {
        let line = arguments.join(" ");
        format!("{} {line}: {why}", program.display())
    };
    let output = run(program, &arguments).map_err(|error| failed(&error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(String::from_utf8_lossy(&output.stderr).trim()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that starts the programs that map users"
)]
fn run(program: &Path, arguments: &[String]) -> io::Result<std::process::Output> {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
}

/// Those of the account, which lines name or number. What is given twice, such as by its name and by
/// its number, counts once: the kernel takes no ranges that overlap.
fn ranges(account: &Account, text: &str) -> Vec<Range> {
    let number = account.uid.to_string();
    let mut found: Vec<Range> = Vec::new();
    for (who, range) in text.lines().filter_map(line) {
        let is_own = Some(who) == account.name.as_deref() || who == number;
        if is_own && !found.iter().any(|earlier| earlier.overlaps(range)) {
            found.push(range);
        }
    }
    found
}

/// Where the numbers begin that nobody has, among those that are usually given.
fn free(text: &str) -> u32 {
    let ends = text.lines().filter_map(line).map(|(_, range)| range.end());
    let end = ends.fold(FIRST.into(), u64::max);
    u32::try_from(end).unwrap_or(u32::MAX)
}

/// `account:start:count`
fn line(line: &str) -> Option<(&str, Range)> {
    let mut fields = line.trim().split(':');
    let who = fields.next()?;
    let start = fields.next()?.parse().ok()?;
    let count = fields.next()?.parse().ok()?;
    (count > 0).then_some((who, Range { start, count }))
}

fn name_of(uid: u32, passwd: &str) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests;
