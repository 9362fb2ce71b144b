//! What a client tells of its files, and what becomes of the copy.

use super::*;

fn file(path: &str, kind: ClientFileKind) -> ClientFile {
    ClientFile {
        path: path.into(),
        kind,
        mode: 0o644,
        modified: 1_000_000_001,
        attributes: Attributes::new(),
    }
}

/// What is asked for of a directory that has these files, each with its path as content.
fn take(root: &Path, files: &[ClientFile]) -> io::Result<Vec<String>> {
    let mut receiving = Receiving::begin(root);
    let mut asked = Vec::new();
    for file in files {
        if receiving.entry(file)? {
            asked.push(file.path.display().to_string());
            let mut incoming = receiving.open(file)?;
            incoming.write(file.path.as_os_str().as_encoded_bytes())?;
            incoming.end()?;
        }
    }
    receiving.end()?;
    Ok(asked)
}

fn sized(path: &str) -> ClientFile {
    file(path, ClientFileKind::File(path.len() as u64))
}

#[test]
fn only_what_changed_is_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let before = [
        sized("a"),
        file("d", ClientFileKind::Directory),
        sized("d/b"),
        sized("d/c"),
        file("e", ClientFileKind::Link("d/c".into())),
        file("s", ClientFileKind::Symlink("/etc".into())),
    ];
    assert_eq!(take(root.path(), &before).unwrap(), ["a", "d/b", "d/c"]);
    assert_eq!(take(root.path(), &before).unwrap(), [""; 0]);
    let linked = fs::metadata(root.path().join("e")).unwrap();
    assert_eq!(linked.nlink(), 2);

    let after = [
        file("a", ClientFileKind::Directory),
        sized("a/x"),
        file("d", ClientFileKind::Directory),
        ClientFile {
            modified: 7,
            ..sized("d/b")
        },
        sized("s"),
    ];
    assert_eq!(take(root.path(), &after).unwrap(), ["a/x", "d/b", "s"]);
    let mut names: Vec<_> = fs::read_dir(root.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["a", "d", "s"]);
    assert!(!root.path().join("d/c").exists());
    let time = fs::metadata(root.path().join("d")).unwrap().mtime_nsec();
    assert_eq!(time, 1);
}

#[test]
fn nothing_is_written_outside() {
    let outside = tempfile::tempdir().unwrap();
    let root = tempfile::tempdir().unwrap();
    let link = || file("s", ClientFileKind::Symlink(outside.path().to_owned()));
    let hostile: [&[ClientFile]; 10] = [
        &[sized("../a")],
        &[sized("/a")],
        &[sized("a/../b")],
        &[sized("./a")],
        &[sized("a//b")],
        &[sized("")],
        &[link(), sized("s/a")],
        &[link(), file("t", ClientFileKind::Link("s/a".into()))],
        &[file("t", ClientFileKind::Link("../a".into()))],
        &[sized("b"), sized("a")],
    ];
    fs::write(outside.path().join("a"), "outside").unwrap();
    for files in hostile {
        assert!(take(root.path(), files).is_err(), "{files:?}");
    }
    assert_eq!(fs::read(outside.path().join("a")).unwrap(), b"outside");
}

#[test]
fn attributes_and_modes_become_what_is_told() {
    let root = tempfile::tempdir().unwrap();
    let with = |file: ClientFile, value: &str| ClientFile {
        attributes: [
            (b"user.a".to_vec(), value.as_bytes().to_vec()),
            // These are the system's, overlay's, and of what is no attribute at all.
            (b"security.selinux".to_vec(), b"x".to_vec()),
            (b"user.overlay.opaque".to_vec(), b"y".to_vec()),
        ]
        .into(),
        ..file
    };
    let closed = ClientFile {
        mode: 0o500,
        ..file("d", ClientFileKind::Directory)
    };
    let names = |path: &str| sys::xattr::list(&*root.path().join(path)).unwrap();
    let value = |path: &str| {
        let path = root.path().join(path);
        sys::xattr::get(&*path, "user.a".as_ref()).unwrap()
    };
    for (told, asked) in [("one", 2), ("two", 0)] {
        let files = [
            with(sized("a"), told),
            with(closed.clone(), told),
            with(sized("d/b"), told),
        ];
        assert_eq!(take(root.path(), &files).unwrap().len(), asked);
        for path in ["a", "d", "d/b"] {
            assert_eq!(value(path).as_deref(), Some(told.as_bytes()), "{path}");
            assert_eq!(names(path), ["user.a"], "{path}");
        }
        let mode = fs::metadata(root.path().join("d")).unwrap().mode();
        assert_eq!(mode & MODE, 0o500);
    }
    take(root.path(), &[sized("a"), closed, sized("d/b")]).unwrap();
    assert_eq!(value("a"), None);
    assert_eq!(value("d"), None);
}
