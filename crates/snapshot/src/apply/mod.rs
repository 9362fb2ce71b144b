//! Layer tars as layer directories.
//!
//! A layer can be applied before those below it are known, so that the layers of an image are
//! unpacked side by side. What it then lacks (metadata of directories that it only implies, the files
//! behind hard links into lower layers) is told as [`Missing`], and [`complete`] adds it. A layer that
//! lacks nothing is self-contained: it can lie on any stack.
//!
//! Names are resolved inside the layer alone, as containerd's overlay snapshotter does: a link in a
//! lower layer is not followed, but replaced.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use oci::Hasher;

use crate::diff::Hashed;
use crate::extract::{Extractor, Rules, Whiteouts, copy_up, find_lower};
use crate::file::failed;
use crate::tree::{Found, open_directory};
use crate::{Attributes, ExtractError, Limits, Marks, NewDirectory, Overwrite, Tree, Upper};

/// How a layer is applied.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// What the layer lies on.
    pub below: Below<'a>,
    /// Where overlay's marks are kept.
    pub marks: Marks,
    /// Bounds on the archive.
    pub limits: Limits,
    /// Compute the diff ID.
    pub hash: bool,
    /// Bring everything to disk before returning.
    pub sync: bool,
}

/// What a layer lies on.
#[derive(Debug, Clone, Copy, Default)]
pub enum Below<'a> {
    /// Nothing: whiteouts have no meaning.
    Nothing,
    /// That will be known later.
    #[default]
    Unknown,
    /// These layer directories, bottom first.
    Layers(&'a [PathBuf]),
}

/// An applied layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The archive's digest and size, if asked for.
    pub hashed: Option<Hashed>,
    /// What the layer does not have itself. It was added if the layers below were given.
    pub missing: Missing,
    /// Members of the archive.
    pub entries: u64,
    /// Bytes of all files.
    pub size: u64,
    /// Device nodes that this process may not make. Always none for root.
    pub skipped_devices: u64,
}

/// What a layer takes from those below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// Directories that it has files in, without having them.
    pub directories: Vec<PathBuf>,
    /// Hard links, with what they are another name of.
    pub links: Vec<(PathBuf, PathBuf)>,
}

impl Missing {
    /// Whether the layer is self-contained.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.directories.is_empty() && self.links.is_empty()
    }
}

/// Unpacks the uncompressed layer tar `stream` into the empty directory `layer`. The stream is read
/// to its end.
///
/// # Errors
/// The archive is malformed or exceeds the limits, or a file cannot be made. What was made by then
/// stays.
pub fn tar(
    stream: impl Read,
    layer: &Path,
    options: &Options<'_>,
) -> Result<Applied, ExtractError> {
    let upper = match options.below {
        Below::Nothing => Upper::open(layer, &[], options.marks)?,
        Below::Unknown | Below::Layers(_) => Upper::over_unknown(layer, options.marks)?,
    };
    let rules = Rules {
        whiteouts: match options.below {
            Below::Nothing => Whiteouts::Skip,
            Below::Unknown | Below::Layers(_) => Whiteouts::Marks,
        },
        owner: None,
        only_user_attributes: false,
        limits: options.limits,
        overwrite: Overwrite::Anything,
        may_skip_devices: options.marks == Marks::User,
    };
    let view = upper.tree()?.root().clone();
    let mut extractor = Extractor::new(upper.root().clone(), view, rules);
    let hashed = if options.hash {
        let mut stream = HashingReader::new(stream);
        extractor.archive(&mut stream)?;
        Some(stream.finish())
    } else {
        extractor.archive(stream)?;
        None
    };
    extractor.settle()?;
    let done = extractor.done;
    let missing = match options.below {
        Below::Nothing => Missing::default(),
        Below::Unknown | Below::Layers(_) => Missing {
            directories: done.implied.into_iter().collect(),
            links: done.links.into_iter().collect(),
        },
    };
    if let Below::Layers(layers) = options.below {
        complete(layer, &missing, layers, options.marks)?;
    }
    if options.sync {
        sync(layer)?;
    }
    Ok(Applied {
        hashed,
        missing,
        entries: done.entries,
        size: done.size,
        skipped_devices: done.skipped_devices,
    })
}

/// Adds to the layer directory `layer` what it takes from `below`, bottom first.
///
/// # Errors
/// A hard link leads to nothing, or a file cannot be made.
pub fn complete(
    layer: &Path,
    missing: &Missing,
    below: &[PathBuf],
    marks: Marks,
) -> Result<(), ExtractError> {
    if missing.is_empty() {
        return Ok(());
    }
    let upper = Upper::over_unknown(layer, marks)?;
    let lower = Tree::layers(below, marks)?;
    for path in &missing.directories {
        let resolved = lower.lookup(path, true)?;
        if !matches!(resolved.found, Found::Directory) {
            continue;
        }
        let stat = resolved.dir.own_stat()?;
        let dir = upper.create_dir_all(path, &NewDirectory::default())?;
        dir.set_attributes(&Attributes::of(&stat, resolved.dir.own_xattrs()?))?;
    }
    for (path, target) in &missing.links {
        link(&upper, &lower, path, target, missing)?;
    }
    Ok(())
}

fn link(
    upper: &Upper,
    lower: &Tree,
    path: &Path,
    target: &Path,
    missing: &Missing,
) -> Result<(), ExtractError> {
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(());
    };
    let dir = upper.create_dir_all(above, &NewDirectory::default())?;
    // The target may be a link like this one, and may come later.
    let mut source = target;
    for _ in 0..missing.links.len() {
        match missing
            .links
            .binary_search_by(|(path, _)| path.as_path().cmp(source))
        {
            Ok(at) if source != path => source = &missing.links[at].1,
            _ => break,
        }
    }
    let Some((from, entry, stat)) = find_lower(lower, source)? else {
        return Err(ExtractError::LinkTarget {
            path: path.to_owned(),
            target: target.to_owned(),
        });
    };
    copy_up(&from, &entry, &stat, &dir, name)?;
    Ok(dir.restore_times()?)
}

/// Brings the file system of `layer` to disk.
fn sync(layer: &Path) -> Result<(), ExtractError> {
    let dir = open_directory(layer).map_err(failed("open", layer))?;
    rustix::fs::syncfs(&dir).map_err(failed("sync", layer))?;
    Ok(())
}

/// Hashes what is read through it.
#[derive(Debug)]
struct HashingReader<R> {
    stream: R,
    hasher: Hasher,
    size: u64,
}

impl<R> HashingReader<R> {
    fn new(stream: R) -> Self {
        Self {
            stream,
            hasher: Hasher::new(),
            size: 0,
        }
    }

    fn finish(self) -> Hashed {
        Hashed {
            diff_id: oci::DiffId(self.hasher.finish()),
            size: self.size,
        }
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.stream.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        self.size += length as u64;
        Ok(length)
    }
}
