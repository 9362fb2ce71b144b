//! Which directories are opened, and how.

use store::{Depth, NewLayer, Problem, Store, StoreError, Synced};
use testkit::{Image, Scratch};

use crate::{at, names, put_image, record};

#[test]
fn new_stores_are_oci_layouts() {
    let scratch = Scratch::new();
    let root = scratch.join("a/b/store");
    let stores: Vec<Store> = std::thread::scope(|scope| {
        let open = || scope.spawn(|| Store::open(&root).unwrap());
        let threads: Vec<_> = (0..8).map(|_| open()).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(
        names(&stores[0], "")
            .into_iter()
            .filter(|name| !name.starts_with("kiln.db-"))
            .collect::<Vec<_>>(),
        [
            "blobs",
            "cache-mounts",
            "containers",
            "index.json",
            "ingest",
            "kiln.db",
            "leases",
            "locks",
            "logs",
            "oci-layout",
            "snapshots",
            "trash",
            "version",
        ]
    );
    assert!(testkit::check_layout(&root).is_empty());
    let version = std::fs::read_to_string(root.join("version")).unwrap();
    assert_eq!(
        version,
        r#"{"format":1,"compatible":[],"read_only_compatible":[],"incompatible":[]}"#
    );
}

#[test]
fn other_directories_are_refused() {
    for (files, found) in [
        (vec!["notes.txt"], "notes.txt"),
        (vec!["blobs", "index.json", "oci-layout"], "oci-layout"),
    ] {
        let scratch = Scratch::new();
        for file in files {
            drop(scratch.file(file, ""));
        }
        let error = Store::open(scratch.path()).unwrap_err().to_string();
        assert_eq!(
            error,
            format!(
                "{:?} is not a kiln store: it holds {found:?}",
                scratch.path()
            )
        );
    }
}

#[test]
fn versions_and_features() {
    for (version, opens, error) in [
        ("{\"format\":1}", true, None),
        ("{\"format\":1,\"compatible\":[\"x\"]}", true, None),
        (
            "{\"format\":1,\"read_only_compatible\":[\"x\",\"y\"]}",
            true,
            Some("can only be read: this kiln lacks x, y"),
        ),
        (
            "{\"format\":1,\"incompatible\":[\"z\"]}",
            false,
            Some("needs features that this kiln lacks: z"),
        ),
        (
            "{\"format\":2}",
            false,
            Some("has format 2; this kiln knows up to 1: use a newer kiln"),
        ),
        (
            "not json",
            false,
            Some("does not say which format the store has"),
        ),
    ] {
        let scratch = Scratch::new();
        let root = scratch.join("store");
        drop(Store::open(&root).unwrap());
        std::fs::write(root.join("version"), version).unwrap();
        let tried = Store::open(&root);
        assert_eq!(tried.is_ok(), opens, "{version}");
        let written = tried.and_then(|store| {
            assert_eq!(store.records().get(&[0; 32])?, None);
            let lease = store.lease(at(0))?;
            store.records().put(&lease, &[0; 32], record(b""))
        });
        let found = written.err().map(|error| error.to_string());
        match (found, error) {
            (None, None) => {}
            (Some(found), Some(error)) => assert!(found.ends_with(error), "{found}"),
            other => panic!("{version}: {other:?}"),
        }
    }
}

#[test]
fn half_made_stores_are_completed() {
    let scratch = Scratch::new();
    let root = scratch.join("store");
    drop(Store::open(&root).unwrap());
    // As if the process had died at each step, last to first.
    for file in [
        "version",
        "index.json",
        "oci-layout",
        "kiln.db",
        "locks/write",
    ] {
        std::fs::remove_file(root.join("version")).unwrap_or_default();
        std::fs::remove_file(root.join(file)).unwrap_or_default();
        std::fs::write(root.join("version.new"), "torn").unwrap();
        let store = Store::open(&root).unwrap();
        assert!(testkit::check_layout(&root).is_empty(), "{file}");
        assert!(store.images().list().unwrap().is_empty(), "{file}");
        drop(store);
    }
}

#[test]
fn newer_and_damaged_databases_are_refused() {
    let scratch = Scratch::new();
    let root = scratch.join("store");
    drop(Store::open(&root).unwrap());
    let database = root.join("kiln.db");
    let mut bytes = std::fs::read(&database).unwrap();
    // `user_version` in the header of the file.
    bytes[63] = 99;
    std::fs::write(&database, &bytes).unwrap();
    let error = Store::open(&root).unwrap_err().to_string();
    assert_eq!(
        error,
        "the store's database has schema 99; this kiln knows up to 3: use a newer kiln"
    );
    std::fs::write(&database, "rubbish").unwrap();
    let error = Store::open(&root).unwrap_err();
    assert!(matches!(error, StoreError::Database(_)), "{error}");
}

fn change_database(root: &std::path::Path, sql: &str) {
    let connection = rusqlite::Connection::open(root.join("kiln.db")).unwrap();
    connection.execute_batch(sql).unwrap();
}

#[test]
fn an_index_that_was_not_written_any_more_is_written() {
    let (_scratch, store) = crate::scratch();
    let lease = store.lease(at(0)).unwrap();
    let image = Image::of_layers(&[b"layer"]);
    put_image(&store, &lease, "app", &image);
    let index = store.root().join("index.json");
    let before = std::fs::read(&index).unwrap();
    std::fs::write(&index, "{}").unwrap();
    drop(Store::open(store.root()).unwrap());
    assert_eq!(std::fs::read(&index).unwrap(), b"{}", "nobody said so");
    change_database(
        store.root(),
        "INSERT INTO meta VALUES ('index_is_behind', 1)",
    );
    drop(Store::open(store.root()).unwrap());
    assert_eq!(std::fs::read(&index).unwrap(), before);
    assert_eq!(store.fsck(Depth::Shallow).unwrap(), []);
}

#[test]
fn snapshots_of_an_earlier_boot_count_only_when_synced() {
    let (_scratch, store) = crate::scratch();
    let lease = store.lease(at(0)).unwrap();
    let publish = || {
        let temporary = store.snapshots().allocate(&lease).unwrap();
        let new = NewLayer::default();
        store
            .snapshots()
            .publish_new(temporary, &new, Synced::No)
            .unwrap()
    };
    let synced = publish();
    store.sync().unwrap();
    let unsynced = publish();
    let has = |store: &Store, layer| {
        let row = store.layers().get(layer).unwrap().unwrap();
        row.snapshot.is_some()
    };
    let again = Store::open(store.root()).unwrap();
    assert!(
        has(&again, synced) && has(&again, unsynced),
        "the same boot"
    );
    let earlier = "UPDATE layer SET unsynced = x'00' WHERE unsynced IS NOT NULL";
    change_database(store.root(), earlier);
    let again = Store::open(store.root()).unwrap();
    assert!(has(&again, synced) && !has(&again, unsynced));
    let problems = again.fsck(Depth::Shallow).unwrap();
    assert!(problems.iter().all(Problem::is_harmless), "{problems:?}");
}

#[test]
fn other_tools_read_the_layout() {
    if !testkit::has_program("skopeo") {
        return;
    }
    let (_scratch, store) = crate::scratch();
    let lease = store.lease(at(0)).unwrap();
    let image = Image::of_layers(&[b"layer"]);
    put_image(&store, &lease, "localhost:5000/team/app:v1", &image);
    let name = format!("oci:{}:localhost:5000/team/app:v1", store.root().display());
    let manifest = testkit::run("skopeo", &["inspect", "--raw", &name]);
    assert_eq!(manifest.as_bytes(), image.manifest);
}
