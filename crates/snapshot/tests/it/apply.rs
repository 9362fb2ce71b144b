//! Layer tars to layer directories.

use std::path::PathBuf;

use snapshot::apply::{self, Applied, Below, Options};
use snapshot::tar::{EntryKind, Header, Writer};
use snapshot::{Marks, Time};

use crate::fixture::{list, scratch, text, tree};

/// An archive of empty members: `dir a`, `file a`, `symlink a -> b`, `hard a = b`, `char a`.
fn archive(members: &str) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for line in members
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let words: Vec<&str> = line.split(' ').collect();
        let target = || PathBuf::from(words[3]);
        let device = sys::node::Device::default();
        let kind = match words[0] {
            "dir" => EntryKind::Directory,
            "file" => EntryKind::File,
            "symlink" => EntryKind::Symlink(target()),
            "hard" => EntryKind::Link(target()),
            "char" => EntryKind::Character(device),
            "fifo" => EntryKind::Fifo,
            kind => panic!("unknown kind {kind}"),
        };
        let mode = match kind {
            EntryKind::Directory => 0o755,
            EntryKind::Symlink(_) => 0o777,
            _ => 0o644,
        };
        writer
            .entry(&Header {
                path: words[1].into(),
                kind,
                mode,
                uid: 0,
                gid: 0,
                size: 0,
                modified: Time::default(),
                xattrs: Vec::new(),
            })
            .unwrap();
    }
    writer.finish().unwrap()
}

/// Applies `members` and compares the layer directory; what it lacks is returned.
fn check(below: Below<'_>, members: &str, expected: &str) -> Applied {
    let dir = scratch();
    let layer = tree(dir.path(), "layer", "");
    let options = Options {
        below,
        hash: true,
        ..Options::default()
    };
    let applied = apply::tar(&*archive(members), &layer, &options).unwrap();
    assert_eq!(list(&layer), text(expected), "{members}");
    applied
}

