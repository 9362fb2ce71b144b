//! What is put in comes out.

use std::io::{Read, Write};

use oci::{ChainId, Descriptor, DiffId, Digest, MediaType, Reference};
use store::{
    Blob, Container, ContainerState, FileStat, Ingest, Keep, LayerId, LayerSource, NewLayer,
    NewRecord, PruneRequest, StoreError, Synced,
};

use crate::{at, names, record, scratch};

#[test]
fn blobs_are_seen_when_they_are_whole() {
    let (_directory, store) = scratch();
    let lease = store.lease(at(0)).unwrap();
    let blobs = store.blobs();
    let blob = Blob {
        digest: Digest::of(b"hello"),
        size: 5,
    };
    let mut writer = blobs.writer(&lease, Some(blob)).unwrap();
    writer.write_all(b"hel").unwrap();
    assert!(!blobs.has(&blob.digest).unwrap());
    writer.write_all(b"lo").unwrap();
    let more = writer.write_all(b"!").unwrap_err().to_string();
    assert_eq!(writer.commit().unwrap(), blob);
    assert!(more.contains("expected 5 bytes, found 6"), "{more}");
    assert_eq!(blobs.read(&blob.digest, 5).unwrap(), b"hello");
    assert_eq!(blobs.put(&lease, b"hello").unwrap(), blob);
    assert_eq!(blobs.list().unwrap(), [blob]);
    let limit = blobs.read(&blob.digest, 4).unwrap_err().to_string();
    assert!(
        limit.ends_with("of 5 bytes is over the limit of 4"),
        "{limit}"
    );

    for (bytes, error) in [
        (&b"hell"[..], "size mismatch"),
        (b"jello", "digest mismatch"),
    ] {
        let expected = Blob {
            digest: Digest::of(b"other"),
            size: 5,
        };
        let mut writer = blobs.writer(&lease, Some(expected)).unwrap();
        writer.write_all(bytes).unwrap();
        let found = writer.commit().unwrap_err().to_string();
        assert!(found.starts_with(error), "{found}");
    }
    drop(blobs.writer(&lease, None).unwrap());
    assert!(names(&store, "ingest").is_empty());
}

#[test]
fn corrupt_blobs_are_not_returned() {
    let (_directory, store) = scratch();
    let lease = store.lease(at(0)).unwrap();
    let blob = store.blobs().put(&lease, b"precious").unwrap();
    std::fs::write(store.blobs().path(&blob.digest), b"precioux").unwrap();
    let read = store.blobs().read(&blob.digest, 100).unwrap_err();
    assert!(matches!(read, StoreError::DigestMismatch { .. }), "{read}");
    let mut reader = store.blobs().open_verified(&blob.digest).unwrap();
    for _ in 0..2 {
        assert!(reader.read_to_end(&mut Vec::new()).is_err());
    }
}

#[test]
fn downloads_go_on_where_they_stopped() {
    let (_directory, store) = scratch();
    let lease = store.lease(at(0)).unwrap();
    let blob = Blob {
        digest: Digest::of(b"0123456789"),
        size: 10,
    };
    let open = || match store.blobs().try_ingest(&lease, blob).unwrap() {
        Ingest::Open(download) => download,
        other => panic!("{other:?}"),
    };
    let mut download = open();
    download.write_all(b"0123").unwrap();
    let busy = store.blobs().try_ingest(&lease, blob).unwrap();
    assert!(matches!(busy, Ingest::Busy));
    drop(download);

    let mut download = open();
    assert_eq!(download.offset(), 4);
    download.write_all(b"45678X").unwrap();
    assert!(download.write_all(b"more").is_err());
    let error = download.finish().unwrap_err();
    assert!(
        matches!(error, StoreError::DigestMismatch { .. }),
        "{error}"
    );

    let mut download = open();
    assert_eq!(download.offset(), 0, "wrong bytes are not gone on with");
    download.write_all(b"0123").unwrap();
    let error = download.finish().unwrap_err();
    assert!(matches!(error, StoreError::SizeMismatch { .. }), "{error}");

    let mut download = open();
    assert_eq!(download.offset(), 4);
    download.write_all(b"456789").unwrap();
    assert_eq!(download.finish().unwrap(), blob);
    let present = store.blobs().ingest(&lease, blob).unwrap();
    assert!(matches!(present, Ingest::Present(found) if found == blob));
    assert!(names(&store, "ingest").is_empty());
}

