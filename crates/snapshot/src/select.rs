//! What the source of a `COPY` names in a tree. Copies and checksums find it in the same way, so that
//! a checksum covers exactly what is copied.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::file::FileError;
use crate::tree::{Found, Pattern, has_wildcards};
use crate::{Dir, Entry, Filter, Stat, Tree, Verdict};

/// Names files in a tree.
#[derive(Debug, Clone, Default)]
pub struct Selector {
    /// The path, from the root of the tree; a pattern if `wildcard` says so.
    pub path: PathBuf,
    /// `*`, `?` and `[…]` have their meaning.
    pub wildcard: bool,
    /// A link at the path is followed.
    pub follow_links: bool,
    /// `path` is a pattern relative to the root, or to what is before its first `/./`; what it
    /// matches is selected with the directories on the way (`--parents`).
    pub parents: bool,
    /// What alone is selected of a directory, and directories on the way to it.
    pub include: Option<Arc<dyn Filter>>,
    /// What is left out of a selected directory.
    pub exclude: Option<Arc<dyn Filter>>,
}

/// Why nothing can be selected.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// There is no such file.
    #[error("\"{}\": not found", .0.display())]
    NotFound(PathBuf),
    /// The tree cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A selected file.
#[derive(Debug)]
pub(crate) struct Selected {
    /// Its path before links were followed.
    pub(crate) path: PathBuf,
    pub(crate) target: Target,
}

#[derive(Debug)]
pub(crate) enum Target {
    Directory(Dir),
    /// Another file, of this name in the directory.
    File(Dir, Entry, Stat),
}

impl Selector {
    /// Whether it depends on the tree which paths are selected.
    pub(crate) fn is_pattern(&self) -> bool {
        self.wildcard && has_wildcards(self.path.as_os_str())
    }

    /// What is selected, in the order of the paths. Only a pattern may select nothing.
    pub(crate) fn select(&self, tree: &Tree) -> Result<Vec<Selected>, SelectError> {
        if self.parents {
            return self.select_parents(tree);
        }
        let path = clean(&self.path);
        if !self.is_pattern() {
            return Ok(vec![self.one(tree, path)?]);
        }
        let mut selected = Vec::new();
        for path in tree.glob(&path, self.follow_links)? {
            match self.one(tree, path)? {
                // The pattern was for this file, so what is left out is as well.
                Selected {
                    target: Target::File(_, entry, _),
                    ..
                } if self.excludes(&entry.name) => {}
                found => selected.push(found),
            }
        }
        Ok(selected)
    }

    fn one(&self, tree: &Tree, path: PathBuf) -> Result<Selected, SelectError> {
        let resolved = tree.lookup(&path, self.follow_links)?;
        let target = match resolved.found {
            Found::Directory => Target::Directory(self.filtered(resolved.dir)),
            Found::File(entry, stat) => Target::File(resolved.dir, entry, stat),
            Found::Missing(_) | Found::NotDirectory(_) => return Err(not_found(&path)),
        };
        Ok(Selected { path, target })
    }

    fn excludes(&self, name: &OsStr) -> bool {
        let exclude = self.exclude.as_ref();
        exclude.is_some_and(|filter| filter.verdict(name, false) == Verdict::Drop)
    }

    fn filtered(&self, dir: Dir) -> Dir {
        let filters = self.include.iter().chain(&self.exclude);
        filters.fold(dir, |dir, filter| dir.with_filter(Arc::clone(filter)))
    }

    fn select_parents(&self, tree: &Tree) -> Result<Vec<Selected>, SelectError> {
        let (base, rest) = pivot(&self.path);
        let pattern = Pattern::new(rest.as_os_str());
        let base = Self {
            path: base,
            parents: false,
            ..self.clone()
        };
        let is_exact = !has_wildcards(self.path.as_os_str());
        let mut selected = Vec::new();
        for Selected { path, target } in base.select(tree)? {
            let Target::Directory(dir) = target else {
                continue;
            };
            if is_exact && !has(&dir, &rest)? {
                return Err(not_found(&clean(&self.path)));
            }
            let dir = dir.with_filter(Arc::new(pattern.clone()));
            selected.push(Selected {
                path,
                target: Target::Directory(dir),
            });
        }
        Ok(selected)
    }
}

/// Splits at the first `/./`.
fn pivot(path: &Path) -> (PathBuf, PathBuf) {
    use std::os::unix::ffi::OsStrExt;
    let bytes = path.as_os_str().as_bytes();
    match bytes.windows(3).position(|window| window == b"/./") {
        Some(at) => (
            PathBuf::from(OsStr::from_bytes(&bytes[..at])),
            clean(Path::new(OsStr::from_bytes(&bytes[at + 3..]))),
        ),
        None => (PathBuf::from("/"), clean(path)),
    }
}

/// Whether the tree has the path without following links, as the walk over it does not either.
fn has(dir: &Dir, path: &Path) -> Result<bool, FileError> {
    let mut dir = dir.clone();
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        match dir.find(part.as_os_str())? {
            None => return Ok(false),
            Some(_) if parts.peek().is_none() => return Ok(true),
            Some((entry, _)) if entry.kind == crate::Kind::Directory => dir = dir.enter(&entry)?,
            Some(_) => return Ok(false),
        }
    }
    Ok(true)
}

/// The path by its text, relative to the root and without `.` and `..`.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    clean
}

fn not_found(path: &Path) -> SelectError {
    SelectError::NotFound(Path::new("/").join(path))
}
