//! Layer directories and whole file systems as tars.
//!
//! Equal directories give equal bytes. Members come in the order of a walk that takes the names of
//! each directory by their bytes and every directory before what is in it. Of several names of one
//! file the first is the file and the others are links to it. Owners are numbers, times whole
//! seconds. Sockets are left out: they mean nothing without their process. Overlay's marks become
//! whiteouts (image-spec, layer.md, "Representing Changes").
//!
//! Files are read ahead in batches, on a pool if there is one; the bytes do not depend on it.

mod emit;
mod hashing;
mod load;
mod walk;

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};

use rayon::ThreadPool;

use crate::file::FileError;
use crate::tar::TarError;
use crate::{Marks, Tree};

pub use hashing::{Hashed, HashingWriter};

use emit::Emitter;
use load::Loader;
use walk::Walk;

/// How a tar is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Times after this one, in seconds, become this one (`SOURCE_DATE_EPOCH`).
    pub clamp_mtime: Option<i64>,
    /// Where files are read ahead; on the calling thread if there is none.
    pub pool: Option<&'a ThreadPool>,
}

/// A part of a file system.
#[derive(Debug, Clone)]
pub struct Part {
    /// Where it is; a link is taken itself.
    pub path: PathBuf,
    /// The name that it has in the archive; without one, what is in the directory at `path` is at
    /// the top and the directory itself is left out.
    pub name: Option<OsString>,
}

/// A whole file system among others in one archive.
#[derive(Debug, Clone, Copy)]
pub struct Whole<'a> {
    /// Its files.
    pub tree: &'a Tree,
    /// The directory of the archive that they are in; at the top when none.
    pub directory: Option<&'a OsStr>,
    /// As in [`Options`].
    pub clamp_mtime: Option<i64>,
    /// Further files, beside those at its top: their names and what is in them.
    pub beside: &'a [(String, Vec<u8>)],
}

/// Why a tar cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The archive cannot be written.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A file whose name means something else in a layer.
    #[error("cannot put {} into a layer: names that begin with .wh. mark removed files there", .0.display())]
    ReservedName(PathBuf),
    /// A file that was written to meanwhile.
    #[error("{} changed while it was read", .0.display())]
    Changed(PathBuf),
    /// There is nothing at the path.
    #[error("{:?}: not found", .0)]
    NotFound(PathBuf),
}

/// What the files of a tree stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// Overlay's marks are changes.
    Layer(Marks),
    /// Every file is itself.
    Files,
}

/// Writes the layer tar of the layer directory `layer`; the stream is given back.
///
/// # Errors
/// A file cannot be read or has no place in a layer, or the stream cannot be written.
pub fn tar<W: Write>(
    layer: &Path,
    marks: Marks,
    options: &Options<'_>,
    output: W,
) -> Result<W, DiffError> {
    let tree = Tree::directory(layer)?;
    let walk = Walk::of_directory(tree.root().clone(), PathBuf::new())?;
    write(walk, Meaning::Layer(marks), options, output)
}

/// Writes a part of a file system; the stream is given back.
///
/// # Errors
/// There is no such part, a file cannot be read, or the stream cannot be written.
pub fn export<W: Write>(
    tree: &Tree,
    part: &Part,
    options: &Options<'_>,
    output: W,
) -> Result<W, DiffError> {
    let walk = Walk::of_part(tree, part)?;
    write(walk, Meaning::Files, options, output)
}

/// Writes file systems one after another; the stream is given back. What two of them have at one path
/// is there twice.
///
/// # Errors
/// As [`export`].
pub fn export_all<W: Write>(
    all: &[Whole<'_>],
    pool: Option<&ThreadPool>,
    output: W,
) -> Result<W, DiffError> {
    let mut emitter = Emitter::new(output);
    for whole in all {
        emitter.begin(whole.clamp_mtime);
        if let Some(directory) = whole.directory {
            emitter.directory(directory)?;
        }
        let prefix = whole.directory.map(PathBuf::from).unwrap_or_default();
        let walk = Walk::of_directory(whole.tree.root().clone(), prefix.clone())?;
        emit(walk, &Loader::new(Meaning::Files, pool), &mut emitter)?;
        for (name, bytes) in whole.beside {
            emitter.file(prefix.join(name), bytes)?;
        }
    }
    Ok(emitter.finish()?)
}

fn write<W: Write>(
    walk: Walk,
    meaning: Meaning,
    options: &Options<'_>,
    output: W,
) -> Result<W, DiffError> {
    let mut emitter = Emitter::new(output);
    emitter.begin(options.clamp_mtime);
    emit(walk, &Loader::new(meaning, options.pool), &mut emitter)?;
    Ok(emitter.finish()?)
}

fn emit<W: Write>(
    mut walk: Walk,
    loader: &Loader<'_>,
    emitter: &mut Emitter<W>,
) -> Result<(), DiffError> {
    loader.each(&mut walk, |files| emitter.all(files))
}
