//! `COPY` and `ADD`: trees before, the layer after.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use snapshot::checksum::{self, Selection};
use snapshot::copy::{self, Copied, Copy, CopyOwner, Earlier, Options};
use snapshot::{Filter, Marks, Selector, Tree, Upper, Verdict};

use crate::fixture::{list, run, scratch, text, tree};

/// Drops files whose name ends in one of these.
#[derive(Debug)]
struct Suffixes(&'static [&'static str]);

impl Filter for Suffixes {
    fn verdict(&self, name: &OsStr, _: bool) -> Verdict {
        let name = name.to_str().unwrap();
        if self.0.iter().any(|suffix| name.ends_with(suffix)) {
            Verdict::Drop
        } else {
            Verdict::Keep
        }
    }

    fn enter(&self, _: &OsStr) -> Option<Arc<dyn Filter>> {
        Some(Arc::new(Self(self.0)))
    }
}

/// As the Dockerfile has it: directories stand for their content, links are followed.
fn dockerfile(source: &str, destination: &str) -> Copy {
    Copy {
        source: Selector {
            path: source.into(),
            wildcard: true,
            follow_links: true,
            ..Selector::default()
        },
        destination: destination.into(),
        directory_contents: true,
        allow_empty_wildcard: true,
        create_destination: true,
        created: Some(snapshot::Time::from_seconds(77)),
        ..Copy::default()
    }
}

struct Case<'a> {
    context: &'a str,
    below: &'a str,
    copy: Copy,
}

impl Case<'_> {
    fn run(&self) -> (tempfile::TempDir, PathBuf, Result<Copied, copy::CopyError>) {
        let dir = scratch();
        let context = tree(dir.path(), "context", self.context);
        let below = tree(dir.path(), "below", self.below);
        let layer = tree(dir.path(), "layer", "");
        let upper = Upper::open(&layer, &[below], Marks::Trusted).unwrap();
        let from = Tree::directory(&context).unwrap();
        let done = copy::copy(&from, &upper, &self.copy, &Options::default());
        (dir, layer, done)
    }
}

fn check(context: &str, below: &str, copy: Copy, expected: &str) {
    let (_dir, layer, done) = Case {
        context,
        below,
        copy,
    }
    .run();
    done.unwrap();
    assert_eq!(list(&layer), text(expected));
}

fn fails(context: &str, below: &str, copy: Copy, expected: &str) {
    let (_dir, _, done) = Case {
        context,
        below,
        copy,
    }
    .run();
    assert_eq!(done.unwrap_err().to_string(), expected);
}

#[test]
fn privileged_files_and_directories() {
    let context = r#"
        file f 4640 1:2 @5.6 user.a=b "f"
        dir d 0700 @3
        file d/x @4 "x"
        symlink d/l -> x @9
        dir d/e 0711 3:4 @8
        fifo d/e/p
        symlink tod -> d
        symlink tof -> f
    "#;
    let check = |source: &str, destination: &str, expected: &str| {
        check(context, "", dockerfile(source, destination), expected);
    };
    let file = r#"4640 1:2 @5.6 user.a=b "f""#;
    check("f", "/g", &format!("file g {file}"));
    check("/f", "g/", &format!("dir g @77\nfile g/f {file}"));
    check(
        "f",
        "/a/b/g",
        &format!("dir a @77\ndir a/b @77\nfile a/b/g {file}"),
    );
    check("tof", "/g", &format!("file g {file}"));
    check("tof", "/", &format!("file tof {file}"));
    check("./d/../f", "/g", &format!("file g {file}"));
    let content =
        "dir n @3\ndir n/e 0711 3:4 @8\nfifo n/e/p\nsymlink n/l -> x @9\nfile n/x @4 \"x\"";
    check("d", "/n", content);
    check("d/", "/n/", content);
    check("tod", "/n", content);
    check(
        "d/*",
        "/n/",
        "dir n @8\nfile n/l @4 \"x\"\nfifo n/p\nfile n/x @4 \"x\"",
    );
}

