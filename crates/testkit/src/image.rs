//! Small images, and the check that a layout holds what it names.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use oci::{Descriptor, Digest, Document, Index, Manifest, MediaType};

/// An image in memory: its blobs and the manifest that names them.
#[derive(Debug, Clone)]
pub struct Image {
    /// The config and the layers, with their bytes.
    pub blobs: Vec<(Descriptor, Vec<u8>)>,
    /// The manifest's descriptor.
    pub descriptor: Descriptor,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
}

impl Image {
    /// An image whose layers are the given bytes, whatever they are.
    ///
    /// # Panics
    /// Never, but for a bug in `oci`.
    #[must_use]
    pub fn of_layers(layers: &[&[u8]]) -> Self {
        let config =
            br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
        let mut blobs = vec![(
            Descriptor::of(MediaType::OciConfig, config),
            config.to_vec(),
        )];
        for layer in layers {
            let media_type = MediaType::OciLayer(oci::Compression::Gzip);
            blobs.push((Descriptor::of(media_type, layer), layer.to_vec()));
        }
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MediaType::OciManifest),
            artifact_type: None,
            config: blobs[0].0.clone(),
            layers: blobs[1..].iter().map(|(blob, _)| blob.clone()).collect(),
            subject: None,
            annotations: std::collections::BTreeMap::new(),
        };
        let manifest = serde_json::to_vec(&manifest).expect("write a manifest");
        Self {
            descriptor: Descriptor::of(MediaType::OciManifest, &manifest),
            blobs,
            manifest,
        }
    }

    /// The layers' descriptors.
    #[must_use]
    pub fn layers(&self) -> Vec<Descriptor> {
        self.blobs[1..]
            .iter()
            .map(|(blob, _)| blob.clone())
            .collect()
    }

    /// An index of images, with its descriptor.
    ///
    /// # Panics
    /// Never, but for a bug in `oci`.
    #[must_use]
    pub fn index(images: &[Self]) -> (Descriptor, Vec<u8>) {
        let index = Index {
            schema_version: 2,
            media_type: Some(MediaType::OciIndex),
            artifact_type: None,
            manifests: images
                .iter()
                .map(|image| image.descriptor.clone())
                .collect(),
            subject: None,
            annotations: std::collections::BTreeMap::new(),
        };
        let bytes = serde_json::to_vec(&index).expect("write an index");
        (Descriptor::of(MediaType::OciIndex, &bytes), bytes)
    }
}

/// Checks that `dir` is an OCI image layout that holds everything which its index names, each
/// with the right size and digest and everything verified that is under `blobs`. Gives the
/// names of its images, sorted.
///
/// # Panics
/// It is not.
#[must_use]
pub fn check_layout(dir: &Path) -> Vec<String> {
    let read = |path: &str| {
        fs::read(dir.join(path)).unwrap_or_else(|error| panic!("{path} of a layout: {error}"))
    };
    let version = String::from_utf8_lossy(&read("oci-layout")).into_owned();
    assert!(
        version.contains(r#""imageLayoutVersion""#) && version.contains("1.0.0"),
        "{version}"
    );
    let index: Index = serde_json::from_slice(&read("index.json")).expect("read index.json");
    let mut names = Vec::new();
    let mut seen = BTreeSet::new();
    for descriptor in &index.manifests {
        names.extend(
            descriptor
                .annotations
                .get(oci::annotation::REF_NAME)
                .cloned(),
        );
        check_descriptor(dir, descriptor, &mut seen);
    }
    for entry in fs::read_dir(dir.join("blobs/sha256")).expect("list a layout's blobs") {
        let name = entry.expect("list a layout's blobs").file_name();
        let hex = name.to_string_lossy().into_owned();
        let digest = Digest::of(&read(&format!("blobs/sha256/{hex}")));
        assert_eq!(digest.hex(), hex, "a blob is not what its name says");
    }
    names.sort();
    names
}

fn check_descriptor(dir: &Path, descriptor: &Descriptor, seen: &mut BTreeSet<Digest>) {
    if !seen.insert(descriptor.digest) {
        return;
    }
    let path = dir.join("blobs/sha256").join(descriptor.digest.hex());
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", descriptor.digest));
    assert_eq!(
        bytes.len() as u64,
        descriptor.size,
        "size of {}",
        descriptor.digest
    );
    assert_eq!(Digest::of(&bytes), descriptor.digest);
    if !descriptor.media_type.is_index() && !descriptor.media_type.is_manifest() {
        return;
    }
    match Document::parse(&bytes, Some(&descriptor.media_type)) {
        Ok(Document::Index(index)) => {
            for manifest in &index.manifests {
                check_descriptor(dir, manifest, seen);
            }
        }
        Ok(Document::Manifest(manifest)) => {
            check_descriptor(dir, &manifest.config, seen);
            for layer in &manifest.layers {
                check_descriptor(dir, layer, seen);
            }
        }
        Err(error) => panic!("{}: {error}", descriptor.digest),
    }
}
