//! Files of this machine as tars and back, for copying between it and containers.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::Path;

use snapshot::diff::{self, Part};
use snapshot::{Limits, Marks, Overwrite, Owners, Tree, Upper};

use crate::error::EngineError;

/// Writes what is at the absolute `path` of this machine as a tar whose one root member is called
/// `name`; a symbolic link at the path is taken itself.
///
/// # Errors
/// There is nothing at the path, it cannot be read, or the tar cannot be written.
pub fn pack_files(path: &Path, name: OsString, output: impl Write) -> Result<(), EngineError> {
    let tree = Tree::directory(Path::new("/"))?;
    let part = Part {
        path: path.to_path_buf(),
        name: Some(name),
    };
    diff::export(&tree, &part, &diff::Options::default(), output)?;
    Ok(())
}

/// Unpacks a tar into a directory of this machine. Nothing in it can reach out of the directory.
///
/// # Errors
/// The tar is malformed, or a file cannot be made.
pub fn unpack_files(input: impl Read, directory: &Path, owners: Owners) -> Result<(), EngineError> {
    let upper = Upper::open(directory, &[], Marks::User)?;
    snapshot::unpack(
        input,
        &upper,
        Path::new("/"),
        Overwrite::SameKind,
        owners,
        Limits::default(),
    )?;
    Ok(())
}
