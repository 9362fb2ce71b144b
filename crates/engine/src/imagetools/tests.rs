//! Images that are made of others, in registries that are only pretended.

use bytes::Bytes;
use oci::{Descriptor, Digest, Document, Index, MediaType, Reference, annotation};

use super::combine::{Combined, Combining, Gathered, combine};
use super::source::{Source, locate};
use super::{ImageToolsError, IndexAnnotation};

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

fn manifest(media_type: MediaType, content: &str, platform: &str) -> Descriptor {
    Descriptor {
        platform: Some(platform.parse().unwrap()),
        ..Descriptor::of(media_type, content.as_bytes())
    }
}

fn oci_manifest(platform: &str) -> Descriptor {
    manifest(MediaType::OciManifest, platform, platform)
}

fn attestation(of: &Descriptor) -> Descriptor {
    let about = [
        (annotation::REFERENCE_DIGEST, of.digest.to_string()),
        (
            annotation::REFERENCE_TYPE,
            "attestation-manifest".to_owned(),
        ),
    ];
    let about = about.map(|(key, value)| (key.to_owned(), value));
    let content = format!("about {}", of.digest);
    Descriptor {
        annotations: about.into(),
        ..manifest(MediaType::OciManifest, &content, "unknown/unknown")
    }
}

fn gathered(descriptor: Descriptor) -> Gathered {
    Gathered {
        from: reference("r.test/a:1"),
        descriptor,
        bytes: Bytes::from_static(b"a manifest"),
        index: None,
    }
}

fn of_index(manifests: Vec<Descriptor>) -> Gathered {
    let index = Index {
        schema_version: 2,
        media_type: Some(MediaType::OciIndex),
        artifact_type: Some("kept".to_owned()),
        manifests,
        subject: None,
        annotations: [("of".to_owned(), "the index".to_owned())].into(),
    };
    let bytes = Bytes::from(serde_json::to_vec(&index).unwrap());
    Gathered {
        from: reference("r.test/b:1"),
        descriptor: Descriptor::of(MediaType::OciIndex, &bytes),
        bytes,
        index: Some(index),
    }
}

fn preferring_index() -> Combining {
    Combining {
        prefer_index: true,
        ..Combining::default()
    }
}

fn platforms(texts: &[&str]) -> Combining {
    Combining {
        platforms: texts.iter().map(|text| text.parse().unwrap()).collect(),
        ..preferring_index()
    }
}

fn annotated(texts: &[&str]) -> Combining {
    let parsed = texts
        .iter()
        .map(|text| IndexAnnotation::parse(text).unwrap());
    Combining {
        annotations: parsed.flatten().collect(),
        ..preferring_index()
    }
}

fn index(combined: &Combined) -> Index {
    let media_type = &combined.descriptor.media_type;
    assert_eq!(combined.descriptor.digest, Digest::of(&combined.bytes));
    match Document::parse(&combined.bytes, Some(media_type)).unwrap() {
        Document::Index(index) => index,
        Document::Manifest(_) => panic!("a manifest"),
    }
}

fn digests(descriptors: &[Descriptor]) -> Vec<Digest> {
    descriptors.iter().map(|part| part.digest).collect()
}