#[test]
fn privileged_onto_what_is_there() {
    let context = "file f \"new\"\ndir d 0700 @3\nfile d/f \"new\"\ndir d/s 0711 @4\nfile d/s/n";
    let below = r#"
        dir etc 0700 1:2 @50 user.k=v
        dir etc/sub 0750 @51
        file etc/sub/old "old"
        file etc/f "old"
        symlink link -> etc/sub
        symlink dangling -> etc/later
        file file "old"
    "#;
    let check = |source: &str, destination: &str, expected: &str| {
        check(context, below, dockerfile(source, destination), expected);
    };
    let etc = "dir etc 0700 1:2 @50 user.k=v";
    let sub = "dir etc/sub 0750 @51";
    check("f", "/etc/f", &format!("{etc}\nfile etc/f \"new\""));
    check("f", "/etc", &format!("{etc}\nfile etc/f \"new\""));
    check(
        "f",
        "/etc/sub/",
        &format!("{etc}\n{sub}\nfile etc/sub/f \"new\""),
    );
    check(
        "f",
        "/link/",
        &format!("{etc}\n{sub}\nfile etc/sub/f \"new\""),
    );
    check(
        "f",
        "/link",
        &format!("{etc}\n{sub}\nfile etc/sub/f \"new\""),
    );
    check("f", "/link/../x", "file x \"new\"");
    check("f", "/dangling", &format!("{etc}\nfile etc/later \"new\""));
    check("f", "/file", "file file \"new\"");
    check(
        "d",
        "/etc",
        "dir etc 0700 1:2 @3 user.k=v\nfile etc/f \"new\"\ndir etc/s 0711 @4\nfile etc/s/n",
    );
    check(
        "d/s",
        "/etc/sub/",
        &format!("{etc}\ndir etc/sub 0750 @4\nfile etc/sub/n"),
    );
    let mut whole = dockerfile("d", "/etc/");
    whole.directory_contents = false;
    crate::copy::check(
        context,
        below,
        whole,
        &format!(
            "{etc}\ndir etc/d 0700 @3\nfile etc/d/f \"new\"\ndir etc/d/s 0711 @4\nfile etc/d/s/n"
        ),
    );
}

#[test]
fn privileged_conflicts() {
    let context = "file f\ndir d\nfile d/x\ndir e\ndir e/x";
    let below = "dir x\nfile file";
    let fails = |source: &str, destination: &str, expected: &str| {
        fails(context, below, dockerfile(source, destination), expected);
    };
    fails("nope", "/", "\"/nope\": not found");
    fails("f/x", "/", "\"/f/x\": not found");
    fails("d/../../nope", "/", "\"/nope\": not found");
    fails("d", "/file", "cannot copy to non-directory: /file");
    fails("f", "/file/", "cannot copy to non-directory: /file");
    fails("f", "/file/x", "cannot copy to non-directory: /file");
    fails("d", "/", "cannot replace to directory x with file");
    let mut strict = dockerfile("f", "/a/b");
    strict.create_destination = false;
    crate::copy::fails(
        context,
        below,
        strict,
        "failed to stat /a/b: no such directory",
    );
    let mut strict = dockerfile("*.txt", "/a/b");
    strict.allow_empty_wildcard = false;
    crate::copy::fails(context, below, strict, "\"/*.txt\": not found");
    check(context, below, dockerfile("*.txt", "/a/b"), "");
}

#[test]
fn privileged_options() {
    let context = r#"
        dir d 0700 5:5
        file d/a.md 0600 "a"
        file d/b.rs 0755 1:1 "b"
        symlink d/s -> a.md 2:2
        file top.md
        file top.rs
    "#;
    let with = |change: &dyn Fn(&mut Copy)| {
        let mut copy = dockerfile("d", "/n/m");
        change(&mut copy);
        copy
    };
    let fixed = with(&|copy| copy.owner = CopyOwner::Fixed(7, 8));
    check(
        context,
        "",
        fixed,
        r#"
        dir n 7:8 @77
        dir n/m 7:8
        file n/m/a.md 0600 7:8 "a"
        file n/m/b.rs 0755 7:8 "b"
        symlink n/m/s -> a.md 7:8
        "#,
    );
    check(
        context,
        "",
        with(&|copy| copy.mode = Some("0711".parse().unwrap())),
        r#"
        dir n 0711 @77
        dir n/m 0711
        file n/m/a.md 0711 "a"
        file n/m/b.rs 0711 1:1 "b"
        symlink n/m/s -> a.md 2:2
        "#,
    );
    check(
        context,
        "",
        with(&|copy| copy.mode = Some("go=rX".parse().unwrap())),
        r#"
        dir n @77
        dir n/m
        file n/m/a.md "a"
        file n/m/b.rs 0755 1:1 "b"
        symlink n/m/s -> a.md 2:2
        "#,
    );
    let exclude: Arc<dyn Filter> = Arc::new(Suffixes(&[".md"]));
    check(
        context,
        "",
        with(&|copy| copy.source.exclude = Some(Arc::clone(&exclude))),
        "dir n @77\ndir n/m\nfile n/m/b.rs 0755 1:1 \"b\"\nsymlink n/m/s -> a.md 2:2",
    );
    let mut wild = dockerfile("top.*", "/");
    wild.source.exclude = Some(exclude);
    check(context, "", wild, "file top.rs");
}