#[test]
fn tags_and_index_keep_in_step() {
    let (_directory, store) = scratch();
    let lease = store.lease(at(0)).unwrap();
    let images = store.images();
    let name: Reference = "app".parse().unwrap();
    let absent = Descriptor::of(MediaType::OciManifest, b"absent");
    let error = images.put(&name, &absent, at(0)).unwrap_err();
    assert!(matches!(error, StoreError::MissingBlob(_)), "{error}");

    store.blobs().put(&lease, b"{}").unwrap();
    let descriptor = Descriptor::of(MediaType::OciManifest, b"{}");
    assert_eq!(images.put(&name, &descriptor, at(1)).unwrap(), None);
    assert_eq!(
        images.put(&name, &descriptor, at(2)).unwrap(),
        Some(descriptor.clone())
    );
    let image = images.get(&name).unwrap().unwrap();
    assert_eq!(image.reference.to_string(), "docker.io/library/app:latest");
    assert_eq!(
        (image.descriptor.clone(), image.updated),
        (descriptor, at(1))
    );
    assert_eq!(images.list().unwrap(), [image]);
    let index = || std::fs::read_to_string(store.root().join("index.json")).unwrap();
    assert_eq!(
        index(),
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"annotations":{"io.containerd.image.name":"docker.io/library/app:latest","org.opencontainers.image.ref.name":"docker.io/library/app:latest"}}]}"#
    );
    assert!(images.remove(&name).unwrap().is_some());
    assert!(images.remove(&name).unwrap().is_none());
    assert_eq!(
        index(),
        r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#
    );
}

#[test]
fn layers_are_shared_where_they_may_be() {
    let (_directory, store) = scratch();
    let lease = store.lease(at(0)).unwrap();
    let layers = store.layers();
    let diff_id = DiffId(Digest::of(b"layer"));
    let on = |below: &[u8]| {
        let below = ChainId::of(&[DiffId(Digest::of(below))]);
        NewLayer {
            diff_id: Some(diff_id),
            chain: Some(ChainId::on(below, diff_id)),
            ..NewLayer::default()
        }
    };
    let blob = Descriptor::of(MediaType::OciLayer(oci::Compression::Gzip), b"gzip");
    let source = LayerSource {
        digest: blob.digest,
        reference: "docker.io/library/app".to_owned(),
    };
    let a = layers.ensure(&lease, &on(b"a")).unwrap();
    let more = NewLayer {
        blobs: vec![blob.clone()],
        sources: vec![source.clone()],
        ..on(b"a")
    };
    assert_eq!(layers.ensure(&lease, &more).unwrap(), a);
    let b = layers.ensure(&lease, &on(b"b")).unwrap();
    assert_ne!(a, b);
    let row = layers.get(a).unwrap().unwrap();
    assert_eq!((row.blobs, row.sources), (vec![blob.clone()], vec![source]));
    assert_eq!((row.chain, row.created), (on(b"a").chain, at(0)));
    let ids = |rows: Vec<store::LayerRow>| rows.iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(layers.by_diff_id(&diff_id).unwrap()), [a, b]);
    assert_eq!(ids(layers.by_blob(&blob.digest).unwrap()), [a]);
    let self_contained = NewLayer {
        self_contained: true,
        size: Some(3),
        ..NewLayer::default()
    };
    layers.update(a, &self_contained).unwrap();
    assert_eq!(layers.ensure(&lease, &on(b"c")).unwrap(), a);
    assert_eq!(ids(layers.take(&lease, &[b, a]).unwrap()), [b, a]);
    let error = layers.stack(&[a, LayerId(99)]).unwrap_err().to_string();
    assert_eq!(error, "layer 99 is not in the store");
}

