//! Images in and out of registries.

use std::path::Path;

use testkit::registry::{Effect, Fault};

use crate::kiln::{Kiln, Project, tool};
use crate::standin;

#[test]
fn pulled_and_pushed() {
    let registry = standin::new_registry();
    let kiln = Kiln::with_mirror(&registry.host());
    let told = kiln.ok(["pull", "alpine"]);
    let digest = standin::alpine().descriptor.digest;
    assert_eq!(
        told,
        format!(
            "Using default tag: latest\nDigest: {digest}\nStatus: Downloaded newer image for \
             alpine:latest\ndocker.io/library/alpine:latest\n"
        )
    );
    let again = kiln.ok(["pull", "alpine:latest"]);
    assert!(
        again.contains("Status: Image is up to date for alpine:latest\n"),
        "{again}"
    );

    let name = format!("{}/me/app:1", registry.host());
    kiln.build(
        &Project::of("FROM alpine\nRUN echo pushed >/x\n"),
        &["-t", &name],
    );
    let told = kiln.ok(["push", &name]);
    let (descriptor, _) = registry.manifest("me/app", "1").unwrap();
    assert!(
        told.contains(&format!(
            "1: digest: {} size: {}",
            descriptor.digest, descriptor.size
        )),
        "{told}"
    );

    let other = Kiln::with_mirror(&registry.host());
    assert_eq!(other.ok(["run", "--rm", &name, "cat", "/x"]), "pushed\n");
    let seen = tool(
        "skopeo",
        &["inspect", "--tls-verify=false", &format!("docker://{name}")],
    );
    let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(seen["Digest"], descriptor.digest.to_string());
}

#[test]
fn built_and_pushed_in_one_go() {
    let registry = standin::new_registry();
    let kiln = Kiln::with_mirror(&registry.host());
    let name = format!("{}/me/zipped:1", registry.host());
    let output = format!("type=registry,name={name},compression=zstd,force-compression=true");
    kiln.build(
        &Project::of("FROM alpine\nRUN echo x >/x\n"),
        &["-o", &output],
    );
    let (_, manifest) = registry.manifest("me/zipped", "1").unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let kinds: Vec<&str> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["mediaType"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["application/vnd.oci.image.layer.v1.tar+zstd"; 2]);
}

/// What an image was called, saved, run or built from does not change how its layers go out: those
/// made here compressed, those that came from elsewhere as they came.
#[test]
fn layers_go_out_compressed_whatever_was_done_before() {
    let registry = standin::new_registry();
    let kiln = Kiln::with_mirror(&registry.host());
    let name = |tag: &str| format!("{}/me/app:{tag}", registry.host());
    let kinds = |tag: &str| {
        let (_, manifest) = registry.manifest("me/app", tag).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        let layers = manifest["layers"].as_array().unwrap().iter();
        let kinds = layers.map(|layer| layer["mediaType"].as_str().unwrap().to_owned());
        kinds.collect::<Vec<_>>()
    };
    let gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
    kiln.build(
        &Project::of("FROM alpine\nRUN echo lower >/x\n"),
        &["-t", &name("lower")],
    );
    kiln.ok(["push", &name("lower")]);
    assert_eq!(kinds("lower"), [gzip; 2]);

    kiln.ok(["run", "--rm", &name("lower"), "true"]);
    kiln.ok(["save", "-o", "/dev/null", &name("lower")]);
    let upper = format!("FROM {}\nRUN echo upper >/x\n", name("lower"));
    let output = format!("type=registry,name={}", name("upper"));
    kiln.build(&Project::of(&upper), &["-o", &output]);
    assert_eq!(kinds("upper"), [gzip; 3]);

    // One that was loaded keeps its bytes, and with them its digest.
    let archive = kiln.scratch("out").join("lower.tar");
    let archive = archive.to_str().unwrap();
    kiln.ok(["save", "-o", archive, &name("lower")]);
    let other = Kiln::with_mirror(&registry.host());
    other.lend(Path::new(archive));
    other.ok(["load", "-i", archive]);
    other.ok(["tag", &name("lower"), &name("loaded")]);
    other.ok(["push", &name("loaded")]);
    assert_eq!(kinds("loaded"), [gzip, gzip.trim_end_matches("+gzip")]);
}

#[test]
fn when_registries_are_asked() {
    let registry = standin::new_registry();
    let kiln = Kiln::with_mirror(&registry.host());
    let project = Project::of("FROM alpine\nRUN true\n");
    let refused = kiln.try_build(&project, &["--pull=never"]).error();
    assert!(refused.contains("is not in the store"), "{refused}");
    kiln.build(&project, &[]);
    for (policy, asks) in [
        ("missing", false),
        ("never", false),
        ("always", true),
        ("newer", true),
    ] {
        registry.clear_log();
        kiln.build(&project, &[&format!("--pull={policy}")]);
        assert_eq!(
            !registry.log().is_empty(),
            asks,
            "{policy}: {:?}",
            registry.log()
        );
    }
    let host = registry.host();
    drop(registry);
    kiln.build(&project, &["--pull=newer"]);
    let error = kiln.try_build(&project, &["--pull"]).error();
    assert!(
        error.contains(&host) || error.contains("docker.io"),
        "{error}"
    );
}

#[test]
fn registries_that_break_off_and_lie() {
    let registry = standin::new_registry();
    let kiln = Kiln::with_mirror(&registry.host());
    // Broken off: the download goes on where it was.
    registry.fault(Fault::once("GET", "/blobs/", Effect::DropAfter(300_000)).times(2));
    kiln.ok(["pull", "-q", "alpine"]);
    kiln.assert_clean();

    let liar = standin::new_registry();
    liar.fault(Fault::once("GET", "/blobs/", Effect::Corrupt).always());
    let kiln = Kiln::with_mirror(&liar.host());
    let ran = kiln.run(["pull", "-q", "alpine"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    kiln.assert_clean();
    assert_eq!(kiln.ok(["images", "-q"]), "");
}
