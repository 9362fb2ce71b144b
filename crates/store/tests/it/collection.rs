//! What is needed stays, what nobody needs goes, and the bytes agree.

use std::io::Write;
use std::time::Duration;

use oci::{Compression, Descriptor, DiffId, Digest, MediaType};
use store::{
    Blob, Container, ContainerState, Ingest, Keep, Kind, LayerId, Lease, NewLayer, NewRecord,
    PruneRequest, Pruned, Resource, Rule, Sharing, Store, StoreError, Synced, Told,
};
use testkit::Image;

use crate::{at, names, put_image, record, scratch};

/// A layer whose snapshot has one file of that many bytes.
pub(crate) fn layer(store: &Store, lease: &Lease, bytes: usize) -> LayerId {
    let temporary = store.snapshots().allocate(lease).unwrap();
    std::fs::write(temporary.path().join("file"), vec![b'x'; bytes]).unwrap();
    store
        .snapshots()
        .publish_new(temporary, &NewLayer::default(), Synced::No)
        .unwrap()
}

/// Record `number` of lineage `number % 10`.
pub(crate) fn put_record(store: &Store, lease: &Lease, number: u8, layers: &[LayerId]) {
    let new = NewRecord {
        layers,
        lineage: Some(&[number % 10; 32]),
        ..record(b"value")
    };
    store.records().put(lease, &[number; 32], new).unwrap();
}

/// What went, without bytes: `kind id`.
pub(crate) fn gone(pruned: &Pruned) -> Vec<String> {
    let text = |kind: Kind, id: &str| match kind {
        Kind::Record => format!("Record {}", &id[..2]),
        Kind::Blob => format!("Blob {}", &id[7..11]),
        kind => format!("{kind:?} {id}"),
    };
    let mut gone: Vec<_> = pruned
        .removed
        .iter()
        .map(|removed| text(removed.kind, &removed.id))
        .collect();
    gone.sort();
    gone
}

pub(crate) fn everything(seconds: u64) -> PruneRequest {
    PruneRequest {
        rules: vec![Rule::everything("prune --all")],
        builds: Keep::Nothing,
        everything: true,
        ..PruneRequest::new(at(seconds))
    }
}

/// What was not used for `age` at that time.
pub(crate) fn unused_for(seconds: u64, age: u64) -> PruneRequest {
    let rule = Rule {
        unused_for: Some(Told {
            value: Duration::from_secs(age),
            text: format!("{age}s"),
        }),
        ..Rule::everything("gc rule 1")
    };
    PruneRequest {
        rules: vec![rule],
        ..PruneRequest::new(at(seconds))
    }
}

pub(crate) fn max_used(seconds: u64, bytes: u64) -> PruneRequest {
    let rule = Rule {
        max_used: Some(Told {
            value: bytes,
            text: bytes.to_string(),
        }),
        ..Rule::everything("gc rule 1")
    };
    PruneRequest {
        rules: vec![rule],
        ..PruneRequest::new(at(seconds))
    }
}

#[test]
fn records_go_by_age_and_take_their_layers_along() {
    let (_scratch, store) = scratch();
    for (number, layers) in [(1, vec![1]), (2, vec![1, 2]), (3, vec![2])] {
        let lease = store.lease(at(u64::from(number) * 100)).unwrap();
        let layers: Vec<LayerId> = layers
            .into_iter()
            .map(|id| match store.layers().get(LayerId(id)).unwrap() {
                Some(row) => row.id,
                None => layer(&store, &lease, 10_000),
            })
            .collect();
        put_record(&store, &lease, number, &layers);
    }
    store.records().alias(&[9; 32], &[1; 32]).unwrap();
    let request = unused_for(1000, 801);
    let dry_run = PruneRequest {
        dry_run: true,
        ..request.clone()
    };
    assert_eq!(gone(&store.prune(&dry_run).unwrap()), ["Record 01"]);
    assert_eq!(gone(&store.prune(&request).unwrap()), ["Record 01"]);
    assert_eq!(store.records().resolve(&[9; 32]).unwrap(), None);
    let pruned = store.prune(&unused_for(1000, 701)).unwrap();
    assert_eq!(gone(&pruned), ["Record 02", "Snapshot 1"]);
    assert!((12_288..20_000).contains(&pruned.bytes()), "{pruned:?}");
    assert_eq!(store.layers().list().unwrap().len(), 1);
    assert_eq!(names(&store, "snapshots"), ["2"]);
    assert!(names(&store, "trash").is_empty());
    assert_eq!(
        gone(&store.prune(&everything(1)).unwrap()),
        ["Record 03", "Snapshot 2"]
    );
}

