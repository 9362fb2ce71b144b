//! Leases: what a live build holds is not collected.
//!
//! A lease is a file that its process keeps locked. The kernel releases the lock when the process
//! dies, and the lease is dead then, whatever process has its number by now. Held resources are
//! lines of that file, so holding something writes nothing to the database.
//!
//! Collection holds `locks/collect` exclusively while it decides. Whoever finds something and
//! then holds it does both under [`Lease::hold`], so that it cannot vanish in between.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use oci::Digest;

use crate::error::{Result, io};
use crate::layout::Layout;
use crate::lock::{FileLock, Mode, Wait};
use crate::store::unique;
use crate::{LayerId, hex};

/// What a lease can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// A layer with its snapshot and the blobs of it that are here.
    Layer(LayerId),
    /// A blob.
    Blob(Digest),
    /// A cache record with its layers.
    Record([u8; 32]),
}

/// A live lease. It ends when the last clone is dropped or the process dies.
#[derive(Debug, Clone)]
pub struct Lease {
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    id: String,
    started: SystemTime,
    lock: FileLock,
    collect: PathBuf,
    trash: PathBuf,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    resources: HashSet<Resource>,
    /// Records whose last use is to be noted.
    used: Vec<[u8; 32]>,
}

impl Lease {
    pub(crate) fn begin(layout: &Layout, now: SystemTime) -> Result<Self> {
        let id = new_id()?;
        let path = layout.leases().join(&id);
        let lock = FileLock::wait(&path, Mode::Exclusive)?.remove_on_release();
        Ok(Self {
            state: Arc::new(State {
                id,
                started: now,
                lock,
                collect: layout.collect_lock(),
                trash: layout.trash(),
                held: Mutex::default(),
            }),
        })
    }

    /// Its name, unique on this machine.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.state.id
    }

    /// When it began, by the clock of whoever began it.
    #[must_use]
    pub fn started(&self) -> SystemTime {
        self.state.started
    }

    /// Keeps collection away while something is found and then held.
    ///
    /// # Errors
    /// The lock file cannot be opened.
    pub fn hold(&self) -> Result<Hold> {
        Ok(Hold {
            _lock: FileLock::permanent(&self.state.collect, Mode::Shared)?,
        })
    }

    /// Holds `resources` until the lease ends. They must exist now: look for them under the same
    /// [`hold`](Self::hold).
    ///
    /// # Errors
    /// The lease's file cannot be written.
    pub fn add(&self, resources: &[Resource]) -> Result<()> {
        self.add_under(&self.hold()?, resources)
    }

    /// As [`add`](Self::add), by who keeps collection away already.
    pub(crate) fn add_under(&self, _hold: &Hold, resources: &[Resource]) -> Result<()> {
        let mut held = self.held();
        let mut lines = String::new();
        let mut new = HashSet::new();
        for resource in resources {
            if !held.resources.contains(resource) && new.insert(*resource) {
                // A line starts anew, since a full disk may have cut the one before.
                let _ = writeln!(lines, "\n{}", line(resource));
            }
        }
        if !new.is_empty() {
            let mut file = self.state.lock.file();
            crate::fail::point("write a lease")
                .and_then(|()| file.write_all(lines.as_bytes()))
                .map_err(io("write lease", self.state.lock.path()))?;
            held.resources.extend(new);
        }
        Ok(())
    }

    /// A path in `directory` that is this lease's alone; removed by collection after its death.
    pub(crate) fn temporary(&self, directory: &Path) -> PathBuf {
        directory.join(format!("tmp-{}-{}", self.state.id, unique()))
    }

    /// Where a tree goes that is to be removed.
    pub(crate) fn trash(&self) -> PathBuf {
        self.temporary(&self.state.trash)
    }

    /// Notes that `record` was used.
    pub(crate) fn note_use(&self, record: [u8; 32]) {
        self.held().used.push(record);
    }

    /// The records whose use was noted since the last call.
    pub(crate) fn take_used(&self) -> Vec<[u8; 32]> {
        std::mem::take(&mut self.held().used)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.state
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it lives nothing is collected.
#[derive(Debug)]
pub struct Hold {
    _lock: FileLock,
}

/// Keeps everyone from taking anything under a lease.
pub(crate) fn collect_lock(layout: &Layout) -> Result<FileLock> {
    FileLock::permanent(&layout.collect_lock(), Mode::Exclusive)
}

/// What all live leases hold, and their ids; the files of dead ones are removed.
pub(crate) fn live(layout: &Layout) -> Result<(HashSet<String>, HashSet<Resource>)> {
    let mut ids = HashSet::new();
    let mut resources = HashSet::new();
    for id in crate::file::names(&layout.leases())? {
        let path = layout.leases().join(&id);
        if let Some(dead) = FileLock::acquire(&path, Mode::Exclusive, Wait::Not)? {
            drop(dead.remove_on_release());
            continue;
        }
        match fs::read_to_string(&path) {
            Ok(text) => resources.extend(text.lines().filter_map(parse)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(io("read lease", &path)(error)),
        }
        ids.insert(id);
    }
    Ok((ids, resources))
}

/// The lease that a temporary name belongs to.
pub(crate) fn owner(name: &str) -> Option<&str> {
    let (id, _) = name.strip_prefix("tmp-")?.rsplit_once('-')?;
    Some(id)
}

fn line(resource: &Resource) -> String {
    match resource {
        Resource::Layer(id) => format!("layer {id}"),
        Resource::Blob(digest) => format!("blob {}", digest.hex()),
        Resource::Record(key) => format!("record {}", hex(key)),
    }
}

fn parse(line: &str) -> Option<Resource> {
    let (kind, value) = line.split_once(' ')?;
    let digest = || Digest::from_hex(value).ok();
    match kind {
        "layer" => value.parse().ok().map(|id| Resource::Layer(LayerId(id))),
        "blob" => digest().map(Resource::Blob),
        "record" => digest().map(|key| Resource::Record(*key.as_bytes())),
        _ => None,
    }
}

/// A name that nothing else has: 24 hexadecimal characters.
///
/// # Errors
/// The kernel has no random numbers.
pub fn new_id() -> Result<String> {
    let mut bytes = [0; 12];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| io("read", Path::new("/dev/urandom"))(error.into()))?;
    Ok(hex(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_as_they_are_written() {
        for resource in [
            Resource::Layer(LayerId(7)),
            Resource::Blob(Digest::of(b"x")),
            Resource::Record([9; 32]),
        ] {
            assert_eq!(parse(&line(&resource)), Some(resource));
        }
        for torn in ["", "layer", "layer x", "blob 12", "other 1"] {
            assert_eq!(parse(torn), None, "{torn}");
        }
        assert_eq!(owner("tmp-ab-12"), Some("ab"));
        assert_eq!(owner("12"), None);
    }
}
