//! What has to be laid over one file system to get another.
//!
//! Directories are merged, so only those are written in which something changed. Where a name is gone
//! there is a whiteout; a file that became a directory, or the reverse, replaces what is below.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::copy::{Copied, Copy, CopyError, Engine, Options};
use crate::file::{FileError, failed};
use crate::{Attributes, Dir, Entry, Kind, Marks, NewDirectory, Stat, Tree, Upper, UpperDir};

/// Says which files are the same without reading them.
pub(crate) trait Sameness: Sync {
    /// Whether two files other than directories are the same; none if they must be compared.
    fn is_same_file(&self, lower: &Stat, upper: &Stat) -> Option<bool>;

    /// Whether a directory is the one that was there before: what is below shows through it.
    ///
    /// # Errors
    /// It cannot be looked at.
    fn is_same_directory(&self, upper: &Dir) -> Result<bool, FileError>;

    /// Whether a directory with another time has changed.
    fn times_of_directories_matter(&self) -> bool;
}

/// Files are the same if metadata and content are.
#[derive(Debug)]
struct Compare;

impl Sameness for Compare {
    fn is_same_file(&self, lower: &Stat, upper: &Stat) -> Option<bool> {
        ((lower.device, lower.inode) == (upper.device, upper.inode)).then_some(true)
    }

    fn is_same_directory(&self, _: &Dir) -> Result<bool, FileError> {
        Ok(true)
    }

    fn times_of_directories_matter(&self) -> bool {
        false
    }
}

/// Writes into `into` what must be laid over `lower` to get `upper`.
///
/// # Errors
/// A file cannot be read or made.
pub fn between(
    lower: &Tree,
    upper: &Tree,
    into: &Upper,
    options: &Options<'_>,
) -> Result<Copied, CopyError> {
    write(lower, upper, into, options, &Compare)
}

/// Whether the layer directory `layer`, which lies on `stack`, says more than [`between`] does: it has
/// an opaque directory, which also hides what it was never laid over, or a directory of which only the
/// time is new.
///
/// # Errors
/// A file cannot be read.
pub fn says_more(layer: &Path, stack: &[PathBuf], marks: Marks) -> Result<bool, FileError> {
    let (lower, upper) = (Tree::layers(stack, marks)?, Tree::directory(layer)?);
    says_more_than(lower.root(), upper.root(), marks)
}

fn says_more_than(lower: &Dir, upper: &Dir, marks: Marks) -> Result<bool, FileError> {
    for entry in upper.entries()? {
        if entry.kind != Kind::Directory {
            continue;
        }
        let before = match lower.find(&entry.name)? {
            Some((before, _)) if before.kind == Kind::Directory => lower.enter(&before)?,
            _ => continue,
        };
        let dir = upper.enter(&entry)?;
        let fd = dir.layer_fds().first().map(|(_, fd)| fd);
        let is_opaque = fd.map_or(Ok(false), |fd| marks.is_opaque(fd));
        if is_opaque.map_err(failed("getxattr", dir.path()))?
            || dir.entries()?.is_empty() && is_same_directory(&before, &dir, false)?
            || says_more_than(&before, &dir, marks)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// As [`between`], with another notion of sameness.
pub(crate) fn write(
    lower: &Tree,
    upper: &Tree,
    into: &Upper,
    options: &Options<'_>,
    sameness: &dyn Sameness,
) -> Result<Copied, CopyError> {
    let copy = Copy::default();
    let engine = Engine::new(upper, into, &copy, options);
    let changes = Changes {
        engine: &engine,
        into,
        sameness,
    };
    changes.directory(lower.root(), upper.root())?;
    engine.finish()
}

struct Changes<'a, 'b> {
    engine: &'a Engine<'b>,
    into: &'a Upper,
    sameness: &'a dyn Sameness,
}

/// The directory that is written, opened when there is something to write.
struct Lazy<'a> {
    into: &'a Upper,
    path: &'a Path,
    dir: Option<UpperDir>,
}

impl Lazy<'_> {
    fn get(&mut self) -> Result<&UpperDir, CopyError> {
        let dir = match self.dir.take() {
            Some(dir) => dir,
            None => self
                .into
                .create_dir_all(self.path, &NewDirectory::default())?,
        };
        Ok(self.dir.insert(dir))
    }
}

impl Changes<'_, '_> {
    fn directory(&self, lower: &Dir, upper: &Dir) -> Result<(), CopyError> {
        let mut into = Lazy {
            into: self.into,
            path: upper.path(),
            dir: None,
        };
        let (below, above) = (lower.entries()?, upper.entries()?);
        let mut below = below.iter().peekable();
        for entry in &above {
            while let Some(gone) = below.next_if(|gone| gone.name < entry.name) {
                into.get()?.hide(&gone.name)?;
            }
            let before = below.next_if(|below| below.name == entry.name);
            self.entry((lower, before), (upper, entry), &mut into)?;
        }
        for gone in below {
            into.get()?.hide(&gone.name)?;
        }
        self.metadata(lower, upper, &mut into)
    }