#[test]
fn snapshots_appear_whole() {
    let (_directory, store) = scratch();
    let lease = store.lease(at(0)).unwrap();
    let allocate = |text: &str| {
        let temporary = store.snapshots().allocate(&lease).unwrap();
        std::fs::write(temporary.path().join("file"), text).unwrap();
        temporary
    };
    let new = NewLayer::default();
    let id = store
        .snapshots()
        .publish_new(allocate("first"), &new, Synced::No)
        .unwrap();
    let path = store.layers().get(id).unwrap().unwrap().snapshot.unwrap();
    let late = store
        .snapshots()
        .publish(allocate("late"), id, Synced::Yes)
        .unwrap();
    assert_eq!(late, path);
    assert_eq!(std::fs::read_to_string(path.join("file")).unwrap(), "first");
    drop(allocate("dropped"));
    let other = store.layers().create(&lease, &new).unwrap();
    std::fs::create_dir(store.snapshots().path(other)).unwrap();
    store
        .snapshots()
        .publish(allocate("over a leftover"), other, Synced::Yes)
        .unwrap();
    store.sync().unwrap();
    assert_eq!(
        names(&store, "snapshots"),
        [id.to_string(), other.to_string()]
    );
}

#[test]
fn records_are_found_by_key_and_alias() {
    let (_directory, store) = scratch();
    let lease = store.lease(at(0)).unwrap();
    let records = store.records();
    let layer = store.layers().create(&lease, &NewLayer::default()).unwrap();
    let new = |value| NewRecord {
        value,
        parts: b"parts",
        lineage: Some(&[9; 32]),
        ..NewRecord::default()
    };
    let (content, definition, other) = ([1; 32], [2; 32], [3; 32]);
    let dangling = NewRecord {
        layers: &[LayerId(77)],
        ..new(b"x")
    };
    let error = records.put(&lease, &content, dangling).unwrap_err();
    assert!(matches!(error, StoreError::MissingLayer(_)), "{error}");
    let layers = [layer];
    let with_layer = NewRecord {
        layers: &layers,
        ..new(b"one")
    };
    records.put(&lease, &content, with_layer).unwrap();
    records.alias(&definition, &content).unwrap();
    let record = records.take(&lease, &definition).unwrap().unwrap();
    assert_eq!(record.key, content);
    assert_eq!(
        (&record.value[..], &record.layers[..]),
        (&b"one"[..], &[layer][..])
    );
    assert_eq!(records.parts(&definition).unwrap().unwrap(), b"parts");
    let many = records.get_many(&[other, definition]).unwrap();
    assert_eq!(
        many.iter().map(Option::is_some).collect::<Vec<_>>(),
        [false, true]
    );
    assert_eq!(
        records.resolve_many(&[definition, other]).unwrap(),
        [Some(content), None]
    );
    assert_eq!(records.ancestors(&[9; 32], 1).unwrap()[0].key, content);
    assert_eq!(records.ancestors(&other, 9).unwrap(), []);
}

