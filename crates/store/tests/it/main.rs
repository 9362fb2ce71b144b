//! The store as its users see it.

mod contents;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use store::Store;
use tempfile::TempDir;

/// A store of its own, gone with the first part.
fn scratch() -> (TempDir, Store) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Store::open(&directory.path().join("store")).expect("a new store");
    (directory, store)
}

/// A time on the tests' own clock.
fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}
