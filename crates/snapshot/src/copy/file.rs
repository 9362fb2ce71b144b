//! One file: linked to, or made anew with its data, owner, mode, attributes and times.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;

use rustix::io::Errno;

use super::CopyError;
use super::engine::Engine;
use crate::file::{At, FileError, failed};
use crate::marks;
use crate::{Dir, Entry, Kind, Stat, UpperDir, UpperError};

/// Files up to this size are read and written: less work than asking for anything better.
const SMALL: u64 = 64 * 1024;

impl Engine<'_> {
    /// Makes the copy another name of the source, if nobody can notice.
    pub(super) fn share(
        &self,
        from: &Dir,
        entry: &Entry,
        stat: &Stat,
        (to, name): (&UpperDir, &OsStr),
    ) -> Result<bool, CopyError> {
        if !self.can_link.load(Ordering::Relaxed)
            || !self.is_shareable(from.layer_number(entry))
            || !self.is_unchanged(from, entry, stat)?
            || !self
                .to
                .may_share(stat, (self.number, from.layer_number(entry)))
        {
            return Ok(false);
        }
        self.link(from, entry, (to, name))
    }

    /// Makes `name` another name of `entry`; false if there can be none.
    pub(super) fn link(
        &self,
        from: &Dir,
        entry: &Entry,
        (to, name): (&UpperDir, &OsStr),
    ) -> Result<bool, CopyError> {
        if !self.can_link.load(Ordering::Relaxed) {
            return Ok(false);
        }
        match to.create_link(name, from.layer(entry)?, &entry.name) {
            Ok(()) => Ok(true),
            Err(UpperError::File(error)) => match Errno::from_io_error(&error.source) {
                Some(Errno::MLINK) => Ok(false),
                Some(Errno::XDEV | Errno::PERM | Errno::OPNOTSUPP) => {
                    self.can_link.store(false, Ordering::Relaxed);
                    Ok(false)
                }
                _ => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a copy would have the metadata that the source's inode has.
    fn is_unchanged(&self, from: &Dir, entry: &Entry, stat: &Stat) -> Result<bool, CopyError> {
        let wanted = self.attributes(stat, Vec::new());
        let has_mode = wanted.mode == stat.mode || stat.kind == Kind::Symlink;
        if !has_mode || wanted.modified != Some(stat.modified) {
            return Ok(false);
        }
        let (uid, gid) = if from.changes_owner() {
            let real = Stat::at(from.layer(entry)?, &entry.name)
                .map_err(failed("stat", from.at(&entry.name)))?;
            (real.uid, real.gid)
        } else {
            (stat.uid, stat.gid)
        };
        Ok((wanted.uid, wanted.gid) == (uid, gid))
    }

    /// Makes the copy.
    pub(super) fn make(
        &self,
        from: &Dir,
        entry: &Entry,
        stat: &Stat,
        (to, name): (&UpperDir, &OsStr),
    ) -> Result<(), CopyError> {
        let path = to.at(name);
        match stat.kind {
            Kind::File => return self.regular(from, entry, stat, (to, name)),
            Kind::Symlink => to.create_symlink(name, &from.read_link(entry)?)?,
            _ => to.create_node(name, stat.kind, stat.node)?,
        }
        let attributes = self.attributes(stat, from.xattrs(entry)?);
        Ok(attributes.apply_at(to.fd(), name, stat.kind, path)?)
    }

    fn regular(
        &self,
        from: &Dir,
        entry: &Entry,
        stat: &Stat,
        (to, name): (&UpperDir, &OsStr),
    ) -> Result<(), CopyError> {
        let source = from.open(entry)?;
        let path = to.at(name);
        let xattrs = marks::xattrs_of(&source).map_err(failed("getxattr", path))?;
        let target = to.create_file(name)?;
        self.data(&source, &target, stat.size, path)?;
        self.bytes.fetch_add(stat.size, Ordering::Relaxed);
        let attributes = self.attributes(stat, xattrs);
        if (attributes.uid, attributes.gid) == self.process && !to.gives_group() {
            attributes.apply_without_owner(target.as_fd(), path)?;
        } else {
            attributes.apply_to(target.as_fd(), path)?;
        }
        Ok(())
    }

    fn data(&self, from: &File, to: &File, size: u64, path: At<'_>) -> Result<(), FileError> {
        store::fail::point("copy a file").map_err(failed("write", path))?;
        if size > SMALL {
            sys::copy::contents(from, to).map_err(failed("copy", path))?;
            return Ok(());
        }
        // A byte more than announced: a short read then is the end.
        let mut data = Vec::with_capacity(SMALL as usize + 1);
        loop {
            let room = data.capacity() - data.len();
            let length = rustix::io::read(from, rustix::buffer::spare_capacity(&mut data))
                .map_err(failed("read", path))?;
            if length == 0 {
                break;
            }
            if length == room {
                // It has grown beyond what is small.
                sys::copy::contents(from, to).map_err(failed("copy", path))?;
                return Ok(());
            }
            if data.len() as u64 >= size {
                break;
            }
        }
        let mut to = to;
        to.write_all(&data).map_err(failed("write", path))
    }
}
