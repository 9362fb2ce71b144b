//! What trees take on disk, and their removal.
//!
//! Bytes are those that the file system allocated, as `df` sees them. A file with several links is
//! counted once by one [`Ledger`].

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::error::{Result, io};

/// The unit of `st_blocks`, whatever the file system's own blocks are.
const BLOCK: u64 = 512;

/// Counts trees, and every inode once.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The links met so far of inodes that have several.
    links: HashMap<(u64, u64), u64>,
}

impl Ledger {
    /// The bytes of a tree or file that no tree before had; 0 if it is not there.
    pub(crate) fn add(&mut self, path: &Path) -> Result<u64> {
        walk(path, &mut |metadata| {
            if self.meet(metadata) == 1 {
                allocated(metadata)
            } else {
                0
            }
        })
    }

    /// The bytes that go when the tree and those before it are removed: those of inodes all of
    /// whose links were met.
    pub(crate) fn remove(&mut self, path: &Path) -> Result<u64> {
        walk(path, &mut |metadata| {
            if metadata.is_dir() || self.meet(metadata) == metadata.nlink() {
                allocated(metadata)
            } else {
                0
            }
        })
    }

    /// The how many-th link this is.
    fn meet(&mut self, metadata: &Metadata) -> u64 {
        if metadata.is_dir() || metadata.nlink() == 1 {
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

fn allocated(metadata: &Metadata) -> u64 {
    metadata.blocks() * BLOCK
}

/// The sum of `count` over a tree. What vanishes meanwhile counts for nothing.
fn walk(path: &Path, count: &mut dyn FnMut(&Metadata) -> u64) -> Result<u64> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(io("stat", path)(error)),
    };
    let mut sum = count(&metadata);
    if metadata.is_dir() {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(sum),
            Err(error) => return Err(io("list", path)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(io("list", path))?;
            sum += walk(&entry.path(), count)?;
        }
    }
    Ok(sum)
}
