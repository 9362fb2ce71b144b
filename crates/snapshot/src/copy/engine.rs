//! Copies directories side by side, and ties hard links together at the end.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rayon::ThreadPool;
use rayon::prelude::*;

use super::place::Place;
use super::{Copied, Copy, CopyError, CopyOwner, Earlier, Options};
use crate::file::{FileError, failed};
use crate::select::{Selected, Target};
use crate::upper::set_times;
use crate::{
    Attributes, Dir, Entry, Kind, Made, NewDirectory, Stat, Time, Tree, Upper, UpperDir, Xattr,
};

/// Names of one directory that are worth a task of their own.
const GRAIN: usize = 16;

/// A copy in progress. All of it is shared between threads.
#[derive(Debug)]
pub(crate) struct Engine<'a> {
    pub(super) copy: &'a Copy,
    pub(super) to: &'a Upper,
    pool: Option<&'a ThreadPool>,
    /// Source layers, by number, whose files may be linked to.
    shareable: Vec<bool>,
    /// Whether the file systems have not turned out not to link.
    pub(super) can_link: AtomicBool,
    earlier: Option<&'a Earlier>,
    pub(super) limits: crate::Limits,
    /// The owner that files have when nothing is changed.
    pub(super) process: (u32, u32),
    /// Where the first name of a file with several went.
    firsts: Mutex<HashMap<SourceFile, PathBuf>>,
    /// Which of the copies into this layer it is.
    pub(super) number: u64,
    /// Further names, with the first one.
    links: Mutex<Vec<(PathBuf, PathBuf)>>,
    pub(super) files: AtomicU64,
    pub(super) linked: AtomicU64,
    pub(super) bytes: AtomicU64,
}

/// The layer that a file is in, its device and its inode. Names in two layers are two files, also
/// when the layers share the inode.
type SourceFile = (Option<usize>, u64, u64);

