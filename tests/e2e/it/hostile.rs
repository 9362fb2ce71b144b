//! Archives and layouts of images that are hostile: what `load` and `oci-layout://` make of them.

use std::fs;
use std::path::Path;

use oci::Digest;
use testkit::Scratch;

use crate::kiln::{Kiln, Project, Ran, tool};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A layout in the making.
struct Layout(Scratch);

impl Layout {
    fn new() -> Self {
        let layout = Self(Scratch::new());
        fs::create_dir_all(layout.0.join("blobs/sha256")).unwrap();
        layout.write("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
        layout
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    /// Adds a blob; the entry that names it.
    fn blob(&self, media_type: &str, bytes: &[u8]) -> String {
        let digest = Digest::of(bytes);
        fs::write(self.0.join(format!("blobs/sha256/{}", digest.hex())), bytes).unwrap();
        entry(media_type, &digest, bytes.len())
    }

    /// Adds an image with this config and these entries of layers.
    fn image(&self, config: &[u8], layers: &[String]) -> String {
        let config = self.blob(CONFIG, config);
        let layers = layers.join(",");
        let manifest = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layers}]}}"#);
        self.blob(MANIFEST, manifest.as_bytes())
    }

    fn index(&self, entries: &[String]) -> String {
        self.blob(INDEX, index(entries).as_bytes())
    }

    /// Names the one image that the layout has.
    fn top(&self, entry: &str) -> &Self {
        self.write("index.json", &index(&[entry.to_owned()]));
        self
    }

    fn archive(&self) -> Vec<u8> {
        let tar = Scratch::new();
        let file = tar.join("t");
        tool(
            "tar",
            &["-C", self.path(), "-cf", file.to_str().unwrap(), "."],
        );
        fs::read(file).unwrap()
    }
}

fn entry(media_type: &str, digest: &Digest, size: usize) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
}

fn index(entries: &[String]) -> String {
    format!(
        r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
        entries.join(",")
    )
}

fn config(diff_ids: &[Digest]) -> Vec<u8> {
    let diff_ids: Vec<String> = diff_ids
        .iter()
        .map(|digest| format!("\"{digest}\""))
        .collect();
    let diff_ids = diff_ids.join(",");
    format!(r#"{{"architecture":"{}","os":"linux","rootfs":{{"type":"layers","diff_ids":[{diff_ids}]}}}}"#, oci::Platform::host().architecture).into_bytes()
}

/// An archive of these files, in their order, names as they are.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let scratch = Scratch::new();
    let tar = scratch.join("t");
    for (number, (name, bytes)) in files.iter().enumerate() {
        let file = scratch.join("file");
        fs::write(&file, bytes).unwrap();
        let transform = format!("--transform=s|.*|{name}|");
        let how = if number == 0 { "-cPf" } else { "-rPf" };
        tool(
            "tar",
            &[
                how,
                tar.to_str().unwrap(),
                &transform,
                file.to_str().unwrap(),
            ],
        );
    }
    fs::read(tar).unwrap()
}

#[track_caller]
fn refused(name: &str, ran: Ran, expected: &str) {
    assert_ne!(ran.code, 0, "{name}: {}", ran.stdout);
    let error = ran.clone().error();
    assert!(error.contains(expected), "{name}: {}", ran.stderr);
}