#[test]
fn sources_as_they_are_written() {
    let digest = Digest::of(b"");
    for (text, found) in [
        (
            "alpine".to_owned(),
            Ok("docker.io/library/alpine:latest".to_owned()),
        ),
        ("r.test/a:1\n".to_owned(), Ok("r.test/a:1".to_owned())),
        (format!("{digest}"), Ok(format!("r.test/x@{digest}"))),
        (
            format!(r#"{{"digest":"{digest}"}}"#),
            Ok(format!("r.test/x@{digest}")),
        ),
        (
            "sha256:1".to_owned(),
            Err("invalid digest \"sha256:1\": expected 64 lower-case hexadecimal characters"),
        ),
        ("a//b".to_owned(), Err("invalid reference format")),
        ("{}".to_owned(), Err("invalid descriptor")),
        (
            format!(r#"{{"schemaVersion":2,"digest":"{digest}"}}"#),
            Err("expected a descriptor, got a manifest or index (schemaVersion 2)"),
        ),
    ] {
        let read = match Source::parse(&text) {
            Ok(source) => {
                let targets = match source {
                    Source::Name(_) => vec![],
                    _ => vec![reference("r.test/x:1")],
                };
                let located = locate(&[source], &targets).unwrap();
                Ok(located[0].from.to_string())
            }
            Err(ImageToolsError::Source { source, .. }) => Err(source.to_string()),
            Err(error) => panic!("{error}"),
        };
        assert_eq!(read, found.map_err(str::to_owned), "{text}");
    }
}

#[test]
fn digests_are_looked_for_in_the_only_repository() {
    let digest = Source::parse(&Digest::of(b"").to_string()).unwrap();
    let named = |name: &str| Source::parse(name).unwrap();
    let error = |sources: &[Source], targets: &[Reference]| {
        locate(sources, targets).unwrap_err().to_string()
    };
    assert!(error(&[], &[]).contains("no sources"));
    assert!(error(std::slice::from_ref(&digest), &[]).contains("no repositories"));
    let sources = [named("r.test/a:1"), digest];
    assert!(error(&sources, &[reference("r.test/b:1")]).contains("multiple repositories"));
    let located = locate(&sources, &[reference("r.test/a:2")]).unwrap();
    assert_eq!(located[1].from.repository(), "a");
}

#[test]
fn what_is_given_of_a_descriptor_is_stronger() {
    let found = Descriptor::of(MediaType::OciManifest, b"12345");
    let given = |more: &str| {
        let text = format!(r#"{{"digest":"{}"{more}}}"#, found.digest);
        let Source::Described(given) = Source::parse(&text).unwrap() else {
            panic!("{text}");
        };
        given.over(found.clone())
    };
    let plain = given("").unwrap();
    assert_eq!(plain, found);
    let platform = r#","platform":{"os":"linux","os.version":"1","os.features":["a"]}"#;
    let merged = given(&format!(r#","size":5,"annotations":{{"a":"b"}}{platform}"#)).unwrap();
    assert_eq!(merged.annotations["a"], "b");
    let platform = merged.platform.unwrap();
    assert_eq!((&*platform.os_version, &*platform.architecture), ("1", ""));
    assert_eq!(platform.os_features, ["a"]);
    let error = given(r#","size":6"#).unwrap_err().to_string();
    assert!(error.ends_with("6 != 5"), "{error}");
    let wrong = format!(r#","mediaType":"{}""#, MediaType::OciIndex);
    let error = given(&wrong).unwrap_err().to_string();
    assert!(error.contains("and it is application/vnd.oci.image.manifest"));
}

#[test]
fn one_manifest() {
    let only = gathered(oci_manifest("linux/amd64"));
    let kept = combine(vec![only.clone()], &Combining::default()).unwrap();
    assert_eq!(kept.bytes, only.bytes);
    assert_eq!(kept.parts.len(), 1);
    let made = combine(vec![only.clone()], &preferring_index()).unwrap();
    let expected = format!(
        r#"{{
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.index.v1+json",
  "manifests": [
    {{
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "digest": "{}",
      "size": 11,
      "platform": {{
        "architecture": "amd64",
        "os": "linux"
      }}
    }}
  ]
}}"#,
        only.descriptor.digest
    );
    assert_eq!(std::str::from_utf8(&made.bytes).unwrap(), expected);
    let other = Combining {
        prefer_index: false,
        ..platforms(&["linux/arm64"])
    };
    let error = combine(vec![only], &other).unwrap_err().to_string();
    assert!(error.contains("input platform linux/amd64"), "{error}");
}

#[test]
fn one_index_stays_as_it_is() {
    let image = oci_manifest("linux/amd64");
    let only = of_index(vec![attestation(&image), image]);
    for how in [Combining::default(), preferring_index()] {
        let kept = combine(vec![only.clone()], &how).unwrap();
        assert_eq!(kept.bytes, only.bytes);
        assert_eq!(kept.parts.len(), 2);
    }
    let made = combine(vec![only], &annotated(&["index:a=b"])).unwrap();
    let index = index(&made);
    assert_eq!(index.annotations["a"], "b");
    assert!(!index.annotations.contains_key("of") && index.artifact_type.is_none());
}

#[test]
fn dockers_manifests_make_a_manifest_list() {
    let docker = gathered(manifest(MediaType::DockerManifest, "d", "linux/amd64"));
    let made = combine(vec![docker.clone()], &annotated(&["index:a=b"])).unwrap();
    assert_eq!(made.descriptor.media_type, MediaType::DockerIndex);
    assert!(made.without_annotations && index(&made).annotations.is_empty());
    let both = vec![docker, gathered(oci_manifest("linux/arm64"))];
    let made = combine(both, &annotated(&["index:a=b"])).unwrap();
    assert_eq!(made.descriptor.media_type, MediaType::OciIndex);
    assert!(!made.without_annotations);
}

#[test]
fn indexes_are_flattened_and_nothing_is_there_twice() {
    let (one, two) = (oci_manifest("linux/amd64"), oci_manifest("linux/arm64"));
    let (first, mut again) = (of_index(vec![one.clone(), two.clone()]), one.clone());
    again
        .annotations
        .insert("later".to_owned(), "word".to_owned());
    again.platform = Some("linux/amd64/v2".parse().unwrap());
    let other = manifest(MediaType::OciManifest, "other", "linux/amd64");
    let sources = vec![
        first,
        of_index(vec![again, attestation(&one)]),
        gathered(other.clone()),
    ];
    let made = combine(sources, &preferring_index()).unwrap();
    let index = index(&made);
    let expected = [one.clone(), two, attestation(&one), other];
    assert_eq!(digests(&index.manifests), digests(&expected));
    let merged = &index.manifests[0];
    assert_eq!(merged.annotations["later"], "word");
    assert_eq!(merged.platform.as_ref().unwrap().variant, "v2");
}

#[test]
fn annotations_go_where_they_are_meant_to() {
    let sources = || {
        vec![
            gathered(oci_manifest("linux/amd64")),
            gathered(oci_manifest("linux/arm64")),
        ]
    };
    let how = annotated(&[
        "index:a=<b>",
        "manifest-descriptor,index:c=d=e",
        "manifest-descriptor[linux/arm64]:f=g",
    ]);
    let made = combine(sources(), &how).unwrap();
    let index = index(&made);
    assert_eq!(index.annotations["a"], "<b>");
    assert_eq!(index.annotations["c"], "d=e");
    assert_eq!(index.manifests[0].annotations.len(), 1);
    assert_eq!(index.manifests[1].annotations["f"], "g");
    assert!(String::from_utf8_lossy(&made.bytes).contains("\\u003cb\\u003e"));
    for (text, said) in [
        ("a", "expected key=value"),
        ("a=b", "\"manifest\" annotations are not supported"),
        ("manifest:a=b", "\"manifest\" annotations are not supported"),
        ("In:a=b", "invalid annotation type"),
        ("index[a:b=c", "invalid annotation type"),
        ("index[/]:b=c", "invalid platform"),
    ] {
        let error = IndexAnnotation::parse(text).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn platforms_are_left_with_their_attestations() {
    let (one, two) = (oci_manifest("linux/amd64"), oci_manifest("linux/arm64"));
    let all = [
        one.clone(),
        two.clone(),
        attestation(&one),
        attestation(&two),
    ];
    let only = || vec![of_index(all.to_vec())];
    let made = combine(only(), &platforms(&["linux/arm64/v8"])).unwrap();
    let left = index(&made);
    assert_eq!(
        digests(&left.manifests),
        digests(&[two.clone(), attestation(&two)])
    );
    assert_eq!(made.parts.len(), 2);
    assert_eq!(left.artifact_type.as_deref(), Some("kept"));
    assert_eq!(left.annotations["of"], "the index");
    let every = combine(only(), &platforms(&["linux/arm64", "linux/amd64"])).unwrap();
    assert_eq!(every.bytes, only()[0].bytes);
    let error = combine(only(), &platforms(&["linux/386"])).unwrap_err();
    assert!(matches!(error, ImageToolsError::NoPlatform), "{error}");
}

#[test]
fn platforms_without_a_name_go_along() {
    let mut nameless = oci_manifest("linux/amd64");
    nameless.platform = None;
    let only = of_index(vec![nameless.clone(), oci_manifest("linux/arm64")]);
    let made = combine(vec![only], &platforms(&["linux/386"])).unwrap();
    assert_eq!(digests(&index(&made).manifests), [nameless.digest]);
}
