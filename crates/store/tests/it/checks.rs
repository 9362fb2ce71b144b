//! What the check finds, and what repair makes of it.

use oci::{Compression, Descriptor, Digest, MediaType};
use store::{
    Container, ContainerState, Depth, LayerSource, NewLayer, NewRecord, Sharing, Store, StoreError,
    Synced,
};
use testkit::{Image, Scratch};

use crate::{at, put_image, record};

/// A store with one of everything, which nothing is wrong with.
struct Fixture {
    scratch: Scratch,
    store: Store,
    image: Image,
}

impl Fixture {
    fn new() -> Self {
        let (scratch, store) = crate::scratch();
        let lease = store.lease(at(0)).unwrap();
        let image = Image::of_layers(&[b"layer"]);
        put_image(&store, &lease, "app", &image);
        let temporary = store.snapshots().allocate(&lease).unwrap();
        let new = NewLayer::default();
        let layer = store
            .snapshots()
            .publish_new(temporary, &new, Synced::Yes)
            .unwrap();
        let remote = Descriptor::of(MediaType::OciLayer(Compression::Zstd), b"remote");
        let remote = NewLayer {
            sources: vec![LayerSource {
                digest: remote.digest,
                reference: "docker.io/library/app".to_owned(),
            }],
            blobs: vec![remote],
            ..NewLayer::default()
        };
        let remote = store.layers().create(&lease, &remote).unwrap();
        let new = NewRecord {
            layers: &[layer, remote],
            ..record(b"value")
        };
        store.records().put(&lease, &[7; 32], new).unwrap();
        let container = Container {
            id: "c1".to_owned(),
            name: "web".to_owned(),
            image: "app".to_owned(),
            image_digest: Some(image.descriptor.digest),
            config: "{}".to_owned(),
            layers: vec![layer],
            created: at(0),
            state: ContainerState::Running,
        };
        store.containers().create(&lease, &container).unwrap();
        let seed = |_: &std::path::Path| Ok::<_, StoreError>(());
        drop(
            store
                .cache_mounts()
                .acquire(&lease, "go", Sharing::Shared, seed)
                .unwrap(),
        );
        Self {
            scratch,
            store,
            image,
        }
    }

    fn blob(&self, bytes: &[u8]) -> String {
        format!("blobs/sha256/{}", Digest::of(bytes).hex())
    }

    fn write(&self, path: &str, bytes: &str) {
        std::fs::write(self.store.root().join(path), bytes).unwrap();
    }

    fn remove(&self, path: &str) {
        let path = self.store.root().join(path);
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else {
            std::fs::remove_file(path).unwrap();
        }
    }