#[test]
fn archives_that_contradict_themselves() {
    let kiln = Kiln::new();
    let load = |archive: &[u8]| kiln.run_with(&["load"], archive);
    let empty = b"[]".as_slice();
    let image = br#"[{"Config":"c","RepoTags":["a:1"],"Layers":["l"]}]"#.as_slice();
    let good = config(&[Digest::of(b"layer")]);
    let doubled = br#"[{"Config":"c","config":"d","RepoTags":null,"Layers":[]}]"#.as_slice();
    let out = br#"[{"Config":"../../../etc/passwd","RepoTags":null,"Layers":[]}]"#.as_slice();
    let bad_name = br#"[{"Config":"c","RepoTags":["../x:1"],"Layers":["l"]}]"#.as_slice();
    for (name, files, expected) in [
        (
            "no document",
            vec![("x", empty)],
            "neither index.json nor manifest.json",
        ),
        (
            "two lists",
            vec![("manifest.json", empty), ("manifest.json", image)],
            "two different files manifest.json",
        ),
        (
            "two lists, one with a dot",
            vec![("manifest.json", empty), ("./manifest.json", image)],
            "two different files manifest.json",
        ),
        (
            "two layers of one name",
            vec![("l", b"1"), ("l", b"2"), ("manifest.json", image)],
            "two different files l",
        ),
        (
            "keys that differ in case",
            vec![("manifest.json", doubled)],
            "ambiguous key \"config\"",
        ),
        (
            "a config outside",
            vec![("manifest.json", out)],
            "is named in manifest.json and missing",
        ),
        (
            "a layer that is missing",
            vec![("c", &good), ("manifest.json", image)],
            "l is named in manifest.json and missing",
        ),
        (
            "a config that is none",
            vec![("c", b"x"), ("l", b"layer"), ("manifest.json", image)],
            "invalid image config",
        ),
        (
            "more layers than diff IDs",
            vec![("c", b"{}"), ("l", b"layer"), ("manifest.json", image)],
            "1 layers and 0 diff IDs",
        ),
        (
            "a name that leads up",
            vec![("c", &good), ("l", b"layer"), ("manifest.json", bad_name)],
            "invalid reference format",
        ),
        (
            "no JSON",
            vec![("manifest.json", b"<html>")],
            "expected value",
        ),
    ] {
        refused(name, load(&archive(&files)), expected);
    }
    refused("no archive", load(&[b'x'; 4096]), "wrong checksum");
    refused(
        "half an archive",
        load(&archive(&[("manifest.json", image)])[..700]),
        "ends early",
    );
    assert_eq!(kiln.ok(["images", "-q"]), "");
    kiln.assert_clean();
}

#[test]
fn layouts_that_contradict_themselves() {
    let kiln = Kiln::new();
    let load = |layout: &Layout| kiln.run_with(&["load"], &layout.archive());
    let missing = Digest::of(b"missing");
    let layout = Layout::new();
    refused(
        "a manifest that is missing",
        load(layout.top(&entry(MANIFEST, &missing, 7))),
        &missing.to_string(),
    );
    let wrong = layout.image(&config(&[]), &[]).replace(MANIFEST, INDEX);
    refused(
        "a manifest that is called an index",
        load(layout.top(&wrong)),
        "where a manifest was expected",
    );
    let layer = entry(LAYER, &missing, 7);
    let lacks = layout.image(&config(&[missing]), &[layer]);
    refused(
        "a layer that is missing",
        load(layout.top(&lacks)),
        &missing.to_string(),
    );
    let large = [config(&[]).as_slice(), " ".repeat(9 << 20).as_bytes()].concat();
    refused(
        "a config of nine megabytes",
        load(layout.top(&layout.image(&large, &[]))),
        "8388608",
    );
    let nested = layout.index(&[layout.index(&[layout.image(&config(&[]), &[])])]);
    refused(
        "an index of an index",
        load(layout.top(&nested)),
        "no match for platform",
    );
    assert_eq!(kiln.ok(["images", "-q"]), "");
    kiln.assert_clean();
}

/// Beyond what a manifest may have, and yet one that is read: collection must read it too.
#[test]
fn a_large_config_does_not_stop_collection() {
    let kiln = Kiln::new();
    let layout = Layout::new();
    let large = [config(&[]).as_slice(), " ".repeat(5 << 20).as_bytes()].concat();
    let image = layout.image(&large, &[]);
    kiln.run_with(&["load"], &layout.top(&image).archive()).ok();
    kiln.ok(["prune", "-af"]);
    kiln.assert_clean();
}