#[test]
fn privileged_only_what_is_included_and_with_a_time() {
    let context = r#"
        dir a 0711 1:1 @5
        dir a/b @6
        file a/b/c.md "c"
        file a/b/c.rs
        dir a/empty
        file x.md "x"
    "#;
    let copied = |patterns: &[&str], time: Option<i64>| {
        let mut copy = dockerfile("/", "/out/");
        let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
        let include = snapshot::Include::new(&patterns);
        copy.source.include = include.map(|include| -> Arc<dyn Filter> { Arc::new(include) });
        copy.modified = time.map(snapshot::Time::from_seconds);
        copy
    };
    check(
        context,
        "",
        copied(&["**/*.md"], None),
        "dir out\ndir out/a 0711 1:1 @5\ndir out/a/b @6\nfile out/a/b/c.md \"c\"\nfile out/x.md \"x\"",
    );
    check(
        context,
        "",
        copied(&["x.md", "a/empty"], Some(9)),
        "dir out @9\ndir out/a 0711 1:1 @9\ndir out/a/empty @9\nfile out/x.md @9 \"x\"",
    );
    check(context, "", copied(&["a/z", "y"], None), "dir out");
    let mut latest = copied(&["**/*.md", "a"], None);
    latest.latest = Some(snapshot::Time::from_seconds(5));
    check(
        context,
        "",
        latest,
        "dir out\ndir out/a 0711 1:1 @5\ndir out/a/b @5\nfile out/a/b/c.md \"c\"\nfile out/a/b/c.rs\ndir out/a/empty\nfile out/x.md \"x\"",
    );
}

#[test]
fn privileged_parents() {
    let context = r"
        dir a 0711 1:1 @5
        dir a/b 0700 @6
        dir a/b/c
        file a/b/c/foo
        file a/b/bar
        dir a/b2
        dir a/b2/c
        file a/b2/c/baz
        file x
    ";
    let parents = |source: &str| {
        let mut copy = dockerfile(source, "/out/");
        copy.source.parents = true;
        copy
    };
    let check = |source: &str, expected: &str| check(context, "", parents(source), expected);
    check(
        "a/b/bar",
        "dir out @0\ndir out/a 0711 1:1 @5\ndir out/a/b 0700 @6\nfile out/a/b/bar"
            .replace(" @0", "")
            .as_str(),
    );
    check("/a/b/./c", "dir out @6\ndir out/c\nfile out/c/foo");
    check(
        "a/./b/./c",
        "dir out @5\ndir out/b 0700 @6\ndir out/b/c\nfile out/b/c/foo",
    );
    check(
        "./a/b*/./c",
        "dir out\ndir out/c\nfile out/c/baz\nfile out/c/foo",
    );
    check(
        "a/./**/ba?",
        r"
        dir out @5
        dir out/b 0700 @6
        file out/b/bar
        dir out/b2
        dir out/b2/c
        file out/b2/c/baz
        ",
    );
    check("a/nope*", "dir out");
    fails(context, "", parents("a/nope"), "\"/a/nope\": not found");
    fails(context, "", parents("a/./nope"), "\"/a/nope\": not found");
}

#[test]
fn privileged_hard_links_and_parallel_copies() {
    let dir = scratch();
    let mut spec = String::from("file one \"1\"\n");
    for n in 0..30 {
        spec += &format!("dir d{n}\n");
        for m in 0..30 {
            spec += &format!("file d{n}/f{m} @{m} \"{n}\"\n");
        }
        spec += &format!("hard d{n}/one = one\n");
    }
    let context = tree(dir.path(), "context", &spec);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build();
    let pool = pool.unwrap();
    let options = Options {
        share: false,
        pool: Some(&pool),
        earlier: None,
        limits: snapshot::Limits::default(),
    };
    let layer = tree(dir.path(), "layer", "");
    let upper = Upper::open(&layer, &[], Marks::Trusted).unwrap();
    let from = Tree::directory(&context).unwrap();
    let copied = copy::copy(&from, &upper, &dockerfile(".", "/"), &options).unwrap();
    assert_eq!(list(&layer), list(&context));
    assert_eq!((copied.files, copied.linked), (931, 0));
}

