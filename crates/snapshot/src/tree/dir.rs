//! One directory of a tree: the directories of all layers that show through.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, RawDir, openat, readlinkat};
use rustix::io::Errno;

use super::{Filter, Form, MAX_DEPTH, Shape, Verdict};
use crate::file::{At, FileError, Kind, Stat, failed};
use crate::{Xattr, marks};

/// A directory that is open in every layer that shows through, top first.
#[derive(Debug, Clone)]
pub struct Dir {
    pub(super) shape: Arc<Shape>,
    path: PathBuf,
    depth: usize,
    /// With the number of its layer. Empty only for the root of an empty stack.
    layers: Vec<(usize, Arc<OwnedFd>)>,
    /// Each says what is left out of it.
    filters: Vec<Arc<dyn Filter>>,
    /// What is in it, where it was read already.
    known: Option<Arc<[Entry]>>,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: OsString,
    /// What it is.
    pub kind: Kind,
    /// Which of the directory's layers has it.
    layer: usize,
    /// What is in it, if the directory is there only for that.
    content: Option<Arc<[Entry]>>,
}

impl Dir {
    pub(super) fn root(
        shape: Arc<Shape>,
        layers: Vec<(usize, Arc<OwnedFd>)>,
    ) -> Result<Self, FileError> {
        let mut root = Self {
            shape,
            path: PathBuf::new(),
            depth: 0,
            layers: Vec::new(),
            filters: Vec::new(),
            known: None,
        };
        for layer in layers {
            root.layers.push(layer);
            if root.is_closed()? {
                break;
            }
        }
        Ok(root)
    }

    /// The same with other properties of the tree.
    pub(super) fn reshaped(self, change: impl FnOnce(&mut Shape)) -> Self {
        let mut shape = Shape::clone(&self.shape);
        change(&mut shape);
        Self {
            shape: Arc::new(shape),
            ..self
        }
    }

    /// The same without what `filter` drops, which is asked for this directory.
    #[must_use]
    pub(crate) fn with_filter(mut self, filter: Arc<dyn Filter>) -> Self {
        self.filters.push(filter);
        // It was read without the filter.
        self.known = None;
        self
    }