fn from_layout(kiln: &Kiln, layout: &Layout) -> Ran {
    let project = Project::of("FROM scratch\nCOPY --from=x / /\n");
    let context = format!("x=oci-layout://{}", layout.path());
    kiln.try_build(&project, &["--build-context", &context])
}

#[test]
fn indexes_within_each_other() {
    let kiln = Kiln::new();
    let layout = Layout::new();
    let mut deep = layout.image(&config(&[]), &[]);
    for _ in 0..12 {
        deep = layout.index(&[deep]);
    }
    let too_deep = from_layout(&kiln, layout.top(&deep));
    refused(
        "twelve indexes within each other",
        too_deep,
        "more than 8 indexes within each other",
    );
    // Each names the next a thousand times: 10^21 ways to one image.
    let mut wide = layout.image(&config(&[]), &[]);
    for _ in 0..7 {
        wide = layout.index(&vec![wide; 1000]);
    }
    refused(
        "a thousand ways at each of seven indexes",
        from_layout(&kiln, layout.top(&wide)),
        "no match for platform",
    );
}

#[test]
fn blobs_that_are_others() {
    let kiln = Kiln::new();
    let layout = Layout::new();
    let image = layout.image(&config(&[]), &[]);
    let digest = Digest::of(&config(&[]));
    layout.write(&format!("blobs/sha256/{}", digest.hex()), "{}");
    refused(
        "another config",
        from_layout(&kiln, layout.top(&image)),
        "digest",
    );
    let up = image.replace("sha256:", "sha256:../");
    refused(
        "a digest that is a path",
        from_layout(&kiln, layout.top(&up)),
        "invalid index",
    );
    let link = Layout::new();
    std::os::unix::fs::symlink("/proc/self/environ", link.0.join("index.json")).unwrap();
    refused(
        "an index that is a link",
        from_layout(&kiln, &link),
        "index.json",
    );
    kiln.assert_clean();
}

#[test]
fn limits_are_configuration() {
    let kiln = Kiln::configured(
        "[limits]\narchive-entries = 20\narchive-size = \"1MB\"\narchive-depth = 5\n",
    );
    let many = Project::of("FROM scratch\nADD many.tar /\n");
    for file in 0..30 {
        many.write(&format!("many/{file}"), "");
    }
    pack(many.path(), "many");
    let ran = kiln.try_build(&many, &[]);
    assert!(
        ran.hints()
            .contains(&"if it is meant to, set limits.archive-entries in kiln.toml"),
        "{}",
        ran.stderr
    );
    refused(
        "an archive of many files",
        ran,
        "archive has too many entries: at most 20 are accepted",
    );
    let large = Project::of("FROM scratch\nADD many.tar /\n");
    large.write("many/x", &"x".repeat(2_000_000));
    pack(large.path(), "many");
    refused(
        "an archive of a large file",
        kiln.try_build(&large, &[]),
        "archive has too many bytes: at most 1048576 are accepted",
    );
    let deep = Project::of("FROM scratch\nADD many.tar /\n");
    deep.write("many/a/b/c/d/e/f", "");
    pack(deep.path(), "many");
    refused(
        "an archive of deep directories",
        kiln.try_build(&deep, &[]),
        "components in one name: at most 5",
    );
    let ran = kiln.try_build(
        &Project::of("FROM alpine\n"),
        &["-o", "type=tar,dest=/dev/null"],
    );
    refused(
        "a layer of many files",
        ran,
        "archive has too many entries: at most 20 are accepted",
    );
}

fn pack(folder: &Path, name: &str) {
    let (folder, tar) = (folder.to_str().unwrap(), format!("{name}.tar"));
    let file = format!("{folder}/{tar}");
    tool("tar", &["-C", folder, "-cf", &file, name]);
}
