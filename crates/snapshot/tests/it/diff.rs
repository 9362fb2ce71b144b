//! Layer directories to layer tars.

use std::ffi::OsStr;
use std::path::PathBuf;

use snapshot::diff::{self, HashingWriter, Options};
use snapshot::{Marks, Tree};

use crate::fixture::{list_tar, scratch, text, tree};

fn check(layer: &str, options: &Options<'_>, expected: &str) -> Vec<u8> {
    let dir = scratch();
    let layer = tree(dir.path(), "layer", layer);
    let archive = diff::tar(&layer, Marks::Trusted, options, Vec::new()).unwrap();
    assert_eq!(list_tar(&archive), text(expected));
    archive
}

#[test]
fn privileged_kinds_and_order() {
    check(
        r#"
        dir b 0750 1:2 @5.999999999
        file b/z 4755 1000:1000 @7.5 user.x=1 "hello"
        file b-c "sorted by component"
        symlink a -> ../b @9
        file b/a
        char null 0666 1,3
        block disk 0660 0:6 8,1
        fifo pipe 0600
        socket gone.sock
        "#,
        &Options::default(),
        r#"
        symlink a -> ../b @9
        dir b/ 0750 1:2 @5
        file b/a
        file b/z 4755 1000:1000 @7 user.x=1 "hello"
        file b-c "sorted by component"
        block disk 8,1 0660 0:6
        char null 1,3 0666
        fifo pipe 0600
        "#,
    );
}

#[test]
fn privileged_changes() {
    check(
        r"
        dir etc
        whiteout etc/gone
        dir opaque
        opaque opaque
        file opaque/new
        whiteout top
        ",
        &Options::default(),
        r"
        dir etc/
        file etc/.wh.gone 0000
        dir opaque/
        file opaque/.wh..wh..opq 0000
        file opaque/new
        file .wh.top 0000
        ",
    );
}

#[test]
fn privileged_hard_links() {
    check(
        r#"
        dir d
        file d/first 0600 "x"
        hard a = d/first
        hard e = d/first
        symlink s -> a
        hard t = s
        "#,
        &Options::default(),
        r#"
        file a 0600 "x"
        dir d/
        hard d/first = a
        hard e = a
        symlink s -> a
        hard t = s
        "#,
    );
}

#[test]
fn privileged_clamped_times() {
    let options = Options {
        clamp_mtime: Some(100),
        pool: None,
    };
    check(
        "file old @-5\nfile new @100.5\nfile newer @101",
        &options,
        "file new @100\nfile newer @100\nfile old @-5",
    );
}

#[test]
fn privileged_reserved_names() {
    let dir = scratch();
    let layer = tree(dir.path(), "layer", "dir a\nfile a/.wh.x");
    let error = diff::tar(&layer, Marks::Trusted, &Options::default(), Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot put a/.wh.x into a layer: names that begin with .wh. mark removed files there"
    );
}

#[test]
fn privileged_same_bytes_with_a_pool() {
    let dir = scratch();
    let mut spec = String::new();
    for n in 0..40 {
        spec += &format!("dir d{n}\n");
        for m in 0..40 {
            spec += &format!("file d{n}/f{m} \"{}\"\n", "x".repeat(n * m));
        }
    }
    let layer = tree(dir.path(), "layer", &spec);
    std::fs::write(layer.join("big"), vec![7; 3 << 20]).unwrap();
    let make = |threads: Option<usize>| {
        let pool = threads.map(|threads| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
        });
        let options = Options {
            clamp_mtime: Some(0),
            pool: pool.as_ref(),
        };
        let output = HashingWriter::new(std::io::sink());
        let output = diff::tar(&layer, Marks::Trusted, &options, output).unwrap();
        output.finish().0
    };
    let alone = make(None);
    assert_eq!(make(Some(1)), alone);
    assert_eq!(make(Some(4)), alone);
}

#[test]
fn privileged_whole_file_systems() {
    let dir = scratch();
    let below = tree(
        dir.path(),
        "below",
        "dir d 0700\nfile d/a \"1\"\nfile d/b \"2\"\nfile e",
    );
    let above = tree(
        dir.path(),
        "above",
        "dir d\nwhiteout d/a\nfile d/c \"3\"\nsymlink l -> d",
    );
    let stack = Tree::layers(&[below, above], Marks::Trusted).unwrap();
    let check = |path: &str, name: Option<&str>, expected: &str| {
        let part = diff::Part {
            path: path.into(),
            name: name.map(Into::into),
        };
        let archive = diff::export(&stack, &part, &Options::default(), Vec::new()).unwrap();
        assert_eq!(list_tar(&archive), text(expected), "{path}");
    };
    check(
        "/",
        None,
        "dir d/\nfile d/b \"2\"\nfile d/c \"3\"\nfile e\nsymlink l -> d",
    );
    check("/d", Some("x"), "dir x/\nfile x/b \"2\"\nfile x/c \"3\"");
    check("/d", None, "file b \"2\"\nfile c \"3\"");
    check("/l", Some("l"), "symlink l -> d");
    check("d/b", Some("y"), "file y \"2\"");
}

#[test]
fn file_systems_beside_each_other() {
    let dir = scratch();
    let one = tree(dir.path(), "one", "file a \"1\"\nhard b = a");
    let other = tree(dir.path(), "other", "file c \"2\"");
    let stack = |layers: &[PathBuf]| Tree::layers(layers, Marks::Trusted).unwrap();
    let (below, both) = (stack(std::slice::from_ref(&one)), stack(&[one, other]));
    let whole = |tree, directory: Option<&'static str>| diff::Whole {
        tree,
        directory: directory.map(OsStr::new),
        clamp_mtime: None,
        beside: &[],
    };
    let all = [whole(&below, Some("x")), whole(&both, Some("y"))];
    let archive = diff::export_all(&all, None, Vec::new()).unwrap();
    // No link leads from one to the other.
    let expected = "dir x/\nfile x/a \"1\"\nhard x/b = x/a\n\
                    dir y/\nfile y/a \"1\"\nhard y/b = y/a\nfile y/c \"2\"";
    assert_eq!(list_tar(&archive), text(expected));
    let beside = [("s".to_owned(), b"3".to_vec())];
    let with = |directory| diff::Whole {
        beside: &beside,
        ..whole(&below, directory)
    };
    let archive = diff::export_all(&[with(Some("x")), with(None)], None, Vec::new()).unwrap();
    let expected = "dir x/\nfile x/a \"1\"\nhard x/b = x/a\nfile x/s 0600 \"3\"\n\
                    file a \"1\"\nhard b = a\nfile s 0600 \"3\"";
    assert_eq!(list_tar(&archive), text(expected));
    let alone = diff::export_all(&[whole(&both, None)], None, Vec::new()).unwrap();
    let part = diff::Part {
        path: "/".into(),
        name: None,
    };
    let same = diff::export(&both, &part, &Options::default(), Vec::new()).unwrap();
    assert_eq!(alone, same);
}