    /// A written directory gets the metadata of the upper one; others only if theirs changed.
    fn metadata(&self, lower: &Dir, upper: &Dir, into: &mut Lazy<'_>) -> Result<(), CopyError> {
        let with_times = self.sameness.times_of_directories_matter();
        if into.dir.is_none() && is_same_directory(lower, upper, with_times)? {
            return Ok(());
        }
        let attributes = Attributes::of(&upper.own_stat()?, upper.own_xattrs()?);
        into.get()?.set_attributes(&attributes)?;
        Ok(())
    }

    fn entry(
        &self,
        (lower, before): (&Dir, Option<&Entry>),
        (upper, entry): (&Dir, &Entry),
        into: &mut Lazy<'_>,
    ) -> Result<(), CopyError> {
        let Some(before) = before else {
            return self.add(upper, entry, into.get()?);
        };
        match (before.kind, entry.kind) {
            (Kind::Directory, Kind::Directory) => {
                let dir = upper.enter(entry)?;
                if self.sameness.is_same_directory(&dir)? {
                    return self.directory(&lower.enter(before)?, &dir);
                }
                into.get()?.hide(&entry.name)?;
            }
            (Kind::Directory, _) | (_, Kind::Directory) => into.get()?.hide(&entry.name)?,
            _ if self.is_same((lower, before), (upper, entry))? => return Ok(()),
            (old, new) if old != new => into.get()?.hide(&entry.name)?,
            _ => {}
        }
        self.add(upper, entry, into.get()?)
    }

    fn add(&self, upper: &Dir, entry: &Entry, into: &UpperDir) -> Result<(), CopyError> {
        if entry.kind == Kind::Directory {
            return self
                .engine
                .directory(&upper.enter(entry)?, into, &entry.name, true);
        }
        let stat = upper.stat(entry)?;
        self.engine.other(upper, entry, &stat, (into, &entry.name))
    }

    fn is_same(
        &self,
        (lower, before): (&Dir, &Entry),
        (upper, entry): (&Dir, &Entry),
    ) -> Result<bool, FileError> {
        let (old, new) = (lower.stat(before)?, upper.stat(entry)?);
        match self.sameness.is_same_file(&old, &new) {
            Some(is_same) => Ok(is_same),
            None => is_same_file((lower, before), (upper, entry)),
        }
    }
}

/// Whether two files other than directories have the same metadata and content.
pub(crate) fn is_same_file(
    (lower, before): (&Dir, &Entry),
    (upper, entry): (&Dir, &Entry),
) -> Result<bool, FileError> {
    let facts = |stat: &Stat| {
        (
            (stat.kind, stat.mode, stat.uid, stat.gid),
            (stat.size, stat.modified, stat.node),
        )
    };
    let (old, new) = (lower.stat(before)?, upper.stat(entry)?);
    if facts(&old) != facts(&new) || lower.xattrs(before)? != upper.xattrs(entry)? {
        return Ok(false);
    }
    match new.kind {
        Kind::File => same_content((lower, before), (upper, entry)),
        Kind::Symlink => Ok(lower.read_link(before)? == upper.read_link(entry)?),
        _ => Ok(true),
    }
}

/// Whether two directories have the same metadata. One that is in no layer has none.
pub(crate) fn is_same_directory(
    lower: &Dir,
    upper: &Dir,
    with_times: bool,
) -> Result<bool, FileError> {
    if lower.layer_fds().is_empty() {
        return Ok(false);
    }
    let facts = |stat: &Stat| {
        let time = with_times.then_some(stat.modified);
        (stat.mode, stat.uid, stat.gid, time)
    };
    Ok(facts(&lower.own_stat()?) == facts(&upper.own_stat()?)
        && lower.own_xattrs()? == upper.own_xattrs()?)
}

fn same_content(
    (lower, before): (&Dir, &Entry),
    (upper, entry): (&Dir, &Entry),
) -> Result<bool, FileError> {
    let path = upper.join(&entry.name);
    let (mut old, mut new) = (lower.open(before)?, upper.open(entry)?);
    let (mut left, mut right) = (vec![0; 128 * 1024], vec![0; 128 * 1024]);
    loop {
        let length = old.read(&mut left).map_err(failed("read", &path))?;
        if length == 0 {
            let rest = new.read(&mut right).map_err(failed("read", &path))?;
            return Ok(rest == 0);
        }
        if new.read_exact(&mut right[..length]).is_err() || left[..length] != right[..length] {
            return Ok(false);
        }
    }
}

impl UpperDir {
    /// Removes what this layer has under a name, and hides what any layer below has.
    pub(crate) fn hide(&self, name: &OsStr) -> Result<(), FileError> {
        self.clear(name, self.own(name)?.as_ref())?;
        sys::node::create_whiteout(self.fd(), name).map_err(failed("mknod", self.at(name)))
    }
}