#[test]
fn the_latest_word_on_a_key_counts() {
    let (_directory, store) = scratch();
    let records = store.records();
    let new = record;
    let (content, definition, other) = ([1; 32], [2; 32], [3; 32]);
    let value = |key| records.get(&key).unwrap().map(|record| record.value);
    let lease = store.lease(at(0)).unwrap();
    records.put(&lease, &content, new(b"one")).unwrap();
    records.alias(&definition, &content).unwrap();
    let later = store.lease(at(10)).unwrap();
    records.put(&later, &content, new(b"two")).unwrap();
    assert_eq!(
        value(definition).unwrap(),
        b"two",
        "an alias follows its record"
    );
    records.put(&later, &definition, new(b"own")).unwrap();
    assert_eq!(value(definition).unwrap(), b"own", "the latest word counts");
    records.alias(&definition, &content).unwrap();
    assert_eq!(value(definition).unwrap(), b"two", "the latest word counts");
    assert!(records.remove(&definition).unwrap());
    assert!(!records.remove(&content).unwrap());
    assert_eq!(value(definition), None);
    records.alias(&definition, &other).unwrap();
    assert_eq!(records.resolve(&definition).unwrap(), Some(other));
    assert_eq!(value(definition), None, "its record is still to come");
}

#[test]
fn uses_of_records_are_noted_by_the_hour() {
    let (_directory, store) = scratch();
    let key = [1; 32];
    let first = store.lease(at(0)).unwrap();
    store.records().put(&first, &key, record(b"")).unwrap();
    for (now, used) in [(60, 0), (4000, 4000), (4100, 4000)] {
        let lease = store.lease(at(now)).unwrap();
        store.records().take(&lease, &key).unwrap().unwrap();
        store.records().note_uses(&lease).unwrap();
        let record = store.records().get(&key).unwrap().unwrap();
        assert_eq!((record.created, record.used), (at(0), at(used)));
    }
}

#[test]
fn checksums_are_remembered_unless_they_could_be_stale() {
    let (_directory, store) = scratch();
    let now = 1_700_000_000_000_000_000;
    let file = |inode, changed| FileStat {
        device: 5,
        inode,
        size: 3,
        modified: 1,
        changed,
    };
    let cases = [
        (file(1, now - 30_000_001), true),
        (file(2, now - 5_000_001), false),
        (file(3, now + 1), false),
        // Whole seconds: a file system that keeps no more, perhaps.
        (file(4, now - 1_000_000_000), false),
        (file(5, now - 3_000_000_000), true),
        (file(70_000, 17), true),
        (file(u64::MAX, 17), true),
    ];
    let checksum = |file: &FileStat| [file.inode.to_le_bytes()[0]; 32];
    let put: Vec<_> = cases
        .iter()
        .map(|(file, _)| (*file, checksum(file)))
        .collect();
    store.stat_cache().put(&put, at(0)).unwrap();
    store.stat_cache().put(&put[..1], at(0)).unwrap();
    let files: Vec<_> = cases.iter().map(|(file, _)| *file).rev().collect();
    let found = store.stat_cache().get(&files).unwrap();
    for (found, (file, kept)) in found.iter().zip(cases.iter().rev()) {
        assert_eq!(*found, kept.then(|| checksum(file)), "{file:?}");
    }
    for other in [
        FileStat {
            size: 4,
            ..files[0]
        },
        FileStat {
            modified: 2,
            ..files[0]
        },
        FileStat {
            changed: 2,
            ..files[0]
        },
        FileStat {
            device: 6,
            ..files[0]
        },
    ] {
        assert_eq!(store.stat_cache().get(&[other]).unwrap(), [None]);
    }
}

