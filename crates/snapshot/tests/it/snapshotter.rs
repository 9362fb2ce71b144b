//! Snapshots: one suite that every snapshotter passes.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use snapshot::snapshotter::{
    Draft, NativeSnapshotter, OverlaySnapshotter, Snapshotter, layer_directory,
};
use snapshot::{Marks, Mkdir};
use store::{NewLayer, Store, Synced};
use sys::mount::{MountFlags, MountGuard};

use crate::fixture::{list, scratch, text, tree};

const BELOW: &str = r#"
    dir etc 0700 1:2 @5
    file etc/passwd @6 "root"
    file etc/group "root"
    dir var
    dir var/lib
    file var/lib/x
    file var/y
    symlink link -> etc
"#;

fn now() -> SystemTime {
    // Only its own times are compared with it.
    SystemTime::UNIX_EPOCH
}

/// Lets `work` loose on a snapshot of `BELOW`; the layer that it leaves, without times.
fn left_by(snapshotter: &dyn Snapshotter, work: impl Fn(&Path)) -> String {
    let dir = scratch();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let lease = store.lease(now()).unwrap();
    let below = tree(dir.path(), "below", BELOW);
    let place = store.snapshots().allocate(&lease).unwrap();
    let rubbish = store.snapshots().allocate(&lease).unwrap();
    let active = snapshotter.prepare(place, &[below]).unwrap();
    let at = dir.path().join("mounted");
    std::fs::create_dir(&at).unwrap();
    {
        let _mounted = MountGuard::new(active.mount(), MountFlags::NONE, &at).unwrap();
        work(&at);
    }
    let committed = snapshotter.commit(active, rubbish.path()).unwrap();
    let layer = committed
        .publish(&store, &NewLayer::default(), Synced::No)
        .unwrap();
    let path = layer_directory(&store.snapshots().path(layer));
    let siblings = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(siblings, 1);
    strip(&list(&path))
}

/// Without times and overlay's notes on where files came from.
fn strip(list: &str) -> String {
    let words = |line: &str| {
        line.split(' ')
            .filter(|word| !word.starts_with('@') && !word.starts_with("trusted.overlay."))
            .collect::<Vec<_>>()
            .join(" ")
    };
    list.lines().map(|line| words(line) + "\n").collect()
}

fn conformance(snapshotter: &dyn Snapshotter) {
    let check = |work: &dyn Fn(&Path), expected: &str| {
        assert_eq!(left_by(snapshotter, work), text(expected));
    };
    let etc = "dir etc 0700 1:2";
    check(&|_| {}, "");
    check(
        &|root| assert_eq!(std::fs::read(root.join("link/passwd")).unwrap(), b"root"),
        "",
    );
    check(
        &|root| std::fs::write(root.join("etc/passwd"), "more").unwrap(),
        &format!("{etc}\nfile etc/passwd \"more\""),
    );
    check(
        &|root| {
            std::fs::create_dir(root.join("new")).unwrap();
            std::fs::write(root.join("new/f"), "n").unwrap();
            std::fs::hard_link(root.join("new/f"), root.join("new/g")).unwrap();
            symlink("f", root.join("new/s")).unwrap();
        },
        "dir new\nfile new/f \"n\"\nhard new/g = new/f\nsymlink new/s -> f",
    );
    check(
        &|root| {
            std::fs::remove_file(root.join("etc/passwd")).unwrap();
            std::fs::remove_dir_all(root.join("var/lib")).unwrap();
        },
        &format!("{etc}\nwhiteout etc/passwd\ndir var\nwhiteout var/lib"),
    );
    check(
        &|root| {
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(root.join("var/y"), mode).unwrap();
        },
        "dir var\nfile var/y 0600",
    );
    check(
        &|root| std::os::unix::fs::chown(root.join("var"), Some(7), Some(8)).unwrap(),
        "dir var 7:8",
    );
    check(
        &|root| {
            let passwd = std::fs::File::options()
                .write(true)
                .open(root.join("etc/passwd"))
                .unwrap();
            let before = passwd.metadata().unwrap();
            std::io::Write::write_all(&mut &passwd, b"toor").unwrap();
            passwd.set_modified(before.modified().unwrap()).unwrap();
        },
        &format!("{etc}\nfile etc/passwd \"toor\""),
    );
    check(
        &|root| {
            std::fs::remove_file(root.join("link")).unwrap();
            std::fs::create_dir(root.join("link")).unwrap();
        },
        "dir link",
    );
    check(
        &|root| {
            std::fs::remove_dir_all(root.join("var/lib")).unwrap();
            std::fs::create_dir(root.join("var/lib")).unwrap();
        },
        "dir var\ndir var/lib\nopaque var/lib",
    );
    check(
        &|root| {
            let mode = std::fs::Permissions::from_mode(0o700);
            std::fs::set_permissions(root.join("etc"), mode).unwrap();
            let passwd = std::fs::File::options()
                .append(true)
                .open(root.join("etc/passwd"))
                .unwrap();
            let before = passwd.metadata().unwrap();
            passwd.set_modified(before.modified().unwrap()).unwrap();
        },
        "",
    );
}

