//! A user namespace of this process's own, in which an ordinary user is root.
//!
//! A process enters one while it has a single thread, together with a mount namespace that belongs
//! to it. What the new namespace's users are outside is said once, either by the process itself,
//! which may map its own user and group only, or by privileged programs that somebody runs outside.

use std::fs;
use std::io::{self, Read as _, Write as _};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitOptions, getegid, geteuid, getpid, waitpid};
use rustix::thread::{UnshareFlags, unshare_unsafe};

use crate::raw;

/// Which users, or groups, of a user namespace there are, and what they are outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdMap(Vec<IdRange>);

/// Users or groups with consecutive numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// The first one inside.
    pub inside: u32,
    /// What that is outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// A file cannot be given to somebody whom this process's user namespace does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("user {uid} or group {gid} does not exist in this user namespace")]
pub struct NoSuchOwner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// Why no user namespace was entered.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// There is more than one thread.
    #[error("a process of several threads cannot enter a user namespace")]
    Threads,
    /// The kernel refused.
    #[error("{call}")]
    Call {
        /// What.
        call: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Whoever was to map users and groups has not.
    #[error("{0}")]
    Helper(String),
}

impl EnterError {
    fn call<E: Into<io::Error>>(call: &'static str) -> impl FnOnce(E) -> EnterError {
        move |source| EnterError::Call {
            call,
            source: source.into(),
        }
    }
}

impl IdMap {
    /// The users of this process's namespace.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn users() -> io::Result<IdMap> {
        IdMap::parse(&fs::read_to_string("/proc/self/uid_map")?)
    }

    /// The groups of this process's namespace.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn groups() -> io::Result<IdMap> {
        IdMap::parse(&fs::read_to_string("/proc/self/gid_map")?)
    }

    fn parse(text: &str) -> io::Result<IdMap> {
        let range = |line: &str| {
            let mut numbers = line.split_whitespace().map(str::parse);
            match (numbers.next(), numbers.next(), numbers.next()) {
                (Some(Ok(inside)), Some(Ok(outside)), Some(Ok(count))) => Ok(IdRange {
                    inside,
                    outside,
                    count,
                }),
                _ => Err(io::ErrorKind::InvalidData.into()),
            }
        };
        text.lines()
            .map(range)
            .collect::<io::Result<_>>()
            .map(IdMap)
    }

    /// Whether everybody is who they are outside: the namespace is the machine's own.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let whole = IdRange {
            inside: 0,
            outside: 0,
            count: u32::MAX,
        };
        self.0 == [whole]
    }

    /// Whether there is one user or group only.
    #[must_use]
    pub fn is_single(&self) -> bool {
        matches!(self.0[..], [IdRange { count: 1, .. }])
    }

    /// Whether there is such a user or group.
    #[must_use]
    pub fn has(&self, id: u32) -> bool {
        self.0
            .iter()
            .any(|range| id >= range.inside && id - range.inside < range.count)
    }
}

impl NoSuchOwner {
    /// What an error of `chown(2)` for this owner means: an invalid argument has no other reason.
    pub fn explain<E: Into<io::Error>>(uid: u32, gid: u32) -> impl FnOnce(E) -> io::Error {
        move |error| {
            let error = error.into();
            match error.kind() {
                io::ErrorKind::InvalidInput => {
                    io::Error::new(io::ErrorKind::InvalidInput, NoSuchOwner { uid, gid })
                }
                _ => error,
            }
        }
    }
}

/// Whether this process may choose its supplementary groups: not where it has itself mapped its own
/// group only.
///
/// # Errors
/// `/proc` cannot be read.
pub fn may_set_groups() -> io::Result<bool> {
    match fs::read_to_string("/proc/self/setgroups") {
        // Before Linux 3.19, or without user namespaces.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        result => Ok(result?.trim_end() != "deny"),
    }
}

