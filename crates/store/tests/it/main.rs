//! The store as its users see it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test whose setting up fails has failed"
)]

mod cache_mounts;
mod checks;
mod clocks;
mod collection;
mod contents;
mod format;
mod full_disk;
mod processes;
mod rules;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use store::{Lease, NewRecord, Store};
use testkit::{Image, Scratch};

/// A store of its own, gone with the first part.
fn scratch() -> (Scratch, Store) {
    let scratch = Scratch::new();
    let store = Store::open(&scratch.join("store")).expect("a new store");
    (scratch, store)
}

/// A time on the tests' own clock.
fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

/// A record with this value and nothing else.
fn record(value: &[u8]) -> NewRecord<'_> {
    NewRecord {
        value,
        ..NewRecord::default()
    }
}

/// Stores an image's blobs, those of its layers too, and tags it.
fn put_image(store: &Store, lease: &Lease, name: &str, image: &Image) {
    for (_, bytes) in &image.blobs {
        store.blobs().put(lease, bytes).expect("store a blob");
    }
    store
        .blobs()
        .put(lease, &image.manifest)
        .expect("store a manifest");
    let reference = name.parse().expect("a reference");
    store
        .images()
        .put(&reference, &image.descriptor, lease.started())
        .expect("tag an image");
}

/// The names in a directory of the store.
fn names(store: &Store, directory: &str) -> Vec<String> {
    let entries = std::fs::read_dir(store.root().join(directory)).expect("list a directory");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("list a directory").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