#[test]
fn containers_have_names_and_directories() {
    let (_directory, store) = scratch();
    let lease = store.lease(at(0)).unwrap();
    let containers = store.containers();
    let layer = store.layers().create(&lease, &NewLayer::default()).unwrap();
    let container = |id: &str, name: &str| Container {
        id: id.to_owned(),
        name: name.to_owned(),
        image: "app".to_owned(),
        image_digest: Some(Digest::of(b"manifest")),
        config: "{}".to_owned(),
        layers: vec![layer],
        created: at(3),
        state: ContainerState::Created,
    };
    let first = container("a1", "first");
    let directory = containers.create(&lease, &first).unwrap();
    std::fs::write(directory.join("written"), "").unwrap();
    for (id, name, error) in [
        (
            "b2",
            "first",
            "the container name \"first\" is already in use by container \"a1\"",
        ),
        ("a1", "other", "invalid or used container id \"a1\""),
        ("../x", "other", "invalid or used container id \"../x\""),
    ] {
        let found = containers.create(&lease, &container(id, name)).unwrap_err();
        assert_eq!(found.to_string(), error);
    }
    assert_eq!(containers.get("a1").unwrap().unwrap(), first);
    assert_eq!(containers.get("first").unwrap().unwrap(), first);
    containers
        .set_state("a1", ContainerState::Exited(-3))
        .unwrap();
    containers.rename("a1", "renamed").unwrap();
    let list = containers.list().unwrap();
    assert_eq!(list[0].state, ContainerState::Exited(-3));
    assert_eq!(list[0].name, "renamed");
    assert!(containers.set_state("zz", ContainerState::Running).is_err());
    assert!(containers.remove(&lease, "a1").unwrap());
    assert!(!containers.remove(&lease, "a1").unwrap());
    assert!(!directory.exists());
}

#[test]
fn builds_are_listed_newest_first() {
    let (_directory, store) = scratch();
    let history = store.history();
    for (id, started) in [("b", 2), ("a", 1), ("c", 3)] {
        drop(history.begin(id, at(started)).unwrap());
    }
    std::fs::write(store.root().join("logs/other"), "").unwrap();
    let ids = || -> Vec<String> {
        let builds = history.list().unwrap().into_iter();
        builds.map(|build| build.id).collect()
    };
    assert_eq!(ids(), ["c", "b", "a"]);
    let build = history.list().unwrap().remove(1);
    assert_eq!(build.started, at(2));
    assert!(history.remove(&build).unwrap());
    assert!(!history.remove(&build).unwrap());
    assert_eq!(ids(), ["c", "a"]);
    history.trim(1, u64::MAX, at(9)).unwrap();
    assert_eq!(ids(), ["c"]);
}

#[test]
fn old_builds_go_when_logs_take_too_much() {
    let (_directory, store) = scratch();
    let history = store.history();
    for (id, started, size) in [("a", 1, 1), ("b", 2, 30), ("c", 3, 20), ("d", 4, 50)] {
        let log = history.begin(id, at(started)).unwrap();
        log.append(&vec![b'x'; size]).unwrap();
    }
    for (builds, bytes, left) in [
        (3, 100, "bcd"),
        (3, 99, "cd"),
        (3, 70, "cd"),
        (3, 69, "d"),
        (3, 0, "d"),
        (0, 100, ""),
    ] {
        history.trim(builds, bytes, at(9)).unwrap();
        let left_over = history.list().unwrap().into_iter().rev();
        let ids: String = left_over.map(|build| build.id).collect();
        assert_eq!(ids, left, "{builds} {bytes}");
    }
}

#[test]
fn a_build_runs_while_its_log_is_held() {
    let (_directory, store) = scratch();
    let history = store.history();
    let log = history.begin("a", at(1)).unwrap();
    log.append(b"one\n").unwrap();
    log.append(b"two\n").unwrap();
    let build = history.list().unwrap().remove(0);
    assert_eq!(std::fs::read(&build.log).unwrap(), b"one\ntwo\n");
    assert!(history.is_running(&build));
    // Whoever makes room leaves alone what goes on.
    drop(history.begin("b", at(2)).unwrap());
    history.trim(0, 0, at(9)).unwrap();
    let request = PruneRequest {
        builds: Keep::Nothing,
        ..PruneRequest::new(at(9))
    };
    store.prune(&request).unwrap();
    assert_eq!(history.list().unwrap(), std::slice::from_ref(&build));
    drop(log);
    assert!(!history.is_running(&build));
    let pruned = store.prune(&request).unwrap();
    assert_eq!(pruned.removed.len(), 1);
    assert_eq!(history.list().unwrap(), []);
}