fn fails(below: Below<'_>, members: &str, expected: &str) {
    let dir = scratch();
    let layer = tree(dir.path(), "layer", "");
    let options = Options {
        below,
        ..Options::default()
    };
    let error = apply::tar(&*archive(members), &layer, &options).unwrap_err();
    assert_eq!(error.to_string(), expected, "{members}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn privileged_names_stay_inside() {
    let same = |members: &str, expected: &str| drop(check(Below::Nothing, members, expected));
    same("dir ./\ndir ./a/\nfile ./a/b", "dir a\nfile a/b");
    same("file /etc/passwd", "dir etc\nfile etc/passwd");
    same("file ../../up", "file up");
    same("file a/../../../b", "file b");
    same("file a//b/./c", "dir a\ndir a/b\nfile a/b/c");
    same("symlink out -> /\nfile out/x", "symlink out -> /\nfile x");
    same(
        "symlink out -> ../../..\nfile out/x",
        "symlink out -> ../../..\nfile x",
    );
    same(
        "dir real\nsymlink link -> real\nfile link/x",
        "symlink link -> real\ndir real\nfile real/x",
    );
    same(
        "symlink l -> /new/dir\nfile l/x",
        "symlink l -> /new/dir\ndir new\ndir new/dir\nfile new/dir/x",
    );
    same("symlink a -> /etc\nfile a", "file a");
    same("symlink a -> /etc\ndir a\nfile a/b", "dir a\nfile a/b");
    same("dir a\nfile a/b\nfile a", "file a");
    same("dir a\nfile a/b\ndir a", "dir a\nfile a/b");
    same(
        "file a\nhard b = a\nhard c = ../../b",
        "file a\nhard b = a\nhard c = a",
    );
    same("symlink s -> x\nhard h = s", "symlink h -> x\nhard s = h");
}

#[test]
fn privileged_hostile_names() {
    let fails = |members: &str, expected: &str| fails(Below::Nothing, members, expected);
    fails("file a\nfile a/b", "a: not a directory");
    fails("symlink a -> b\nsymlink b -> a\nfile a/c", "resolve a");
    fails("file f\nsymlink a -> f\nfile a/c", "a: not a directory");
    fails("hard a = nope", "hard link a: there is no nope");
    fails("dir d\nhard a = d", "hard link a: there is no d");
    fails("hard a = ..", "hard link a: there is no ..");
    fails("hard a = a", "hard link a: there is no a");
    fails("file d/.wh.", "invalid whiteout d/.wh.");
    fails("file .wh..", "invalid whiteout .wh..");
    fails("file .wh...", "invalid whiteout .wh...");
    fails(
        &format!("file {}", "a/".repeat(600) + "x"),
        "archive has too many components in one name: at most 512 are accepted",
    );
    fails(
        &format!("file {}", "a".repeat(5000)),
        "archive has too many bytes in one name: at most 4096 are accepted",
    );
}

#[test]
fn privileged_whiteouts() {
    let changes = |members: &str, expected: &str| drop(check(Below::Unknown, members, expected));
    changes("file .wh.a", "whiteout a");
    changes(
        "dir d\nfile d/.wh..wh..opq\nfile d/x",
        "dir d\nopaque d\nfile d/x",
    );
    changes(
        "dir d\nfile d/x\nfile d/.wh..wh..opq",
        "dir d\nopaque d\nfile d/x",
    );
    // A whiteout hides what is below, never what is in the same layer.
    changes("file .wh.a\nfile a", "file a");
    changes("file a\nfile .wh.a", "file a");
    changes("file .wh.a\ndir a\nfile a/b", "dir a\nopaque a\nfile a/b");
    changes("dir a\nfile a/b\nfile .wh.a", "dir a\nopaque a\nfile a/b");
    changes("file .wh.a\nfile a/b", "dir a\nopaque a\nfile a/b");
    changes("char a", "whiteout a");
    changes("file .wh..wh.plnk\nfile .wh..wh.aufs", "");
    drop(check(
        Below::Nothing,
        "dir d\nfile d/.wh..wh..opq\nfile .wh.a\nchar b",
        "dir d",
    ));
}

#[test]
fn privileged_layers_that_lack_something() {
    let applied = check(
        Below::Unknown,
        "file a/b/c\nhard d/l = x/y\nhard d/m = d/l\ndir a",
        "dir a\ndir a/b\nfile a/b/c\ndir d",
    );
    let missing = applied.missing;
    assert_eq!(missing.directories, [PathBuf::from("a/b"), "d".into()]);
    assert_eq!(
        missing.links,
        [
            ("d/l".into(), "x/y".into()),
            (PathBuf::from("d/m"), "d/l".into())
        ]
    );

    let dir = scratch();
    let below = tree(
        dir.path(),
        "below",
        "dir a\ndir a/b 0700 1:2 @7 user.k=v\ndir x\nfile x/y 0600 3:4 @9 \"below\"",
    );
    check(
        Below::Layers(&[below]),
        "file a/b/c\nhard d/l = x/y\nhard d/m = d/l\ndir a",
        r#"
        dir a
        dir a/b 0700 1:2 @7 user.k=v
        file a/b/c
        dir d
        file d/l 0600 3:4 @9 "below"
        file d/m 0600 3:4 @9 "below"
        "#,
    );
    fails(
        Below::Layers(&[]),
        "hard a = nope",
        "hard link a: there is no nope",
    );
}

#[test]
fn privileged_metadata() {
    let dir = scratch();
    let spec = text(
        r#"
        dir d 2750 1:2 @5
        file d/f 6755 1000:1000 @7 user.x=1 "hello"
        symlink d/s -> ../nowhere 5:6 @9
        file empty 0000
        fifo pipe 0600 1:1
        "#,
    );
    let source = tree(dir.path(), "source", &spec);
    let archive = snapshot::diff::tar(&source, Marks::Trusted, &Default::default(), Vec::new());
    let layer = tree(dir.path(), "layer", "");
    let options = Options {
        hash: true,
        sync: true,
        ..Options::default()
    };
    let archive = archive.unwrap();
    let applied = apply::tar(&*archive, &layer, &options).unwrap();
    assert_eq!(list(&layer), list(&source));
    let hashed = applied.hashed.unwrap();
    assert_eq!(hashed.diff_id.0, oci::Digest::of(&archive));
    assert_eq!((hashed.size, applied.entries), (archive.len() as u64, 5));
    assert!(applied.missing.is_empty());
}
