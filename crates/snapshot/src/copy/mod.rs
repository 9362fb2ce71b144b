//! What `COPY` and `ADD` do, with the rules of BuildKit: from a tree into a new layer above a stack,
//! without a mount.
//!
//! A file's data is shared where that cannot be noticed: by reflink; by hard link out of a published
//! layer or of an earlier copy, when owner, mode and times stay the same, the destination will not be written again
//! either, and that layer is not in the destination's own stack (where one inode would show under
//! two paths). What is made does not depend on the order in which threads make it.

mod earlier;
mod engine;
mod file;
mod mode;
mod place;
mod unpack;

use std::path::{Path, PathBuf};

use rayon::ThreadPool;

use crate::extract::ExtractError;
use crate::file::FileError;
use crate::select::{SelectError, Selector};
use crate::{Limits, NewDirectory, Time, Tree, Upper, UpperError};

pub use earlier::Earlier;
pub use mode::{ModeChange, ModeError};

pub(crate) use engine::Engine;

use place::Place;

/// One source of a `COPY`, and where it goes.
#[derive(Debug, Clone, Default)]
pub struct Copy {
    /// What is copied.
    pub source: Selector,
    /// Where to, from the root; with a trailing slash it is a directory.
    pub destination: PathBuf,
    /// Who owns the copies.
    pub owner: CopyOwner,
    /// The permission bits of the copies; those of the source if none.
    pub mode: Option<ModeChange>,
    /// A source directory stands for what is in it.
    pub directory_contents: bool,
    /// A pattern without a match is no error.
    pub allow_empty_wildcard: bool,
    /// Make missing directories of the destination.
    pub create_destination: bool,
    /// Unpack archives instead of copying them (`ADD`).
    pub unpack: bool,
    /// The time of directories that are made on the way; that of making them if none.
    pub created: Option<Time>,
    /// The time of the copies; that of the source if none.
    pub modified: Option<Time>,
    /// Times of copies that would be later become this one.
    pub latest: Option<Time>,
}

/// Who owns what is copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CopyOwner {
    /// Who owns the source. Directories made on the way are root's.
    #[default]
    Source,
    /// Root, but what is in an archive keeps its owner: files of a client, whose owners mean
    /// nothing here.
    Client,
    /// This user and group.
    Fixed(u32, u32),
    /// Whoever copies; nothing is changed.
    Process,
}

/// How copies are made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// The destination becomes a layer that nobody writes to again, so it may share inodes with
    /// other layers.
    pub share: bool,
    /// Where directories are copied side by side; on the calling thread if there is none.
    pub pool: Option<&'a ThreadPool>,
    /// A layer that an earlier copy like this one made; shared with like the source.
    pub earlier: Option<&'a Earlier>,
    /// Bounds on archives that are unpacked.
    pub limits: Limits,
}

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files of all kinds but directories.
    pub files: u64,
    /// Those of them that share an inode with the source, or with an earlier copy.
    pub linked: u64,
    /// Bytes that were copied, by reflink or otherwise.
    pub bytes: u64,
}

/// Why files cannot be copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source is not there.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// A file cannot be read or made.
    #[error(transparent)]
    File(#[from] FileError),
    /// Something else is in the way.
    #[error(transparent)]
    Upper(#[from] UpperError),
    /// An archive cannot be unpacked.
    #[error("unpack {}", path.display())]
    Unpack {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        source: ExtractError,
    },
    /// A directory of the destination is missing, and not to be made.
    #[error("failed to stat {}: no such directory", .0.display())]
    NoDestination(PathBuf),
}

/// Copies into `upper`.
///
/// # Errors
/// The source is missing, something else is in the way at the destination, or the system refuses.
/// What was copied by then stays.
pub fn copy(
    from: &Tree,
    to: &Upper,
    copy: &Copy,
    options: &Options<'_>,
) -> Result<Copied, CopyError> {
    let selected = copy.source.select(from)?;
    if selected.is_empty() {
        if copy.allow_empty_wildcard {
            return Ok(Copied::default());
        }
        return Err(SelectError::NotFound(absolute(&copy.source.path)).into());
    }
    let engine = Engine::new(from, to, copy, options);
    for source in selected {
        if copy.unpack && unpack::archive(&engine, &source)? {
            continue;
        }
        let place = Place::find(to, copy, &source)?;
        engine.run(&source, &place)?;
    }
    engine.finish()
}

/// Copies all of a tree into `upper`, whose root gets the metadata of the tree's.
///
/// # Errors
/// As [`copy`].
pub fn whole(from: &Tree, to: &Upper, options: &Options<'_>) -> Result<Copied, CopyError> {
    let all = Copy {
        destination: PathBuf::from("/"),
        directory_contents: true,
        ..Copy::default()
    };
    let copied = copy(from, to, &all, options)?;
    if let Ok(stat) = from.root().own_stat() {
        let attributes = crate::Attributes::of(&stat, from.root().own_xattrs()?);
        to.root().set_attributes(&attributes)?;
    }
    Ok(copied)
}

impl Copy {
    /// What directories made on the way to the destination become.
    pub(crate) fn new_directory(&self) -> NewDirectory {
        let (uid, gid) = match self.owner {
            CopyOwner::Fixed(uid, gid) => (uid, gid),
            CopyOwner::Source | CopyOwner::Client | CopyOwner::Process => (0, 0),
        };
        NewDirectory {
            mode: match self.mode {
                Some(ModeChange::Octal(mode)) => mode,
                _ => 0o755,
            },
            uid,
            gid,
            modified: self.created,
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    Path::new("/").join(path)
}