#[test]
fn tags_keep_what_they_need() {
    let (_scratch, store) = scratch();
    let image = Image::of_layers(&[b"one", b"two"]);
    let other = Image::of_layers(&[b"two", b"three"]);
    let lease = store.lease(at(0)).unwrap();
    put_image(&store, &lease, "app", &image);
    put_image(&store, &lease, "other", &other);
    // A layer known by an image's blob, one by its diff ID, one by neither.
    let blob = Descriptor::of(MediaType::OciLayer(Compression::Gzip), b"three");
    let of_blob = NewLayer {
        blobs: vec![blob],
        ..NewLayer::default()
    };
    let of_blob = store.layers().create(&lease, &of_blob).unwrap();
    let diff_id = DiffId(Digest::of(b"tar"));
    let config = format!(r#"{{"rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}}}"#);
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":{}}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{diff_id}","size":3}}]}}"#,
        Digest::of(config.as_bytes()),
        config.len(),
    );
    store.blobs().put(&lease, config.as_bytes()).unwrap();
    store.blobs().put(&lease, manifest.as_bytes()).unwrap();
    let descriptor = Descriptor::of(MediaType::OciManifest, manifest.as_bytes());
    let local = "local".parse().unwrap();
    store.images().put(&local, &descriptor, at(0)).unwrap();
    let temporary = store.snapshots().allocate(&lease).unwrap();
    let of_diff_id = NewLayer {
        diff_id: Some(diff_id),
        ..NewLayer::default()
    };
    let of_diff_id = store
        .snapshots()
        .publish_new(temporary, &of_diff_id, Synced::Yes)
        .unwrap();
    let unneeded = layer(&store, &lease, 1);
    drop(lease);

    assert_eq!(
        gone(&store.prune(&everything(1)).unwrap()),
        [format!("Snapshot {unneeded}")]
    );
    assert_eq!(testkit::check_layout(&without(&store, &local)).len(), 2);
    store.images().put(&local, &descriptor, at(2)).unwrap();
    store.images().remove(&"other".parse().unwrap()).unwrap();
    let pruned = store.prune(&everything(2)).unwrap();
    let expected: Vec<String> = [b"three".as_slice(), &other.manifest]
        .iter()
        .map(|bytes| format!("Blob {}", &Digest::of(bytes).hex()[..4]))
        .collect();
    let (mut found, mut expected) = (gone(&pruned), expected);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(store.layers().get(of_blob).unwrap(), None);
    assert!(store.layers().get(of_diff_id).unwrap().is_some());
}

/// The root, with a tag removed that a foreign tool would find incomplete.
fn without(store: &Store, tag: &oci::Reference) -> std::path::PathBuf {
    store.images().remove(tag).unwrap();
    store.root().to_owned()
}

#[test]
fn live_leases_keep_what_they_hold() {
    let (_scratch, store) = scratch();
    let build = store.lease(at(0)).unwrap();
    let blob = store.blobs().put(&build, b"held").unwrap();
    let held = layer(&store, &build, 1);
    let temporary = store.snapshots().allocate(&build).unwrap();
    let mut writer = store.blobs().writer(&build, None).unwrap();
    writer.write_all(b"partial").unwrap();
    put_record(&store, &build, 1, &[held]);
    assert_eq!(gone(&store.prune(&everything(1)).unwrap()), [""; 0]);

    // A second build takes the record over; the first may end.
    let second = store.lease(at(5)).unwrap();
    store.records().take(&second, &[1; 32]).unwrap().unwrap();
    drop((temporary, writer, build));
    let pruned = store.prune(&everything(6)).unwrap();
    assert_eq!(gone(&pruned), [format!("Blob {}", &blob.digest.hex()[..4])]);
    second.add(&[Resource::Blob(blob.digest)]).unwrap();
    assert_eq!(store.blobs().take(&second, &blob.digest).unwrap(), None);
    drop(second);
    assert_eq!(
        gone(&store.prune(&everything(6)).unwrap()),
        ["Record 01", "Snapshot 1"]
    );
    assert!(names(&store, "leases").is_empty());
}

