//! What a client tells of its files, and what becomes of the copy.

use super::*;

fn file(path: &str, kind: ClientFileKind) -> ClientFile {
    ClientFile {
        path: path.into(),
        kind,
        mode: 0o644,
        modified: 1_000_000_001,
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
