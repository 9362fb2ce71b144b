//! Finding a path in a tree, with the tree's root as `/`.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use super::{Dir, Entry, Tree};
use crate::file::{FileError, Kind, Stat};

/// Links followed in one look-up, as in Go's and containerd's resolvers.
const MAX_LINKS: usize = 255;

/// Where a path leads.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The path without links, relative to the root.
    pub path: PathBuf,
    /// The deepest directory on the way that exists; the directory itself if that was found.
    pub dir: Dir,
    /// What is there.
    pub found: Found,
}

/// What is at a path.
#[derive(Debug, Clone)]
pub enum Found {
    /// A directory.
    Directory,
    /// Another file, of this name in the directory; a link only if it was not to be followed.
    File(Entry, Stat),
    /// Nothing: these components of the path are missing.
    Missing(Vec<OsString>),
    /// Something that is no directory, where one would have to be.
    NotDirectory(Entry),
}

/// A look-up in progress.
struct Walk {
    /// The directories from the root to where it is.
    dirs: Vec<Dir>,
    /// Components still to be found.
    ahead: VecDeque<Step>,
    links: usize,
}

enum Step {
    Up,
    Down(OsString),
}

impl Tree {
    /// Finds what `path` names; a link at its end is followed if `follow` says so.
    ///
    /// # Errors
    /// A directory on the way cannot be read, or links lead in a circle.
    pub fn lookup(&self, path: &Path, follow: bool) -> Result<Resolved, FileError> {
        self.root.lookup(path, follow)
    }
}

impl Dir {
    /// Finds what `path` names, with this directory as `/`.
    ///
    /// # Errors
    /// A directory on the way cannot be read, or links lead in a circle.
    pub(crate) fn lookup(&self, path: &Path, follow: bool) -> Result<Resolved, FileError> {
        let mut walk = Walk {
            dirs: vec![self.clone()],
            ahead: VecDeque::new(),
            links: 0,
        };
        walk.prepend(path);
        walk.run(self, path, follow)
    }
}

impl Walk {
    fn run(mut self, root: &Dir, path: &Path, follow: bool) -> Result<Resolved, FileError> {
        while let Some(step) = self.ahead.pop_front() {
            let Step::Down(name) = step else {
                if self.dirs.len() > 1 {
                    self.dirs.pop();
                }
                continue;
            };
            let dir = self.dirs.last().unwrap_or(root);
            let Some((entry, stat)) = dir.find(&name)? else {
                return Ok(self.missing(root, name));
            };
            match entry.kind {
                Kind::Directory => {
                    let next = dir.enter(&entry)?;
                    self.dirs.push(next);
                }
                Kind::Symlink if follow || !self.ahead.is_empty() => {
                    let target = dir.read_link(&entry)?;
                    self.links += 1;
                    if self.links > MAX_LINKS {
                        return Err(FileError::new("resolve", path, rustix::io::Errno::LOOP));
                    }
                    if target.is_absolute() {
                        self.dirs.truncate(1);
                    }
                    self.prepend(&target);
                }
                _ => return Ok(self.file(root, entry, stat)),
            }
        }
        let dir = self.dirs.last().unwrap_or(root).clone();
        Ok(Resolved {
            path: dir.path().to_owned(),
            dir,
            found: Found::Directory,
        })
    }

    /// Puts a path's components before those that are still ahead.
    fn prepend(&mut self, path: &Path) {
        for component in path.components().rev() {
            match component {
                Component::Normal(name) => self.ahead.push_front(Step::Down(name.to_owned())),
                Component::ParentDir => self.ahead.push_front(Step::Up),
                Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            }
        }
    }

    /// Below what is missing there is nothing to follow, so the rest goes by its text.
    fn missing(mut self, root: &Dir, name: OsString) -> Resolved {
        let mut rest = vec![name];
        for step in self.ahead {
            match step {
                Step::Down(name) => rest.push(name),
                Step::Up => {
                    if rest.pop().is_none() && self.dirs.len() > 1 {
                        self.dirs.pop();
                    }
                }
            }
        }
        let dir = self.dirs.pop().unwrap_or_else(|| root.clone());
        let mut path = dir.path().to_owned();
        path.extend(&rest);
        let found = if rest.is_empty() {
            Found::Directory
        } else {
            Found::Missing(rest)
        };
        Resolved { path, dir, found }
    }

    fn file(self, root: &Dir, entry: Entry, stat: Stat) -> Resolved {
        let dir = self.dirs.last().unwrap_or(root).clone();
        Resolved {
            path: dir.join(&entry.name),
            found: if self.ahead.is_empty() {
                Found::File(entry, stat)
            } else {
                Found::NotDirectory(entry)
            },
            dir,
        }
    }
}
