//! From the names in an archive to open directories.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use super::{Bound, ExtractError, Extractor, Limits};
use crate::tree::Found;
use crate::{Kind, Made, NewDirectory, UpperDir};

/// Directories kept open. Archives mostly go through a tree in order.
const OPEN: usize = 48;

/// Directories by their path without links, relative to the top.
#[derive(Debug, Default)]
pub(super) struct Cache(HashMap<PathBuf, UpperDir>);

impl Cache {
    pub(super) fn keep(&mut self, path: &Path, dir: &UpperDir) {
        if self.0.len() >= OPEN {
            self.0.clear();
        }
        self.0.insert(path.to_owned(), dir.clone());
    }

    /// Forgets everything, since a directory or link was replaced.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// A name in an archive.
pub(super) struct Name {
    /// The directory that it is in, by its text.
    pub(super) parent: PathBuf,
    pub(super) name: OsString,
}

impl Name {
    pub(super) fn path(&self) -> PathBuf {
        self.parent.join(&self.name)
    }
}

/// Cleans a name by its text; none for the top itself.
pub(super) fn clean(path: &Path, limits: &Limits) -> Result<Option<Name>, ExtractError> {
    Bound::Name.check(path.as_os_str().len() as u64, limits.name as u64)?;
    let mut parts: Vec<&OsStr> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => parts.push(part),
            Component::ParentDir => {
                parts.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Bound::Depth.check(parts.len() as u64, limits.depth as u64)?;
    Ok(parts.pop().map(|name| Name {
        parent: parts.iter().collect(),
        name: name.to_owned(),
    }))
}

impl Extractor {
    /// Opens the directory `path`, which is clean, making what is missing. Links are followed.
    pub(super) fn directory(&mut self, path: &Path) -> Result<UpperDir, ExtractError> {
        if let Some(dir) = self.dirs.0.get(path) {
            return Ok(dir.clone());
        }
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(self.top.clone());
        };
        let above = self.directory(above)?;
        let dir = match above.find(name)? {
            Some(stat) if stat.kind == Kind::Symlink => self.through_link(&above, name)?,
            Some(stat) if stat.kind != Kind::Directory => {
                return Err(ExtractError::NotDirectory(self.shown(&above, name)));
            }
            _ => self.make(&above, name)?,
        };
        self.dirs.keep(path, &dir);
        Ok(dir)
    }

    /// Opens or makes one directory.
    pub(super) fn make(
        &mut self,
        above: &UpperDir,
        name: &OsStr,
    ) -> Result<UpperDir, ExtractError> {
        match above.create_dir(name)? {
            Made::Existed(dir) => Ok(dir),
            Made::New(dir) => {
                dir.set_attributes(&NewDirectory::default().into())?;
                let path = self.shown(above, name);
                self.implied += 1;
                self.count_entry()?;
                self.keep_name(&path)?;
                self.done.implied.insert(path.clone());
                self.times.insert(path, None);
                Ok(dir)
            }
        }
    }

    /// The directory that a link leads to, with the top as `/`.
    fn through_link(&mut self, above: &UpperDir, name: &OsStr) -> Result<UpperDir, ExtractError> {
        let path = self.shown(above, name);
        let resolved = self.view.lookup(&path, true)?;
        match resolved.found {
            Found::Directory | Found::Missing(_) => {}
            Found::File(..) | Found::NotDirectory(_) => {
                return Err(ExtractError::NotDirectory(path));
            }
        }
        // Without links, so this goes straight down.
        let real = resolved.path.strip_prefix(&self.base);
        let mut dir = self.top.clone();
        for part in real.unwrap_or(&resolved.path) {
            dir = self.make(&dir, part)?;
        }
        Ok(dir)
    }

    /// The path of a file relative to the top.
    pub(super) fn shown(&self, dir: &UpperDir, name: &OsStr) -> PathBuf {
        let path = dir.join(name);
        match path.strip_prefix(&self.base) {
            Ok(path) => path.to_owned(),
            Err(_) => path,
        }
    }
}
