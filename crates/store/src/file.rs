//! Durable file operations. What becomes visible under its name is whole and on disk:
//! temporary file, fsync, rename, fsync of the directory.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::error::{Result, io};
use crate::fail;

/// Puts `bytes` under `path`, replacing what was there; `temporary` lies on the same file system.
pub(crate) fn write_atomic(path: &Path, temporary: &Path, bytes: &[u8]) -> Result<()> {
    let written = write_new(temporary, bytes).and_then(|()| rename(temporary, path));
    if written.is_err() {
        remove_file(temporary)?;
    }
    written?;
    sync_parent(path)
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = create(path)?;
    fail::point("write a file")
        .and_then(|()| file.write_all(bytes))
        .and_then(|()| file.sync_all())
        .map_err(io("write", path))
}

/// Creates or empties a file that its owner may write and all may read.
pub(crate) fn create(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    fail::point("create a file")
        .and_then(|()| options.mode(0o644).open(path))
        .map_err(io("create", path))
}

/// Renames within the store.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    fail::point("rename")
        .and_then(|()| fs::rename(from, to))
        .map_err(io("rename", from))
}

/// Makes the names in the directory of `path` durable.
pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    sync_directory(path.parent().unwrap_or(path))
}

/// Makes the names in `directory` durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<()> {
    fail::point("sync a directory")
        .and_then(|()| File::open(directory))
        .and_then(|file| file.sync_all())
        .map_err(io("sync directory", directory))
}

/// Creates `path` and its parents; an existing directory is left as it is.
pub(crate) fn create_directory(path: &Path, mode: u32) -> Result<()> {
    fail::point("make a directory")
        .and_then(|()| {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(mode)
                .create(path)
        })
        .map_err(io("create directory", path))
}

/// Removes a file; whether it was there.
pub(crate) fn remove_file(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io("remove", path)(error)),
    }
}

/// Removes a file or a tree, also one whose directories forbid it, and one that vanishes meanwhile.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    let is_directory = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.is_dir(),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("remove", path)(error)),
    };
    if !is_directory {
        return remove_file(path).map(drop);
    }
    let removed = match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            open_up(path);
            fs::remove_dir_all(path)
        }
        removed => removed,
    };
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(io("remove", path)),
    }
}

/// Lets the owner enter and change every directory below. What fails here fails again, and is
/// reported, when it is removed.
fn open_up(directory: &Path) {
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// The names in `directory`; none if it is not there.
pub(crate) fn names(directory: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io("list", directory)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io("list", directory))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// `size` of the file at `path`; none if it is not there.
pub(crate) fn size(path: &Path) -> Result<Option<u64>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("stat", path)(error)),
    }
}