    /// Its path in the tree, without a leading slash; empty for the root.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What `stat` says of the directory itself, as the topmost layer has it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn own_stat(&self) -> Result<Stat, FileError> {
        let fd = self.top()?;
        let stat = Stat::of(fd).map_err(failed("stat", self.shown()))?;
        Ok(self.shown_stat(stat))
    }

    /// The extended attributes of the directory itself that belong to what it is.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn own_xattrs(&self) -> Result<Vec<Xattr>, FileError> {
        let fd = self.top()?;
        marks::xattrs_of(fd).map_err(failed("getxattr", self.shown()))
    }

    /// All names, sorted by their bytes.
    ///
    /// # Errors
    /// A layer cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>, FileError> {
        if let Some(known) = &self.known {
            return Ok(known.to_vec());
        }
        let mut entries = Vec::new();
        for (layer, (_, fd)) in self.layers.iter().enumerate() {
            self.read_layer(layer, fd, &mut entries)?;
        }
        entries.sort_unstable_by(|a, b| (&a.name, a.layer).cmp(&(&b.name, b.layer)));
        if self.layers.len() > 1 {
            entries.dedup_by(|later, first| later.name == first.name);
        }
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries {
            if !self.is_whiteout(&entry)? {
                kept.extend(self.kept(entry)?);
            }
        }
        Ok(kept)
    }

    /// The file of that name.
    ///
    /// # Errors
    /// A layer cannot be read.
    pub fn find(&self, name: &OsStr) -> Result<Option<(Entry, Stat)>, FileError> {
        if let Some(known) = &self.known {
            let Ok(at) = known.binary_search_by(|entry| entry.name.as_os_str().cmp(name)) else {
                return Ok(None);
            };
            let stat = self.stat(&known[at])?;
            return Ok(Some((known[at].clone(), stat)));
        }
        for (layer, (_, fd)) in self.layers.iter().enumerate() {
            match Stat::at(fd, name) {
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(FileError::new("stat", self.at(name), errno)),
                Ok(stat) => {
                    let entry = Entry {
                        name: name.to_owned(),
                        kind: stat.kind,
                        layer,
                        content: None,
                    };
                    if self.shape.form != Form::Plain && stat.is_whiteout() {
                        return Ok(None);
                    }
                    let kept = self.kept(entry)?;
                    return Ok(kept.map(|entry| (entry, self.shown_stat(stat))));
                }
            }
        }
        Ok(None)
    }

    /// What `stat` says of an entry.
    ///
    /// # Errors
    /// It cannot be read, or is gone.
    pub fn stat(&self, entry: &Entry) -> Result<Stat, FileError> {
        let stat = Stat::at(self.layer(entry)?, &entry.name)
            .map_err(failed("stat", self.at(&entry.name)))?;
        Ok(self.shown_stat(stat))
    }

    /// The extended attributes of an entry that belong to what it is.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn xattrs(&self, entry: &Entry) -> Result<Vec<Xattr>, FileError> {
        marks::xattrs_at(self.layer(entry)?, &entry.name)
            .map_err(failed("getxattr", self.at(&entry.name)))
    }

    /// Where a symbolic link leads.
    ///
    /// # Errors
    /// It cannot be read, or is no link.
    pub fn read_link(&self, entry: &Entry) -> Result<PathBuf, FileError> {
        let target = readlinkat(self.layer(entry)?, &entry.name, Vec::new())
            .map_err(failed("readlink", self.at(&entry.name)))?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(&self, entry: &Entry) -> Result<File, FileError> {
        // Not to wait for the other side if the file became a pipe meanwhile.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = openat(self.layer(entry)?, &entry.name, flags, Mode::empty())
            .map_err(failed("open", self.at(&entry.name)))?;
        Ok(File::from(fd))
    }

    /// Opens a directory in this one.
    ///
    /// # Errors
    /// It cannot be opened, or lies too deep.
    pub fn enter(&self, entry: &Entry) -> Result<Self, FileError> {
        let mut dir = Self {
            shape: Arc::clone(&self.shape),
            path: self.path.join(&entry.name),
            depth: self.depth + 1,
            layers: Vec::new(),
            filters: self.entered(&entry.name),
            known: entry.content.clone(),
        };
        if dir.depth > MAX_DEPTH {
            return Err(FileError::new("open", dir.shown(), Errno::NAMETOOLONG));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for (number, fd) in &self.layers[entry.layer..] {
            match openat(fd, &entry.name, flags, Mode::empty()) {
                Ok(fd) => dir.layers.push((*number, Arc::new(fd))),
                Err(Errno::NOENT) if !dir.layers.is_empty() => continue,
                // Something else of that name ends what shows through.
                Err(Errno::NOTDIR | Errno::LOOP) if !dir.layers.is_empty() => break,
                Err(errno) => return Err(FileError::new("open", dir.shown(), errno)),
            }
            if self.layers.len() > 1 && dir.is_closed()? {
                break;
            }
        }
        Ok(dir)
    }

    /// The descriptor of an entry's own directory.
    pub(crate) fn layer(&self, entry: &Entry) -> Result<BorrowedFd<'_>, FileError> {
        match self.layers.get(entry.layer) {
            Some((_, fd)) => Ok(fd.as_fd()),
            None => Err(FileError::new("open", self.at(&entry.name), Errno::NOENT)),
        }
    }

    /// The number of the layer that an entry is in, counted from the top.
    pub(crate) fn layer_number(&self, entry: &Entry) -> Option<usize> {
        self.layers.get(entry.layer).map(|(number, _)| *number)
    }

    /// Whether files appear to be somebody else's than they are.
    pub(crate) fn changes_owner(&self) -> bool {
        self.shape.owner.is_some()
    }

    /// The descriptors of the layers below the top one, to write above them.
    pub(crate) fn layer_fds(&self) -> &[(usize, Arc<OwnedFd>)] {
        &self.layers
    }

    /// The path of a name in this directory, without a leading slash.
    pub(crate) fn join(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// The same, for an error.
    pub(crate) fn at<'a>(&'a self, name: &'a OsStr) -> At<'a> {
        At {
            dir: &self.path,
            name,
        }
    }

    fn top(&self) -> Result<BorrowedFd<'_>, FileError> {
        match self.layers.first() {
            Some((_, fd)) => Ok(fd.as_fd()),
            None => Err(FileError::new("open", self.shown(), Errno::NOENT)),
        }
    }

    /// Its path as one reads it.
    fn shown(&self) -> &Path {
        if self.path.as_os_str().is_empty() {
            Path::new("/")
        } else {
            &self.path
        }
    }

    /// Whether the lowest of its layers hides all that are below.
    fn is_closed(&self) -> Result<bool, FileError> {
        match (self.shape.form, self.layers.last()) {
            (Form::Layers(marks), Some((_, fd))) => marks
                .is_opaque(fd)
                .map_err(failed("getxattr", self.shown())),
            _ => Ok(true),
        }
    }

    fn read_layer(
        &self,
        layer: usize,
        fd: &OwnedFd,
        entries: &mut Vec<Entry>,
    ) -> Result<(), FileError> {
        // Directories share their offset between readers, and this one may be shared.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(fd, c".", flags, Mode::empty()).map_err(failed("open", self.shown()))?;
        let mut buffer = [const { MaybeUninit::uninit() }; 32 * 1024];
        let mut names = RawDir::new(fd.as_fd(), &mut buffer);
        while let Some(next) = names.next() {
            let next = next.map_err(failed("read", self.shown()))?;
            let name = OsStr::from_bytes(next.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = match Kind::from_file_type(next.file_type()) {
                Some(kind) => kind,
                None => {
                    Stat::at(fd.as_fd(), name)
                        .map_err(failed("stat", self.at(name)))?
                        .kind
                }
            };
            entries.push(Entry {
                name: name.to_owned(),
                kind,
                layer,
                content: None,
            });
        }
        Ok(())
    }

    fn is_whiteout(&self, entry: &Entry) -> Result<bool, FileError> {
        if self.shape.form == Form::Plain || entry.kind != Kind::Character {
            return Ok(false);
        }
        Ok(self.stat(entry)?.is_whiteout())
    }

    /// The entry, unless it is left out.
    fn kept(&self, mut entry: Entry) -> Result<Option<Entry>, FileError> {
        match self.verdict(&entry) {
            Verdict::Keep => Ok(Some(entry)),
            Verdict::Visit if entry.kind == Kind::Directory => {
                // Whoever enters it then need not read all that is beneath again.
                let content = self.enter(&entry)?.entries()?;
                let is_there = !content.is_empty();
                entry.content = Some(content.into());
                Ok(is_there.then_some(entry))
            }
            Verdict::Drop | Verdict::Visit => Ok(None),
        }
    }

    fn verdict(&self, entry: &Entry) -> Verdict {
        let is_dir = entry.kind == Kind::Directory;
        let mut verdict = Verdict::Keep;
        for filter in &self.filters {
            match filter.verdict(&entry.name, is_dir) {
                Verdict::Keep => {}
                Verdict::Drop => return Verdict::Drop,
                Verdict::Visit => verdict = Verdict::Visit,
            }
        }
        verdict
    }

    /// The filters of the directory `name` in this one.
    fn entered(&self, name: &OsStr) -> Vec<Arc<dyn Filter>> {
        let filters = self.filters.iter();
        filters.filter_map(|filter| filter.enter(name)).collect()
    }

    /// A file as the tree shows it.
    fn shown_stat(&self, stat: Stat) -> Stat {
        match self.shape.owner {
            Some((uid, gid)) => Stat { uid, gid, ..stat },
            None => stat,
        }
    }
}
