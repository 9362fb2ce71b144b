//! How an ordinary user becomes root of a user namespace: with all the users and groups that
//! `/etc/subuid` and `/etc/subgid` give, or with nobody else.
//!
//! The files are read as `newuidmap` reads them without a name service, and it has the last word:
//! it is privileged, and refuses what the files do not give.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sys::user_namespace::{self, EnterError, IdMap};

const USERS: &str = "/etc/subuid";
const GROUPS: &str = "/etc/subgid";
const USER_PROGRAM: &str = "newuidmap";
const GROUP_PROGRAM: &str = "newgidmap";

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

/// Something without which there are no subordinate users and groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// A program of the package `uidmap` is not installed.
    Program(&'static str),
    /// A file has no line for the account.
    Range {
        /// Which.
        file: &'static str,
        /// The account, as the line would name it.
        account: String,
    },
}

/// Consecutive numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    start: u32,
    count: u32,
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
        (users, groups): (&str, &str),
        programs: (Option<PathBuf>, Option<PathBuf>),
    ) -> Mapping {
        let (users, groups) = (ranges(account, users), ranges(account, groups));
        let mut lacks = Vec::new();
        for (program, found) in [(USER_PROGRAM, &programs.0), (GROUP_PROGRAM, &programs.1)] {
            if found.is_none() {
                lacks.push(Lack::Program(program));
            }
        }
        for (file, found) in [(USERS, &users), (GROUPS, &groups)] {
            if found.is_empty() {
                let account = account.shown();
                lacks.push(Lack::Range { file, account });
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

/// Whether this process has all users and groups: it is in no user namespace but the machine's own.
///
/// # Errors
/// `/proc` cannot be read.
pub fn is_on_machine() -> io::Result<bool> {
    Ok(IdMap::users()?.is_whole())
}

/// How many users this process's user namespace has.
///
/// # Errors
/// `/proc` cannot be read.
pub fn count_users() -> io::Result<u64> {
    Ok(IdMap::users()?.count())
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lack::Program(program) => write!(f, "{program} is not installed"),
            Lack::Range { file, account } => write!(f, "{file} has no line for {account}"),
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
            Lack::Range { file, account } => {
                format!("as root: echo {account}:100000:65536 >> {file}")
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

/// Lines are `account:start:count`, the account by name or number.
fn ranges(account: &Account, text: &str) -> Vec<Range> {
    let number = account.uid.to_string();
    let of_account = |line: &str| {
        let mut fields = line.trim().split(':');
        let who = fields.next()?;
        if Some(who) != account.name.as_deref() && who != number {
            return None;
        }
        let start = fields.next()?.parse().ok()?;
        let count = fields.next()?.parse().ok()?;
        (count > 0).then_some(Range { start, count })
    };
    text.lines().filter_map(of_account).collect()
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
mod tests {
    use super::*;

    fn account() -> Account {
        let passwd = "root:x:0:0::/:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
        Account {
            uid: 1000,
            gid: 1000,
            name: name_of(1000, passwd),
        }
    }

    #[test]
    fn lines_of_an_account() {
        let text = "bob:100000:65536\nann:200000:10\n1000:300000:20\nann:x:1\nann:400000:0\n";
        let found = ranges(&account(), text);
        let starts: Vec<_> = found
            .iter()
            .map(|range| (range.start, range.count))
            .collect();
        assert_eq!(starts, [(200_000, 10), (300_000, 20)]);
        let nameless = Account {
            name: None,
            ..account()
        };
        assert_eq!(ranges(&nameless, text).len(), 1);
    }

    #[test]
    fn what_lacks_is_named_with_what_to_do() {
        let lines = "ann:100000:65536\n";
        let program = || Some(PathBuf::from("/usr/bin/x"));
        let check = |users, groups, first: Option<PathBuf>, expected: &[&str]| {
            let mapping = Mapping::from(&account(), (users, groups), (first, program()));
            let lacks = match mapping {
                Mapping::Subordinate(_) => Vec::new(),
                Mapping::Single(lacks) => lacks,
            };
            let told = lacks
                .iter()
                .map(|lack| format!("{lack}; {}", lack.remedy()));
            assert_eq!(told.collect::<Vec<_>>(), expected);
        };
        check(lines, lines, program(), &[]);
        check(
            lines,
            "",
            None,
            &[
                "newuidmap is not installed; install newuidmap and newgidmap (package uidmap, or \
                 shadow-utils)",
                "/etc/subgid has no line for ann; as root: echo ann:100000:65536 >> /etc/subgid",
            ],
        );
    }
}