#[test]
fn containers_keep_their_layers() {
    let (_scratch, store) = scratch();
    let lease = store.lease(at(0)).unwrap();
    let container = Container {
        id: "c1".to_owned(),
        name: "web".to_owned(),
        image: "app".to_owned(),
        image_digest: None,
        config: "{}".to_owned(),
        layers: vec![layer(&store, &lease, 1)],
        created: at(0),
        state: ContainerState::Created,
    };
    store.containers().create(&lease, &container).unwrap();
    drop(lease);
    assert_eq!(gone(&store.prune(&everything(1)).unwrap()), [""; 0]);
    let lease = store.lease(at(2)).unwrap();
    store.containers().remove(&lease, "c1").unwrap();
    assert_eq!(gone(&store.prune(&everything(3)).unwrap()), ["Snapshot 1"]);
}

#[test]
fn the_least_recently_used_go_when_space_is_short() {
    let (_scratch, store) = scratch();
    for number in 1..=5 {
        let lease = store.lease(at(u64::from(number))).unwrap();
        let layer = layer(&store, &lease, 100_000);
        put_record(&store, &lease, number, &[layer]);
    }
    let lease = store.lease(at(3)).unwrap();
    let seed = |path: &std::path::Path| {
        std::fs::write(path.join("object"), vec![0; 100_000]).unwrap();
        Ok::<_, StoreError>(())
    };
    let mounts = store.cache_mounts();
    drop(mounts.acquire(&lease, "go", Sharing::Shared, seed).unwrap());
    drop(lease);
    let usage = store.usage().unwrap();
    let pruned = store
        .prune(&max_used(10, usage.total().reclaimable - 250_000))
        .unwrap();
    assert_eq!(
        gone(&pruned),
        [
            "Record 01",
            "Record 02",
            "Record 03",
            "Snapshot 1",
            "Snapshot 2",
            "Snapshot 3"
        ]
    );
    let beside_database =
        |usage: &store::Usage| usage.total().bytes - usage.of(Kind::Database).bytes;
    assert_eq!(
        beside_database(&store.usage().unwrap()),
        beside_database(&usage) - pruned.bytes()
    );
    let removed = store.records().eviction(&[3; 32]).unwrap().unwrap();
    let bound = usage.total().reclaimable - 250_000;
    assert_eq!(removed.cause, format!("gc rule 1: max used space {bound}"));
    assert_eq!(
        gone(&store.prune(&max_used(10, 0)).unwrap()),
        [
            "CacheMount 1",
            "Record 04",
            "Record 05",
            "Snapshot 4",
            "Snapshot 5"
        ]
    );
}

#[test]
fn downloads_are_given_up_after_a_day() {
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
    let day = Duration::from_secs(24 * 3600 + 1);
    let prune = |now| gone(&store.prune(&PruneRequest::new(now)).unwrap());
    assert_eq!(prune(written + day), [""; 0], "somebody is at work on it");
    drop(download);
    assert_eq!(prune(written), [""; 0]);
    assert_eq!(prune(written + day), [format!("Download {}", blob.digest)]);
    assert!(!path.exists());
}

