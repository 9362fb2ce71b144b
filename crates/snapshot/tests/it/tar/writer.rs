//! The bytes of the writer, and that the reader gives back what was written.

use std::io::{Read, Write};
use std::path::PathBuf;

use proptest::prelude::*;
use snapshot::Time;
use snapshot::tar::{EntryKind, Header, Reader, TarError, Writer, Xattr};
use sys::node::Device;

fn header(path: &str, kind: EntryKind) -> Header {
    Header {
        path: path.into(),
        kind,
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: 0,
        modified: Time::default(),
        xattrs: Vec::new(),
    }
}

fn written(headers: &[(Header, &[u8])]) -> Result<Vec<u8>, TarError> {
    let mut writer = Writer::new(Vec::new());
    for (header, content) in headers {
        writer.entry(header)?;
        writer.write_all(content)?;
    }
    writer.finish()
}

/// The blocks of an archive as text: fields between bars, zeros left out.
fn blocks(archive: &[u8]) -> String {
    let mut text = String::new();
    for block in archive.chunks(512) {
        let fields: Vec<String> = block
            .split(|byte| *byte == 0)
            .filter(|field| !field.is_empty())
            .map(|field| String::from_utf8_lossy(field).replace('\n', "\\n"))
            .collect();
        if !fields.is_empty() {
            text += &(fields.join("|") + "\n");
        }
    }
    text
}

#[test]
fn plain_fields() {
    let mut file = header("dir/file", EntryKind::File);
    (file.uid, file.gid, file.size) = (1000, 100, 5);
    file.modified = Time {
        seconds: 1_700_000_000,
        nanos: 999,
    };
    file.mode = 0o4755;
    let archive = written(&[
        (header("dir", EntryKind::Directory), b""),
        (file, b"hello"),
        (header("l", EntryKind::Symlink("dir/file".into())), b""),
        (header("h", EntryKind::Link("dir/file".into())), b""),
        (
            header("c", EntryKind::Character(Device { major: 1, minor: 3 })),
            b"",
        ),
        (header("p", EntryKind::Fifo), b""),
    ])
    .unwrap();
    assert_eq!(archive.len(), 6 * 512 + 512 + 1024);
    assert_eq!(
        blocks(&archive),
        "\
dir/|0000644|0000000|0000000|00000000000|00000000000|007760| 5|ustar|00|0000000|0000000
dir/file|0004755|0001750|0000144|00000000005|14524770400|010717| 0|ustar|00|0000000|0000000
hello
l|0000644|0000000|0000000|00000000000|00000000000|010771| 2dir/file|ustar|00|0000000|0000000
h|0000644|0000000|0000000|00000000000|00000000000|010764| 1dir/file|ustar|00|0000000|0000000
c|0000644|0000000|0000000|00000000000|00000000000|007347| 3|ustar|00|0000001|0000003
p|0000644|0000000|0000000|00000000000|00000000000|007363| 6|ustar|00|0000000|0000000
"
    );
}

#[test]
fn records_only_when_needed() {
    // The name of each header, and records.
    let names = |archive: &[u8]| {
        let lines = blocks(archive);
        let name = |line: &str| match line.split_once("|0000") {
            Some((name, _)) => name.split("0000").next().unwrap().to_owned(),
            None => line.to_owned(),
        };
        lines.lines().map(name).collect::<Vec<_>>()
    };
    let of = |header: Header| names(&written(&[(header, b"")]).unwrap());
    let (x, y) = ("x".repeat(60), "y".repeat(60));
    // Two halves fit the two fields of ustar.
    let split = of(header(&format!("{x}/{y}"), EntryKind::File));
    assert_eq!(split.len(), 1);
    assert!(split[0].starts_with(&y));
    // One long component does not.
    let long = "z".repeat(120);
    assert_eq!(
        of(header(&long, EntryKind::File)),
        [
            format!("PaxHeaders.0/{}", "z".repeat(87)),
            format!("130 path={long}\\n"),
            "z".repeat(100),
        ]
    );
    assert_eq!(
        of(header("\u{e4}", EntryKind::Directory))[..2],
        ["/PaxHeaders.0", "12 path=\u{e4}/\\n"]
    );
    let mut many = header("d/f", EntryKind::File);
    many.uid = 3_000_000;
    many.modified = Time::from_seconds(-5);
    many.xattrs = vec![
        Xattr {
            name: b"user.b".to_vec(),
            value: b"2".to_vec(),
        },
        Xattr {
            name: b"security.capability".to_vec(),
            value: b"\x01".to_vec(),
        },
    ];
    assert_eq!(
        of(many)[..2],
        [
            "d/PaxHeaders.0/f",
            "38 SCHILY.xattr.security.capability=\u{1}\\n25 SCHILY.xattr.user.b=2\\n12 mtime=-5\\n15 uid=3000000\\n",
        ]
    );
}

