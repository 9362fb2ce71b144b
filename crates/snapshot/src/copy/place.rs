//! Where a source goes: the rules on what is at the destination already.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Copy, CopyError};
use crate::select::{Selected, Target, clean};
use crate::tree::Found;
use crate::{FileError, Upper, UpperDir, UpperError};

/// The place of one source.
#[derive(Debug)]
pub(super) struct Place {
    /// The directory that it goes into.
    pub(super) dir: UpperDir,
    /// Its name there; without one the content of a source directory goes into `dir` itself.
    pub(super) name: Option<OsString>,
}

impl Place {
    pub(super) fn find(to: &Upper, copy: &Copy, source: &Selected) -> Result<Self, CopyError> {
        let is_dir = matches!(source.target, Target::Directory(_));
        let contents = is_dir && (copy.directory_contents || copy.source.parents);
        let new = copy.new_directory();
        let wants_directory = wants_directory(&copy.destination);
        let (path, at) = resolve(to, &clean(&copy.destination))?;
        if at == At::File && (contents || wants_directory) || at == At::BelowFile {
            return Err(UpperError::NotDirectory(Path::new("/").join(path)).into());
        }
        if !copy.create_destination && at == At::MissingParent {
            return Err(CopyError::NoDestination(copy.destination.clone()));
        }
        if contents {
            return Ok(Self {
                dir: to.create_dir_all(&path, &new)?,
                name: None,
            });
        }
        if at == At::Directory || wants_directory {
            let name = source.path.file_name().map(OsString::from);
            return Ok(Self {
                dir: to.create_dir_all(&path, &new)?,
                name,
            });
        }
        let above = path.parent().unwrap_or(Path::new(""));
        Ok(Self {
            dir: to.create_dir_all(above, &new)?,
            name: path.file_name().map(OsString::from),
        })
    }
}

/// What is at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Directory,
    File,
    /// A file is where a directory on the way should be.
    BelowFile,
    Missing,
    MissingParent,
}

/// The path without links, and what is there.
fn resolve(to: &Upper, path: &Path) -> Result<(PathBuf, At), FileError> {
    let resolved = to.tree()?.lookup(path, true)?;
    let at = match resolved.found {
        Found::Directory => At::Directory,
        Found::File(..) => At::File,
        Found::NotDirectory(_) => At::BelowFile,
        Found::Missing(parts) if parts.len() == 1 => At::Missing,
        Found::Missing(_) => At::MissingParent,
    };
    Ok((resolved.path, at))
}

/// Whether the text of a destination says that it is a directory.
fn wants_directory(path: &Path) -> bool {
    let text = path.as_os_str().as_bytes();
    text.ends_with(b"/") || text.ends_with(b"/.") || text == b"."
}