#[test]
fn privileged_shared_inodes() {
    let dir = scratch();
    let source = tree(
        dir.path(),
        "source",
        "dir d\nfile d/a 0640 1:2 @5 user.a=b \"a\"\nsymlink d/l -> a 3:3 @6\nfile d/b \"b\"",
    );
    let base = tree(dir.path(), "base", "file base");
    let copied = |layers: &[PathBuf], stack: &[PathBuf], copy: &Copy, name: &str| {
        let layer = tree(dir.path(), name, "");
        let upper = Upper::open(&layer, stack, Marks::Trusted).unwrap();
        let from = Tree::layers(layers, Marks::Trusted).unwrap();
        let options = Options {
            share: true,
            pool: None,
            earlier: None,
            limits: snapshot::Limits::default(),
        };
        let copied = copy::copy(&from, &upper, copy, &options).unwrap();
        let expected = list(&source)
            .replace(" d/", " n/")
            .replace("dir d", "dir n");
        if copy.owner == CopyOwner::Source && copy.mode.is_none() {
            assert_eq!(list(&layer), expected);
        }
        copied
    };
    let plain = dockerfile("d", "/n");
    let other = [source.clone()];
    assert_eq!(copied(&other, &[base], &plain, "shared").linked, 3);
    assert_eq!(copied(&other, &other, &plain, "own stack").linked, 0);
    let mut owned = plain.clone();
    owned.owner = CopyOwner::Fixed(0, 0);
    assert_eq!(copied(&other, &[], &owned, "owned").linked, 1);
    let mut moded = plain;
    moded.mode = Some("0644".parse().unwrap());
    assert_eq!(copied(&other, &[], &moded, "moded").linked, 2);
    // Nothing is ever written through a shared inode.
    let text = dir.path().join("context");
    std::fs::create_dir(&text).unwrap();
    std::fs::write(text.join("a"), "other").unwrap();
    let shared = dir.path().join("shared");
    let upper = Upper::open(&shared, &[], Marks::Trusted).unwrap();
    let from = Tree::directory(&text).unwrap();
    copy::copy(&from, &upper, &dockerfile("a", "/n/a"), &Options::default()).unwrap();
    assert_eq!(std::fs::read(source.join("d/a")).unwrap(), b"a");
    assert_eq!(std::fs::read(shared.join("n/a")).unwrap(), b"other");
}

#[test]
fn privileged_inodes_of_an_earlier_copy() {
    let dir = scratch();
    let before = "dir d\nfile d/same @5 \"s\"\nfile d/touched @5 \"t\"\nfile d/other @5 \"o\"\n\
                  file one @5 \"1\"\nhard two = one\nfile mode @5 \"m\"\nfile gone @5";
    let after = "dir d\nfile d/same @5 \"s\"\nfile d/touched @6 \"t\"\nfile d/other @5 \"p\"\n\
                 file one @5 \"1\"\nfile two @5 \"1\"\nfile mode 0600 @5 \"m\"\nfile new @5";
    let source = |name: &str, spec: &str| Tree::directory(&tree(dir.path(), name, spec)).unwrap();
    let (before, after) = (source("before", before), source("after", after));
    let listing = |tree: &Tree| {
        let all = Selection {
            selector: Selector {
                path: "/".into(),
                ..Selector::default()
            },
            directory_contents: true,
        };
        let outcome = checksum::checksum(tree, &[all], &checksum::Options::default());
        outcome.unwrap().covered.listing()
    };
    let copy = dockerfile(".", "/n");
    let copied = |from: &Tree, name: &str, earlier: Option<&Earlier>| {
        let layer = tree(dir.path(), name, "");
        let upper = Upper::open(&layer, &[], Marks::Trusted).unwrap();
        let options = Options {
            share: true,
            pool: None,
            earlier,
            limits: snapshot::Limits::default(),
        };
        let copied = copy::copy(from, &upper, &copy, &options).unwrap();
        (layer, copied.linked)
    };
    let (earlier, _) = copied(&before, "earlier", None);
    let changes = listing(&after).changes(&listing(&before));
    let earlier = Earlier::new(earlier, changes).unwrap();
    let (fresh, linked) = copied(&after, "fresh", None);
    assert_eq!(linked, 0);
    // `same`, and one of the two that were one file.
    let (shared, linked) = copied(&after, "shared", Some(&earlier));
    assert_eq!(linked, 2);
    assert_eq!(list(&shared), list(&fresh));
}

