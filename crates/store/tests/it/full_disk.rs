//! A full disk loses nothing that was finished.

use std::path::Path;

use oci::{Descriptor, MediaType};
use store::{Depth, Lease, NewLayer, NewRecord, PruneRequest, Store, StoreError, Synced};
use testkit::Scratch;

use crate::{at, record};

/// A small file system of its own, unmounted when dropped; none without the privilege.
struct SmallDisk {
    scratch: Scratch,
}

impl SmallDisk {
    fn new() -> Option<Self> {
        let scratch = Scratch::new();
        let flags = rustix::mount::MountFlags::empty();
        let options = Some(c"size=3m");
        rustix::mount::mount("tmpfs", scratch.path(), "tmpfs", flags, options).ok()?;
        Some(Self { scratch })
    }

    /// Takes all that is free but so many bytes.
    fn fill_up(&self, left: u64) {
        let path = self.scratch.join("filler");
        let _ = std::fs::remove_file(&path);
        let file = std::fs::File::create(&path).unwrap();
        let free = rustix::fs::statvfs(self.scratch.path()).unwrap();
        let size = (free.f_bavail * free.f_frsize).saturating_sub(left);
        let flags = rustix::fs::FallocateFlags::empty();
        rustix::fs::fallocate(&file, flags, 0, size.max(1)).unwrap();
    }

    /// Empties the file, too: a process that another test is just starting may still hold it open,
    /// and what is held takes room when it is removed.
    fn free_up(&self) {
        let path = self.scratch.join("filler");
        std::fs::File::create(&path).unwrap();
        std::fs::remove_file(path).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let flags = rustix::mount::UnmountFlags::DETACH;
        rustix::mount::unmount(self.scratch.path(), flags).unwrap();
    }
}

/// One of everything; how much of it was finished.
fn work(store: &Store, lease: &Lease, number: u8) -> Result<u8, (u8, StoreError)> {
    let finished = |count| move |error| (count, error);
    let bytes = vec![number; 9000];
    store.blobs().put(lease, &bytes).map_err(finished(0))?;
    let media_type = MediaType::Other("text/plain".into());
    let descriptor = Descriptor::of(media_type, &bytes);
    let reference = format!("work:{number}").parse().unwrap();
    store
        .images()
        .put(&reference, &descriptor, at(0))
        .map_err(finished(1))?;
    let temporary = store.snapshots().allocate(lease).map_err(finished(2))?;
    let written = std::fs::write(temporary.path().join("file"), &bytes);
    let new = NewLayer::default();
    let layer = store
        .snapshots()
        .publish_new(temporary, &new, Synced::No)
        .map_err(finished(2))?;
    if written.is_err() {
        return Ok(3);
    }
    let layers = [layer];
    let new = NewRecord {
        layers: &layers,
        ..record(&bytes)
    };
    store
        .records()
        .put(lease, &[number; 32], new)
        .map_err(finished(3))?;
    Ok(4)
}

fn check(store: &Store, number: u8, finished: u8) {
    let reference = format!("work:{number}").parse().unwrap();
    if finished > 1 {
        assert!(
            store.images().get(&reference).unwrap().is_some(),
            "{number}"
        );
    }
    if finished > 3 {
        let record = store.records().get(&[number; 32]).unwrap().unwrap();
        assert_eq!(record.value, [number; 9000], "{number}");
    }
}

fn reopen(root: &Path) -> Store {
    let store = Store::open(root).unwrap();
    let problems = store.fsck(Depth::Deep).unwrap();
    assert!(
        problems.iter().all(store::Problem::is_harmless),
        "{problems:?}"
    );
    store
}

#[test]
fn privileged_a_full_disk_loses_nothing() {
    let Some(disk) = SmallDisk::new() else {
        return;
    };
    let root = disk.scratch.join("store");
    let mut store = Store::open(&root).unwrap();
    let mut refused = 0;
    for number in 0..40 {
        // From no room at all to nearly enough, a page at a time.
        disk.fill_up(u64::from(number) * 4096);
        let finished = match store
            .lease(at(0))
            .map_err(|error| (0, error))
            .and_then(|lease| work(&store, &lease, number))
        {
            Ok(finished) => finished,
            Err((finished, _)) => {
                refused += 1;
                finished
            }
        };
        // Even to read may take room: a new connection makes SQLite's index of the log.
        drop(store);
        disk.free_up();
        store = reopen(&root);
        check(&store, number, finished);
        store.prune(&PruneRequest::new(at(0))).unwrap();
        assert_eq!(store.fsck(Depth::Deep).unwrap(), []);
    }
    assert!((5..40).contains(&refused), "{refused} were refused");
}
