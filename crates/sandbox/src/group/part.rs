//! One group in one hierarchy.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::Exceeded;
use super::find::{Parent, refused};
use super::settings::{Controller, Setting, Version};
use super::unified;
use crate::error::SandboxError;
use crate::spec::GroupLimits;

/// The file that lists the processes of a group, and takes new ones.
pub(super) const PROCESSES: &str = "cgroup.procs";
/// Names of the groups of steps begin so, and go on with two numbers.
const PREFIX: &str = "kiln-step-";
/// How often an attempt is made to remove a group, and what is waited at most in between: processes
/// that have been killed are in it until they have given back what they had.
const ATTEMPTS: u32 = 400;
const PAUSE: Duration = Duration::from_millis(5);

/// Memory that is too little for what a process wants at once is not taken.
const LEFT_OVER: u64 = 4 << 20;

/// A group. It is locked as long as this lives, and removed afterwards.
#[derive(Debug)]
pub(super) struct Part {
    path: PathBuf,
    version: Version,
    limited: Vec<Controller>,
    _lock: OwnedFd,
}

impl Part {
    /// Makes one without limits.
    pub(super) fn make(parent: &Parent) -> Result<Part, String> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{PREFIX}{}-{number}", std::process::id());
            let path = parent.path.join(name);
            match std::fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                result => result.map_err(|error| refused(&parent.path, &error))?,
            }
            // Whoever removes leftovers may have been faster.
            if let Some(lock) = lock(&path) {
                return Ok(Part {
                    path,
                    version: parent.version,
                    limited: Vec::new(),
                    _lock: lock,
                });
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_in(&self, parent: &Parent) -> bool {
        self.path.parent() == Some(&parent.path)
    }

    /// Sets what is of this controller's.
    pub(super) fn limit(
        &mut self,
        controller: Controller,
        limits: &GroupLimits,
    ) -> Result<(), SandboxError> {
        let parent = self.path.parent().unwrap_or(&self.path);
        for setting in limits.settings(controller, self.version, parent) {
            self.write(setting)?;
        }
        self.limited.push(controller);
        Ok(())
    }

    fn write(&self, setting: Setting) -> Result<(), SandboxError> {
        let Setting {
            file,
            value,
            limit,
            is_default,
        } = setting;
        let written = File::options()
            .write(true)
            .open(self.path.join(file))
            .and_then(|mut file| io::Write::write_all(&mut file, value.as_bytes()));
        match written {
            Err(error) if is_default && error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SandboxError::NoMeans {
                limit,
                why: format!("this kernel has no {file}"),
            }),
            result => result.map_err(|source| SandboxError::Limit {
                limit,
                value,
                source,
            }),
        }
    }

    /// Which limit has been met, as the kernel counts.
    pub(super) fn exceeded(&self) -> Option<Exceeded> {
        let count = |file: &str, name: &str| count(&self.path.join(file), name);
        // The machine may be short of memory too, which is not for this limit to tell.
        let has_met = match self.version {
            // Not every kernel counts failures there. Where there is no swap beside memory, the bound
            // on both is met first.
            Version::One => ["memory", "memory.memsw"].iter().any(|what| {
                let most = count(&format!("{what}.max_usage_in_bytes"), "");
                let limit = count(&format!("{what}.limit_in_bytes"), "");
                limit > 0 && most + LEFT_OVER >= limit
            }),
            Version::Two => count("memory.events", "oom") > 0,
        };
        let kills = match self.version {
            Version::One => count("memory.oom_control", "oom_kill"),
            Version::Two => count("memory.events", "oom_kill"),
        };
        let limits = |controller| self.limited.contains(&controller);
        if limits(Controller::Memory) && has_met && kills > 0 {
            return Some(Exceeded::Memory);
        }
        let is_full = limits(Controller::Pids) && count("pids.events", "max") > 0;
        is_full.then_some(Exceeded::Processes)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // What is left is found by the next one that looks.
        let _ = remove(&self.path);
    }
}

/// Removes what others left in `parent` when they were killed.
pub(super) fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        if name.starts_with(unified::SELF) {
            // Only if nobody is in it.
            let _ = std::fs::remove_dir(&path);
        } else if is_of_step(&name) && path.is_dir() && lock(&path).is_some() {
            let _ = remove(&path);
        }
    }
}

/// Whether a group of this name is a step's. Others may be called after kiln too, as a container that
/// it runs in is, and nobody may end what is in those.
fn is_of_step(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let numbers = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('-'));
    numbers.is_some_and(|(process, number)| is_number(process) && is_number(number))
}

/// The processes in a group; 0 is one that cannot be seen from here.
pub(super) fn processes(group: &Path) -> Vec<i32> {
    let text = std::fs::read_to_string(group.join(PROCESSES)).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// The lock of a group that is still there; none if somebody else has it.
fn lock(path: &Path) -> Option<OwnedFd> {
    let directory = File::open(path).ok()?;
    flock(&directory, FlockOperation::NonBlockingLockExclusive).ok()?;
    let (ours, there) = (directory.metadata().ok()?, std::fs::metadata(path).ok()?);
    ((ours.dev(), ours.ino()) == (there.dev(), there.ino())).then(|| directory.into())
}

/// Ends what is in a group, and removes it.
fn remove(path: &Path) -> io::Result<()> {
    for attempt in 0..ATTEMPTS {
        match std::fs::remove_dir(path) {
            Err(error) if error.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => {
                kill(path);
                remove_within(path);
                std::thread::sleep(PAUSE.min(Duration::from_millis(attempt.into())));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => return result,
        }
    }
    Err(Errno::BUSY.into())
}

/// What a process with all rights has made there.
fn remove_within(group: &Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let _ = remove(&entry.path());
        }
    }
}

fn kill(group: &Path) {
    let file = File::options().write(true).open(group.join("cgroup.kill"));
    let killed = file.and_then(|mut file| io::Write::write_all(&mut file, b"1"));
    if killed.is_ok() {
        return;
    }
    for process in processes(group) {
        let Some(pid) = Pid::from_raw(process) else {
            continue;
        };
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
            continue;
        };
        // The number could be another process's by now; not if it is still listed.
        if processes(group).contains(&process) {
            let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        }
    }
}

/// The number that a file tells for `name`; its only one if there is no name.
fn count(file: &Path, name: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let found = text.lines().find_map(|line| match line.split_once(' ') {
        Some((key, value)) => (key == name).then_some(value),
        None => name.is_empty().then_some(line),
    });
    found
        .and_then(|n| n.trim().parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
