//! Layers that are hostile: tricks with names, links, marks and attributes, and bombs. What comes of
//! each is written down; nothing beside the layer's directory changes.

use std::os::unix::fs::MetadataExt;

use snapshot::Limits;
use snapshot::apply::{self, Below, Options};

use super::raw::{Block, Raw};
use crate::fixture::{list, scratch, text, tree};

/// Applies a layer beside a file that it must not reach; the tree, or why not.
fn apply(archive: &[u8], limits: Limits, below: Below<'_>) -> Result<String, String> {
    let dir = scratch();
    let layer = tree(dir.path(), "layer", "");
    let host = dir.path().join("host");
    std::fs::write(&host, "host").unwrap();
    let before = host.metadata().unwrap();
    let options = Options {
        below,
        limits,
        ..Options::default()
    };
    let applied = apply::tar(archive, &layer, &options);
    let after = host.metadata().unwrap();
    assert_eq!(std::fs::read_to_string(&host).unwrap(), "host");
    assert_eq!(
        (after.nlink(), after.mode(), after.ctime_nsec()),
        (before.nlink(), before.mode(), before.ctime_nsec())
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    applied
        .map(|_| list(&layer))
        .map_err(|error| error.to_string())
}

#[track_caller]
fn becomes(name: &str, raw: Raw, expected: &str) {
    let found = apply(&raw.end(), Limits::default(), Below::Unknown);
    assert_eq!(found, Ok(text(expected)), "{name}");
}

#[track_caller]
fn refused(name: &str, raw: Raw, expected: &str) {
    let found = apply(&raw.end(), Limits::default(), Below::Unknown);
    assert_eq!(found, Err(expected.to_owned()), "{name}");
}

fn file(name: &str) -> Block {
    Block::new(name)
}

fn dir(name: &str) -> Block {
    Block::new(name).flag(b'5').field(100, b"0000755\0")
}

fn symlink(name: &str, target: &str) -> Block {
    Block::new(name)
        .flag(b'2')
        .link(target)
        .field(100, b"0000777\0")
}

fn hard(name: &str, target: &str) -> Block {
    Block::new(name).flag(b'1').link(target)
}

fn raw(blocks: impl IntoIterator<Item = Block>) -> Raw {
    blocks.into_iter().fold(Raw::new(), Raw::block)
}

#[test]
fn privileged_paths_that_lead_out() {
    becomes("an absolute name", raw([file("/host")]), "file host");
    becomes("dots before", raw([file("../host")]), "file host");
    becomes("dots within", raw([file("a/../../host")]), "file host");
    becomes(
        "dots in a record",
        Raw::new().pax(&[("path", "../../host")]).block(file("f")),
        "file host",
    );
    becomes(
        "a prefix of dots",
        raw([file("host").field(345, b"../..")]),
        "file host",
    );
    becomes(
        "a long name of dots",
        Raw::new().special(b'L', b"../../host\0").block(file("f")),
        "file host",
    );
    becomes("many slashes", raw([file("////..////host")]), "file host");
    becomes("the top itself", raw([dir("."), dir("/"), dir("..")]), "");
    becomes(
        "a name of backslashes",
        raw([file("..\\..\\host")]),
        "file ..\\..\\host",
    );
}

#[test]
fn privileged_links_that_lead_out() {
    becomes(
        "a link to the root",
        raw([symlink("l", "/"), file("l/host")]),
        "file host\nsymlink l -> /",
    );
    becomes(
        "a link up",
        raw([symlink("l", "../.."), file("l/host")]),
        "file host\nsymlink l -> ../..",
    );
    becomes(
        "a link of links",
        raw([
            symlink("a", "b"),
            symlink("b", "c"),
            symlink("c", ".."),
            file("a/host"),
        ]),
        "symlink a -> b\nsymlink b -> c\nsymlink c -> ..\nfile host",
    );
    becomes(
        "a link to the root of a process",
        raw([symlink("l", "/proc/self/root"), file("l/host")]),
        "symlink l -> /proc/self/root\ndir proc\ndir proc/self\ndir proc/self/root\nfile proc/self/root/host",
    );
    becomes(
        "a directory that becomes a link",
        raw([dir("d"), file("d/x"), symlink("d", "/"), file("d/host")]),
        "symlink d -> /\nfile host",
    );
    becomes(
        "a file over a link",
        raw([symlink("l", "../host"), file("l")]),
        "file l",
    );
    becomes(
        "a directory over a link",
        raw([symlink("l", ".."), dir("l"), file("l/host")]),
        "dir l\nfile l/host",
    );
    becomes(
        "times of a link",
        raw([symlink("l", "../host").field(136, b"00000000007\0")]),
        "symlink l -> ../host @7",
    );
    refused(
        "a link to itself",
        raw([symlink("l", "l"), file("l/x")]),
        "resolve l",
    );
    let endless = (0..300).map(|n| symlink(&format!("l{n}"), &format!("l{}", n + 1)));
    refused(
        "three hundred links",
        raw(endless.chain([file("l0/x")])),
        "resolve l0",
    );
}

#[test]
fn privileged_hard_links() {
    let nothing = |raw: Raw| apply(&raw.end(), Limits::default(), Below::Nothing);
    let gone = |name: &str, target: &str| Err(format!("hard link {name}: there is no {target}"));
    assert_eq!(
        nothing(raw([hard("h", "/host")])),
        gone("h", "host"),
        "out of the root"
    );
    assert_eq!(
        nothing(raw([hard("h", "../host")])),
        gone("h", "host"),
        "up"
    );
    assert_eq!(
        nothing(raw([symlink("l", ".."), hard("h", "l/host")])),
        gone("h", "l/host"),
        "through a link"
    );
    assert_eq!(
        nothing(raw([dir("d"), hard("h", "d")])),
        gone("h", "d"),
        "to a directory"
    );
    assert_eq!(nothing(raw([hard("h", "h")])), gone("h", "h"), "to itself");
    assert_eq!(
        nothing(raw([hard("h", "f"), file("f")])),
        gone("h", "f"),
        "to a later member"
    );
    becomes(
        "a link to a link is no way through it",
        raw([symlink("s", "../host"), hard("h", "s")])
            .block(file("h").size(3))
            .data(b"new"),
        "file h \"new\"\nsymlink s -> ../host",
    );
    becomes(
        "what is written over one name is not under the other",
        raw([file("a"), hard("b", "a")])
            .block(file("b").size(3))
            .data(b"new"),
        "file a\nfile b \"new\"",
    );
    becomes(
        "a whiteout of a name leaves the other",
        raw([file("a"), hard("b", "a"), file(".wh.c")]),
        "file a\nhard b = a\nwhiteout c",
    );
}

#[test]
fn privileged_marks() {
    becomes(
        "an opaque mark that is a directory",
        raw([dir("d"), dir("d/.wh..wh..opq")]),
        "dir d\nopaque d",
    );
    becomes(
        "a whiteout with content",
        Raw::new().block(file(".wh.a").size(3)).data(b"abc"),
        "whiteout a",
    );
    becomes(
        "a whiteout that is a link",
        raw([symlink(".wh.a", "/host")]),
        "whiteout a",
    );
    becomes(
        "the mark of a device",
        raw([file("w").flag(b'3')]),
        "whiteout w",
    );
    becomes(
        "what AUFS kept",
        raw([file(".wh..wh.plnk"), dir(".wh..wh.aufs")]),
        "",
    );
    refused(
        "a whiteout of nothing",
        raw([file("d/.wh.")]),
        "invalid whiteout d/.wh.",
    );
    refused(
        "a whiteout of the directory",
        raw([file(".wh..")]),
        "invalid whiteout .wh..",
    );
    refused(
        "a whiteout of the one above",
        raw([file("d/.wh...")]),
        "invalid whiteout d/.wh...",
    );
    refused(
        "a whiteout with a slash",
        raw([file(".wh.a/b")]),
        "invalid whiteout .wh.a",
    );
    refused(
        "an opaque mark with a slash",
        raw([file(".wh..wh..opq/b")]),
        "invalid whiteout .wh..wh..opq",
    );
    refused(
        "a whiteout far above",
        raw([file("d/.wh.a/b/c/d")]),
        "invalid whiteout d/.wh.a",
    );
}

#[test]
fn privileged_attributes() {
    let with = |key: &str, value: &str, block: Block| {
        Raw::new()
            .pax(&[(&format!("SCHILY.xattr.{key}"), value)])
            .block(block)
    };
    for key in [
        "trusted.overlay.opaque",
        "trusted.overlay.redirect",
        "trusted.overlay.metacopy",
        "trusted.overlay.whiteout",
        "user.overlay.opaque",
        "user.overlay.whiteout",
        "user.overlay.overlay.opaque",
        "security.selinux",
        "security.ima",
        "system.nfs4_acl",
        "unknown.namespace",
    ] {
        becomes(key, with(key, "y", dir("d")), "dir d");
        becomes(key, with(key, "y", file("f")), "file f");
    }
    becomes(
        "an attribute of a user on a link",
        with("user.a", "1", symlink("l", "/")),
        "symlink l -> /",
    );
    refused(
        "rights that are none",
        with("security.capability", "x", file("f")),
        "setxattr f",
    );
    refused(
        "a list of access that is none",
        with("system.posix_acl_access", "x", file("f")),
        "setxattr f",
    );
    refused(
        "a name of nothing",
        with("user.", "x", file("f")),
        "setxattr f",
    );
    refused(
        "a long name",
        with(&format!("user.{}", "n".repeat(300)), "x", file("f")),
        "setxattr f",
    );
    refused(
        "a long value",
        with("user.a", &"x".repeat(70_000), file("f")),
        "setxattr f",
    );
}

#[test]
fn privileged_names() {
    becomes(
        "names in two cases",
        raw([file("Makefile"), file("makefile")]),
        "file Makefile\nfile makefile",
    );
    becomes(
        "one name composed in two ways",
        raw([file("\u{e9}"), file("e\u{301}")]),
        "file e\u{301}\nfile \u{e9}",
    );
    becomes(
        "a dot that is none",
        raw([file("\u{2024}\u{2024}/host")]),
        "dir \u{2024}\u{2024}\nfile \u{2024}\u{2024}/host",
    );
    becomes(
        "a slash that is none",
        raw([file("..\u{2215}host")]),
        "file ..\u{2215}host",
    );
    becomes(
        "letters that turn around",
        raw([file("a\u{202e}txt.exe")]),
        "file a\u{202e}txt.exe",
    );
    becomes("a name with a NUL", raw([file("a\0b")]), "file a");
    refused(
        "a record with a NUL",
        Raw::new().pax(&[("path", "a\0b")]).block(file("f")),
        "invalid tar extended header: a NUL byte, or a record without a key",
    );
    refused(
        "a link with a NUL",
        Raw::new()
            .pax(&[("linkpath", "a\0b")])
            .block(symlink("f", "x")),
        "invalid tar extended header: a NUL byte, or a record without a key",
    );
    let link = |length: usize| {
        Raw::new()
            .pax(&[("linkpath", &"a".repeat(length))])
            .block(symlink("f", "x"))
    };
    refused("a link longer than any path", link(5000), "symlink f");
    refused(
        "a component longer than any name",
        Raw::new()
            .pax(&[("path", &"a".repeat(300))])
            .block(file("f")),
        &format!("stat {}", "a".repeat(300)),
    );
}

#[test]
fn privileged_bombs() {
    let limits = Limits {
        entries: 10,
        size: 1000,
        names: 200,
        depth: 8,
        ..Limits::default()
    };
    #[track_caller]
    fn ends(name: &str, raw: Raw, limits: Limits, expected: &str) {
        let found = apply(&raw.end(), limits, Below::Unknown);
        let expected = format!("archive has too many {expected} are accepted");
        assert_eq!(found, Err(expected), "{name}");
    }
    let files = |count: usize| raw((0..count).map(|n| file(&format!("f{n}"))));
    assert!(apply(&files(10).end(), limits, Below::Unknown).is_ok());
    ends("many members", files(11), limits, "entries: at most 10");
    let same = raw(std::iter::repeat_n(file("f"), 11));
    ends("one member many times", same, limits, "entries: at most 10");
    let implied = raw((0..4).map(|n| file(&format!("{n}/a/b/c"))));
    ends(
        "directories that are only implied",
        implied,
        limits,
        "entries: at most 10",
    );
    let deep = raw([file(&"d/".repeat(9))]);
    ends(
        "directories within each other",
        deep,
        limits,
        "components in one name: at most 8",
    );
    let long = raw((0..5).map(|n| dir(&format!("{n}{}", "n".repeat(60)))));
    ends(
        "long names of directories",
        long,
        limits,
        "bytes in the names of directories and links: at most 200",
    );
    let links = raw((0..2).map(|n| hard(&format!("{n}{}", "n".repeat(60)), &"t".repeat(60))));
    ends(
        "long names of links",
        links,
        limits,
        "bytes in the names of directories and links: at most 200",
    );
    let large = Raw::new().block(file("f").size(1001)).data(&[0; 1001]);
    ends("a large file", large, limits, "bytes: at most 1000");
    let promise = Raw::new()
        .pax(&[("size", "9223372036854775807")])
        .block(file("f"));
    ends(
        "a file that is only promised",
        promise,
        Limits::default(),
        "bytes: at most 1099511627776",
    );
    let sizes = [("size", "1099511627776")];
    let sum = Raw::new().pax(&sizes).block(file("a")).block(file("b"));
    refused("two of them", sum, "tar archive ends early");
    let version = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.realsize", "9223372036854775807"),
    ];
    let mut map = b"0\n".to_vec();
    map.resize(512, 0);
    let hole = Raw::new()
        .pax(&version)
        .block(file("f").size(512))
        .data(&map);
    ends(
        "a hole",
        hole,
        Limits::default(),
        "bytes: at most 1099511627776",
    );
    let behind = files(1).data(&[0; 1024]).data(&[7; 2000]);
    ends(
        "what follows the end",
        behind,
        limits,
        "bytes: at most 1000",
    );
}

/// Decompressors that are told to take gigabytes.
#[test]
fn windows() {
    use snapshot::archive::{Compression, START};
    use std::io::Read as _;
    // A stream header, and a block header with a dictionary of 4 GiB.
    let xz = [
        0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x01, 0x69, 0x22, 0xde, 0x36, 0x02, 0x00, 0x21,
        0x01, 0x28, 0x00, 0x00, 0x00, 0xe6, 0xa0, 0x11, 0xb3,
    ];
    // A frame header with a window of 2 GiB.
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
    for (name, archive) in [("xz", &xz[..]), ("zstd", &zstd)] {
        let compression = Compression::of(&archive[..archive.len().min(START)]);
        let mut tar = compression.decode(archive, &Limits::default()).unwrap();
        let error = tar.read(&mut [0; 10]).unwrap_err().to_string();
        assert!(error.contains("mem"), "{name}: {error}");
    }
}
