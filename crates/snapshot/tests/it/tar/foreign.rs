//! Archives that other programs write, and other programs on those that we write.

use std::path::Path;

use snapshot::diff::{self, Options};
use snapshot::{Marks, apply};

use crate::fixture::{list, list_tar, run, scratch, text, tree};

const TREE: &str = r#"
    dir d 0700 1:2 @5
    file d/f 4755 1000:1000 @7 "hello"
    hard d/g = d/f
    symlink d/l -> ../somewhere @9
    char null 1,3 0666
    fifo pipe 0600
    file empty @1000000000
"#;

fn long_names() -> String {
    let dir = "x".repeat(90);
    let mut spec = format!("dir {dir}\n");
    spec += &format!("file {dir}/{} \"long\"\n", "y".repeat(100));
    spec += &format!("file {dir}/{} \"longer\"\n", "z".repeat(180));
    spec += &format!("symlink link -> {}\n", "t/".repeat(70) + "t");
    spec += "file \u{e4}\u{f6}\u{fc} \"umlauts\"\n";
    spec
}

/// What GNU tar writes is what was there.
#[test]
fn privileged_read_gnu_tar() {
    for format in ["v7", "oldgnu", "gnu", "ustar", "posix"] {
        let dir = scratch();
        let is_old = format == "v7";
        let mut spec = if is_old {
            text("file f 0600 1:2 @5 \"x\"\ndir d")
        } else {
            text(TREE)
        };
        if !matches!(format, "v7" | "ustar") {
            spec += &long_names();
        }
        let source = tree(dir.path(), "source", &spec);
        let layer = tree(dir.path(), "layer", "");
        let arguments = [
            "-C",
            source.to_str().unwrap(),
            "-c",
            "--format",
            format,
            ".",
        ];
        let archive = run("tar", &arguments, b"");
        apply::tar(&*archive, &layer, &apply::Options::default()).unwrap();
        assert_eq!(list(&layer), list(&source), "{format}");
    }
}

/// Sparse files in all of GNU's formats.
#[test]
fn privileged_read_sparse_files() {
    let dir = scratch();
    let source = dir.path().join("source");
    std::fs::create_dir(&source).unwrap();
    let file = std::fs::File::create(source.join("sparse")).unwrap();
    for at in 0..40u64 {
        std::os::unix::fs::FileExt::write_all_at(&file, &[b'a'; 5000], at * 200_000).unwrap();
    }
    file.set_len(20_000_000).unwrap();
    drop(file);
    let content = std::fs::read(source.join("sparse")).unwrap();
    for arguments in [
        &["--format", "gnu"][..],
        &["--format", "posix", "--sparse-version=0.0"],
        &["--format", "posix", "--sparse-version=0.1"],
        &["--format", "posix", "--sparse-version=1.0"],
    ] {
        let common = ["-C", source.to_str().unwrap(), "-c", "--sparse", "sparse"];
        let archive = run("tar", &[arguments, &common].concat(), b"");
        assert!(archive.len() < 1_000_000);
        let mut reader = snapshot::tar::Reader::new(&*archive);
        let header = reader.next_entry().unwrap().unwrap();
        assert_eq!(
            (header.path.to_str(), header.size),
            (Some("sparse"), 20_000_000)
        );
        let mut read = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut read).unwrap();
        assert!(read == content, "{arguments:?}");
        assert!(reader.next_entry().unwrap().is_none());

        let layer = dir.path().join(arguments.concat());
        std::fs::create_dir(&layer).unwrap();
        apply::tar(&*archive, &layer, &apply::Options::default()).unwrap();
        assert!(std::fs::read(layer.join("sparse")).unwrap() == content);
        let blocks =
            std::os::unix::fs::MetadataExt::blocks(&layer.join("sparse").metadata().unwrap());
        assert!(blocks * 512 < 2_000_000, "{blocks} blocks");
    }
}

/// What Python writes is what was there.
#[test]
fn privileged_read_python() {
    let script = r"
import sys, tarfile, io
format = {'ustar': tarfile.USTAR_FORMAT, 'gnu': tarfile.GNU_FORMAT, 'pax': tarfile.PAX_FORMAT}
with tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=format[sys.argv[2]]) as tar:
    tar.add(sys.argv[1], '.')
";
    for format in ["ustar", "gnu", "pax"] {
        let dir = scratch();
        let mut spec = text(TREE);
        if format != "ustar" {
            spec += &long_names();
        }
        let source = tree(dir.path(), "source", &spec);
        let layer = tree(dir.path(), "layer", "");
        let archive = run(
            "python3",
            &["-c", script, source.to_str().unwrap(), format],
            b"",
        );
        apply::tar(&*archive, &layer, &apply::Options::default()).unwrap();
        assert_eq!(list(&layer), list(&source), "{format}");
    }
}

