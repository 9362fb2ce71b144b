//! A cache in a directory: an OCI layout, whose index names caches by tag.
//!
//! Blobs are there whole or not at all, and the index is replaced last. What no entry leads to is
//! removed, unless it was written or used lately: then another build may be about to name it.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use oci::{Descriptor, Digest, Document, Index, MediaType, annotation};

use super::super::open::blob_path;
use super::super::request::LayoutCache;
use super::json;
use crate::error::EngineError;
use crate::export::replace_file;

/// How long a blob stays that nothing leads to.
const GRACE: Duration = Duration::from_secs(3600);

/// Whether the directory has the blob; if so, it stays.
pub(super) fn has(layout: &Path, blob: &Descriptor) -> bool {
    let path = blob_path(layout, &blob.digest);
    fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() == blob.size)
        && touch(&path).is_ok()
}

/// Puts the file `from` there as a blob.
pub(crate) fn take(layout: &Path, digest: &Digest, from: &Path) -> Result<(), EngineError> {
    let path = blob_path(layout, digest);
    if fs::metadata(&path).is_ok_and(|found| found.is_file()) && touch(&path).is_ok() {
        return Ok(());
    }
    prepare(layout)?;
    let failed = |source| EngineError::Read {
        path: from.to_owned(),
        source,
    };
    let mut source = File::open(from).map_err(failed)?;
    replace_file(&path, |file| {
        std::io::copy(&mut source, file).map_err(|source| EngineError::Write { source })?;
        Ok(())
    })
}

/// Writes the config and what leads to it, and names that in the index.
pub(crate) fn finish(
    layout: &LayoutCache,
    config: &[u8],
    kind: MediaType,
    document: &[u8],
    reset: bool,
) -> Result<(), EngineError> {
    let path = layout.path.as_path();
    prepare(path)?;
    for bytes in [config, document] {
        write(&blob_path(path, &Digest::of(bytes)), bytes)?;
    }
    write(
        &path.join("oci-layout"),
        br#"{"imageLayoutVersion":"1.0.0"}"#,
    )?;
    let lock = path.join("index.json.lock");
    let failed = |source| EngineError::WriteFile {
        path: lock.clone(),
        source,
    };
    let held = File::create(&lock).map_err(failed)?;
    held.lock().map_err(failed)?;
    let mut entry = Descriptor::of(kind, document);
    entry
        .annotations
        .insert(annotation::REF_NAME.to_owned(), layout.tag.clone());
    let index = with_entry(if reset { None } else { read_index(path) }, entry);
    write(&path.join("index.json"), &json(&index)?)?;
    sweep(path, &index, if reset { Duration::ZERO } else { GRACE });
    Ok(())
}

fn prepare(layout: &Path) -> Result<(), EngineError> {
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(|source| EngineError::WriteFile {
        path: blobs.clone(),
        source,
    })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
    replace_file(path, |file| {
        file.write_all(bytes)
            .map_err(|source| EngineError::Write { source })
    })
}

/// The index that is there; one that cannot be read is replaced.
fn read_index(layout: &Path) -> Option<Index> {
    serde_json::from_slice(&fs::read(layout.join("index.json")).ok()?).ok()
}

/// The index with the entry in place of that of the same name.
fn with_entry(index: Option<Index>, entry: Descriptor) -> Index {
    let name = |entry: &Descriptor| entry.annotations.get(annotation::REF_NAME).cloned();
    let mut index = index.unwrap_or_else(|| Index {
        schema_version: 2,
        media_type: Some(MediaType::OciIndex),
        artifact_type: None,
        manifests: Vec::new(),
        subject: None,
        annotations: std::collections::BTreeMap::new(),
    });
    index.manifests.retain(|known| name(known) != name(&entry));
    index.manifests.push(entry);
    index
}

/// Removes blobs that nothing leads to. What is not understood may lead anywhere: then all stay.
fn sweep(layout: &Path, index: &Index, grace: Duration) {
    let mut kept = HashSet::new();
    let mut next: Vec<Descriptor> = index.manifests.clone();
    while let Some(blob) = next.pop() {
        if !kept.insert(blob.digest) {
            continue;
        }
        if !(blob.media_type.is_manifest() || blob.media_type.is_index()) {
            continue;
        }
        let Ok(bytes) = fs::read(blob_path(layout, &blob.digest)) else {
            return;
        };
        match Document::parse(&bytes, Some(&blob.media_type)) {
            Ok(Document::Manifest(manifest)) => {
                next.push(manifest.config);
                next.extend(manifest.layers);
            }
            Ok(Document::Index(index)) => next.extend(index.manifests),
            Err(_) => return,
        }
    }
    let Ok(blobs) = fs::read_dir(layout.join("blobs/sha256")) else {
        return;
    };
    for blob in blobs.flatten() {
        let name = blob.file_name();
        let digest = name.to_str().and_then(|hex| Digest::from_hex(hex).ok());
        let is_old = blob
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age >= grace));
        if digest.is_some_and(|digest| !kept.contains(&digest)) && is_old {
            // What cannot be removed only takes room.
            drop(fs::remove_file(blob.path()));
        }
    }
}

/// Marks a file as used now.
fn touch(path: &Path) -> std::io::Result<()> {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    Ok(utimensat(CWD, path, &times, AtFlags::empty())?)
}