#[test]
fn privileged_overlay_conforms() {
    conformance(&OverlaySnapshotter::default());
}

#[test]
fn privileged_native_conforms() {
    conformance(&NativeSnapshotter::default());
}

#[test]
fn privileged_views_and_empty_stacks() {
    let dir = scratch();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let lease = store.lease(now()).unwrap();
    let below = tree(dir.path(), "below", BELOW);
    let above = tree(dir.path(), "above", "whiteout var\nfile z");
    let at = dir.path().join("mounted");
    std::fs::create_dir(&at).unwrap();
    let native = NativeSnapshotter::default();
    let overlay = OverlaySnapshotter::default();
    for snapshotter in [&native as &dyn Snapshotter, &overlay] {
        let view = |stack: &[PathBuf]| {
            let place = store.snapshots().allocate(&lease).unwrap();
            let view = snapshotter.view(place, stack).unwrap();
            let _mounted = MountGuard::new(view.mount(), MountFlags::READ_ONLY, &at).unwrap();
            assert!(std::fs::write(at.join("x"), "").is_err());
            strip(&list(&at))
        };
        assert_eq!(view(&[]), "");
        assert_eq!(view(std::slice::from_ref(&below)), strip(&list(&below)));
        let both = view(&[below.clone(), above.clone()]);
        assert_eq!(
            both,
            text(
                r#"
                dir etc 0700 1:2
                file etc/group "root"
                file etc/passwd "root"
                symlink link -> etc
                file z
                "#
            )
        );
        // Merges have a layer in two places.
        let twice = view(&[below.clone(), above.clone(), below.clone()]);
        assert_eq!(twice, format!("{}file z\n", strip(&list(&below))));
        let place = store.snapshots().allocate(&lease).unwrap();
        let rubbish = store.snapshots().allocate(&lease).unwrap();
        let active = snapshotter.prepare(place, &[]).unwrap();
        {
            let _mounted = MountGuard::new(active.mount(), MountFlags::NONE, &at).unwrap();
            std::fs::write(at.join("x"), "new").unwrap();
        }
        let committed = snapshotter.commit(active, rubbish.path()).unwrap();
        assert_eq!(strip(&list(&committed.directory())), "file x \"new\"\n");
    }
    // All of them were dropped, and nothing is left.
    assert_eq!(
        std::fs::read_dir(dir.path().join("store/snapshots"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn privileged_drafts() {
    let dir = scratch();
    let store = Store::open(&dir.path().join("store")).unwrap();
    let lease = store.lease(now()).unwrap();
    let below = tree(dir.path(), "below", "dir d 0711 @5");
    let place = store.snapshots().allocate(&lease).unwrap();
    let draft = Draft::new(place, &[below], Marks::Trusted).unwrap();
    let new = Mkdir {
        path: "/d/e".into(),
        ..Mkdir::default()
    };
    draft.upper().mkdir(&new).unwrap();
    let committed = draft.commit();
    assert_eq!(
        strip(&list(&committed.directory())),
        "dir d 0711\ndir d/e\n"
    );
    let layer = committed
        .publish(&store, &NewLayer::default(), Synced::No)
        .unwrap();
    assert!(
        layer_directory(&store.snapshots().path(layer))
            .join("d/e")
            .is_dir()
    );
}
