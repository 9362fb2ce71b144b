//! Extended attributes of files in a copy: those that are part of what a file is, as it is told of.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use rustix::io::Errno;
use snapshot::is_content_attribute;
use sys::xattr::{self, Target};

/// Bytes of the names and values of one file; the kernel takes no longer value, and no longer list of
/// names.
const MAX_SIZE: usize = 64 << 10;

/// Values by their names.
pub type Attributes = BTreeMap<Vec<u8>, Vec<u8>>;

/// Those of the attributes that a client tells of its file at `path` that are part of what it is.
///
/// # Errors
/// They are larger than those of a file can be.
pub fn content_attributes(
    path: &Path,
    told: impl Iterator<Item = (Vec<u8>, Vec<u8>)>,
) -> io::Result<Attributes> {
    let (mut kept, mut size) = (Attributes::new(), 0_usize);
    for (name, value) in told.filter(|(name, value)| is_content_attribute(name, value)) {
        size = size.saturating_add(name.len() + value.len());
        if size > MAX_SIZE {
            let name = String::from_utf8_lossy(&name);
            let path = path.display();
            let text = format!("with {name} the extended attributes of {path} are over 64 KiB");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        kept.insert(name, value);
    }
    Ok(kept)
}

/// Makes those of a file `wanted`, of which the client tells as `path`. The system gives some files
/// none, and others not to everybody, and there are stores that have none at all; what it does not
/// give is left out.
pub(super) fn agree(file: Target<'_>, path: &Path, wanted: &Attributes) -> io::Result<()> {
    let failed = |name: &[u8], error: io::Error| {
        let (name, path) = (String::from_utf8_lossy(name), path.display());
        let text = format!("the extended attribute {name} of {path}: {error}");
        io::Error::new(error.kind(), text)
    };
    let found = found(file)?;
    for name in found.keys().filter(|name| !wanted.contains_key(*name)) {
        let removed = xattr::remove(file, OsStr::from_bytes(name));
        removed.map_err(|error| failed(name, error))?;
    }
    let wanted = wanted
        .iter()
        .filter(|(name, value)| is_content_attribute(name, value));
    for (name, value) in wanted.filter(|(name, value)| found.get(*name) != Some(value)) {
        match xattr::set(file, OsStr::from_bytes(name), value) {
            Err(error) if is_not_given(&error) => {}
            set => set.map_err(|error| failed(name, error))?,
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
