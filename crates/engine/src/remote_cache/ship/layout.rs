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
use crate::export::{Draft, PREFIX};

/// How long a blob stays that nothing leads to.
const GRACE: Duration = Duration::from_secs(3600);

/// Whether the directory has the blob; if so, it stays.
pub(super) fn has(layout: &Path, blob: &Descriptor) -> bool {
    is_there(&blob_path(layout, &blob.digest), blob.size)
}

/// One of another size is what a power cut left of it.
fn is_there(path: &Path, size: u64) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() == size)
        && touch(path).is_ok()
}

/// Puts the file `from` there as a blob.
pub(crate) fn take(
    layout: &Path,
    digest: &Digest,
    from: &Path,
    draft: &Draft,
) -> Result<(), EngineError> {
    let path = blob_path(layout, digest);
    let failed = |source| EngineError::Read {
        path: from.to_owned(),
        source,
    };
    let mut source = File::open(from).map_err(failed)?;
    let size = source.metadata().map_err(failed)?.len();
    if is_there(&path, size) {
        return Ok(());
    }
    prepare(layout)?;
    draft.replace(&path, |file| {
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
    draft: &Draft,
) -> Result<(), EngineError> {
    let path = layout.path.as_path();
    prepare(path)?;
    for bytes in [config, document] {
        write(&blob_path(path, &Digest::of(bytes)), bytes, draft)?;
    }
    write(
        &path.join("oci-layout"),
        br#"{"imageLayoutVersion":"1.0.0"}"#,
        draft,
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
    write(&path.join("index.json"), &json(&index)?, draft)?;
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

fn write(path: &Path, bytes: &[u8], draft: &Draft) -> Result<(), EngineError> {
    draft.replace(path, |file| {
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
        let is_old = |grace| {
            blob.metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|time| time.elapsed().is_ok_and(|age| age >= grace))
        };
        let is_unused = match digest {
            Some(digest) => !kept.contains(&digest) && is_old(grace),
            // Whoever was killed left it there; whoever is at it wrote lately.
            None => name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) && is_old(GRACE),
        };
        if is_unused {
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

#[cfg(test)]
mod tests {
    use std::fs::{self, File, FileTimes};
    use std::path::Path;
    use std::time::SystemTime;

    use oci::{Digest, MediaType};

    use super::super::super::request::LayoutCache;
    use super::{GRACE, blob_path, finish, take};
    use crate::export::Draft;

    /// A file that was last written to that long ago.
    fn unfinished(path: &Path, age: std::time::Duration) {
        fs::write(path, "part").unwrap();
        let times = FileTimes::new().set_modified(now() - age);
        let file = File::options().write(true).open(path).unwrap();
        file.set_times(times).unwrap();
    }

    /// Now, for the file system.
    fn now() -> SystemTime {
        tempfile::tempfile()
            .and_then(|file| file.metadata()?.modified())
            .unwrap()
    }

    /// What a killed process leaves goes with the next export, what another is at stays.
    #[test]
    fn drafts_that_nobody_finishes_go() {
        let scratch = tempfile::tempdir().unwrap();
        let layout = LayoutCache {
            path: scratch.path().to_owned(),
            tag: "latest".to_owned(),
            digest: None,
        };
        let blobs = scratch.path().join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        unfinished(&blobs.join(".kiln-old"), GRACE * 2);
        unfinished(&blobs.join(".kiln-new"), GRACE / 2);
        unfinished(&blobs.join("other"), GRACE * 2);
        let draft = Draft::default();
        let index = br#"{"schemaVersion":2,"manifests":[]}"#;
        finish(&layout, b"{}", MediaType::OciIndex, index, true, &draft).unwrap();
        assert!(!blobs.join(".kiln-old").exists());
        assert!(blobs.join(".kiln-new").exists());
        assert!(blobs.join("other").exists());
    }

    /// After a power cut there may be a name without bytes.
    #[test]
    fn a_blob_of_another_size_is_not_there() {
        let scratch = tempfile::tempdir().unwrap();
        let from = scratch.path().join("from");
        fs::write(&from, "content").unwrap();
        let digest = Digest::of(b"content");
        let path = blob_path(scratch.path(), &digest);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        take(scratch.path(), &digest, &from, &Draft::default()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"content");
    }
}
