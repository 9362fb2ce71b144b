//! What goes of a cache directory and what stays, whatever the clock says.

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use oci::{Digest, MediaType};

use super::super::super::request::LayoutCache;
use super::{Ending, GRACE, blob_path, finish, hold, take};
use crate::export::Draft;

/// How far clocks jump.
const YEARS: Duration = Duration::from_secs(20 * 365 * 24 * 3600);

/// A file that was last written to then.
fn written(path: &Path, time: SystemTime) {
    fs::write(path, "part").unwrap();
    let times = FileTimes::new().set_modified(time);
    let file = File::options().write(true).open(path).unwrap();
    file.set_times(times).unwrap();
}

/// Now, for the file system.
fn now() -> SystemTime {
    tempfile::tempfile()
        .and_then(|file| file.metadata()?.modified())
        .unwrap()
}

fn cache(path: &Path, tag: &str) -> LayoutCache {
    LayoutCache {
        path: path.to_owned(),
        tag: tag.to_owned(),
        digest: None,
    }
}

/// Exports a cache without layers.
fn export(layout: &LayoutCache, now: SystemTime, reset: bool) {
    let ending = Ending {
        config: b"{}",
        kind: &MediaType::OciIndex,
        document: br#"{"schemaVersion":2,"manifests":[]}"#,
        reset,
        now,
    };
    let hold = hold(&layout.path).unwrap();
    finish(hold, layout, ending, &Draft::default()).unwrap();
}

/// Puts `content` there as another build does before it names it.
fn put(layout: &Path, content: &str) -> std::path::PathBuf {
    let scratch = tempfile::tempdir().unwrap();
    let from = scratch.path().join("from");
    fs::write(&from, content).unwrap();
    let digest = Digest::of(content.as_bytes());
    take(layout, &digest, &from, &Draft::default()).unwrap();
    blob_path(layout, &digest)
}

/// What a killed process leaves goes with the next export, what another is at stays.
#[test]
fn drafts_that_nobody_finishes_go() {
    let scratch = tempfile::tempdir().unwrap();
    let layout = cache(scratch.path(), "latest");
    let blobs = scratch.path().join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    written(&blobs.join(".kiln-old"), now() - GRACE * 2);
    written(&blobs.join(".kiln-new"), now() - GRACE / 2);
    written(&blobs.join("other"), now() - GRACE * 2);
    export(&layout, now(), true);
    assert!(!blobs.join(".kiln-old").exists());
    assert!(blobs.join(".kiln-new").exists());
    assert!(blobs.join("other").exists());
}

/// After a power cut there may be a name without bytes.
#[test]
fn a_blob_of_another_size_is_not_there() {
    let scratch = tempfile::tempdir().unwrap();
    let digest = Digest::of(b"content");
    let path = blob_path(scratch.path(), &digest);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "").unwrap();
    put(scratch.path(), "content");
    assert_eq!(fs::read(&path).unwrap(), b"content");
}

/// By the clock the other build's blob is as old as can be, and it is needed.
#[test]
fn what_another_build_put_there_withstands_a_clock_that_jumps() {
    for clock in [now() + YEARS, now() - YEARS, now()] {
        for reset in [false, true] {
            let scratch = tempfile::tempdir().unwrap();
            let other = hold(scratch.path()).unwrap();
            let blob = put(scratch.path(), "of the other build");
            export(&cache(scratch.path(), "latest"), clock, reset);
            assert!(blob.exists(), "{clock:?} {reset}");
            // It is given up without a name: then it goes.
            drop(other);
            export(&cache(scratch.path(), "latest"), now() + YEARS, reset);
            assert!(!blob.exists(), "{clock:?} {reset}");
        }
    }
}

/// A blob of a time when the clock was ahead is not kept until then.
#[test]
fn what_nothing_leads_to_goes_although_the_clock_went_back() {
    let scratch = tempfile::tempdir().unwrap();
    let blobs = scratch.path().join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let unused = blobs.join(Digest::of(b"unused").hex());
    written(&unused, now() + YEARS);
    export(&cache(scratch.path(), "latest"), now(), false);
    assert!(!unused.exists());
}
