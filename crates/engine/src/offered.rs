//! Files of a directory of this machine as a builder elsewhere is told of them: what is selected
//! of it, in the order of its paths.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use graph::LocalSource;
use snapshot::{Dir, Entry, Kind, Stat, Time};

use crate::error::EngineError;
use crate::kept::{ClientFile, ClientFileKind};
use crate::output::LocalTree;

/// Files of a directory, a directory before what is in it, and that by name. Sockets are not among
/// them, since they are part of no context.
#[derive(Debug)]
pub struct OfferedFiles {
    /// The directories that lead to what came last, with what is left in them, last first.
    levels: Vec<(Dir, Vec<Entry>)>,
    /// When the directory itself was last changed, in nanoseconds since 1970.
    modified: i64,
    /// Files with more names than one, by file system and number, with the name that came first.
    names: HashMap<(u64, u64), PathBuf>,
}

/// The files of `directory` that `source` selects.
///
/// # Errors
/// It is no directory, or a pattern is malformed.
pub fn offered_files(directory: &Path, source: &LocalSource) -> Result<OfferedFiles, EngineError> {
    let tree = LocalTree::new(directory.to_owned(), source).tree()?;
    let root = tree.root().clone();
    let mut files = OfferedFiles {
        modified: nanoseconds(root.own_stat()?.modified),
        levels: Vec::new(),
        names: HashMap::new(),
    };
    files.enter(root)?;
    Ok(files)
}

fn nanoseconds(time: Time) -> i64 {
    time.seconds * 1_000_000_000 + i64::from(time.nanos)
}

impl OfferedFiles {
    /// When the directory itself was last changed, in nanoseconds since 1970.
    #[must_use]
    pub const fn modified(&self) -> i64 {
        self.modified
    }

    fn enter(&mut self, directory: Dir) -> Result<(), EngineError> {
        let mut entries = directory.entries()?;
        entries.reverse();
        self.levels.push((directory, entries));
        Ok(())
    }

    fn find(&mut self) -> Result<Option<ClientFile>, EngineError> {
        while let Some((directory, left)) = self.levels.last_mut() {
            let Some(entry) = left.pop() else {
                self.levels.pop();
                continue;
            };
            if entry.kind == Kind::Socket {
                continue;
            }
            let directory = directory.clone();
            let stat = directory.stat(&entry)?;
            let attributes = directory.xattrs(&entry)?;
            let path = directory.path().join(&entry.name);
            if stat.kind == Kind::Directory {
                self.enter(directory.enter(&entry)?)?;
            }
            let kind = self.kind(&directory, &entry, &stat, &path)?;
            return Ok(Some(ClientFile {
                path,
                kind,
                mode: stat.mode,
                modified: nanoseconds(stat.modified),
                attributes: attributes.into_iter().map(|x| (x.name, x.value)).collect(),
            }));
        }
        Ok(None)
    }

    fn kind(
        &mut self,
        directory: &Dir,
        entry: &Entry,
        stat: &Stat,
        path: &Path,
    ) -> Result<ClientFileKind, EngineError> {
        let node = (stat.node.major, stat.node.minor);
        Ok(match stat.kind {
            Kind::Directory => ClientFileKind::Directory,
            Kind::Symlink => ClientFileKind::Symlink(directory.read_link(entry)?),
            Kind::Fifo => ClientFileKind::Fifo,
            Kind::Character => ClientFileKind::CharDevice(node.0, node.1),
            Kind::Block => ClientFileKind::BlockDevice(node.0, node.1),
            Kind::File | Kind::Socket => {
                let number = (stat.device, stat.inode);
                match self.names.get(&number) {
                    Some(first) => ClientFileKind::Link(first.clone()),
                    None => {
                        if stat.links > 1 {
                            self.names.insert(number, path.to_owned());
                        }
                        ClientFileKind::File(stat.size)
                    }
                }
            }
        })
    }
}

impl Iterator for OfferedFiles {
    type Item = Result<ClientFile, EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.find().transpose()
    }
}
