//! Documents that are broken on purpose. Each means one thing to every reader, or is refused.

use std::error::Error;

use oci::{Digest, Document, ImageConfig, MediaType, from_unambiguous_json};

/// A well-formed manifest with `more` in it; `D` is a digest.
fn manifest(more: &str) -> String {
    with_digest(&format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"D","size":2}},"layers":[]{more}}}"#
    ))
}

/// An index with one entry.
fn index(entry: &str) -> String {
    with_digest(&format!(r#"{{"schemaVersion":2,"manifests":[{entry}]}}"#))
}

fn with_digest(text: &str) -> String {
    text.replace("\"D\"", &format!("\"{}\"", Digest::of(b"{}")))
}

/// The error and its causes.
fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

/// What is made of the document: its kind, or why it is refused, up to where in the text that is.
fn read(bytes: &[u8], media_type: Option<&MediaType>) -> String {
    match Document::parse(bytes, media_type) {
        Ok(Document::Manifest(_)) => "a manifest".to_owned(),
        Ok(Document::Index(_)) => "an index".to_owned(),
        Err(error) => without_place(&chain(&error)),
    }
}

fn without_place(message: &str) -> String {
    message
        .split(" at line ")
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[track_caller]
fn check(name: &str, text: impl AsRef<[u8]>, expected: &str) {
    assert_eq!(read(text.as_ref(), None), expected, "{name}");
}

#[test]
fn what_is_no_document() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let deep = manifest(&format!(r#","x":{deep}"#));
    check("a good one", manifest(""), "a manifest");
    check("nothing", "", "invalid manifest: EOF while parsing a value");
    check("no JSON", "<html>", "invalid manifest: expected value");
    check(
        "a list",
        "[]",
        "invalid manifest: invalid length 1, expected struct Probe with 5 elements",
    );
    check(
        "half of it",
        &manifest("")[..40],
        "invalid manifest: EOF while parsing an object",
    );
    check(
        "something behind it",
        manifest("") + "{}",
        "invalid manifest: trailing characters",
    );
    check(
        "a mark before it",
        format!("\u{feff}{}", manifest("")),
        "invalid manifest: expected value",
    );
    check(
        "a comment in it",
        manifest("/**/"),
        "invalid manifest: expected `,` or `}`",
    );
    check(
        "a number that is none",
        manifest(r#","x":NaN"#),
        "invalid manifest: expected value",
    );
    check(
        "a number beyond all",
        manifest(r#","x":1e999"#),
        "invalid manifest: number out of range",
    );
    check(
        "half a character",
        manifest(r#","x":"\ud800""#),
        "invalid manifest: unexpected end of hex escape",
    );
    check(
        "bytes that are no text",
        [manifest("").as_bytes(), b"\xff"].concat(),
        "invalid manifest: trailing characters",
    );
    check(
        "lists within each other",
        deep,
        "invalid manifest: recursion limit exceeded",
    );
    let large = manifest(&format!(r#","x":"{}""#, "x".repeat(5 << 20)));
    check(
        "more than registries take",
        &large,
        &format!(
            "document of {} bytes is over the limit of 4194304",
            large.len()
        ),
    );
}

/// To readers in Go the last of equal keys counts, and case does not.
#[test]
fn keys_that_stand_twice() {
    for (name, more, key) in [
        ("layers twice", r#","layers":[]"#, "layers"),
        ("layers in two cases", r#","Layers":[]"#, "Layers"),
        (
            "a key that is spelled out",
            r#","l\u0061yers":[]"#,
            "layers",
        ),
        ("a config in capitals", r#","CONFIG":{}"#, "CONFIG"),
        (
            "two schema versions",
            r#","schemaVersion":1"#,
            "schemaVersion",
        ),
        (
            "a long s",
            ",\"\u{17f}chemaVersion\":1",
            "\u{17f}chemaVersion",
        ),
        ("a key that nobody knows", r#","x":1,"x":2"#, "x"),
        ("deep within", r#","x":[{"y":{"z":1,"Z":2}}]"#, "Z"),
        ("an annotation", r#","annotations":{"a":"1","a":"2"}"#, "a"),
        (
            "two annotations",
            r#","annotations":{},"annotations":{}"#,
            "annotations",
        ),
        (
            "two media types",
            r#","mediaType":"a","MediaType":"b""#,
            "MediaType",
        ),
    ] {
        check(
            name,
            manifest(more),
            &format!("invalid manifest: ambiguous key {key:?}"),
        );
    }
    check(
        "annotations in two cases are two",
        manifest(r#","annotations":{"a":"1","A":"2"}"#),
        "a manifest",
    );
    for (name, more, key) in [
        ("two digests", r#","digest":"D""#, "digest"),
        ("two sizes", r#","Size":3"#, "Size"),
        (
            "two platforms",
            r#","platform":{},"platform":{}"#,
            "platform",
        ),
    ] {
        let entry = format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"D","size":2{more}}}"#
        );
        check(
            name,
            index(&entry),
            &format!("invalid manifest: ambiguous key {key:?}"),
        );
    }
}

#[test]
fn kinds_that_contradict_each_other() {
    let both = "ambiguous document: it has both manifests and layers";
    check(
        "a manifest and an index",
        manifest(r#","manifests":[]"#),
        both,
    );
    check(
        "the first version",
        r#"{"schemaVersion":1,"fsLayers":[]}"#,
        "unsupported schema version 1: kiln reads version 2",
    );
    check(
        "no version",
        r#"{"layers":[]}"#,
        "unsupported schema version 0: kiln reads version 2",
    );
    let typed = |kind: &str| manifest(&format!(r#","mediaType":"{kind}""#));
    let wrong =
        |found: &str| format!("unsupported media type {found:?} where a manifest was expected");
    for kind in [
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.config.v1+json",
        "text/html",
    ] {
        check(
            "a type that is none of a manifest",
            typed(kind),
            &wrong(kind),
        );
    }
    let stated = read(manifest("").as_bytes(), Some(&MediaType::OciIndex));
    assert_eq!(stated, wrong("application/vnd.oci.image.index.v1+json"));
}

#[test]
fn descriptors() {
    let layer = |digest: &str, size: &str| {
        index(&format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{size}}}"#
        ))
    };
    for (name, size) in [
        ("a negative size", "-1"),
        ("a size that is text", "\"2\""),
        ("a fraction", "2.5"),
        ("a size beyond 64 bits", "18446744073709551616"),
        ("no number", "null"),
    ] {
        let found = read(layer("D", size).as_bytes(), None);
        assert!(
            found.starts_with("invalid index: invalid "),
            "{name}: {found}"
        );
    }
    let hex = "a".repeat(64);
    for (name, digest) in [
        ("no algorithm", hex.clone()),
        ("another algorithm", format!("md5:{hex}")),
        ("a short one", "sha256:abc".to_owned()),
        ("capitals", format!("sha256:{}", hex.to_uppercase())),
        ("a path", "sha256:../../../../etc/passwd".to_owned()),
        (
            "a path of the right length",
            format!("sha256:../../{}", &hex[6..]),
        ),
        ("a NUL", format!("sha256:{}\\u0000", &hex[1..])),
        ("a blank", format!(" sha256:{hex}")),
    ] {
        let found = read(layer(&digest, "2").as_bytes(), None);
        assert!(found.starts_with("invalid index: "), "{name}: {found}");
    }
}

#[test]
fn layers() {
    let layer = with_digest(
        r#"{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"D","size":2}"#,
    );
    let many = |count: usize| {
        manifest("").replace(
            r#""layers":[]"#,
            &format!(r#""layers":[{}]"#, vec![layer.as_str(); count].join(",")),
        )
    };
    check("as many as are taken", many(oci::MAX_LAYERS), "a manifest");
    check(
        "more than can be stacked",
        many(oci::MAX_LAYERS + 1),
        "manifest with 4097 layers: at most 4096 are accepted",
    );
    let object = manifest("").replace("[]", "{}");
    check(
        "an object of layers",
        object,
        "invalid manifest: invalid type: map, expected a sequence",
    );
    let none = manifest("").replace("[]", "null");
    check(
        "no layers",
        none,
        "invalid manifest: invalid type: null, expected a sequence",
    );
}

#[test]
fn configs() {
    for (name, text, expected) in [
        ("nothing in it", "{}", "a config"),
        (
            "labels in two cases",
            r#"{"config":{"Labels":{"a":"1","A":"2"}}}"#,
            "a config",
        ),
        (
            "a label twice",
            r#"{"config":{"Labels":{"a":"1","a":"2"}}}"#,
            "ambiguous key \"a\"",
        ),
        (
            "two users",
            r#"{"config":{"User":"root","user":"nobody"}}"#,
            "ambiguous key \"user\"",
        ),
        (
            "two lists of layers",
            r#"{"rootfs":{"diff_ids":[],"DIFF_IDS":[]}}"#,
            "ambiguous key \"DIFF_IDS\"",
        ),
        (
            "two configs",
            r#"{"config":{},"config":{}}"#,
            "ambiguous key \"config\"",
        ),
        (
            "a diff ID that is none",
            r#"{"rootfs":{"diff_ids":["x"]}}"#,
            "invalid digest",
        ),
        (
            "variables as text",
            r#"{"config":{"Env":"A=1"}}"#,
            "invalid type: string \"A=1\", expected a sequence",
        ),
        (
            "a port that is a list",
            r#"{"config":{"ExposedPorts":[80]}}"#,
            "invalid type: sequence, expected a map",
        ),
        (
            "a history that is none",
            r#"{"history":[7]}"#,
            "invalid type: integer `7`, expected struct History",
        ),
    ] {
        let found = match from_unambiguous_json::<ImageConfig>(text.as_bytes()) {
            Ok(_) => "a config".to_owned(),
            Err(error) => without_place(&error.to_string()),
        };
        assert!(found.starts_with(expected), "{name}: {found}");
    }
}
