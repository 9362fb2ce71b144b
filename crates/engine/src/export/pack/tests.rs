//! Manifests and indexes of what is exported.

use std::sync::Arc;

use oci::ImageConfig;

use super::*;
use crate::annotation::Annotation;
use crate::export::Attestation;
use crate::output::Stack;

fn parts(architecture: &str, inline_only: &[bool]) -> ImageParts {
    let attestation = |inline_only: &bool| Attestation {
        predicate_type: "https://slsa.dev/provenance/v1".to_owned(),
        predicate: Arc::default(),
        subjects: Vec::new(),
        is_core: false,
        inline_only: *inline_only,
        file_name: "provenance.json".to_owned(),
    };
    ImageParts {
        stack: Stack::default(),
        config: ImageConfig {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: if architecture == "arm" { "v7" } else { "" }.to_owned(),
            ..ImageConfig::default()
        },
        inherited: 0,
        epoch: None,
        cache: None,
        attestations: inline_only.iter().map(attestation).collect(),
    }
}

fn packed(parts: &ImageParts) -> PackedImage {
    let documents = assemble(&parts.config, 0, &[], None, Dialect::Oci, BTreeMap::new()).unwrap();
    let manifest = &documents.manifest_descriptor;
    let names = ["a".parse().unwrap()];
    let stated = &parts.attestations;
    let attach = || attach(manifest, &parts.platform(), &names, stated, true).unwrap();
    PackedImage {
        attached: (!stated.is_empty()).then(attach),
        documents,
        layers: Vec::new(),
    }
}

fn packing(annotations: &Annotations) -> Packing<'_> {
    Packing {
        wanted: Wanted::DiffId,
        dialect: Dialect::Oci,
        attestations: AttestationFormat::IMAGE,
        annotations,
        times: Times::default(),
    }
}

fn annotations(texts: &[&str]) -> Annotations {
    let parsed = texts.iter().map(|text| Annotation::parse(text).unwrap());
    parsed.flatten().collect()
}

#[test]
fn annotations_are_written_or_refused() {
    let check = |images: &[&str], dialect, texts: &[&str]| {
        let set = ImageSet {
            images: images.iter().map(|name| parts(name, &[])).collect(),
            indexed: false,
        };
        let annotations = annotations(texts);
        let how = Packing {
            dialect,
            ..packing(&annotations)
        };
        let checked = check_annotations(&set, &how, set.has_index(true));
        checked.map_or_else(|error| error.to_string(), |()| String::new())
    };
    let two = &["amd64", "arm"][..];
    assert_eq!(
        check(
            two,
            Dialect::Oci,
            &["index:a=b", "manifest[linux/arm/v7]:a=b"]
        ),
        ""
    );
    assert_eq!(check(two, Dialect::Docker, &[]), "");
    assert_eq!(
        check(two, Dialect::Docker, &["a=b"]),
        "cannot export annotations with \"oci-mediatypes=false\""
    );
    assert_eq!(
        check(
            &["amd64"],
            Dialect::Oci,
            &["manifest-descriptor[linux/s390x]:a=b"]
        ),
        "invalid annotation: no platform linux/s390x found in source"
    );
    for text in ["index:a=b", "index-descriptor:a=b"] {
        assert_eq!(
            check(&["amd64"], Dialect::Oci, &[text]),
            "index annotations not supported for single platform export"
        );
    }
    let set = ImageSet {
        images: vec![parts("amd64", &[])],
        indexed: true,
    };
    let images: Vec<PackedImage> = set.images.iter().map(packed).collect();
    let annotations = annotations(&["index:a=b", "index-descriptor:c=d", "e=f"]);
    let index = index(&set, &images, &packing(&annotations)).unwrap();
    let read: Index = serde_json::from_slice(&index.bytes).unwrap();
    assert_eq!(read.annotations, annotations.index());
    assert_eq!(index.descriptor.annotations, annotations.index_descriptor());
}

/// An entry in short: its platform, and what it is about by its place in the index.
#[test]
fn images_come_first_and_what_is_stated_about_them_after() {
    let set = ImageSet {
        images: vec![
            parts("amd64", &[true]),
            parts("arm", &[]),
            parts("s390x", &[false]),
        ],
        indexed: false,
    };
    let images: Vec<PackedImage> = set.images.iter().map(packed).collect();
    let index = index(&set, &images, &packing(&Annotations::default())).unwrap();
    let read: Index = serde_json::from_slice(&index.bytes).unwrap();
    let digests: Vec<String> = read
        .manifests
        .iter()
        .map(|m| m.digest.to_string())
        .collect();
    let place = |digest: &String| digests.iter().position(|one| one == digest).unwrap();
    let short = |entry: &Descriptor| {
        let about = entry.annotations.get(oci::annotation::REFERENCE_DIGEST);
        let about = about.map_or(String::new(), |about| format!(" about {}", place(about)));
        format!("{}{about}", entry.platform.as_ref().unwrap())
    };
    assert_eq!(
        read.manifests.iter().map(short).collect::<Vec<_>>(),
        [
            "linux/amd64",
            "linux/arm/v7",
            "linux/s390x",
            "unknown/unknown about 0",
            "unknown/unknown about 2"
        ]
    );
    let packed = Packed {
        images,
        index: Some(index),
    };
    let sent: Vec<String> = packed
        .manifests()
        .map(|(of, _)| of.digest.to_string())
        .collect();
    assert_eq!(sent[..5], digests);
    assert_eq!(sent[5], packed.top().digest.to_string());
}

#[test]
fn an_index_is_there_for_a_reason() {
    let set = |images: &[&ImageParts], indexed| ImageSet {
        images: images.iter().map(|&image| image.clone()).collect(),
        indexed,
    };
    let (plain, inline, stated) = (
        parts("arm", &[]),
        parts("arm", &[true]),
        parts("arm", &[false]),
    );
    for (set, with_inline, without) in [
        (set(&[&plain], false), false, false),
        (set(&[&plain], true), true, true),
        (set(&[&plain, &plain], false), true, true),
        (set(&[&inline], false), true, false),
        (set(&[&stated], false), true, true),
    ] {
        let found = [set.has_index(true), set.has_index(false)];
        assert_eq!(found, [with_inline, without], "{set:?}");
    }
}
