//! Members of an archive as files beneath a directory. Layers are applied and archives unpacked by
//! the same code; [`Rules`] says where they differ.
//!
//! The archive is hostile. A name is first cleaned by its text, so that `..` stops at the top; links
//! on the way are then followed with the directory as `/`. The last component is never followed:
//! what is there is replaced. Nothing that an archive says can make an overlay mark that it could not
//! also express as a whiteout.

mod limits;
mod links;
mod member;
mod parents;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use crate::file::{FileError, failed};
use crate::tar::{Reader, TarError};
use crate::upper::restore_time;
use crate::{Dir, Time, UpperDir, UpperError};

pub use limits::{Bound, Limits};

pub(crate) use limits::Bounded;
pub(crate) use links::{copy_up, find_lower};

/// What is read of an archive at once.
const BUFFER: usize = 256 * 1024;

/// Where unpacking differs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) whiteouts: Whiteouts,
    /// All files get this owner and group.
    pub(crate) owner: Option<(u32, u32)>,
    /// Extended attributes that are not for ordinary users are left out.
    pub(crate) only_user_attributes: bool,
    pub(crate) limits: Limits,
    pub(crate) overwrite: Overwrite,
    /// Device nodes that may not be made are left out and counted.
    pub(crate) may_skip_devices: bool,
}

/// What a member may take the place of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// Whatever is there.
    Anything,
    /// A directory of a directory, and nothing else of anything else.
    SameKind,
}

/// What `.wh.` names mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whiteouts {
    /// They become overlay's marks.
    Marks,
    /// Nothing, since there is nothing below.
    Skip,
    /// They are names like others.
    Names,
}

/// Why an archive cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The archive is malformed or cannot be read.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A file cannot be made.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is in the way.
    #[error(transparent)]
    Upper(#[from] UpperError),
    /// A `.wh.` name that marks no file.
    #[error("invalid whiteout {}", .0.display())]
    Whiteout(PathBuf),
    /// A name that passes through something that is no directory.
    #[error("{}: not a directory", .0.display())]
    NotDirectory(PathBuf),
    /// A directory may not be replaced by something else.
    #[error("cannot overwrite directory {path:?} with non-directory")]
    OverDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// Nothing may be replaced by a directory.
    #[error("cannot overwrite non-directory {path:?} with directory")]
    OverFile {
        /// What is there.
        path: PathBuf,
    },
    /// A hard link to something that is not there.
    #[error("hard link {}: there is no {}", path.display(), target.display())]
    LinkTarget {
        /// The link.
        path: PathBuf,
        /// What it should be another name of.
        target: PathBuf,
    },
    /// The archive is larger than is accepted.
    #[error("archive has too many {bound}: at most {limit} are accepted")]
    Limit {
        /// Of what there is too much.
        bound: Bound,
        /// The bound.
        limit: u64,
    },
}

/// Unpacking in progress.
#[derive(Debug)]
pub(crate) struct Extractor {
    /// The directory that is `/` for the archive, and its path.
    top: UpperDir,
    base: PathBuf,
    /// The same for look-ups, with what is below.
    view: Dir,
    rules: Rules,
    dirs: parents::Cache,
    buffer: Vec<u8>,
    pub(crate) done: Extracted,
    /// Times of directories, given to them at the end. Without a time it was only implied.
    times: BTreeMap<PathBuf, Option<Time>>,
    /// Directories that were made since they were implied.
    implied: u64,
    /// Bytes of the names that were kept.
    names: u64,
}

/// What was unpacked.
#[derive(Debug, Default)]
pub(crate) struct Extracted {
    pub(crate) entries: u64,
    pub(crate) size: u64,
    pub(crate) skipped_devices: u64,
    /// Directories that the archive implies and does not have.
    pub(crate) implied: BTreeSet<PathBuf>,
    /// Hard links to what the archive does not have, by their names.
    pub(crate) links: BTreeMap<PathBuf, PathBuf>,
}

impl Extractor {
    /// Unpacks into `top`. `view` is the same directory with what is below.
    pub(crate) fn new(top: UpperDir, view: Dir, rules: Rules) -> Self {
        Self {
            base: top.path().to_owned(),
            dirs: parents::Cache::default(),
            top,
            view,
            rules,
            buffer: vec![0; BUFFER],
            done: Extracted::default(),
            times: BTreeMap::new(),
            implied: 0,
            names: 0,
        }
    }

    /// Unpacks a whole archive and reads the stream to its end.
    pub(crate) fn archive(&mut self, stream: impl Read) -> Result<(), ExtractError> {
        let mut reader = Reader::new(BufReader::with_capacity(BUFFER, stream));
        while let Some(header) = reader.next_entry()? {
            self.done.entries += 1;
            self.count_entry()?;
            self.done.size = self.done.size.saturating_add(header.size);
            self.count_bytes()?;
            self.member(header, &mut reader)?;
        }
        let room = self.rules.limits.size - self.done.size;
        let rest = &mut reader.into_inner().take(room.saturating_add(1));
        let rest = std::io::copy(rest, &mut std::io::sink()).map_err(TarError::Io)?;
        Bound::Bytes.check(self.done.size.saturating_add(rest), self.rules.limits.size)
    }

    fn count_entry(&self) -> Result<(), ExtractError> {
        let all = self.done.entries + self.implied;
        Bound::Entries.check(all, self.rules.limits.entries)
    }

    fn count_bytes(&self) -> Result<(), ExtractError> {
        Bound::Bytes.check(self.done.size, self.rules.limits.size)
    }

    /// Counts a name that is kept until the end.
    fn keep_name(&mut self, path: &Path) -> Result<(), ExtractError> {
        self.names += path.as_os_str().len() as u64;
        Bound::Names.check(self.names, self.rules.limits.names)
    }

    /// Gives directories their times, now that nothing is made in them any more.
    pub(crate) fn settle(&mut self) -> Result<(), ExtractError> {
        if self.rules.whiteouts != Whiteouts::Names {
            self.times.entry(PathBuf::new()).or_default();
        }
        for (path, time) in std::mem::take(&mut self.times) {
            // One that was replaced by another file has no use for it.
            let Ok(dir) = self.directory(&path) else {
                continue;
            };
            let time = time.unwrap_or_default();
            restore_time(dir.fd(), time).map_err(failed("utimes", &path))?;
        }
        Ok(())
    }
}