#[test]
fn privileged_archives() {
    let dir = scratch();
    let inner = tree(
        dir.path(),
        "inner",
        r#"
        dir sub 0700 1:2 @5
        file sub/f 3:4 @6 "f"
        hard sub/g = sub/f
        symlink link -> sub @7
        file .wh.name
        "#,
    );
    let context = dir.path().join("context");
    std::fs::create_dir(&context).unwrap();
    let inner = inner.to_str().unwrap();
    let plain = run("tar", &["-C", inner, "-c", "."], b"");
    let programs = [
        ("a.tar", "cat"),
        ("a.tar.gz", "gzip"),
        ("a.tar.bz2", "bzip2"),
        ("a.tar.xz", "xz"),
        ("a.tar.zst", "zstd"),
    ];
    for (name, program) in programs {
        std::fs::write(context.join(name), run(program, &[], &plain)).unwrap();
    }
    std::fs::write(context.join("no.gz"), run("gzip", &[], b"no archive")).unwrap();
    let below = tree(
        dir.path(),
        "below",
        "dir to 0711 @50\nfile to/sub\nfile to/link",
    );
    let from = Tree::directory(&context).unwrap();
    let unpack = |name: &str, owner: CopyOwner, layer: &str| {
        let layer = tree(dir.path(), layer, "");
        let upper = Upper::open(&layer, std::slice::from_ref(&below), Marks::Trusted).unwrap();
        let mut copy = dockerfile(name, "/to");
        copy.unpack = true;
        copy.owner = owner;
        copy::copy(&from, &upper, &copy, &Options::default()).unwrap();
        list(&layer)
    };
    let expected = text(
        r#"
        dir to 0711 @50
        file to/.wh.name
        symlink to/link -> sub @7
        dir to/sub 0700 1:2 @5
        file to/sub/f 3:4 @6 "f"
        hard to/sub/g = to/sub/f
        "#,
    );
    for (name, _) in programs {
        assert_eq!(
            unpack(name, CopyOwner::Source, &format!("l-{name}")),
            expected,
            "{name}"
        );
    }
    let owned = unpack("a.tar", CopyOwner::Fixed(9, 9), "owned");
    let expected = expected
        .replace(" 1:2", " 9:9")
        .replace(" 3:4", " 9:9")
        .replace(".wh.name", ".wh.name 9:9")
        .replace("-> sub", "-> sub 9:9");
    assert_eq!(owned, expected);
    assert!(unpack("no.gz", CopyOwner::Source, "no").contains("file to/no.gz"));
}

#[test]
fn privileged_inodes_do_not_join_files_of_several_copies() {
    let dir = scratch();
    let one = tree(dir.path(), "one", "file f \"x\"\nhard g = f");
    let copied = |name: &str, layers: &[PathBuf], copies: &[(&str, &str)]| {
        let layer = tree(dir.path(), name, "");
        let upper = Upper::open(&layer, &[], Marks::Trusted).unwrap();
        for (source, destination) in copies {
            let from = Tree::layers(layers, Marks::Trusted).unwrap();
            let options = Options {
                share: true,
                ..Options::default()
            };
            copy::copy(&from, &upper, &dockerfile(source, destination), &options).unwrap();
        }
        layer
    };
    let layers = std::slice::from_ref(&one);
    // Names of one file in one copy stay that.
    assert!(list(&copied("together", layers, &[(".", "/")])).contains("hard g = f"));
    let apart = copied("apart", layers, &[("f", "/a"), ("f", "/b"), ("g", "/c")]);
    assert!(!list(&apart).contains("hard"), "{}", list(&apart));
    // Layers that have the inode from elsewhere.
    let below = copied("below", layers, &[("f", "/a")]);
    let above = copied("above", layers, &[("f", "/b")]);
    let merged = copied("merged", &[below, above], &[(".", "/")]);
    assert!(!list(&merged).contains("hard"), "{}", list(&merged));
}