    fn change_database(&self, sql: &str) {
        let path = self.store.root().join("kiln.db");
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    /// What is found, with digests and the root cut short.
    fn found(&self, problems: &[store::Problem]) -> Vec<String> {
        let root = format!("{}/", self.store.root().display());
        let mut found: Vec<_> = problems
            .iter()
            .map(|problem| problem.to_string().replace(&root, ""))
            .map(|text| {
                let mut short = text.clone();
                if let Some(at) = text.find("sha256:") {
                    short.replace_range(at..at + 71, "sha256:…");
                }
                short
            })
            .collect();
        found.sort();
        found
    }
}

/// Breaks a good store, and checks what is found and what is left after repair.
fn check(break_it: impl Fn(&Fixture), found: &[&str], remaining: &[&str]) {
    let fixture = Fixture::new();
    assert_eq!(fixture.store.fsck(Depth::Deep).unwrap(), []);
    break_it(&fixture);
    let problems = fixture.store.fsck(Depth::Deep).unwrap();
    assert_eq!(fixture.found(&problems), found);
    let left = fixture.store.repair(problems, at(1)).unwrap();
    assert_eq!(fixture.found(&left), remaining);
    assert_eq!(
        fixture.found(&fixture.store.fsck(Depth::Deep).unwrap()),
        remaining
    );
    drop(fixture.scratch);
}

#[test]
fn leftovers_and_strangers() {
    check(
        |store| {
            store.write("ingest/tmp-dead-1", "x");
            std::fs::create_dir(store.store.root().join("snapshots/tmp-dead-2")).unwrap();
            std::fs::create_dir(store.store.root().join("snapshots/77")).unwrap();
            std::fs::create_dir(store.store.root().join("containers/zz")).unwrap();
            std::fs::create_dir(store.store.root().join("cache-mounts/88")).unwrap();
            store.write("trash/tmp-dead-3", "x");
            store.write("index.json.new", "torn");
            store.write("blobs/sha256/README", "x");
            store.write("notes", "x");
        },
        &[
            "\"blobs/sha256/README\" does not belong into a store",
            "\"cache-mounts/88\" is left over from a process that died",
            "\"containers/zz\" is left over from a process that died",
            "\"index.json.new\" is left over from a process that died",
            "\"ingest/tmp-dead-1\" is left over from a process that died",
            "\"notes\" does not belong into a store",
            "\"snapshots/77\" is left over from a process that died",
            "\"snapshots/tmp-dead-2\" is left over from a process that died",
            "\"trash/tmp-dead-3\" is left over from a process that died",
        ],
        &[
            "\"blobs/sha256/README\" does not belong into a store",
            "\"notes\" does not belong into a store",
        ],
    );
}

#[test]
fn documents() {
    check(
        |store| {
            store.write("index.json", "{}");
            store.remove("oci-layout");
        },
        &[
            "index.json does not say what the tags are",
            "oci-layout is missing or wrong",
        ],
        &[],
    );
}

#[test]
fn images() {
    check(
        |store| store.remove(&store.blob(b"layer")),
        &["image docker.io/library/app:latest lacks layer sha256:…"],
        &["image docker.io/library/app:latest lacks layer sha256:…"],
    );
    check(
        |store| store.remove(&store.blob(&store.image.manifest)),
        &["image docker.io/library/app:latest lacks document sha256:…"],
        &["image docker.io/library/app:latest lacks document sha256:…"],
    );
    check(
        |store| store.write(&store.blob(b"layer"), "lIyer"),
        &["blob sha256:… has other bytes"],
        &["image docker.io/library/app:latest lacks layer sha256:…"],
    );
    check(
        |store| store.write(&store.blob(&store.image.blobs[0].1), "{}"),
        &[
            "blob sha256:… has 2 bytes instead of 78",
            "blob sha256:… has other bytes",
        ],
        &["image docker.io/library/app:latest lacks document sha256:…"],
    );
}

#[test]
fn layers_and_records() {
    let lost = "container c1 needs layer 1, which is lost";
    let record = "cache record 0707070707070707070707070707070707070707070707070707070707070707 \
                  needs layer 1, which is lost";
    check(
        |store| store.remove("snapshots/1"),
        &[record, lost, "the snapshot of layer 1 is missing"],
        &[lost],
    );
    check(
        |store| store.change_database("UPDATE record SET layers = x'6300000000000000'"),
        &[
            "cache record 0707070707070707070707070707070707070707070707070707070707070707 \
           needs layer 99, which is lost",
        ],
        &[],
    );
}

#[test]
fn directories() {
    check(
        |store| {
            store.remove("containers/c1");
            store.remove("cache-mounts/1");
        },
        &[
            "the directory of cache mount 1 is missing",
            "the directory of container c1 is missing",
        ],
        &["the directory of container c1 is missing"],
    );
}

#[test]
fn rows() {
    for (sql, found) in [
        (
            "UPDATE record SET layers = x'01'",
            "corrupt record row: layer ids of 1 bytes",
        ),
        (
            "UPDATE record SET key = x'00'",
            "Conversion error from type Blob at index: 0, Cannot read 32 byte value out of 1 byte blob",
        ),
    ] {
        check(|store| store.change_database(sql), &[found], &[]);
    }
    // A person's own.
    for (sql, found) in [
        (
            "UPDATE container SET state = 'asleep'",
            "corrupt container row: state \"asleep\"",
        ),
        (
            "UPDATE image SET descriptor = '{}'",
            "corrupt image row: missing field `mediaType` at line 1 column 2",
        ),
    ] {
        check(|store| store.change_database(sql), &[found], &[found]);
    }
}

#[test]
fn damaged_databases_are_rebuilt() {
    let fixture = Fixture::new();
    let root = fixture.store.root().to_owned();
    let refused = Store::rebuild(&root, at(1)).map(drop);
    let lease = fixture.store.lease(at(1)).unwrap();
    assert!(refused.is_ok());
    let refused = Store::rebuild(&root, at(1)).unwrap_err();
    assert_eq!(refused.to_string(), format!("store {root:?} is in use"));
    drop((lease, fixture.store));
    std::fs::write(root.join("kiln.db"), "rubbish").unwrap();
    let (store, lost) = Store::rebuild(&root, at(1)).unwrap();
    assert!(lost.is_empty());
    let images = store.images().list().unwrap();
    assert_eq!(images[0].descriptor, fixture.image.descriptor);
    assert_eq!(
        testkit::check_layout(&root),
        ["docker.io/library/app:latest"]
    );
    let problems = store.fsck(Depth::Deep).unwrap();
    assert!(
        problems.iter().all(store::Problem::is_harmless),
        "{problems:?}"
    );
    assert_eq!(store.repair(problems, at(2)).unwrap(), []);
}
