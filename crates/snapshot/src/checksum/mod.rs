//! The checksum of what a `COPY` reads: equal checksums mean that the copy would be the same.
//!
//! Covered are names below the selected path (and the matched path itself for patterns), kind, mode,
//! owner, group, device, link target, extended attributes, content, and which names are one file. Not
//! covered are times, since no build tool that matters sets them, and what the copy leaves out.
//! The order in which the tree is read has no influence.
//!
//! The content of a file is not read when a [`StatCache`] knows its checksum. It is known by inode,
//! size and times; files of published layers never change, so for them the time of birth stands in for
//! the time of change, which a hard link would move.

mod cache;
mod listing;
mod record;
mod walk;

use std::fmt;
use std::path::{Path, PathBuf};

use rayon::ThreadPool;
use store::StoreError;

use crate::Tree;
use crate::file::FileError;
use crate::select::{SelectError, Selector};

pub use cache::{StatCache, StoreCache};
pub use listing::{Change, Listing, What};

use record::Recorder;
use walk::{Found, Walker};

/// A checksum of files.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Checksum(pub [u8; 32]);

/// One path that is read.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Which.
    pub selector: Selector,
    /// Of a directory only what is in it counts, not its own mode and owner.
    pub directory_contents: bool,
}

/// How a checksum is computed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Checksums of files that are known.
    pub cache: Option<&'a dyn StatCache>,
    /// Where directories are read side by side; on the calling thread if there is none.
    pub pool: Option<&'a ThreadPool>,
}

/// A checksum and what it covers.
#[derive(Debug)]
pub struct Outcome {
    /// The checksum.
    pub checksum: Checksum,
    /// To find out later whether the files are still the same.
    pub covered: Covered,
    /// Regular files.
    pub files: u64,
    /// Those of them whose content was read.
    pub hashed: u64,
}

/// What a checksum covers.
#[derive(Debug)]
pub struct Covered {
    found: Vec<Found>,
    /// Regular files among them.
    files: u64,
}

/// Why there is no checksum.
#[derive(Debug, thiserror::Error)]
pub enum ChecksumError {
    /// There is no such file.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The cache cannot be read or written.
    #[error("stat cache")]
    Cache(#[from] StoreError),
    /// A file is another one than when its checksum was computed.
    #[error("{} changed during the build", .0.display())]
    Changed(PathBuf),
}

/// The checksum of all that `selections` name, in their order.
///
/// # Errors
/// A path that is no pattern is missing, or a file cannot be read.
pub fn checksum(
    tree: &Tree,
    selections: &[Selection],
    options: &Options<'_>,
) -> Result<Outcome, ChecksumError> {
    let walker = Walker::new(tree, options.pool);
    let mut found = Vec::with_capacity(selections.len());
    for selection in selections {
        found.push(walker.find(selection)?);
    }
    let known = cache::look_up(&mut found, options.cache)?;
    walker.hash(&mut found)?;
    cache::remember(&found, &known, options.cache)?;

    let mut recorder = Recorder::new();
    for (found, selection) in found.iter().zip(selections) {
        recorder.selection(found, selection);
    }
    Ok(Outcome {
        files: known.len() as u64,
        hashed: known.iter().filter(|known| !**known).count() as u64,
        covered: Covered {
            found,
            files: known.len() as u64,
        },
        checksum: recorder.finish(),
    })
}

impl Covered {
    /// How many regular files.
    #[must_use]
    pub const fn files(&self) -> u64 {
        self.files
    }

    /// The files, to be compared with those of another checksum.
    #[must_use]
    pub fn listing(&self) -> Listing {
        Listing::of(&self.found)
    }

    /// Makes sure that the files are those that the checksum was computed of. To be asked after they
    /// were used: what changes from then on has no influence any more.
    ///
    /// # Errors
    /// A file was changed, added or removed, or cannot be looked at.
    pub fn verify(
        &self,
        tree: &Tree,
        selections: &[Selection],
        pool: Option<&ThreadPool>,
    ) -> Result<(), ChecksumError> {
        if tree.is_immutable() {
            return Ok(());
        }
        let walker = Walker::new(tree, pool);
        let before = walk::stats(&self.found);
        let mut before = before.iter();
        for selection in selections {
            let found = walker.find(selection)?;
            walk::each(&found, &mut |path, node| match before.next() {
                Some(stat) if *stat == node.file => Ok(()),
                _ => Err(ChecksumError::Changed(path.to_owned())),
            })?;
        }
        match before.next() {
            None => Ok(()),
            Some(_) => {
                let path = selections.last().map(|last| last.selector.path.clone());
                let path = path.unwrap_or_else(|| Path::new("/").to_owned());
                Err(ChecksumError::Changed(path))
            }
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
