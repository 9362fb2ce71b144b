//! A cache in a directory: an OCI layout, whose index names caches by tag.
//!
//! Blobs are there whole or not at all, and the index is replaced last. What no entry leads to is
//! removed when no other build holds the directory, since it may be about to name it. Builders that
//! know nothing of that lock are left an hour, as far as the clock can tell.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use oci::{Descriptor, Digest, Document, Index, MediaType, annotation};

use super::super::open::blob_path;
use super::super::request::LayoutCache;
use super::json;
use crate::clock::apart;
use crate::error::EngineError;
use crate::export::{Draft, PREFIX};

/// How long a blob stays that nothing leads to.
const GRACE: Duration = Duration::from_secs(3600);

/// While it lives nothing is removed from the directory.
#[derive(Debug)]
pub(crate) struct Hold {
    lock: File,
}

/// What is put at the end of an export, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending<'a> {
    pub(crate) config: &'a [u8],
    pub(crate) kind: &'a MediaType,
    pub(crate) document: &'a [u8],
    /// Nothing else stays in the directory.
    pub(crate) reset: bool,
    pub(crate) now: SystemTime,
}

/// Holds the directory for an export, which is made if it is missing: before the first blob is looked
/// for there, until the index leads to all of them.
pub(crate) fn hold(layout: &Path) -> Result<Hold, EngineError> {
    prepare(layout)?;
    let path = layout.join("blobs.lock");
    let lock = File::create(&path).and_then(|lock| lock.lock_shared().map(|()| lock));
    let lock = lock.map_err(|source| EngineError::WriteFile { path, source })?;
    Ok(Hold { lock })
}

/// A cache in a directory, whose blobs somebody else writes.
#[derive(Debug)]
pub struct HeldLayout {
    hold: Hold,
    layout: LayoutCache,
}

impl HeldLayout {
    /// Holds the directory, which is made if it is missing: nothing is removed there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(layout: LayoutCache) -> Result<Self, EngineError> {
        let hold = hold(&layout.path)?;
        Ok(Self { hold, layout })
    }

    /// Names `entry`, whose blobs are all there, in the index; with `reset` nothing else stays in the
    /// directory.
    ///
    /// # Errors
    /// The index cannot be written.
    pub fn finish(
        self,
        entry: Descriptor,
        reset: bool,
        now: SystemTime,
    ) -> Result<(), EngineError> {
        let Self { hold, layout } = self;
        name(hold, &layout, entry, (reset, now), &Draft::default())
    }
}

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
    draft.replace(&path, |file| {
        std::io::copy(&mut source, file).map_err(|source| EngineError::Write { source })?;
        Ok(())
    })
}

/// Writes the config and what leads to it, and names that in the index.
pub(crate) fn finish(
    hold: Hold,
    layout: &LayoutCache,
    ending: Ending<'_>,
    draft: &Draft,
) -> Result<(), EngineError> {
    let path = layout.path.as_path();
    for bytes in [ending.config, ending.document] {
        write(&blob_path(path, &Digest::of(bytes)), bytes, draft)?;
    }
    let entry = Descriptor::of(ending.kind.clone(), ending.document);
    name(hold, layout, entry, (ending.reset, ending.now), draft)
}

/// Names in the index what is there already.
fn name(
    hold: Hold,
    layout: &LayoutCache,
    mut entry: Descriptor,
    (reset, now): (bool, SystemTime),
    draft: &Draft,
) -> Result<(), EngineError> {
    let path = layout.path.as_path();
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
    entry
        .annotations
        .insert(annotation::REF_NAME.to_owned(), layout.tag.clone());
    let known = if reset { None } else { read_index(path) };
    let index = with_entry(known, entry);
    write(&path.join("index.json"), &json(&index)?, draft)?;
    // While others are at it, what they need cannot be told from what nobody does.
    if hold.lock.try_lock().is_ok() {
        let grace = if reset { Duration::ZERO } else { GRACE };
        sweep(path, &index, grace, now);
    }
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
fn sweep(layout: &Path, index: &Index, grace: Duration, now: SystemTime) {
    let Some(kept) = reached(layout, index) else {
        return;
    };
    let Ok(blobs) = fs::read_dir(layout.join("blobs/sha256")) else {
        return;
    };
    for blob in blobs.flatten() {
        let name = blob.file_name();
        let digest = name.to_str().and_then(|hex| Digest::from_hex(hex).ok());
        let is_old = |grace| {
            blob.metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|time| apart(time, now) >= grace)
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

/// What the index leads to; none if that cannot be told.
fn reached(layout: &Path, index: &Index) -> Option<HashSet<Digest>> {
    let mut kept = HashSet::new();
    let mut next: Vec<Descriptor> = index.manifests.clone();
    while let Some(blob) = next.pop() {
        if !kept.insert(blob.digest) {
            continue;
        }
        if !(blob.media_type.is_manifest() || blob.media_type.is_index()) {
            continue;
        }
        let bytes = fs::read(blob_path(layout, &blob.digest)).ok()?;
        match Document::parse(&bytes, Some(&blob.media_type)).ok()? {
            Document::Manifest(manifest) => {
                next.push(manifest.config);
                next.extend(manifest.layers);
            }
            Document::Index(index) => next.extend(index.manifests),
        }
    }
    Some(kept)
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
mod tests;
