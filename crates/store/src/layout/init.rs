//! Opening a store's directory, and making a new one.
//!
//! `version` is written last, under the write lock: without it there is no store yet, and whoever
//! comes completes it.

use std::fs;
use std::io::ErrorKind;

use super::{DIRECTORIES, Features, Layout, NAMES, filesystem, new_name};
use crate::error::{Result, StoreError, io};
use crate::file;
use crate::lock::{FileLock, Mode};

/// The document that makes a directory an OCI layout.
pub(crate) const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const EMPTY_INDEX: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// Checks the store, made by `create_database` and this if it is missing; the unknown features
/// that forbid writing.
pub(crate) fn open(
    layout: &Layout,
    create_database: impl FnOnce() -> Result<()>,
) -> Result<Vec<String>> {
    if let Some(features) = read(layout)? {
        return features.check(layout.root());
    }
    create(layout, create_database)?;
    match read(layout)? {
        Some(features) => features.check(layout.root()),
        None => Err(io("read", &layout.version())(ErrorKind::NotFound.into())),
    }
}

fn read(layout: &Layout) -> Result<Option<Features>> {
    let path = layout.version();
    match fs::read(&path) {
        Ok(bytes) => Features::parse(&path, &bytes).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io("read", &path)(error)),
    }
}

fn create(layout: &Layout, create_database: impl FnOnce() -> Result<()>) -> Result<()> {
    file::create_directory(layout.root(), 0o755)?;
    refuse_foreign(layout)?;
    filesystem::check(layout.root())?;
    for (directory, mode) in DIRECTORIES {
        file::create_directory(&layout.root().join(directory), *mode)?;
    }
    let _lock = FileLock::wait(&layout.write_lock(), Mode::Exclusive)?;
    if read(layout)?.is_some() {
        return Ok(());
    }
    create_database()?;
    sync_directories(layout)?;
    let version = serde_json::to_vec(&Features {
        format: super::FORMAT,
        ..Features::default()
    })?;
    for (path, bytes) in [
        (layout.oci_layout(), OCI_LAYOUT),
        (layout.index(), EMPTY_INDEX),
        (layout.version(), &version),
    ] {
        file::write_atomic(&path, &new_name(&path), bytes)?;
    }
    Ok(())
}

/// Makes the names of the directories durable, that of the store too: a tag is no better known than
/// the way to it.
fn sync_directories(layout: &Layout) -> Result<()> {
    for (directory, _) in DIRECTORIES {
        file::sync_parent(&layout.root().join(directory))?;
    }
    match file::sync_parent(layout.root()) {
        // One that we may go through and not read was there before.
        Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::PermissionDenied => {
            Ok(())
        }
        synced => synced,
    }
}

/// A directory with anything in it that no store has is somebody else's.
fn refuse_foreign(layout: &Layout) -> Result<()> {
    let names = file::names(layout.root())?;
    let foreign = |name: &&String| !NAMES.contains(&name.as_str());
    let is_layout =
        names.iter().any(|name| name == "oci-layout") && !names.iter().any(|name| name == "locks");
    let found = names.iter().find(foreign).cloned();
    match found.or_else(|| is_layout.then(|| "oci-layout".to_owned())) {
        None => Ok(()),
        Some(found) => Err(StoreError::NotAStore {
            path: layout.root().to_owned(),
            found,
        }),
    }
}
