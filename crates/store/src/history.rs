//! Past and running builds.
//!
//! A build is one file, which is its log; what is in it is the caller's. It is locked while the build
//! goes on, so that anybody can tell a running build from one whose process died. Nothing of it is
//! in the database: a build that finds everything known would wait for the disk then.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::db::{millis, time};
use crate::error::Result;
use crate::lock::{FileLock, Mode, Wait};
use crate::{Store, file};

/// What the name of a log ends with.
const SUFFIX: &str = ".log";
/// What stands before that in the name of one that stays.
const PINNED: &str = ".pinned";

/// A build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Its ID.
    pub id: String,
    /// When it began, to the millisecond.
    pub started: SystemTime,
    /// Where its log is.
    pub log: PathBuf,
    /// It stays until it is removed by name.
    pub pinned: bool,
}

/// The builds that a store knows.
#[derive(Debug, Clone, Copy)]
pub struct History<'a> {
    store: &'a Store,
}

/// The log of a build that goes on; it has ended when this is dropped.
#[derive(Debug)]
pub struct BuildLog {
    lock: FileLock,
}

impl<'a> History<'a> {
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// Begins the log of the build `id`.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn begin(&self, id: &str, started: SystemTime) -> Result<BuildLog> {
        let path = self.log(id, started, false);
        let lock = FileLock::wait(&path, Mode::Exclusive)?;
        Ok(BuildLog { lock })
    }

    /// All builds, the latest first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> Result<Vec<Build>> {
        let logs = self.store.layout().logs();
        let names = file::names(&logs)?;
        let mut builds: Vec<Build> = names.iter().filter_map(|name| build(&logs, name)).collect();
        builds.sort_by(|a, b| (b.started, &b.id).cmp(&(a.started, &a.id)));
        Ok(builds)
    }

    /// Whether a build goes on.
    #[must_use]
    pub fn is_running(&self, build: &Build) -> bool {
        let Ok(file) = File::open(&build.log) else {
            return false;
        };
        let free = crate::lock::lock(&file, Mode::Shared, Wait::Not);
        matches!(free, Ok(false))
    }

    /// Forgets all but the latest `keep` builds, and of those what comes after so many bytes of
    /// logs; neither the latest one for its size, nor those that go on. Those that are pinned stay,
    /// and do not count. Those that began after `now` are of a clock that was set back, and older than
    /// all others.
    ///
    /// # Errors
    /// The directory cannot be read, or a log not removed.
    pub fn trim(&self, keep: usize, bytes: u64, now: SystemTime) -> Result<()> {
        let mut used = 0_u64;
        let mut builds = self.list()?;
        builds.retain(|build| !build.pinned);
        builds.sort_by_key(|build| build.started > now);
        for (place, build) in builds.iter().enumerate() {
            let size = fs::metadata(&build.log).map_or(0, |log| log.len());
            used = used.saturating_add(size);
            let stays = place < keep && (place == 0 || used <= bytes);
            if !stays && !self.is_running(build) {
                self.remove(build)?;
            }
        }
        Ok(())
    }

    /// Has a build stay until it is removed by name, or no longer. Whether it is there.
    ///
    /// # Errors
    /// Its log cannot be renamed.
    pub fn pin(&self, build: &Build, pinned: bool) -> Result<bool> {
        let log = self.log(&build.id, build.started, pinned);
        match fs::rename(&build.log, &log) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(crate::error::io("rename", &build.log)(error)),
        }
    }

    fn log(&self, id: &str, started: SystemTime, pinned: bool) -> PathBuf {
        let pinned = if pinned { PINNED } else { "" };
        // A clock that was never set may be before 1970.
        let name = format!("{:013}-{id}{pinned}{SUFFIX}", millis(started).max(0));
        self.store.layout().logs().join(name)
    }

    /// Forgets a build; whether it was there.
    ///
    /// # Errors
    /// Its log cannot be removed.
    pub fn remove(&self, build: &Build) -> Result<bool> {
        file::remove_file(&build.log)
    }
}

impl BuildLog {
    /// Adds to it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file: &File = self.lock.file();
        crate::fail::point("write a log")?;
        file.write_all(bytes)
    }
}

fn build(logs: &Path, name: &str) -> Option<Build> {
    let (started, id) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    let unpinned = id.strip_suffix(PINNED);
    Some(Build {
        id: unpinned.unwrap_or(id).to_owned(),
        started: time(started.parse().ok()?),
        log: logs.join(name),
        pinned: unpinned.is_some(),
    })
}
