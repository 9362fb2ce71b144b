//! A registry whose `alpine` is the host's static busybox and a link for each of its applets.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::OnceLock;

use oci::{Descriptor, DiffId, Digest, ImageConfig, Manifest, MediaType};
use testkit::{FakeRegistry, Image, Scratch};

use crate::kiln::tool;

const BUSYBOX: &str = "/bin/busybox";
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\nnobody:x:65534:\n";

/// The registry that all tests read from, which lives as long as they do.
pub(crate) fn registry() -> &'static FakeRegistry {
    static REGISTRY: OnceLock<FakeRegistry> = OnceLock::new();
    REGISTRY.get_or_init(new_registry)
}

/// A registry of one's own with the same images.
pub(crate) fn new_registry() -> FakeRegistry {
    let registry = FakeRegistry::start();
    registry.put_image("library/alpine", "latest", alpine());
    registry
}

/// The image.
pub(crate) fn alpine() -> &'static Image {
    static ALPINE: OnceLock<Image> = OnceLock::new();
    ALPINE.get_or_init(make_alpine)
}

fn make_alpine() -> Image {
    let scratch = Scratch::new();
    let root = scratch.dir("root");
    fill(&root);
    let (tar, blob) = (scratch.join("layer.tar"), scratch.join("layer.tar.gz"));
    let (root, tar_path) = (root.to_str().unwrap(), tar.to_str().unwrap());
    tool(
        "tar",
        &[
            "--numeric-owner",
            "--sort=name",
            "--mtime=@0",
            "-C",
            root,
            "-cf",
            tar_path,
            ".",
        ],
    );
    tool("gzip", &["-1nk", tar_path]);
    image_of(&fs::read(&tar).unwrap(), fs::read(&blob).unwrap())
}

fn fill(root: &Path) {
    for folder in ["bin", "etc", "root", "tmp", "var"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::set_permissions(root.join("tmp"), Permissions::from_mode(0o1777)).unwrap();
    let copied = fs::copy(BUSYBOX, root.join("bin/busybox"));
    copied.unwrap_or_else(|error| panic!("{BUSYBOX}: {error}: install busybox-static"));
    for applet in tool(BUSYBOX, &["--list"])
        .lines()
        .filter(|applet| *applet != "busybox")
    {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(root.join("etc/passwd"), PASSWD).unwrap();
    fs::write(root.join("etc/group"), GROUP).unwrap();
}

/// An image of one layer: its tar, and that compressed with gzip.
pub(crate) fn image_of(tar: &[u8], blob: Vec<u8>) -> Image {
    let mut config = ImageConfig {
        architecture: oci::Platform::host().architecture,
        os: "linux".to_owned(),
        created: Some("2020-01-01T00:00:00Z".to_owned()),
        ..ImageConfig::default()
    };
    config.config.env = vec!["PATH=/bin".to_owned()];
    config.config.cmd = Some(vec!["/bin/sh".to_owned()]);
    config.rootfs.diff_ids = vec![DiffId(Digest::of(tar))];
    config.history = vec![oci::History {
        created: config.created.clone(),
        created_by: "ADD busybox".to_owned(),
        ..oci::History::default()
    }];
    let config = oci::to_canonical_json(&config).unwrap();
    let config_descriptor = Descriptor::of(MediaType::OciConfig, &config);
    let layer = Descriptor::of(MediaType::OciLayer(oci::Compression::Gzip), &blob);
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MediaType::OciManifest),
        artifact_type: None,
        config: config_descriptor.clone(),
        layers: vec![layer.clone()],
        subject: None,
        annotations: BTreeMap::new(),
    };
    let manifest = oci::to_canonical_json(&manifest).unwrap();
    Image {
        descriptor: Descriptor::of(MediaType::OciManifest, &manifest),
        blobs: vec![(config_descriptor, config), (layer, blob)],
        manifest,
    }
}
