//! Unpacks an archive of files, not of changes, into a file system: `container cp`.

use std::io::Read;
use std::path::Path;

use crate::extract::{ExtractError, Extractor, Limits, Overwrite, Rules, Whiteouts};
use crate::{Marks, NewDirectory, Upper};

/// Unpacks the tar `stream` into the directory `directory` (without links or `..`) of `upper`. Owners
/// and times are those of the archive; what is there is replaced as `overwrite` says.
///
/// # Errors
/// The archive is malformed or exceeds the limits, or a file cannot be made.
pub fn unpack(
    stream: impl Read,
    upper: &Upper,
    directory: &Path,
    overwrite: Overwrite,
    limits: Limits,
) -> Result<(), ExtractError> {
    let top = upper.create_dir_all(directory, &NewDirectory::default())?;
    let rules = Rules {
        whiteouts: Whiteouts::Names,
        owner: None,
        limits,
        overwrite,
        may_skip_devices: upper.marks() == Marks::User,
    };
    let view = upper.tree()?.lookup(directory, true)?.dir;
    let mut extractor = Extractor::new(top, view, rules);
    extractor.archive(stream)?;
    extractor.settle()
}
