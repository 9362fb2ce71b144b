//! Unpacks an archive of files, not of changes, into a file system: `container cp`.

use std::io::Read;
use std::path::Path;

use rustix::process::{getegid, geteuid};

use crate::extract::{ExtractError, Extractor, Limits, Overwrite, Rules, Whiteouts};
use crate::{Marks, NewDirectory, Upper};

/// Whose the files of an archive become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owners {
    /// Those that the archive names.
    Archive,
    /// The process's own. Of their attributes, they get those that it may give them.
    Process,
}

/// Unpacks the tar `stream` into the directory `directory` (without links or `..`) of `upper`. Times
/// are those of the archive; what is there is replaced as `overwrite` says.
///
/// # Errors
/// The archive is malformed or exceeds the limits, or a file cannot be made.
pub fn unpack(
    stream: impl Read,
    upper: &Upper,
    directory: &Path,
    overwrite: Overwrite,
    owners: Owners,
    limits: Limits,
) -> Result<(), ExtractError> {
    let user = geteuid();
    let top = upper.create_dir_all(directory, &NewDirectory::default())?;
    let rules = Rules {
        whiteouts: Whiteouts::Names,
        owner: match owners {
            Owners::Archive => None,
            Owners::Process => Some((user.as_raw(), getegid().as_raw())),
        },
        only_user_attributes: owners == Owners::Process && !user.is_root(),
        limits,
        overwrite,
        may_skip_devices: upper.marks() == Marks::User,
    };
    let view = upper.tree()?.lookup(directory, true)?.dir;
    let mut extractor = Extractor::new(top, view, rules);
    extractor.archive(stream)?;
    extractor.settle()
}
