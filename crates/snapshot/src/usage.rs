//! The room that a layer directory takes.

use std::collections::HashMap;
use std::path::Path;

use crate::file::FileError;
use crate::{Dir, Kind, Stat, Tree};

/// What a directory takes on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes that would be free if it were removed.
    pub own: u64,
    /// Bytes of files that have names outside of it as well.
    pub shared: u64,
    /// Files of all kinds, several names of one counted once.
    pub inodes: u64,
}

impl Usage {
    /// What `directory` and all that is in it take.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of(directory: &Path) -> Result<Self, FileError> {
        let tree = Tree::directory(directory)?;
        let mut files = Files::default();
        files.count(&tree.root().own_stat()?);
        files.directory(tree.root())?;
        Ok(files.usage())
    }
}

#[derive(Debug, Default)]
struct Files {
    usage: Usage,
    /// Files with several names: how many of them are still to be found, and their bytes.
    linked: HashMap<(u64, u64), (u32, u64)>,
}

impl Files {
    fn directory(&mut self, dir: &Dir) -> Result<(), FileError> {
        for entry in dir.entries()? {
            self.count(&dir.stat(&entry)?);
            if entry.kind == Kind::Directory {
                self.directory(&dir.enter(&entry)?)?;
            }
        }
        Ok(())
    }

    fn count(&mut self, stat: &Stat) {
        if stat.kind == Kind::Directory || stat.links == 1 {
            self.usage.own += stat.allocated;
            self.usage.inodes += 1;
            return;
        }
        let file = (stat.device, stat.inode);
        let left = self.linked.entry(file).or_insert_with(|| {
            self.usage.inodes += 1;
            (stat.links, stat.allocated)
        });
        left.0 = left.0.saturating_sub(1);
    }

    fn usage(self) -> Usage {
        let mut usage = self.usage;
        for (left, bytes) in self.linked.into_values() {
            if left == 0 {
                usage.own += bytes;
            } else {
                usage.shared += bytes;
            }
        }
        usage
    }
}
