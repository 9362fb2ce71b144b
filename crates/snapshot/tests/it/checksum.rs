//! What checksums depend on, and what not.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;

use snapshot::checksum::{self, Checksum, Listing, Options, Selection, StatCache};
use snapshot::{Marks, Selector, Tree};
use store::{FileStat, StoreError};

use crate::fixture::{scratch, tree};

#[derive(Debug, Default)]
struct Memory(Mutex<HashMap<FileStat, [u8; 32]>>);

impl StatCache for Memory {
    fn get(&self, files: &[FileStat]) -> Result<Vec<Option<[u8; 32]>>, StoreError> {
        let known = self.0.lock().unwrap();
        Ok(files.iter().map(|file| known.get(file).copied()).collect())
    }

    fn put(&self, files: &[(FileStat, [u8; 32])]) -> Result<(), StoreError> {
        self.0.lock().unwrap().extend(files.iter().copied());
        Ok(())
    }
}

fn selection(path: &str) -> Selection {
    Selection {
        selector: Selector {
            path: path.into(),
            wildcard: true,
            follow_links: true,
            ..Selector::default()
        },
        directory_contents: true,
    }
}

fn of(spec: &str, path: &str) -> Checksum {
    let dir = scratch();
    let tree = tree(dir.path(), "tree", spec);
    let tree = Tree::directory(&tree).unwrap();
    let outcome = checksum::checksum(&tree, &[selection(path)], &Options::default());
    outcome.unwrap().checksum
}

const BASE: &str = "dir d\nfile d/f \"x\"\nsymlink d/l -> f\nfifo d/p\nfile other";

#[test]
fn privileged_what_counts() {
    let base = of(BASE, "d");
    let changed = |from: &str, to: &str| {
        let spec = BASE.replace(from, to);
        assert_ne!(spec, BASE);
        of(&spec, "d") != base
    };
    for (from, to) in [
        ("\"x\"", "\"y\""),
        ("\"x\"", "0600 \"x\""),
        ("\"x\"", "1:0 \"x\""),
        ("\"x\"", "0:1 \"x\""),
        ("\"x\"", "user.a=b \"x\""),
        ("-> f", "-> g"),
        ("-> f", "-> f 1:1"),
        ("d/f", "d/g"),
        ("fifo d/p", "char d/p 1,3"),
        ("fifo d/p", "fifo d/p\ndir d/e"),
        ("fifo d/p", "fifo d/p\nhard d/h = d/f"),
        ("file d/f", "file d/f.a\nfile d/f"),
    ] {
        assert!(changed(from, to), "{from} → {to}");
    }
    for (from, to) in [
        ("\"x\"", "@5 \"x\""),
        ("-> f", "-> f @5"),
        ("dir d\n", "dir d 0700 1:1\n"),
        ("file other", "file different"),
        ("fifo d/p", "fifo d/p\nsocket d/s"),
        ("file other", "hard other = d/f"),
    ] {
        assert!(!changed(from, to), "{from} → {to}");
    }
    let mut whole = selection("d");
    whole.directory_contents = false;
    let of_whole = |spec: &str| {
        let dir = scratch();
        let tree = Tree::directory(&tree(dir.path(), "tree", spec)).unwrap();
        let outcome = checksum::checksum(&tree, &[whole.clone()], &Options::default());
        outcome.unwrap().checksum
    };
    assert_ne!(
        of_whole(BASE),
        of_whole(&BASE.replace("dir d\n", "dir d 0700\n"))
    );
}

#[test]
fn privileged_names_of_patterns() {
    assert_ne!(of("file a1 \"x\"", "a*"), of("file a2 \"x\"", "a*"));
    assert_eq!(of("file a1 \"x\"", "a1"), of("file a2 \"x\"", "a2"));
    assert_eq!(of("file a", "z*"), of("file b", "z*"));
}

