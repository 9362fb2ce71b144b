//! Changes without a process.

use snapshot::{EditError, Marks, Mkdir, Mkfile, NewDirectory, Remove, Symlink, Time, Upper};

use crate::fixture::{list, scratch, text, tree};

fn check(edit: impl Fn(&Upper) -> Result<(), EditError>, expected: Result<&str, &str>) {
    let dir = scratch();
    let below = tree(
        dir.path(),
        "below",
        r#"
        dir d 0700 1:1 @5
        file d/f "old"
        dir d/e @6
        file d/e/g
        symlink l -> d
        symlink out -> /../../x
        "#,
    );
    let layer = tree(dir.path(), "layer", "");
    let upper = Upper::open(&layer, &[below], Marks::Trusted).unwrap();
    let done = edit(&upper).map_err(|error| error.to_string());
    assert_eq!(
        done.map(|()| list(&layer)),
        expected.map(text).map_err(str::to_owned)
    );
}

#[test]
fn privileged_directories() {
    let mkdir = |path: &str, parents: bool| {
        let mkdir = Mkdir {
            path: path.into(),
            new: NewDirectory {
                mode: 0o711,
                uid: 3,
                gid: 4,
                modified: Some(Time::from_seconds(9)),
            },
            parents,
        };
        move |upper: &Upper| upper.mkdir(&mkdir)
    };
    let d = "dir d 0700 1:1 @5";
    check(mkdir("/", true), Ok(""));
    check(mkdir("/d/e", false), Ok(""));
    check(mkdir("/l/e", false), Ok(""));
    check(mkdir("a", false), Ok("dir a 0711 3:4 @9"));
    check(
        mkdir("/l/a", false),
        Ok(&format!("{d}\ndir d/a 0711 3:4 @9")),
    );
    check(mkdir("/a/b", false), Err("\"/a/b\": not found"));
    check(
        mkdir("/a/b", true),
        Ok("dir a 0711 3:4 @9\ndir a/b 0711 3:4 @9"),
    );
    check(
        mkdir("/out/y", true),
        Ok("dir x 0711 3:4 @9\ndir x/y 0711 3:4 @9"),
    );
    check(mkdir("/d/f", true), Err("mkdir /d/f"));
    check(mkdir("/d/f/x", true), Err("mkdir /d/f"));
}

#[test]
fn privileged_files() {
    let mkfile = |path: &str| {
        let mkfile = Mkfile {
            path: path.into(),
            data: b"new".to_vec(),
            mode: 0o600,
            uid: 3,
            gid: 4,
            modified: Some(Time::from_seconds(9)),
        };
        move |upper: &Upper| upper.mkfile(&mkfile)
    };
    let d = "dir d 0700 1:1 @5";
    let new = "0600 3:4 @9 \"new\"";
    check(mkfile("/a"), Ok(&format!("file a {new}")));
    check(mkfile("/d/f"), Ok(&format!("{d}\nfile d/f {new}")));
    check(mkfile("/l/f"), Ok(&format!("{d}\nfile d/f {new}")));
    check(mkfile("/out"), Ok(&format!("file x {new}")));
    check(
        mkfile("/d"),
        Err("cannot replace to directory /d with file"),
    );
    check(mkfile("/a/b"), Err("\"/a/b\": not found"));
}

#[test]
fn privileged_removals() {
    let remove = |path: &str, allow_missing: bool, wildcard: bool| {
        let remove = Remove {
            path: path.into(),
            allow_missing,
            wildcard,
        };
        move |upper: &Upper| upper.remove(&remove)
    };
    let d = "dir d 0700 1:1 @5";
    check(remove("/d", false, false), Ok("whiteout d"));
    check(remove("/l", false, false), Ok("whiteout l"));
    check(
        remove("/l/f", false, false),
        Ok(&format!("{d}\nwhiteout d/f")),
    );
    check(remove("/nope", false, false), Err("\"/nope\": not found"));
    check(remove("/nope", true, false), Ok(""));
    check(remove("/*", false, false), Err("\"/*\": not found"));
    check(
        remove("/d/*", false, true),
        Ok(&format!("{d}\nwhiteout d/e\nwhiteout d/f")),
    );
    check(
        remove("/", false, false),
        Err("cannot remove the root directory"),
    );
}

#[test]
fn privileged_after_one_another() {
    let new = Mkdir {
        path: "/d".into(),
        new: NewDirectory {
            modified: Some(Time::from_seconds(9)),
            ..NewDirectory::default()
        },
        parents: true,
    };
    let gone = Remove {
        path: "/d".into(),
        ..Remove::default()
    };
    check(
        |upper| {
            upper.remove(&gone)?;
            upper.mkdir(&new)
        },
        Ok("dir d @9\nopaque d"),
    );
    check(
        |upper| {
            upper.remove(&gone)?;
            upper.mkdir(&new)?;
            upper.remove(&gone)
        },
        Ok("whiteout d"),
    );
}

#[test]
fn privileged_symbolic_links() {
    let symlink = |path: &str| {
        let link = Symlink {
            path: path.into(),
            target: "/../any where".into(),
            uid: 3,
            gid: 4,
            modified: Some(Time::from_seconds(9)),
        };
        move |upper: &Upper| upper.symlink(&link)
    };
    let new = "-> /../any where 3:4 @9";
    let d = "dir d 0700 1:1 @5";
    check(symlink("/a"), Ok(&format!("symlink a {new}")));
    check(symlink("/l/a"), Ok(&format!("{d}\nsymlink d/a {new}")));
    check(symlink("/d/f"), Err("symlink /d/f"));
    check(symlink("/l"), Err("symlink /l"));
    check(symlink("/d"), Err("symlink /d"));
    check(symlink("/"), Err("symlink /"));
    check(symlink("/a/b"), Err("\"/a/b\": not found"));
    check(symlink("/d/f/x"), Err("cannot copy to non-directory: /d/f"));
}
