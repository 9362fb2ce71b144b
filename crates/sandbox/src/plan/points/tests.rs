//! Mount points come and go without a trace.

use super::*;
use std::os::unix::fs::{MetadataExt, symlink};

fn mtimes(dir: &Path) -> Vec<(i64, i64)> {
    let of = |path: &Path| {
        path.metadata()
            .map(|m| (m.mtime(), m.mtime_nsec()))
            .unwrap()
    };
    vec![of(dir), of(&dir.join("etc"))]
}

fn scratch() -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("etc")).unwrap();
    std::fs::write(dir.path().join("etc/hosts"), "x").unwrap();
    symlink("../run/a/resolv.conf", dir.path().join("etc/resolv.conf")).unwrap();
    let root = Root::open(dir.path()).unwrap();
    (dir, root)
}

fn make_all(root: &Root) -> MountPoints {
    let mut points = MountPoints::default();
    for (path, is_dir) in [
        ("proc", true),
        ("etc/hosts", false),
        ("etc/resolv.conf", false),
        ("etc/new", false),
    ] {
        points.make(root, Path::new(path), is_dir, true).unwrap();
    }
    points.finish().unwrap();
    points
}

#[test]
fn nothing_is_left() {
    let (dir, root) = scratch();
    let before = mtimes(dir.path());
    let mut points = make_all(&root);
    for path in ["proc", "run/a/resolv.conf", "etc/new", "etc/resolv.conf"] {
        assert!(dir.path().join(path).exists(), "{path}");
    }
    points.remove().unwrap();
    for path in ["proc", "run", "etc/new"] {
        assert!(!dir.path().join(path).exists(), "{path}");
    }
    assert_eq!(
        std::fs::read_to_string(dir.path().join("etc/hosts")).unwrap(),
        "x"
    );
    assert_eq!(mtimes(dir.path()), before);
}

#[test]
fn what_was_put_there_stays() {
    let (dir, root) = scratch();
    let before = mtimes(dir.path());
    let mut points = make_all(&root);
    std::fs::write(dir.path().join("etc/new"), "used").unwrap();
    std::fs::write(dir.path().join("run/mine"), "").unwrap();
    std::fs::remove_dir(dir.path().join("proc")).unwrap();
    let changed = mtimes(dir.path());
    points.remove().unwrap();
    for path in ["etc/new", "run/mine"] {
        assert!(dir.path().join(path).exists(), "{path}");
    }
    assert!(!dir.path().join("run/a").exists());
    // The root changed by the process's hand, `etc` by ours alone.
    assert_eq!(mtimes(dir.path()), [changed[0], before[1]]);
}

#[test]
fn what_cannot_be_is_refused() {
    let (dir, root) = scratch();
    symlink("loop", dir.path().join("loop")).unwrap();
    for path in ["etc/hosts/x", "loop", "loop/x"] {
        let made = MountPoints::default().make(&root, Path::new(path), true, true);
        assert!(made.is_err(), "{path}");
    }
}
