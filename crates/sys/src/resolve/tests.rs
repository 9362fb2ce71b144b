//! Hostile trees against both ways of resolving, which must agree.

use super::*;
use std::os::unix::fs::symlink;

/// A tree with links that try to leave it; `outside` is beside the root.
fn tree() -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    for path in ["root/etc/deep", "root/usr/bin", "outside"] {
        std::fs::create_dir_all(dir.path().join(path)).unwrap();
    }
    std::fs::write(dir.path().join("outside/passwd"), "outside").unwrap();
    std::fs::write(root.join("etc/passwd"), "inside").unwrap();
    for (target, link) in [
        ("/etc", "absolute"),
        ("../../../../etc", "usr/up"),
        ("../outside", "escape"),
        ("loop", "loop"),
        ("/usr/bin", "bin"),
        ("missing", "dangling"),
        ("/proc/self", "self"),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
    let root = Root::open(&root).unwrap();
    (dir, root)
}

fn both(root: &Root, path: &str, flags: OFlags) -> String {
    let path = Path::new(path);
    let read = |result: Result<OwnedFd, Errno>| match result {
        Ok(fd) => {
            let mut text = String::new();
            match io::Read::read_to_string(&mut std::fs::File::from(fd), &mut text) {
                Ok(_) => text,
                Err(error) => format!("{:?}", error.kind()),
            }
        }
        Err(errno) => format!("{:?}", io::Error::from(errno).kind()),
    };
    let kernel = read(root.open_errno(path, flags, Mode::empty()));
    let walked = read(walk::open(
        root.as_fd(),
        path,
        flags | OFlags::CLOEXEC,
        Mode::empty(),
    ));
    assert_eq!(kernel, walked, "{}", path.display());
    kernel
}

#[test]
fn links_stay_inside() {
    let (_dir, root) = tree();
    for (path, expected) in [
        ("/etc/passwd", "inside"),
        ("etc/passwd", "inside"),
        ("../../etc/passwd", "inside"),
        ("absolute/passwd", "inside"),
        ("usr/up/passwd", "inside"),
        ("absolute/../etc/./deep/../passwd", "inside"),
        ("usr/up/../../outside/passwd", "NotFound"),
        ("escape/passwd", "NotFound"),
        ("loop", "FilesystemLoop"),
        ("dangling", "NotFound"),
        ("etc/passwd/", "NotADirectory"),
        ("etc", "IsADirectory"),
        ("", "IsADirectory"),
        ("/", "IsADirectory"),
    ] {
        assert_eq!(both(&root, path, OFlags::RDONLY), expected, "{path}");
    }
    assert_eq!(
        both(&root, "absolute", OFlags::RDONLY | OFlags::NOFOLLOW),
        "FilesystemLoop"
    );
}

#[test]
fn parents_and_links_are_not_followed_at_the_end() {
    let (_dir, root) = tree();
    let parent = root.open_parent(Path::new("/bin/../bin/new")).unwrap();
    assert_eq!(parent.name, "new");
    mkdirat(&parent.dir, &parent.name, Mode::RWXU).unwrap();
    assert!(root.metadata(Path::new("usr/bin/new")).is_ok());
    assert_eq!(
        root.open_parent(Path::new("absolute")).unwrap().name,
        "absolute"
    );
    for path in ["/", "", "..", "etc/.."] {
        assert!(root.open_parent(Path::new(path)).is_err(), "{path}");
    }
    assert_eq!(
        root.read_link(Path::new("escape")).unwrap(),
        Path::new("../outside")
    );
}

#[test]
fn directories_are_made_once_with_their_mode() {
    let (_dir, root) = tree();
    let mode = Mode::from_raw_mode(0o777);
    let made = root
        .create_dir_all(Path::new("/absolute/a/../b/c"), mode)
        .unwrap();
    let names: Vec<_> = made
        .created
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    assert_eq!(
        names,
        ["absolute/a", "absolute/a/../b", "absolute/a/../b/c"]
    );
    assert_eq!(
        root.metadata(Path::new("etc/b/c")).unwrap().st_mode & 0o7777,
        0o777
    );
    assert!(
        root.create_dir_all(Path::new("etc/b/c"), mode)
            .unwrap()
            .created
            .is_empty()
    );
    for path in ["etc/passwd/x", "dangling/x", "loop/x"] {
        assert!(
            root.create_dir_all(Path::new(path), mode).is_err(),
            "{path}"
        );
    }
}