/// Enters a user namespace in which this process's user and group are root, and there is nobody
/// else.
///
/// # Errors
/// There are further threads, or the kernel refuses.
pub fn enter_alone() -> Result<(), EnterError> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    check_threads()?;
    unshare()?;
    let write = |path, text: String| fs::write(path, text).map_err(EnterError::call(path));
    write("/proc/self/setgroups", "deny".into())?;
    write("/proc/self/uid_map", format!("0 {user} 1"))?;
    write("/proc/self/gid_map", format!("0 {group} 1"))
}

/// Enters a user namespace whose users and groups `map` says: it is called with this process's
/// number in a process that is still outside. Its error is told as it is.
///
/// # Errors
/// There are further threads, the kernel refuses, or `map` has failed; in the last case the
/// namespace has been entered all the same.
pub fn enter_mapped(map: impl FnOnce(i32) -> Result<(), String>) -> Result<(), EnterError> {
    check_threads()?;
    raw::keep_child_status().map_err(EnterError::call("sigaction"))?;
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(EnterError::call("pipe"));
    let (entered, tell) = pipe()?;
    let (answer, reply) = pipe()?;
    let own = getpid().as_raw_nonzero().get();
    // SAFETY: there is one thread, as has been looked up above.
    let helper = match unsafe { raw::fork() }.map_err(EnterError::call("fork"))? {
        0 => {
            drop((tell, answer));
            help(entered.into(), reply.into(), || map(own))
        }
        helper => helper,
    };
    drop((entered, reply));
    let unshared = unshare();
    if unshared.is_ok() {
        fs::File::from(tell)
            .write_all(b"y")
            .map_err(EnterError::call("write"))?;
    } else {
        // Its end of the pipe ends, and so does it.
        drop(tell);
    }
    let mut text = String::new();
    let read = fs::File::from(answer).read_to_string(&mut text);
    wait(helper)?;
    unshared?;
    read.map_err(EnterError::call("read"))?;
    match text.as_str() {
        "y" => Ok(()),
        "" => Err(EnterError::Helper("the helper has died".into())),
        _ => Err(EnterError::Helper(text)),
    }
}

/// What the helper does: waits until we have entered, maps, and says how that went.
fn help(mut entered: fs::File, mut reply: fs::File, map: impl FnOnce() -> Result<(), String>) -> ! {
    let mut byte = [0];
    if matches!(entered.read(&mut byte), Ok(1)) {
        let text = match map() {
            Ok(()) => "y".to_owned(),
            Err(text) => text,
        };
        // The other end sees that nothing comes.
        let _ = reply.write_all(text.as_bytes());
    }
    raw::exit(0)
}

fn wait(helper: i32) -> Result<(), EnterError> {
    loop {
        match waitpid(rustix::process::Pid::from_raw(helper), WaitOptions::empty()) {
            Err(Errno::INTR) => {}
            result => return result.map(drop).map_err(EnterError::call("wait")),
        }
    }
}

fn check_threads() -> Result<(), EnterError> {
    let threads = fs::read_dir("/proc/self/task").map_err(EnterError::call("read /proc"))?;
    match threads.count() {
        1 => Ok(()),
        _ => Err(EnterError::Threads),
    }
}

fn unshare() -> Result<(), EnterError> {
    // SAFETY: no descriptor or memory is unshared, and there is one thread.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS) }
        .map_err(EnterError::call("unshare a user namespace"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_of_users() {
        let whole = IdMap::parse("         0          0 4294967295\n").unwrap();
        assert!(whole.is_whole() && whole.has(1000) && whole.has(u32::MAX - 1));
        let mapped = IdMap::parse("0 1000 1\n1 100000 65536\n").unwrap();
        assert!(!mapped.is_whole() && mapped.has(0) && mapped.has(65_536));
        assert!(!mapped.has(65_537) && !mapped.is_single());
        assert!(IdMap::parse("0 1000 1\n").unwrap().is_single());
        assert!(IdMap::parse("0 1000\n").is_err());
    }

    #[test]
    fn a_process_with_threads_stays_where_it_is() {
        // The test harness has several.
        assert!(matches!(enter_alone(), Err(EnterError::Threads)));
        assert!(matches!(enter_mapped(|_| Ok(())), Err(EnterError::Threads)));
    }
}
