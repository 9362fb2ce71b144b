//! Who shares a cache mount with whom.

use std::path::Path;
use std::sync::mpsc;

use store::{CacheMount, Lease, MountEviction, MountLimit, Sharing, Store, StoreError};

use crate::{at, names, scratch};

fn acquire(store: &Store, lease: &Lease, sharing: Sharing) -> Option<CacheMount> {
    let seed = |path: &Path| {
        std::fs::write(path.join("seed"), "").unwrap();
        Ok::<_, StoreError>(())
    };
    let mount = store
        .cache_mounts()
        .try_acquire(lease, "key", sharing, seed)
        .unwrap()?;
    assert!(mount.path().join("seed").exists());
    Some(mount)
}

#[test]
fn sharing() {
    use Sharing::{Locked, Private, Shared};
    // Who is there, who comes, and which instance that one gets.
    for (first, second, gets) in [
        (Shared, Shared, Some(1)),
        (Shared, Locked, None),
        (Shared, Private, Some(2)),
        (Locked, Shared, Some(2)),
        (Locked, Locked, None),
        (Locked, Private, Some(2)),
        (Private, Shared, Some(2)),
        (Private, Locked, None),
        (Private, Private, Some(2)),
    ] {
        let (_scratch, store) = scratch();
        let lease = store.lease(at(0)).unwrap();
        let there = acquire(&store, &lease, first).unwrap();
        assert_eq!(there.id(), 1);
        let comes = acquire(&store, &lease, second);
        assert_eq!(
            comes.as_ref().map(CacheMount::id),
            gets,
            "{first:?} {second:?}"
        );
        drop((there, comes));
        let again = acquire(&store, &lease, second).unwrap();
        assert_eq!(again.id(), 1, "the first that is free");
    }
}

#[test]
fn waits_for_a_locked_one() {
    let (_scratch, store) = scratch();
    let lease = store.lease(at(0)).unwrap();
    let held = acquire(&store, &lease, Sharing::Locked).unwrap();
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let seed = |_: &Path| Ok::<_, StoreError>(());
            let mount = store
                .cache_mounts()
                .acquire(&lease, "key", Sharing::Locked, seed)
                .unwrap();
            sender.send(mount.id()).unwrap();
        });
        assert!(receiver.try_recv().is_err());
        drop(held);
        assert_eq!(receiver.recv().unwrap(), 1);
    });
}

#[test]
fn a_failed_seed_leaves_nothing() {
    let (_scratch, store) = scratch();
    let lease = store.lease(at(0)).unwrap();
    let seed = |path: &Path| {
        std::fs::write(path.join("half"), "").unwrap();
        Err(StoreError::MissingContainer("seed".to_owned()))
    };
    let made = store
        .cache_mounts()
        .acquire(&lease, "key", Sharing::Shared, seed);
    assert_eq!(made.unwrap_err().to_string(), "no such container: seed");
    assert!(names(&store, "cache-mounts").is_empty());
}

#[test]
fn removal_spares_those_in_use() {
    let (_scratch, store) = scratch();
    let lease = store.lease(at(7)).unwrap();
    let mount = acquire(&store, &lease, Sharing::Shared).unwrap();
    let rows = store.cache_mounts().list().unwrap();
    assert_eq!((rows[0].key.as_str(), rows[0].used), ("key", at(7)));
    assert_eq!(rows[0].path, mount.path());
    assert!(!store.cache_mounts().remove(&lease, mount.id()).unwrap());
    drop(mount);
    assert!(store.cache_mounts().remove(&lease, 1).unwrap());
    assert!(store.cache_mounts().list().unwrap().is_empty());

    // Removed by hand: forgotten and made anew.
    drop(acquire(&store, &lease, Sharing::Shared).unwrap());
    std::fs::remove_dir_all(store.root().join("cache-mounts/2")).unwrap();
    assert_eq!(acquire(&store, &lease, Sharing::Locked).unwrap().id(), 3);
}

/// A mount with files of 10 kB, the first used longest ago.
fn filled(store: &Store, lease: &Lease, files: u64) -> i64 {
    let mount = acquire(store, lease, Sharing::Locked).unwrap();
    for number in 0..files {
        let path = mount.path().join(format!("dir/{number}"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, vec![1; 10_000]).unwrap();
        let used = at(number);
        let times = std::fs::FileTimes::new()
            .set_accessed(used)
            .set_modified(used);
        std::fs::File::open(&path)
            .unwrap()
            .set_times(times)
            .unwrap();
    }
    mount.id()
}

#[test]
fn limits_are_kept() {
    let (_scratch, store) = scratch();
    let lease = store.lease(at(100)).unwrap();
    let mounts = store.cache_mounts();
    let limit = |bytes, eviction| MountLimit {
        mount: "key".to_owned(),
        bytes,
        eviction,
    };
    assert!(!mounts.is_limit_due(at(0)).unwrap());
    mounts.set_limit(&limit(1, MountEviction::Whole)).unwrap();
    mounts.set_limit(&limit(2, MountEviction::Files)).unwrap();
    assert_eq!(mounts.limits().unwrap(), [limit(2, MountEviction::Files)]);
    let id = filled(&store, &lease, 10);
    assert!(
        !mounts.is_limit_due(at(0)).unwrap(),
        "the id is `key` with something after it"
    );
    let seed = |_: &Path| Ok::<_, StoreError>(());
    drop(
        mounts
            .acquire(&lease, "key 755", Sharing::Shared, seed)
            .unwrap(),
    );
    assert!(mounts.is_limit_due(at(100)).unwrap());
    assert!(!mounts.is_limit_due(at(101)).unwrap());
    assert!(mounts.remove_limit("key").unwrap());
    assert!(!mounts.remove_limit("key").unwrap());

    let size = mounts.size(id).unwrap();
    assert_eq!(size.files, 11);
    assert!((120_000..150_000).contains(&size.bytes), "{size:?}");
    let freed = mounts
        .trim(&lease, id, size.bytes, MountEviction::Files)
        .unwrap();
    assert_eq!(freed, Some(0));
    // The seed is not old: it was made just now.
    let freed = mounts
        .trim(&lease, id, size.bytes - 30_000, MountEviction::Files)
        .unwrap();
    assert_eq!(freed, Some(3 * 12_288));
    let names = names(&store, &format!("cache-mounts/{id}/data/dir"));
    assert_eq!(names, ["3", "4", "5", "6", "7", "8", "9"]);
    let held = mounts.open(id).unwrap().unwrap();
    assert!(mounts.open(id).unwrap().is_none());
    for eviction in [MountEviction::Files, MountEviction::Whole] {
        assert_eq!(
            mounts.trim(&lease, id, 0, eviction).unwrap(),
            None,
            "in use"
        );
    }
    drop(held);
    let rest = mounts.size(id).unwrap().bytes;
    let freed = mounts
        .trim(&lease, id, rest - 1, MountEviction::Whole)
        .unwrap();
    assert_eq!(freed, Some(rest));
    assert_eq!(mounts.list().unwrap().len(), 1, "the other instance");
}