fn archive(dir: &Path) -> (std::path::PathBuf, Vec<u8>) {
    let spec = text(TREE) + &long_names();
    let source = tree(dir, "source", &spec);
    let archive = diff::tar(&source, Marks::Trusted, &Options::default(), Vec::new());
    (source, archive.unwrap())
}

/// GNU tar unpacks what we write to what was there.
#[test]
fn privileged_written_for_gnu_tar() {
    let dir = scratch();
    let (source, archive) = archive(dir.path());
    let target = tree(dir.path(), "target", "");
    let arguments = [
        "-C",
        target.to_str().unwrap(),
        "-x",
        "-p",
        "--numeric-owner",
    ];
    run("tar", &[&arguments[..], &["-f", "-"]].concat(), &archive);
    assert_eq!(list(&target), list(&source));
}

/// Python reads what we write, strictly.
#[test]
fn privileged_written_for_python() {
    let script = r"
import sys, tarfile
kinds = {tarfile.REGTYPE: 'file', tarfile.DIRTYPE: 'dir', tarfile.SYMTYPE: 'symlink',
         tarfile.LNKTYPE: 'hard', tarfile.CHRTYPE: 'char', tarfile.FIFOTYPE: 'fifo'}
with tarfile.open(fileobj=sys.stdin.buffer, mode='r|', errorlevel=2) as tar:
    for m in tar:
        print(kinds[m.type], m.name, oct(m.mode), m.uid, m.gid, m.size, int(m.mtime), m.linkname)
";
    let dir = scratch();
    let (_, archive) = archive(dir.path());
    let found = String::from_utf8(run("python3", &["-c", script], &archive)).unwrap();
    let ours = list_tar(&archive);
    assert_eq!(found.lines().count(), ours.lines().count());
    for (line, our) in found.lines().zip(ours.lines()) {
        let words = |line: &str| {
            let mut words = line.split(' ');
            let kind = words.next().unwrap().to_owned();
            (kind, words.next().unwrap().trim_end_matches('/').to_owned())
        };
        assert_eq!(words(line), words(our));
    }
    assert!(
        found.contains("file d/f 0o4755 1000 1000 5 7 \n"),
        "{found}"
    );
    assert!(
        found.contains("hard d/g 0o4755 1000 1000 0 7 d/f\n"),
        "{found}"
    );
}

/// umoci unpacks an image of two such layers to what the stack shows.
#[test]
fn privileged_written_for_umoci() {
    let dir = scratch();
    let below = tree(
        dir.path(),
        "below",
        &(text(TREE) + "dir o\nfile o/old\ndir e\nfile e/gone\nfile e/kept"),
    );
    let above = tree(
        dir.path(),
        "above",
        "dir d 0711 @8\nwhiteout d/l\nfile d/new \"n\"\ndir o\nopaque o\nfile o/new\ndir e\nwhiteout e/gone\nwhiteout pipe",
    );
    let layout = dir.path().join("layout");
    std::fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    let blob = |bytes: &[u8]| {
        let digest = oci::Digest::of(bytes);
        std::fs::write(layout.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        (digest, bytes.len())
    };
    let mut layers = Vec::new();
    let mut diff_ids = Vec::new();
    for layer in [&below, &above] {
        let archive = diff::tar(layer, Marks::Trusted, &Options::default(), Vec::new());
        let (digest, size) = blob(&archive.unwrap());
        let media = "application/vnd.oci.image.layer.v1.tar";
        layers.push(format!(
            r#"{{"mediaType":"{media}","digest":"{digest}","size":{size}}}"#
        ));
        diff_ids.push(format!("\"{digest}\""));
    }
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        diff_ids.join(",")
    );
    let (digest, size) = blob(config.as_bytes());
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":{size}}},"layers":[{}]}}"#,
        layers.join(",")
    );
    let (digest, size) = blob(manifest.as_bytes());
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{size},"annotations":{{"org.opencontainers.image.ref.name":"t"}}}}]}}"#
    );
    std::fs::write(layout.join("index.json"), index).unwrap();
    std::fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    let bundle = dir.path().join("bundle");
    let image = format!("{}:t", layout.display());
    run(
        "umoci",
        &["unpack", "--image", &image, bundle.to_str().unwrap()],
        b"",
    );

    let stack = snapshot::Tree::layers(&[below, above], Marks::Trusted).unwrap();
    let flat = tree(dir.path(), "flat", "");
    let upper = snapshot::Upper::open(&flat, &[], Marks::Trusted).unwrap();
    snapshot::copy::whole(&stack, &upper, &snapshot::copy::Options::default()).unwrap();
    assert_eq!(list(&bundle.join("rootfs")), list(&flat));
}
