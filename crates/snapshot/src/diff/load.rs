//! Reads what a member needs before its turn comes, several files at a time.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::mpsc;

use rayon::prelude::*;
use rayon::{Scope, ThreadPool};

use super::walk::{Item, Walk};
use super::{DiffError, Meaning};
use crate::file::{FileError, Kind, Stat, failed};
use crate::marks;
use crate::tar::Xattr;
use crate::{Dir, Entry};

/// Content up to this size is read ahead; larger files are only opened.
const SMALL: u64 = 32 * 1024;
/// Batches that are loaded ahead.
const AHEAD: usize = 4;
/// So few files are loaded at once by whoever wants them.
const FEW: usize = 4;

/// A file with all that its member needs.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) path: PathBuf,
    /// The layer that it is in.
    pub(super) layer: Option<usize>,
    pub(super) stat: Stat,
    pub(super) xattrs: Vec<Xattr>,
    pub(super) content: Content,
}

/// What a member is made of beside its metadata.
#[derive(Debug)]
pub(super) enum Content {
    /// Nothing.
    None,
    /// All bytes of a file.
    Bytes(Vec<u8>),
    /// A file to be read.
    File(File),
    /// Where a symbolic link leads.
    Target(PathBuf),
    /// A directory that hides those below it.
    Opaque,
    /// A name that is gone.
    Whiteout,
}

/// Loads batches of files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Loader<'a> {
    meaning: Meaning,
    pool: Option<&'a ThreadPool>,
}

impl<'a> Loader<'a> {
    pub(super) const fn new(meaning: Meaning, pool: Option<&'a ThreadPool>) -> Self {
        Self { meaning, pool }
    }

    /// Gives what was loaded of each batch of `walk` to `work`, in order. On a pool the next batches
    /// are loaded meanwhile.
    pub(super) fn each(
        &self,
        walk: &mut Walk,
        mut work: impl FnMut(Vec<Loaded>) -> Result<(), DiffError>,
    ) -> Result<(), DiffError> {
        let Some(pool) = self.pool else {
            loop {
                match walk.batch()? {
                    batch if batch.is_empty() => return Ok(()),
                    batch => work(self.load(batch)?)?,
                }
            }
        };
        pool.in_place_scope(|scope| {
            let mut ahead = VecDeque::new();
            loop {
                while ahead.len() < AHEAD {
                    match walk.batch()? {
                        batch if batch.is_empty() => break,
                        batch => ahead.push_back(self.begin(scope, batch)),
                    }
                }
                // Of one that panicked the scope tells when it ends.
                match ahead.pop_front().map(|next| next.recv()) {
                    Some(Ok(loaded)) => work(loaded?)?,
                    Some(Err(_)) | None => return Ok(()),
                }
            }
        })
    }

    /// Begins to load a batch. A few files are not worth waking somebody for.
    fn begin<'scope>(
        &'scope self,
        scope: &Scope<'scope>,
        batch: Vec<Item>,
    ) -> mpsc::Receiver<Result<Vec<Loaded>, DiffError>> {
        let (sender, receiver) = mpsc::sync_channel(1);
        // Whom nobody waits for any more is not missed.
        if batch.len() > FEW {
            scope.spawn(move |_| drop(sender.send(self.load(batch))));
        } else {
            drop(sender.send(self.load(batch)));
        }
        receiver
    }

    fn load(&self, batch: Vec<Item>) -> Result<Vec<Loaded>, DiffError> {
        if self.pool.is_none() || batch.len() <= FEW {
            return batch.into_iter().map(|item| self.one(item)).collect();
        }
        let items = batch.into_par_iter().with_min_len(8);
        items.map(|item| self.one(item)).collect()
    }

    fn one(&self, item: Item) -> Result<Loaded, DiffError> {
        let Item { dir, entry, path } = item;
        if entry.kind == Kind::File {
            return self.regular(&dir, &entry, path);
        }
        let stat = dir.stat(&entry)?;
        let content = match (stat.kind, self.meaning) {
            (Kind::Character, Meaning::Layer(_)) if stat.is_whiteout() => Content::Whiteout,
            (_, Meaning::Layer(_)) if is_reserved(&entry) => {
                return Err(DiffError::ReservedName(path));
            }
            // It was no file when the directory was read.
            (Kind::File, _) => return Err(DiffError::Changed(path)),
            (Kind::Symlink, _) => Content::Target(dir.read_link(&entry)?),
            (Kind::Directory, Meaning::Layer(marks)) => {
                let opened = dir.enter(&entry)?;
                match opened.layer_fds().first() {
                    Some((_, fd)) if marks.is_opaque(fd).map_err(failed("getxattr", &path))? => {
                        Content::Opaque
                    }
                    _ => Content::None,
                }
            }
            _ => Content::None,
        };
        let xattrs = match content {
            Content::Whiteout => Vec::new(),
            _ => dir.xattrs(&entry)?,
        };
        Ok(Loaded {
            path,
            layer: dir.layer_number(&entry),
            stat,
            xattrs,
            content,
        })
    }

    /// What counts is what is said of the very file that is read.
    fn regular(&self, dir: &Dir, entry: &Entry, path: PathBuf) -> Result<Loaded, DiffError> {
        if self.meaning != Meaning::Files && is_reserved(entry) {
            return Err(DiffError::ReservedName(path));
        }
        let file = dir.open(entry)?;
        let stat = Stat::of(&file).map_err(|errno| FileError::new("stat", &path, errno))?;
        if stat.kind != Kind::File {
            return Err(DiffError::Changed(path));
        }
        let xattrs =
            marks::xattrs_of(&file).map_err(|errno| FileError::new("getxattr", &path, errno))?;
        Ok(Loaded {
            content: content(file, &stat, &path)?,
            path,
            layer: dir.layer_number(entry),
            stat,
            xattrs,
        })
    }
}

/// A name that would mean something else in a layer.
fn is_reserved(entry: &Entry) -> bool {
    entry.name.as_encoded_bytes().starts_with(b".wh.")
}

fn content(mut file: File, stat: &Stat, path: &PathBuf) -> Result<Content, FileError> {
    if stat.size > SMALL {
        return Ok(Content::File(file));
    }
    // One byte more, to see the end without asking again.
    let mut bytes = vec![0; stat.size as usize + 1];
    let mut filled = 0;
    while filled < bytes.len() {
        match file
            .read(&mut bytes[filled..])
            .map_err(failed("read", path))?
        {
            0 => break,
            length => filled += length,
        }
        if filled == stat.size as usize {
            break;
        }
    }
    bytes.truncate(filled);
    Ok(Content::Bytes(bytes))
}