#[test]
fn unwritable() {
    let fails = |header: Header, content: &[u8], expected: &str| {
        let error = written(&[(header, content)]).unwrap_err();
        let error = match error {
            TarError::Io(error) => error.to_string(),
            error => error.to_string(),
        };
        assert_eq!(error, expected);
    };
    let mut xattr = header("f", EntryKind::File);
    xattr.xattrs.push(Xattr {
        name: b"user.a=b".to_vec(),
        value: Vec::new(),
    });
    fails(
        xattr,
        b"",
        "cannot write f to a tar archive: an extended attribute's name has a `=`",
    );
    fails(
        header("a\0b", EntryKind::File),
        b"",
        "cannot write a\0b to a tar archive: its name has a NUL byte",
    );
    let mut file = header("f", EntryKind::File);
    file.size = 3;
    fails(file.clone(), b"ab", "tar member f: 2 bytes instead of 3");
    fails(file, b"abcd", "tar member f: 4 bytes instead of 3");
    fails(
        header("d", EntryKind::Directory),
        b"x",
        "tar member d: 1 bytes instead of 0",
    );
}

/// A dependency or a change that moves one byte shows here.
#[test]
fn golden() {
    let mut headers = Vec::new();
    for n in 0..300u32 {
        let path = format!(
            "{}/{}",
            "d\u{e4}".repeat(n as usize % 40),
            "f".repeat(n as usize + 1)
        );
        let kind = match n % 5 {
            0 => EntryKind::Directory,
            1 => EntryKind::Symlink("t/".repeat(n as usize).into()),
            2 => EntryKind::Link("l".repeat(n as usize).into()),
            _ => EntryKind::File,
        };
        let mut header = header(&path, kind);
        header.uid = n * 100_000;
        header.size = if n % 5 > 2 { u64::from(n) } else { 0 };
        header.modified = Time::from_seconds(i64::from(n) * 100_000_000 - 50);
        headers.push((header, vec![b'x'; if n % 5 > 2 { n as usize } else { 0 }]));
    }
    let headers: Vec<(Header, &[u8])> = headers
        .iter()
        .map(|(header, content)| (header.clone(), &content[..]))
        .collect();
    let archive = written(&headers).unwrap();
    assert_eq!(
        oci::Digest::of(&archive).to_string(),
        "sha256:649756e4d07c627622425e1db564022122b994cc851a4cf88ed02fcc82502b8c"
    );
}

fn any_header() -> impl Strategy<Value = (Header, Vec<u8>)> {
    let path = "[a-zä/.]{1,300}";
    let kind = prop_oneof![
        Just(EntryKind::File),
        Just(EntryKind::Directory),
        "[a-zä/]{1,150}".prop_map(|target| EntryKind::Symlink(target.into())),
        "[a-zä/]{1,150}".prop_map(|target| EntryKind::Link(target.into())),
        (0..4096u32, 0..1_000_000u32)
            .prop_map(|(major, minor)| EntryKind::Block(Device { major, minor })),
    ];
    let xattrs = prop::collection::btree_map(
        "[a-z.]{1,20}",
        prop::collection::vec(any::<u8>(), 0..50),
        0..3,
    );
    let content = prop::collection::vec(any::<u8>(), 0..2000);
    let owner = (0..u32::MAX, 0..u32::MAX);
    (
        path,
        kind,
        0..0o10000u32,
        owner,
        any::<i32>(),
        xattrs,
        content,
    )
        .prop_map(|(path, kind, mode, (uid, gid), seconds, xattrs, content)| {
            let content = if kind == EntryKind::File {
                content
            } else {
                Vec::new()
            };
            let header = Header {
                path: PathBuf::from(path),
                kind,
                mode,
                uid,
                gid,
                size: content.len() as u64,
                modified: Time::from_seconds(i64::from(seconds) * 40),
                xattrs: xattrs
                    .into_iter()
                    .map(|(name, value)| Xattr {
                        name: name.into_bytes(),
                        value,
                    })
                    .collect(),
            };
            (header, content)
        })
}

proptest! {
    #[test]
    fn what_was_written_is_read(members in prop::collection::vec(any_header(), 0..8)) {
        let borrowed: Vec<(Header, &[u8])> =
            members.iter().map(|(header, content)| (header.clone(), &content[..])).collect();
        let archive = written(&borrowed).unwrap();
        let mut reader = Reader::new(&*archive);
        for (header, content) in &members {
            let read = reader.next_entry().unwrap().unwrap();
            // Paths are compared by their components, so a directory's slash makes no difference.
            prop_assert_eq!(&read, header);
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            prop_assert_eq!(&bytes, content);
        }
        prop_assert!(reader.next_entry().unwrap().is_none());
    }

    #[test]
    fn damage_is_noticed_or_harmless(
        members in prop::collection::vec(any_header(), 1..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let borrowed: Vec<(Header, &[u8])> =
            members.iter().map(|(header, content)| (header.clone(), &content[..])).collect();
        let mut archive = written(&borrowed).unwrap();
        for (at, byte) in damage {
            let at = at.index(archive.len());
            archive[at] = byte;
        }
        archive.truncate(cut.index(archive.len()) + 1);
        let mut reader = Reader::new(&*archive);
        // Whatever comes, it comes to an end, and no content is larger than the archive.
        while let Ok(Some(_)) = reader.next_entry() {
            let mut bytes = 0;
            let mut buffer = [0; 512];
            while let Ok(Some(chunk)) = reader.chunk(&mut buffer) {
                bytes += chunk.length;
            }
            prop_assert!(bytes <= archive.len());
        }
    }
}
