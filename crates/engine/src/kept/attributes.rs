//! Extended attributes of files in a copy: those that are part of what a file is, as it is told of.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use rustix::io::Errno;
use snapshot::is_content_attribute;
use sys::xattr::{self, Target};

/// Values by their names.
pub type Attributes = BTreeMap<Vec<u8>, Vec<u8>>;

/// Makes those of a file `wanted`. The system gives some files none, and others not to everybody,
/// and there are stores that have none at all; what it does not give is left out.
pub(super) fn agree(file: Target<'_>, wanted: &Attributes) -> io::Result<()> {
    let found = found(file)?;
    for name in found.keys().filter(|name| !wanted.contains_key(*name)) {
        xattr::remove(file, OsStr::from_bytes(name))?;
    }
    let wanted = wanted
        .iter()
        .filter(|(name, value)| is_content_attribute(name, value));
    for (name, value) in wanted.filter(|(name, value)| found.get(*name) != Some(value)) {
        match xattr::set(file, OsStr::from_bytes(name), value) {
            Err(error) if is_not_given(&error) => {}
            set => set?,
        }
    }
    Ok(())
}

fn found(file: Target<'_>) -> io::Result<Attributes> {
    let mut found = Attributes::new();
    for name in xattr::list(file)? {
        let value = xattr::get(file, &name)?;
        let value = value.filter(|value| is_content_attribute(name.as_bytes(), value));
        found.extend(value.map(|value| (name.into_vec(), value)));
    }
    Ok(found)
}

fn is_not_given(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| matches!(errno, Errno::PERM | Errno::OPNOTSUPP))
}