impl<'a> Engine<'a> {
    pub(crate) fn new(from: &Tree, to: &'a Upper, copy: &'a Copy, options: &Options<'a>) -> Self {
        let is_shared = options.share && from.is_immutable();
        let shareable = from
            .paths()
            .iter()
            .map(|path| is_shared && !to.stack().contains(path))
            .collect();
        Self {
            copy,
            to,
            limits: options.limits,
            pool: options.pool,
            shareable,
            can_link: AtomicBool::new(options.share),
            earlier: options
                .earlier
                .filter(|earlier| options.share && !to.stack().iter().any(|p| p == earlier.path())),
            process: (
                rustix::process::geteuid().as_raw(),
                rustix::process::getegid().as_raw(),
            ),
            firsts: Mutex::default(),
            number: to.next_copy(),
            links: Mutex::default(),
            files: AtomicU64::new(0),
            linked: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Copies one source to its place.
    pub(super) fn run(&self, source: &Selected, place: &Place) -> Result<(), CopyError> {
        let dir = &place.dir;
        match (&source.target, &place.name) {
            (Target::Directory(from), None) => {
                self.contents(from, dir)?;
                if from.layer_fds().is_empty() {
                    // The root of an empty stack is no directory that has a time.
                    return Ok(());
                }
                // What was there keeps its metadata, but BuildKit gives it the time of the source.
                let time = self.time(&from.own_stat()?);
                Ok(set_times(dir.fd(), time).map_err(failed("utimes", dir.path()))?)
            }
            (Target::Directory(from), Some(name)) => {
                self.directory(from, dir, name, false)?;
                Ok(dir.restore_times()?)
            }
            (Target::File(from, entry, stat), name) => {
                let name = name.as_deref().unwrap_or(&entry.name);
                self.other(from, entry, stat, (dir, name))?;
                Ok(dir.restore_times()?)
            }
        }
    }

    /// Makes the hard links that are left and says what was done.
    pub(crate) fn finish(self) -> Result<Copied, CopyError> {
        let mut links = self.links.into_inner().unwrap_or_default();
        links.sort();
        for (path, first) in links {
            let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
                continue;
            };
            let (Some(first_above), Some(first_name)) = (first.parent(), first.file_name()) else {
                continue;
            };
            let new = NewDirectory::default();
            let from = self.to.create_dir_all(first_above, &new)?;
            let dir = self.to.create_dir_all(above, &new)?;
            dir.create_link(name, from.fd(), first_name)?;
            dir.restore_times()?;
        }
        Ok(Copied {
            files: self.files.into_inner(),
            linked: self.linked.into_inner(),
            bytes: self.bytes.into_inner(),
        })
    }

    /// Copies a directory and all that is in it. One that was there before gets its metadata only if
    /// `overwrite` says so.
    pub(crate) fn directory(
        &self,
        from: &Dir,
        to: &UpperDir,
        name: &OsStr,
        overwrite: bool,
    ) -> Result<(), CopyError> {
        let (dir, is_new) = match to.create_dir(name)? {
            Made::New(dir) => (dir, true),
            Made::Existed(dir) => (dir, false),
        };
        self.contents(from, &dir)?;
        if from.layer_fds().is_empty() {
            let attributes = self.copy.new_directory().into();
            return Ok(self.give(&dir, &attributes)?);
        }
        let stat = from.own_stat()?;
        if is_new || overwrite {
            let attributes = self.attributes(&stat, from.own_xattrs()?);
            return Ok(self.give(&dir, &attributes)?);
        }
        let time = self.time(&stat);
        Ok(set_times(dir.fd(), time).map_err(failed("utimes", dir.path()))?)
    }

    fn contents(&self, from: &Dir, to: &UpperDir) -> Result<(), CopyError> {
        let entries = from.entries()?;
        match self.pool {
            Some(pool) if entries.len() > GRAIN || entries.iter().any(is_dir) => {
                pool.install(|| {
                    let (dirs, others): (Vec<&Entry>, _) =
                        entries.iter().partition(|entry| is_dir(entry));
                    let (dirs, others) = rayon::join(
                        || dirs.par_iter().try_for_each(|e| self.entry(from, e, to)),
                        || {
                            let others = others.par_iter().with_min_len(GRAIN);
                            others.try_for_each(|entry| self.entry(from, entry, to))
                        },
                    );
                    dirs.and(others)
                })
            }
            _ => entries
                .iter()
                .try_for_each(|entry| self.entry(from, entry, to)),
        }
    }

    fn entry(&self, from: &Dir, entry: &Entry, to: &UpperDir) -> Result<(), CopyError> {
        if is_dir(entry) {
            return self.directory(&from.enter(entry)?, to, &entry.name, true);
        }
        let stat = from.stat(entry)?;
        self.other(from, entry, &stat, (to, &entry.name))
    }

    /// Copies what is no directory.
    pub(crate) fn other(
        &self,
        from: &Dir,
        entry: &Entry,
        stat: &Stat,
        (to, name): (&UpperDir, &OsStr),
    ) -> Result<(), CopyError> {
        if stat.kind == Kind::Socket {
            // Means nothing without its process.
            return Ok(());
        }
        self.files.fetch_add(1, Ordering::Relaxed);
        if self.share(from, entry, stat, (to, name))? {
            self.linked.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let file = (from.layer_number(entry), stat.device, stat.inode);
        if stat.links > 1 && self.is_further_name(file, to.join(name)) {
            return Ok(());
        }
        if self.reuse(from, entry, stat, (to, name))? {
            self.linked.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        self.make(from, entry, stat, (to, name))
    }

    /// Makes the copy another name of what an earlier copy made of the same file.
    fn reuse(
        &self,
        from: &Dir,
        entry: &Entry,
        stat: &Stat,
        (to, name): (&UpperDir, &OsStr),
    ) -> Result<bool, CopyError> {
        let Some(earlier) = self.earlier.filter(|_| stat.kind == Kind::File) else {
            return Ok(false);
        };
        let wanted = self.attributes(stat, Vec::new());
        let source = from.join(&entry.name);
        let place = (to.path(), name);
        match earlier.find(&source, place, stat.size, &wanted)? {
            Some((dir, entry)) => self.link(&dir, &entry, (to, name)),
            None => Ok(false),
        }
    }

    /// Whether a file was copied under another name already; then this one is made at the end.
    fn is_further_name(&self, file: SourceFile, path: PathBuf) -> bool {
        let Ok(mut firsts) = self.firsts.lock() else {
            return false;
        };
        if let Some(first) = firsts.get(&file) {
            if let Ok(mut links) = self.links.lock() {
                links.push((path, first.clone()));
            }
            return true;
        }
        firsts.insert(file, path);
        false
    }

    /// What a copy gets beside its content.
    pub(super) fn attributes(&self, stat: &Stat, xattrs: Vec<Xattr>) -> Attributes {
        let (uid, gid) = match self.copy.owner {
            CopyOwner::Source => (stat.uid, stat.gid),
            CopyOwner::Client => (0, 0),
            CopyOwner::Fixed(uid, gid) => (uid, gid),
            CopyOwner::Process => self.process,
        };
        Attributes {
            uid,
            gid,
            mode: match &self.copy.mode {
                Some(change) => change.apply(stat.kind, stat.mode),
                None => stat.mode,
            },
            modified: Some(self.time(stat)),
            xattrs,
        }
    }

    fn time(&self, source: &Stat) -> Time {
        let time = self.copy.modified.unwrap_or(source.modified);
        match self.copy.latest {
            Some(latest) if time > latest => latest,
            _ => time,
        }
    }

    /// Whether layer `number` of the source may be linked to.
    pub(super) fn is_shareable(&self, number: Option<usize>) -> bool {
        number.is_some_and(|number| self.shareable.get(number) == Some(&true))
    }

    fn give(&self, dir: &UpperDir, attributes: &Attributes) -> Result<(), FileError> {
        if (attributes.uid, attributes.gid) == self.process && !dir.gives_group() {
            return attributes.apply_without_owner(dir.fd(), dir.path());
        }
        dir.set_attributes(attributes)
    }
}

fn is_dir(entry: &Entry) -> bool {
    entry.kind == Kind::Directory
}