#[test]
fn hard_links_are_counted_once() {
    let (_scratch, store) = scratch();
    let lease = store.lease(at(0)).unwrap();
    let first = layer(&store, &lease, 1_000_000);
    let temporary = store.snapshots().allocate(&lease).unwrap();
    let from = store.snapshots().path(first).join("file");
    std::fs::hard_link(&from, temporary.path().join("link")).unwrap();
    let new = NewLayer::default();
    let second = store
        .snapshots()
        .publish_new(temporary, &new, Synced::No)
        .unwrap();
    put_record(&store, &lease, 1, &[second]);
    let snapshots = store.usage().unwrap().of(Kind::Snapshot);
    assert!(
        (1_000_000..1_020_000).contains(&snapshots.bytes),
        "{snapshots:?}"
    );
    assert_eq!((snapshots.count, snapshots.reclaimable), (2, 0));
    drop(lease);
    let pruned = store.prune(&PruneRequest::new(at(1))).unwrap();
    assert_eq!(gone(&pruned), ["Snapshot 1"]);
    assert!(
        pruned.bytes() < 20_000,
        "its file has another link: {pruned:?}"
    );
    let pruned = store.prune(&everything(2)).unwrap();
    assert!(pruned.bytes() > 1_000_000, "{pruned:?}");
}

#[test]
fn unreadable_documents_stop_collection() {
    let (_scratch, store) = scratch();
    let lease = store.lease(at(0)).unwrap();
    let bytes = b"{\"schemaVersion\":2,\"config\":7}";
    store.blobs().put(&lease, bytes).unwrap();
    let reference = "broken".parse().unwrap();
    let descriptor = Descriptor::of(MediaType::OciManifest, bytes);
    store.images().put(&reference, &descriptor, at(0)).unwrap();
    drop(lease);
    let error = store.prune(&everything(1)).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "cannot read document {} that image \"docker.io/library/broken:latest\" needs",
            descriptor.digest
        )
    );
    store.images().remove(&reference).unwrap();
    assert_eq!(store.prune(&everything(1)).unwrap().removed.len(), 1);
}

#[test]
fn what_was_taken_is_there_while_others_collect() {
    let (_scratch, store) = scratch();
    let work = |worker: u8| {
        for turn in 0..60 {
            // As another process would.
            let store = Store::open(store.root()).unwrap();
            let lease = store.lease(at(turn)).unwrap();
            let number = (worker + u8::try_from(turn).unwrap()) % 4;
            let _guard = store.lock_key(&[number; 32]).unwrap();
            let layer = match store.records().take(&lease, &[number; 32]).unwrap() {
                Some(record) => record.layers[0],
                None => {
                    let layer = layer(&store, &lease, 10);
                    put_record(&store, &lease, number, &[layer]);
                    layer
                }
            };
            let blob = store.blobs().put(&lease, &[number; 5]).unwrap();
            std::thread::yield_now();
            let row = &store.layers().take(&lease, &[layer]).unwrap()[0];
            let snapshot = row.snapshot.as_ref().unwrap();
            assert_eq!(std::fs::read(snapshot.join("file")).unwrap(), [b'x'; 10]);
            assert_eq!(store.blobs().read(&blob.digest, 5).unwrap(), [number; 5]);
            assert!(store.records().get(&[number; 32]).unwrap().is_some());
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|worker| scope.spawn(move || work(worker)))
            .collect();
        let mut removed = 0;
        while workers.iter().any(|worker| !worker.is_finished()) {
            removed += store.prune(&everything(0)).unwrap().removed.len();
        }
        for worker in workers {
            worker.join().unwrap();
        }
        assert!(removed > 10, "removed {removed}");
    });
    assert_eq!(store.fsck(store::Depth::Deep).unwrap(), []);
}

/// What is being made is not what a dead process left, however new its lease is.
#[test]
fn what_is_being_made_is_there_while_others_collect() {
    let (_scratch, store) = scratch();
    // The more there are, the longer it takes to see which are live.
    let _others: Vec<Lease> = (0..200).map(|_| store.lease(at(0)).unwrap()).collect();
    let work = || {
        for _ in 0..1000 {
            let lease = store.lease(at(0)).unwrap();
            let place = store.snapshots().allocate(&lease).unwrap();
            std::thread::yield_now();
            assert!(place.path().is_dir());
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
        while workers.iter().any(|worker| !worker.is_finished()) {
            store.prune(&PruneRequest::new(at(0))).unwrap();
        }
        for worker in workers {
            worker.join().unwrap();
        }
    });
}
