//! The order of members: each directory's names by their bytes, a directory before its content.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::vec;

use super::{DiffError, Part};
use crate::tree::Found;
use crate::{Dir, Entry, FileError, Kind, Tree};

/// Files that are looked at together.
const BATCH: usize = 128;

/// A walk in progress. Only the directories from the root to the current place are open.
#[derive(Debug)]
pub(super) struct Walk {
    levels: Vec<Level>,
    /// The archive's name for the first file.
    top: Option<OsString>,
}

#[derive(Debug)]
struct Level {
    dir: Arc<Dir>,
    /// The directory's name in the archive.
    path: PathBuf,
    ahead: vec::IntoIter<Entry>,
}

/// A file that the walk came by.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) dir: Arc<Dir>,
    pub(super) entry: Entry,
    /// Its name in the archive.
    pub(super) path: PathBuf,
}

impl Walk {
    /// All that is in `dir`, as if it were at `path`.
    pub(super) fn of_directory(dir: Dir, path: PathBuf) -> Result<Self, DiffError> {
        let mut walk = Self {
            levels: Vec::new(),
            top: None,
        };
        walk.descend(dir, path)?;
        Ok(walk)
    }

    pub(super) fn of_part(tree: &Tree, part: &Part) -> Result<Self, DiffError> {
        let resolved = tree.lookup(&part.path, false)?;
        match (resolved.found, &part.name) {
            (Found::Directory, None) => Self::of_directory(resolved.dir, PathBuf::new()),
            (Found::Directory, Some(name)) if resolved.path.as_os_str().is_empty() => {
                // The root has no directory that it is in.
                Self::of_directory(resolved.dir, PathBuf::from(name))
            }
            (Found::Directory, Some(name)) => {
                let mut above = resolved.path.clone();
                let own = resolved.path.file_name().unwrap_or_default();
                above.pop();
                let above = tree.lookup(&above, false)?.dir;
                match above.find(own)? {
                    Some((entry, _)) => Ok(Self::of_entry(above, entry, name.clone())),
                    None => Err(DiffError::NotFound(part.path.clone())),
                }
            }
            (Found::File(entry, _), name) => {
                let name = name.clone().unwrap_or_else(|| entry.name.clone());
                Ok(Self::of_entry(resolved.dir, entry, name))
            }
            (Found::Missing(_) | Found::NotDirectory(_), _) => {
                Err(DiffError::NotFound(part.path.clone()))
            }
        }
    }

    /// One file, or a directory and all that is in it, under another name.
    fn of_entry(dir: Dir, entry: Entry, name: OsString) -> Self {
        let level = Level {
            dir: Arc::new(dir),
            path: PathBuf::new(),
            ahead: vec![entry].into_iter(),
        };
        Self {
            levels: vec![level],
            top: Some(name),
        }
    }

    /// The next files; none at the end.
    pub(super) fn batch(&mut self) -> Result<Vec<Item>, FileError> {
        let mut items = Vec::new();
        while items.len() < BATCH {
            let Some(item) = self.step()? else { break };
            items.push(item);
        }
        Ok(items)
    }

    fn step(&mut self) -> Result<Option<Item>, FileError> {
        loop {
            let Some(level) = self.levels.last_mut() else {
                return Ok(None);
            };
            let Some(entry) = level.ahead.next() else {
                self.levels.pop();
                continue;
            };
            let name = self.top.take();
            let item = Item {
                dir: Arc::clone(&level.dir),
                path: level.path.join(name.as_ref().unwrap_or(&entry.name)),
                entry,
            };
            if item.entry.kind == Kind::Directory {
                self.descend(item.dir.enter(&item.entry)?, item.path.clone())?;
            }
            return Ok(Some(item));
        }
    }

    fn descend(&mut self, dir: Dir, path: PathBuf) -> Result<(), FileError> {
        let ahead = dir.entries()?.into_iter();
        self.levels.push(Level {
            dir: Arc::new(dir),
            path,
            ahead,
        });
        Ok(())
    }
}
