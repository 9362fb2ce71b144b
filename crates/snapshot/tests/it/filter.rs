//! What a filter leaves out of a tree.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use snapshot::{Dir, Filter, Found, Kind, Tree, Verdict};

use crate::fixture::{scratch, tree};

/// Keeps files whose name ends in `.rs`, what is in `src`, and the directories on the way; counts
/// how often it is asked.
#[derive(Debug, Clone, Default)]
struct Sources(Arc<AtomicUsize>);

impl Filter for Sources {
    fn verdict(&self, name: &OsStr, is_dir: bool) -> Verdict {
        self.0.fetch_add(1, Ordering::Relaxed);
        let name = name.to_str().unwrap();
        match (is_dir, name == "src" || name.ends_with(".rs")) {
            (_, true) => Verdict::Keep,
            (true, false) => Verdict::Visit,
            (false, false) => Verdict::Drop,
        }
    }

    fn enter(&self, name: &OsStr) -> Option<Arc<dyn Filter>> {
        (name != "src").then(|| {
            let same: Arc<dyn Filter> = Arc::new(self.clone());
            same
        })
    }
}

const TREE: &str = r"
    dir a
    dir a/b
    dir a/b/c
    dir a/b/c/d
    file a/b/c/d/x.rs
    file a/b/c/d/y
    dir a/b/none
    dir a/b/none/none
    file a/b/none/none/y
    dir a/src
    dir a/src/empty
    file a/src/y
    dir empty
    symlink link -> a
    file z.rs
";

fn paths(dir: &Dir) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in dir.entries().unwrap() {
        let path = dir.path().join(&entry.name);
        paths.push(path.to_str().unwrap().to_owned());
        if entry.kind == Kind::Directory {
            paths.extend(self::paths(&dir.enter(&entry).unwrap()));
        }
    }
    paths
}

#[test]
fn directories_are_there_only_for_what_is_kept() {
    let dir = scratch();
    let filter = Sources::default();
    let tree = Tree::directory(&tree(dir.path(), "tree", TREE))
        .unwrap()
        .with_filter(Arc::new(filter.clone()));
    let expected = "a a/b a/b/c a/b/c/d a/b/c/d/x.rs a/src a/src/empty a/src/y z.rs";
    assert_eq!(paths(tree.root()).join(" "), expected);
    // 15 files, of which 2 are beneath what is kept whole: each is asked about once, however deep.
    assert_eq!(filter.0.load(Ordering::Relaxed), 13);
}

#[test]
fn look_ups_find_only_what_is_kept() {
    let dir = scratch();
    let tree = Tree::directory(&tree(dir.path(), "tree", TREE))
        .unwrap()
        .with_filter(Arc::new(Sources::default()));
    for (path, is_there) in [
        ("a", true),
        ("a/b/c/d/x.rs", true),
        ("a/b/c/d/y", false),
        ("a/b/none", false),
        ("a/b/none/none/y", false),
        ("a/src/empty", true),
        ("a/src/y", true),
        ("empty", false),
        ("link", false),
        ("z.rs", true),
    ] {
        let found = tree.lookup(Path::new(path), true).unwrap().found;
        let missing = matches!(found, Found::Missing(_));
        assert_eq!(!missing, is_there, "{path}");
    }
}
