//! Which records rules take, and what is remembered of them.

use oci::{Compression, Descriptor, MediaType};
use store::{Eviction, LayerId, NewLayer, NewRecord, PruneRequest, RecordKind, Rule, Synced};
use testkit::Image;

use crate::collection::{everything, gone, layer, max_used, put_record, unused_for};
use crate::{at, put_image, scratch};

#[test]
fn evictions_are_remembered() {
    let (_scratch, store) = scratch();
    let put = |number: u8, seconds| {
        let lease = store.lease(at(seconds)).unwrap();
        put_record(&store, &lease, number, &[]);
    };
    put(1, 0);
    put(11, 100);
    put(2, 200);
    store.prune(&unused_for(150, 60)).unwrap();
    let records = store.records();
    let told = |found: Option<Eviction>| found.map(|one| (one.evicted, one.cause));
    let by_age = Some((at(150), "gc rule 1: not used for 60s".to_owned()));
    assert_eq!(told(records.eviction(&[1; 32]).unwrap()), by_age);
    assert_eq!(told(records.last_eviction(&[1; 32]).unwrap()), by_age);
    assert_eq!(records.eviction(&[11; 32]).unwrap(), None);
    assert_eq!(records.last_eviction(&[2; 32]).unwrap(), None);
    store.prune(&everything(300)).unwrap();
    let by_hand = Some((at(300), "prune --all".to_owned()));
    assert_eq!(told(records.eviction(&[11; 32]).unwrap()), by_hand);
    assert_eq!(told(records.last_eviction(&[1; 32]).unwrap()), by_hand);
    // Written again, it is there.
    put(11, 400);
    assert_eq!(records.eviction(&[11; 32]).unwrap(), None);
    assert_eq!(told(records.eviction(&[1; 32]).unwrap()), by_age);
}

#[test]
fn rules_are_about_what_matches() {
    let (_scratch, store) = scratch();
    let lease = store.lease(at(0)).unwrap();
    let image = Image::of_layers(&[b"one"]);
    put_image(&store, &lease, "app", &image);
    let blob = Descriptor::of(MediaType::OciLayer(Compression::Gzip), b"one");
    let of_image = NewLayer {
        blobs: vec![blob],
        ..NewLayer::default()
    };
    let of_image = store.layers().create(&lease, &of_image).unwrap();
    let put = |number: u8, kind, layers: &[LayerId]| {
        let new = NewRecord {
            kind,
            layers,
            description: "a step",
            ..NewRecord::default()
        };
        store.records().put(&lease, &[number; 32], new).unwrap();
    };
    put(1, RecordKind::Regular, &[of_image]);
    put(2, RecordKind::GitCheckout, &[layer(&store, &lease, 1)]);
    put(3, RecordKind::Internal, &[]);
    put(4, RecordKind::Regular, &[layer(&store, &lease, 1)]);
    drop(lease);
    let prune = |filter: &str, all| {
        let rule = Rule {
            all,
            filters: vec![filter.parse().unwrap()],
            ..Rule::everything("prune")
        };
        let request = PruneRequest {
            rules: vec![rule],
            dry_run: true,
            ..PruneRequest::new(at(9))
        };
        let gone = gone(&store.prune(&request).unwrap());
        gone.into_iter()
            .filter(|one| one.starts_with("Record"))
            .collect::<Vec<_>>()
    };
    assert_eq!(prune("type==source.git.checkout", false), ["Record 02"]);
    assert_eq!(
        prune("description~=step", false),
        ["Record 02", "Record 04"]
    );
    assert_eq!(prune("id~=^01", false), [""; 0], "an image needs it");
    assert_eq!(prune("id~=^01", true), ["Record 01"]);
    assert_eq!(
        prune("private", true),
        ["Record 02", "Record 03", "Record 04"]
    );
    assert_eq!(prune("type==internal", false), [""; 0]);
    assert_eq!(prune("type==internal", true), ["Record 03"]);
}

#[test]
fn what_a_rule_took_counts_for_the_next_and_links_count_once() {
    let (_scratch, store) = scratch();
    let sizes = [300_000, 200_000];
    let mut last: Option<LayerId> = None;
    for (number, size) in (1..).zip(sizes) {
        let lease = store.lease(at(u64::from(number))).unwrap();
        let id = layer(&store, &lease, size);
        put_record(&store, &lease, number, &[id]);
        last = Some(id);
    }
    // The third shares its file with the second.
    let lease = store.lease(at(3)).unwrap();
    let temporary = store.snapshots().allocate(&lease).unwrap();
    let second = store.snapshots().path(last.unwrap()).join("file");
    std::fs::hard_link(second, temporary.path().join("file")).unwrap();
    let third = store
        .snapshots()
        .publish_new(temporary, &NewLayer::default(), Synced::No)
        .unwrap();
    put_record(&store, &lease, 3, &[third]);
    drop(lease);
    let old = unused_for(10, 9).rules.remove(0);
    let bound = max_used(10, 400_000).rules.remove(0);
    let request = PruneRequest {
        rules: vec![old, bound],
        ..PruneRequest::new(at(10))
    };
    // 200 kB stay, not 400: one file, though each of both is its owner.
    assert_eq!(
        gone(&store.prune(&request).unwrap()),
        ["Record 01", "Snapshot 1"]
    );
    let bound = max_used(10, 150_000);
    // Neither frees anything alone.
    assert_eq!(
        gone(&store.prune(&bound).unwrap()),
        ["Record 02", "Record 03", "Snapshot 2", "Snapshot 3"]
    );
}

#[test]
fn the_database_gives_back_what_many_rows_took() {
    let (_scratch, store) = scratch();
    let lease = store.lease(at(0)).unwrap();
    for number in 0..20 {
        let value = vec![number; 1 << 20];
        let new = NewRecord {
            value: &value,
            ..NewRecord::default()
        };
        store.records().put(&lease, &[number; 32], new).unwrap();
    }
    drop(lease);
    assert!(!store.compact().unwrap(), "nothing is free");
    store.prune(&everything(1)).unwrap();
    let size = || {
        std::fs::metadata(store.root().join("kiln.db"))
            .unwrap()
            .len()
    };
    assert!(store.compact().unwrap());
    assert!(size() < 1 << 20, "{}", size());
    assert!(!store.compact().unwrap());
    assert_eq!(store.fsck(store::Depth::Deep).unwrap(), []);
}
