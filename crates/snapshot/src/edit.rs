//! Changes to a file system without a process, other than copies: `WORKDIR`, files made from text,
//! removals.

use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use crate::file::{FileError, failed};
use crate::select::clean;
use crate::tree::{Found, Resolved, has_wildcards};
use crate::{Attributes, Kind, NewDirectory, Time, Upper, UpperError};

/// Makes a directory.
#[derive(Debug, Clone, Default)]
pub struct Mkdir {
    /// Its path.
    pub path: PathBuf,
    /// What it, and any made on the way, become.
    pub new: NewDirectory,
    /// Missing directories on the way are made too.
    pub parents: bool,
}

/// Makes a file.
#[derive(Debug, Clone, Default)]
pub struct Mkfile {
    /// Its path. A link there is followed.
    pub path: PathBuf,
    /// What it holds.
    pub data: Vec<u8>,
    /// The permission bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Its time; that of making it if none.
    pub modified: Option<Time>,
}

/// Makes a symbolic link.
#[derive(Debug, Clone, Default)]
pub struct Symlink {
    /// Its path, at which there is nothing.
    pub path: PathBuf,
    /// What it says.
    pub target: PathBuf,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Its time; that of making it if none.
    pub modified: Option<Time>,
}

/// Removes files.
#[derive(Debug, Clone, Default)]
pub struct Remove {
    /// The path. A link there is removed itself.
    pub path: PathBuf,
    /// It may be missing.
    pub allow_missing: bool,
    /// It is a pattern.
    pub wildcard: bool,
}

/// Why a change is impossible.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// Something is missing.
    #[error("\"{}\": not found", .0.display())]
    NotFound(PathBuf),
    /// The root cannot be removed.
    #[error("cannot remove the root directory")]
    Root,
    /// Something else is in the way.
    #[error(transparent)]
    Upper(#[from] UpperError),
    /// The system refuses.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Upper {
    /// Makes a directory. One that is there stays as it is.
    ///
    /// # Errors
    /// A directory on the way is missing, or something else is there.
    pub fn mkdir(&self, mkdir: &Mkdir) -> Result<(), EditError> {
        let resolved = self.tree()?.lookup(&clean(&mkdir.path), true)?;
        let path = Path::new("/").join(&resolved.path);
        match resolved.found {
            Found::Directory => Ok(()),
            Found::File(..) | Found::NotDirectory(_) => {
                Err(FileError::new("mkdir", path, rustix::io::Errno::NOTDIR).into())
            }
            Found::Missing(parts) if parts.len() > 1 && !mkdir.parents => {
                Err(EditError::NotFound(path))
            }
            Found::Missing(_) => {
                self.create_dir_all(&resolved.path, &mkdir.new)?;
                Ok(())
            }
        }
    }

    /// Makes a file, or replaces one.
    ///
    /// # Errors
    /// The directory that it goes into is missing, or a directory is there.
    pub fn mkfile(&self, mkfile: &Mkfile) -> Result<(), EditError> {
        let Resolved { path, found, .. } = self.tree()?.lookup(&clean(&mkfile.path), true)?;
        let shown = Path::new("/").join(&path);
        match found {
            Found::Directory => return Err(UpperError::IsDirectory(shown).into()),
            Found::NotDirectory(_) => return Err(UpperError::NotDirectory(shown).into()),
            Found::Missing(parts) if parts.len() > 1 => return Err(EditError::NotFound(shown)),
            Found::Missing(_) | Found::File(..) => {}
        }
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(UpperError::IsDirectory(shown).into());
        };
        let dir = self.create_dir_all(above, &NewDirectory::default())?;
        let mut file = dir.create_file(name)?;
        file.write_all(&mkfile.data)
            .map_err(failed("write", &shown))?;
        let attributes = Attributes {
            uid: mkfile.uid,
            gid: mkfile.gid,
            mode: mkfile.mode,
            modified: mkfile.modified,
            xattrs: Vec::new(),
        };
        attributes.apply_to(file.as_fd(), &shown)?;
        Ok(dir.restore_times()?)
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// The directory that it goes into is missing, or something is there.
    pub fn symlink(&self, link: &Symlink) -> Result<(), EditError> {
        let Resolved { path, found, .. } = self.tree()?.lookup(&clean(&link.path), false)?;
        let shown = Path::new("/").join(&path);
        match found {
            Found::Missing(parts) if parts.len() > 1 => return Err(EditError::NotFound(shown)),
            Found::Missing(_) => {}
            Found::NotDirectory(_) => return Err(UpperError::NotDirectory(shown).into()),
            Found::Directory | Found::File(..) => {
                return Err(FileError::new("symlink", shown, rustix::io::Errno::EXIST).into());
            }
        }
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(UpperError::IsDirectory(shown).into());
        };
        let dir = self.create_dir_all(above, &NewDirectory::default())?;
        dir.create_symlink(name, &link.target)?;
        let attributes = Attributes {
            uid: link.uid,
            gid: link.gid,
            mode: 0o777,
            modified: link.modified,
            xattrs: Vec::new(),
        };
        attributes.apply_at(dir.fd(), name, Kind::Symlink, &shown)?;
        Ok(dir.restore_times()?)
    }

    /// Removes files with all that is in them.
    ///
    /// # Errors
    /// There is none, or the system refuses.
    pub fn remove(&self, remove: &Remove) -> Result<(), EditError> {
        let path = clean(&remove.path);
        if path.as_os_str().is_empty() {
            return Err(EditError::Root);
        }
        let paths = if remove.wildcard && has_wildcards(path.as_os_str()) {
            self.tree()?.glob(&path, false)?
        } else {
            vec![path]
        };
        for path in paths {
            self.remove_one(&path, remove.allow_missing)?;
        }
        Ok(())
    }

    fn remove_one(&self, path: &Path, allow_missing: bool) -> Result<(), EditError> {
        let Resolved { path, found, .. } = self.tree()?.lookup(path, false)?;
        let is_there = matches!(found, Found::Directory | Found::File(..));
        let (Some(above), Some(name), true) = (path.parent(), path.file_name(), is_there) else {
            return if allow_missing {
                Ok(())
            } else {
                Err(EditError::NotFound(Path::new("/").join(path)))
            };
        };
        let dir = self.create_dir_all(above, &NewDirectory::default())?;
        dir.remove(name)?;
        Ok(dir.restore_times()?)
    }
}