#[test]
fn privileged_same_on_any_way() {
    let dir = scratch();
    let mut spec = String::new();
    for n in 0..20 {
        spec += &format!("dir d{n}\n");
        for m in 0..150 {
            spec += &format!("file d{n}/f{m} \"{}\"\n", "y".repeat(n * m));
        }
    }
    let path = tree(dir.path(), "tree", &spec);
    std::fs::write(path.join("big"), vec![3; 300_000]).unwrap();
    let plain = Tree::directory(&path).unwrap();
    let layers = Tree::layers(&[path], Marks::Trusted).unwrap();
    let cache = Memory::default();
    let mut seen = Vec::new();
    for tree in [&plain, &layers] {
        for threads in [0, 1, 4] {
            for cached in [false, true, true] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1));
                let pool = pool.build().unwrap();
                let options = Options {
                    cache: cached.then_some(&cache as &dyn StatCache),
                    pool: (threads > 0).then_some(&pool),
                };
                let outcome = checksum::checksum(tree, &[selection("/")], &options).unwrap();
                assert_eq!(outcome.files, 3001);
                seen.push((outcome.checksum, outcome.hashed));
            }
        }
    }
    assert!(seen.iter().all(|(checksum, _)| *checksum == seen[0].0));
    let hashed: Vec<u64> = seen.iter().map(|(_, hashed)| *hashed).collect();
    assert_eq!(hashed[..6], [3001, 3001, 0, 3001, 0, 0]);
}

#[test]
fn privileged_changes_meanwhile() {
    let dir = scratch();
    let path = tree(dir.path(), "tree", "dir d\nfile d/f \"x\"\nfile g");
    let tree = Tree::directory(&path).unwrap();
    let selections = [selection("/")];
    let covered = || {
        let outcome = checksum::checksum(&tree, &selections, &Options::default());
        outcome.unwrap().covered
    };
    let verified = |covered: &checksum::Covered| {
        let verified = covered.verify(&tree, &selections, None);
        verified.map_err(|error| error.to_string())
    };
    let before = covered();
    assert_eq!(verified(&before), Ok(()));
    std::fs::write(path.join("d/f"), "yy").unwrap();
    let changed = |path: &str| Err(format!("{path} changed during the build"));
    assert_eq!(verified(&before), changed("d/f"));
    let before = covered();
    std::fs::write(path.join("d/new"), "").unwrap();
    assert_eq!(verified(&before), changed("d"));
    let before = covered();
    std::fs::remove_file(path.join("g")).unwrap();
    assert!(verified(&before).is_err());
}

#[test]
fn privileged_what_changed_is_told_by_name() {
    let listing = |spec: &str| {
        let dir = scratch();
        let tree = Tree::directory(&tree(dir.path(), "tree", spec)).unwrap();
        let outcome = checksum::checksum(&tree, &[selection("/")], &Options::default());
        outcome.unwrap().covered.listing()
    };
    let before =
        listing("dir d\nfile d/f \"x\"\nfile gone\nsymlink l -> f\nfile m 0644\nfile o\nfile k");
    let after = listing(
        "dir d\nfile d/f \"y\"\nfile new\nsymlink l -> g\nfile m 0755\nfile o 0644 1:1\nfifo k",
    );
    let told: Vec<String> = after
        .changes(&before)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        told.join("\n"),
        "d/f has other content\ngone is gone\nk is a file of another kind\nl has other content\n\
         m has mode 0755, not 0644\nnew is new\no has owner 1:1, not 0:0"
    );
    assert_eq!(after.changes(&after), []);
    assert_eq!(Listing::from_bytes(&after.to_bytes()), Some(after));
    assert_eq!(Listing::from_bytes(b"no listing"), None);
}

#[test]
fn privileged_missing() {
    let dir = scratch();
    let tree = Tree::directory(&tree(dir.path(), "tree", "file a")).unwrap();
    let error = checksum::checksum(&tree, &[selection("nope")], &Options::default());
    assert_eq!(error.unwrap_err().to_string(), "\"/nope\": not found");
    let stack = Tree::layers(&[PathBuf::from("/nonexistent")], Marks::Trusted);
    assert_eq!(stack.unwrap_err().to_string(), "open /nonexistent");
}
