//! Hard links: further names of what the archive has, or of what is below.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::parents::clean;
use super::{ExtractError, Extractor, Whiteouts};
use crate::file::failed;
use crate::tree::Found;
use crate::{Attributes, Dir, Entry, Kind, Stat, Tree, UpperDir};

impl Extractor {
    /// Makes `name` a further name of `target`. If the archive has no such file it may be below:
    /// that is for later when the layers below are not known, else the file is copied up.
    pub(super) fn link(
        &mut self,
        dir: &UpperDir,
        name: &OsStr,
        target: &Path,
        attributes: &Attributes,
    ) -> Result<(), ExtractError> {
        let path = self.shown(dir, name);
        let missing = |target: PathBuf| ExtractError::LinkTarget {
            path: path.clone(),
            target,
        };
        let Some(target_name) = clean(target, &self.rules.limits)? else {
            return Err(missing(target.to_owned()));
        };
        let found = self.view.lookup(&target_name.parent, true)?;
        if let Found::Directory = found.found
            && let Some((entry, stat)) = found.dir.find(&target_name.name)?
        {
            if stat.kind == Kind::Directory {
                return Err(missing(target_name.path()));
            }
            return self.link_found(dir, name, (&found.dir, &entry, &stat), attributes);
        }
        if self.rules.whiteouts != Whiteouts::Marks {
            return Err(missing(target_name.path()));
        }
        let target = target_name.path();
        self.keep_name(&path)?;
        self.keep_name(&target)?;
        self.done.links.insert(path, target);
        Ok(())
    }

    fn link_found(
        &mut self,
        dir: &UpperDir,
        name: &OsStr,
        (from, entry, stat): (&Dir, &Entry, &Stat),
        attributes: &Attributes,
    ) -> Result<(), ExtractError> {
        if from.layer_number(entry) == Some(0) {
            dir.create_link(name, from.layer(entry)?, &entry.name)?;
            return Ok(attributes.apply_at(dir.fd(), name, stat.kind, dir.at(name))?);
        }
        copy_up(from, entry, stat, dir, name)
    }
}

/// Copies a file of a lower layer, with its metadata.
pub(crate) fn copy_up(
    from: &Dir,
    entry: &Entry,
    stat: &Stat,
    dir: &UpperDir,
    name: &OsStr,
) -> Result<(), ExtractError> {
    let path = dir.join(name);
    let attributes = Attributes::of(stat, from.xattrs(entry)?);
    match stat.kind {
        Kind::File => {
            let target: File = dir.create_file(name)?;
            sys::copy::contents(&from.open(entry)?, &target).map_err(failed("copy", &path))?;
            return Ok(attributes.apply_to(target.as_fd(), &path)?);
        }
        Kind::Symlink => dir.create_symlink(name, &from.read_link(entry)?)?,
        Kind::Character | Kind::Block | Kind::Fifo | Kind::Socket => {
            dir.create_node(name, stat.kind, stat.node)?;
        }
        Kind::Directory => return Err(ExtractError::NotDirectory(path)),
    }
    Ok(attributes.apply_at(dir.fd(), name, stat.kind, &path)?)
}

/// Finds a file of the layers below by the text of its path; links on the way are followed.
pub(crate) fn find_lower(
    lower: &Tree,
    path: &Path,
) -> Result<Option<(Dir, Entry, Stat)>, ExtractError> {
    let resolved = lower.lookup(path, false)?;
    Ok(match resolved.found {
        Found::File(entry, stat) => Some((resolved.dir, entry, stat)),
        _ => None,
    })
}
