//! The store under a clock that is set forward or back by years.

use std::io::Write as _;
use std::time::{Duration, SystemTime};

use oci::Digest;
use store::{Blob, Depth, FileStat, Ingest, PruneRequest, Resource};

use crate::collection::{gone, layer, max_used, put_record, unused_for};
use crate::{at, scratch};

/// How far it jumps, in seconds.
const YEARS: u64 = 20 * 365 * 24 * 3600;

fn before(seconds: u64) -> SystemTime {
    at(0) - Duration::from_secs(seconds)
}

#[test]
fn what_a_build_holds_withstands_a_clock_that_jumps() {
    for now in [at(YEARS), before(YEARS), SystemTime::UNIX_EPOCH] {
        let (_scratch, store) = scratch();
        let lease = store.lease(at(0)).unwrap();
        let made = layer(&store, &lease, 100_000);
        put_record(&store, &lease, 1, &[made]);
        let blob = store.blobs().put(&lease, b"new").unwrap();
        let temporary = store.snapshots().allocate(&lease).unwrap();
        let mut prune = max_used(0, 0);
        prune.rules.extend(unused_for(0, 60).rules);
        prune.now = now;
        assert_eq!(gone(&store.prune(&prune).unwrap()), [""; 0], "{now:?}");
        store.clean(now).unwrap();
        assert!(store.blobs().has(&blob.digest).unwrap());
        assert!(temporary.path().is_dir());
        lease.add(&[Resource::Layer(made)]).unwrap();
        assert_eq!(store.fsck(Depth::Deep).unwrap(), []);
    }
}

#[test]
fn a_download_withstands_a_clock_that_jumps() {
    let (_scratch, store) = scratch();
    let lease = store.lease(at(0)).unwrap();
    let blob = Blob {
        digest: Digest::of(b"0123"),
        size: 4,
    };
    let Ingest::Open(mut download) = store.blobs().ingest(&lease, blob).unwrap() else {
        panic!("it is ours");
    };
    download.write_all(b"01").unwrap();
    let path = store.root().join("ingest").join(blob.digest.hex());
    let written = std::fs::metadata(&path).unwrap().modified().unwrap();
    let years = Duration::from_secs(YEARS);
    let prune = |now| gone(&store.prune(&PruneRequest::new(now)).unwrap());
    for now in [written + years, written - years] {
        assert_eq!(prune(now), [""; 0], "somebody is at work on it");
    }
    drop(download);
    // It does not stay until the clock is where it was.
    assert_eq!(
        prune(written - years),
        [format!("Download {}", blob.digest)]
    );
}

#[test]
fn what_was_used_in_a_time_to_come_goes_before_what_is_used_now() {
    let (_scratch, store) = scratch();
    for (number, seconds) in [(1, 1), (2, 2), (3, YEARS), (4, YEARS + 1), (5, 3)] {
        let lease = store.lease(at(seconds)).unwrap();
        let made = layer(&store, &lease, 100_000);
        put_record(&store, &lease, number, &[made]);
    }
    let records = |now, bytes| {
        let mut gone = gone(&store.prune(&max_used(now, bytes)).unwrap());
        gone.retain(|one| one.starts_with("Record"));
        gone
    };
    assert_eq!(records(4, 350_000), ["Record 03", "Record 04"]);
    assert_eq!(records(4, 250_000), ["Record 01"]);
}

#[test]
fn builds_of_a_time_to_come_are_no_reason_to_forget_new_ones() {
    let (_scratch, store) = scratch();
    let history = store.history();
    for (id, seconds) in [("a", 1), ("x", YEARS), ("y", YEARS + 1), ("b", 2)] {
        drop(history.begin(id, at(seconds)).unwrap());
    }
    let ids = || -> String {
        let builds = history.list().unwrap().into_iter();
        builds.map(|build| build.id).collect()
    };
    history.trim(3, u64::MAX, at(3)).unwrap();
    assert_eq!(ids(), "yba");
    history.trim(2, u64::MAX, at(3)).unwrap();
    assert_eq!(ids(), "ba");
}

#[test]
fn a_build_before_1970_is_in_the_history() {
    let (_scratch, store) = scratch();
    let history = store.history();
    let started = SystemTime::UNIX_EPOCH - Duration::from_secs(5);
    drop(history.begin("early", started).unwrap());
    let builds = history.list().unwrap();
    assert_eq!(builds.len(), 1);
    assert!(history.remove(&builds[0]).unwrap());
    assert_eq!(history.list().unwrap(), []);
}

/// While the files were read the clock was set back: they may change again without another time.
#[test]
fn checksums_of_files_of_a_time_to_come_are_not_remembered() {
    let (_scratch, store) = scratch();
    let nanos = |time: SystemTime| {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        i64::try_from(since.as_nanos()).unwrap()
    };
    let file = |inode, changed| FileStat {
        device: 1,
        inode,
        size: 3,
        modified: changed,
        changed,
    };
    let (new, old) = (
        file(1, nanos(at(0)) + 7),
        file(2, nanos(before(YEARS)) - 100_000_007),
    );
    let put = [(new, [1; 32]), (old, [2; 32])];
    store.stat_cache().put(&put, before(YEARS)).unwrap();
    let found = store.stat_cache().get(&[new, old]).unwrap();
    assert_eq!(found, [None, Some([2; 32])]);
}
