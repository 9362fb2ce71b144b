//! Digests of trees, beside those that BuildKit wrote into caches of the same files.

use std::collections::HashMap;
use std::convert::Infallible;

use super::*;
use crate::output_key;

/// Files of some content, all of root's.
struct Tree {
    files: Files,
    contents: HashMap<String, String>,
}

impl Contents for Tree {
    type Error = Infallible;

    fn feed(&self, path: &str, hasher: &mut oci::Hasher) -> Result<(), Infallible> {
        hasher.update(self.contents[path].as_bytes());
        Ok(())
    }

    /// Enough of patterns for these tests: an ending, or a name.
    fn matches(&self, patterns: &[String], path: &str) -> Result<bool, Infallible> {
        let parts = |pattern: &str| {
            let is_it = |end: usize| {
                let part = &path[..end];
                match pattern.strip_prefix('*') {
                    Some(ending) => !part.contains('/') && part.ends_with(ending),
                    None => part == pattern,
                }
            };
            let ends = path.match_indices('/').map(|(end, _)| end);
            ends.chain([path.len()]).any(is_it)
        };
        Ok(patterns.iter().any(|pattern| parts(pattern)))
    }
}

fn tree() -> Tree {
    let mut tree = Tree {
        files: Files::new(None),
        contents: HashMap::new(),
    };
    let mut add = |path: &str, kind: FileKind, mode, content: &str| {
        tree.contents.insert(path.to_owned(), content.to_owned());
        let meta = Meta {
            kind,
            mode,
            uid: 0,
            gid: 0,
            size: content.len() as u64,
            device: (0, 0),
            attributes: Vec::new(),
        };
        tree.files.add(path, meta);
    };
    for path in ["/dir", "/dir/sub", "/dir/sub.txt", "/dir-x"] {
        add(path, FileKind::Directory, 0o755, "");
    }
    for (path, content) in [
        ("/one", "1"),
        ("/dir/a.txt", "a"),
        ("/dir/b.txt", "b"),
        ("/dir/sub/deep", "deep"),
        ("/dir/sub.txt/file", "n"),
        ("/dir-x/file", "x"),
    ] {
        add(path, FileKind::Regular, 0o644, content);
    }
    let link = |target: &str| FileKind::Symlink(target.to_owned());
    add("/link", link("dir/a.txt"), 0o777, "");
    add("/dir/inner", link("a.txt"), 0o777, "");
    tree
}

/// The beginnings of the records that stand for what the selectors name.
fn records(selectors: &[Selector]) -> String {
    let tree = tree();
    match digests(&tree.files, selectors, &tree) {
        Ok(digests) => {
            let short = |digest: &Digest| output_key(digest, -1).hex()[..12].to_owned();
            digests.iter().map(short).collect::<Vec<_>>().join(" ")
        }
        Err(error) => error.to_string(),
    }
}

fn plain(path: &str) -> Selector {
    Selector {
        path: path.to_owned(),
        follow_links: true,
        ..Selector::default()
    }
}

fn pattern(path: &str) -> Selector {
    Selector {
        wildcard: true,
        ..plain(path)
    }
}

fn without(path: &str, exclude: &str) -> Selector {
    Selector {
        exclude: vec![exclude.to_owned()],
        ..plain(path)
    }
}

/// Where two are expected, the second is what the engine of version 28 wrote.
#[test]
fn as_buildkit_has_them() {
    for (selectors, expected) in [
        (vec![plain("/one")], "b650625eb330"),
        (vec![plain("/link")], "e333d6722317"),
        (vec![plain("/dir")], "17af06e6fccd"),
        (vec![pattern("/dir/[ab].txt")], "cc4a2c93d23c 7ad014e492eb"),
        (vec![pattern("/dir/s*.txt")], "a812b884b7c1 b4568cb03392"),
        (vec![pattern("/dir/a*.txt")], "35b9ba7e1e3a 7444ec7983a4"),
        (vec![pattern("/lin*")], "aff6347663ff 3fa281b7121d"),
        (vec![pattern("/dir/in*")], "02e27067528b a46eb094f81c"),
        (vec![pattern("/*/sub")], "80857b5169ae 98e89ee61a27"),
        (vec![without("/dir", "*.txt")], "31fbee1c6263 d191310ab667"),
        (vec![without("/dir", "sub")], "42f119970d78 f177daa69b33"),
        (
            vec![pattern("/dir/*.txt"), plain("/dir/sub")],
            "f736b6b41ed4 ac6a206c0a5b",
        ),
        (vec![plain("/none")], "\"/none\" is not there"),
        (vec![pattern("/none*")], "b58f6cd83b69"),
    ] {
        assert_eq!(records(&selectors), expected, "{selectors:?}");
    }
}
