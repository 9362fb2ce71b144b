//! Any bytes as a manifest, an index, an image config, and a list of images in an archive.

#![cfg_attr(not(test), no_main)]

use libfuzzer_sys::fuzz_target;
use oci::{Document, ImageConfig, MediaType, from_unambiguous_json};

fuzz_target!(|bytes: &[u8]| {
    for media_type in [
        None,
        Some(&MediaType::OciIndex),
        Some(&MediaType::DockerManifest),
    ] {
        if let Ok(document) = Document::parse(bytes, media_type) {
            let written = match &document {
                Document::Manifest(manifest) => oci::to_canonical_json(manifest),
                Document::Index(index) => oci::to_canonical_json(index),
            };
            let again = Document::parse(&written.unwrap(), None);
            assert_eq!(again.unwrap(), document);
        }
    }
    if let Ok(config) = from_unambiguous_json::<ImageConfig>(bytes) {
        let written = oci::to_canonical_json(&config).unwrap();
        assert_eq!(
            from_unambiguous_json::<ImageConfig>(&written).unwrap(),
            config
        );
    }
    let _ = from_unambiguous_json::<Vec<oci::docker_archive::Entry>>(bytes);
});
