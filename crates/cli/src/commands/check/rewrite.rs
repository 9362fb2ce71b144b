//! A file of somebody's is replaced: it is either the old one or the new one, whatever happens, and
//! belongs to whom it did.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::Path;

use crate::error::{CliError, Error};

/// Puts `bytes` in place of what is in the file at `path`, or at what it links to.
pub(super) fn rewrite(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let write = || {
        let path = fs::canonicalize(path)?;
        let before = fs::metadata(&path)?;
        let mut beside = path.clone().into_os_string();
        beside.push(".kiln-new");
        let written = write_like(Path::new(&beside), &before, bytes)
            .and_then(|()| fs::rename(&beside, &path));
        if written.is_err() {
            // What is half written is no use to anybody.
            let _ = fs::remove_file(&beside);
        }
        written
    };
    Ok(write().map_err(|source: io::Error| CliError::File {
        action: "write",
        path: path.to_path_buf(),
        source,
    })?)
}

fn write_like(path: &Path, before: &fs::Metadata, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) != (before.uid(), before.gid()) {
        chown(path, Some(before.uid()), Some(before.gid()))?;
    }
    file.set_permissions(before.permissions())?;
    file.sync_all()
}
