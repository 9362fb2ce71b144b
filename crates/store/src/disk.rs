//! What trees take on disk, and what room there is.
//!
//! Bytes are those that the file system allocated, as `du` sees them. A file with several links is
//! counted once by one [`Ledger`].

use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{Result, io};

/// The unit of `st_blocks`, whatever the file system's own blocks are.
const BLOCK: u64 = 512;

/// The file system that a store lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Its size in bytes.
    pub total: u64,
    /// The bytes that can still be written by anyone.
    pub free: u64,
}

/// Counts trees, and every inode once. Each tree has an owner, so that it can be told what goes
/// when several of them do.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The set of owners of each inode that has several links.
    links: HashMap<Inode, usize>,
    sets: Vec<Shared>,
    /// Which set another owner makes of one.
    wider: HashMap<(usize, usize), usize>,
}

/// What some owners have together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shared {
    pub(crate) owners: Vec<usize>,
    pub(crate) bytes: u64,
}

/// What an owner adds to those before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Added {
    /// The bytes that no tree before had.
    pub(crate) bytes: u64,
    /// Those of them that no later tree can share.
    pub(crate) alone: u64,
}

/// Device and number.
type Inode = (u64, u64);

impl Disk {
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let found = rustix::fs::statvfs(path).map_err(|error| io("stat", path)(error.into()))?;
        Ok(Self {
            total: found.f_blocks.saturating_mul(found.f_frsize),
            free: found.f_bavail.saturating_mul(found.f_frsize),
        })
    }

    /// The bytes that are written or kept for others.
    #[must_use]
    pub const fn used(&self) -> u64 {
        self.total.saturating_sub(self.free)
    }
}

impl Ledger {
    /// The bytes of a tree or file that no tree before had; none if it is not there.
    pub(crate) fn add(&mut self, owner: usize, path: &Path) -> Result<Added> {
        let mut added = Added::default();
        walk(path, &mut |metadata| {
            let bytes = allocated(metadata);
            if metadata.is_dir() || metadata.nlink() == 1 {
                added.bytes += bytes;
                added.alone += bytes;
            } else if self.meet(owner, metadata) {
                added.bytes += bytes;
            }
        })?;
        Ok(added)
    }

    /// The bytes of what is below `root`, without what is at the `known` paths, and that no tree
    /// before had.
    pub(crate) fn add_others(
        &mut self,
        owner: usize,
        root: &Path,
        known: &HashSet<&Path>,
    ) -> Result<u64> {
        let mut sum = 0;
        visit(root, &mut |path, metadata| {
            if known.contains(path) {
                return false;
            }
            if metadata.is_dir() || metadata.nlink() == 1 || self.meet(owner, metadata) {
                sum += allocated(metadata);
            }
            true
        })?;
        Ok(sum)
    }

    /// What several owners have, and what one has whose links are not all known.
    pub(crate) fn into_shared(self) -> Vec<Shared> {
        self.sets.into_iter().filter(|set| set.bytes > 0).collect()
    }

    /// Whether it is the first link.
    fn meet(&mut self, owner: usize, metadata: &Metadata) -> bool {
        let inode = (metadata.dev(), metadata.ino());
        let bytes = allocated(metadata);
        let before = self.links.get(&inode).copied();
        if before.is_some_and(|set| self.sets[set].owners.contains(&owner)) {
            return false;
        }
        let now = self.with(before, owner);
        if let Some(before) = before {
            // A file of a cache mount may have grown meanwhile.
            self.sets[before].bytes = self.sets[before].bytes.saturating_sub(bytes);
        }
        self.sets[now].bytes += bytes;
        self.links.insert(inode, now);
        before.is_none()
    }

    /// The set that `owner` makes of `set`.
    fn with(&mut self, set: Option<usize>, owner: usize) -> usize {
        let key = (set.map_or(0, |set| set + 1), owner);
        let (sets, wider) = (&mut self.sets, &mut self.wider);
        *wider.entry(key).or_insert_with(|| {
            let mut owners = set.map_or_else(Vec::new, |set| sets[set].owners.clone());
            owners.push(owner);
            sets.push(Shared { owners, bytes: 0 });
            sets.len() - 1
        })
    }
}

/// Counts what the file system gets back.
#[derive(Debug, Default)]
pub(crate) struct Reclaimed {
    /// The links met so far of inodes that have several.
    links: HashMap<Inode, u64>,
}

impl Reclaimed {
    /// The bytes that go when the tree and those before it are removed: those of inodes all of
    /// whose links were met.
    pub(crate) fn add(&mut self, path: &Path) -> Result<u64> {
        let mut sum = 0;
        walk(path, &mut |metadata| {
            if metadata.is_dir() || self.meet(metadata) == metadata.nlink() {
                sum += allocated(metadata);
            }
        })?;
        Ok(sum)
    }

    /// The how many-th link this is.
    fn meet(&mut self, metadata: &Metadata) -> u64 {
        if metadata.nlink() == 1 {
            return 1;
        }
        let met = self
            .links
            .entry((metadata.dev(), metadata.ino()))
            .or_default();
        *met += 1;
        *met
    }
}

pub(crate) fn allocated(metadata: &Metadata) -> u64 {
    metadata.blocks() * BLOCK
}

fn walk(path: &Path, look: &mut dyn FnMut(&Metadata)) -> Result<()> {
    visit(path, &mut |_, metadata| {
        look(metadata);
        true
    })
}

/// Shows `look` everything in a tree; it says whether to go deeper. What vanishes meanwhile is not
/// there.
pub(crate) fn visit(path: &Path, look: &mut dyn FnMut(&Path, &Metadata) -> bool) -> Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("stat", path)(error)),
    };
    if look(path, &metadata) && metadata.is_dir() {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io("list", path)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(io("list", path))?;
            visit(&entry.path(), look)?;
        }
    }
    Ok(())
}
