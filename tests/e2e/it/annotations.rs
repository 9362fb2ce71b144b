//! What images say of themselves beside their config: `--annotation`, attributes of outputs, bake.

use serde_json::{Value, json};
use testkit::FakeRegistry;

use crate::kiln::{Kiln, Project, finish, tool};
use crate::serving::Daemon;

const DOCKERFILE: &str = "FROM scratch\nCOPY Dockerfile /\n";

/// What is pushed as `name`: the index, or the manifest.
fn pushed(registry: &FakeRegistry, name: &str, reference: &str) -> Value {
    let (_, bytes) = registry.manifest(name, reference).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn plain(registry: &FakeRegistry) -> String {
    format!("[registry.\"{}\"]\nhttp = true\n", registry.host())
}

#[test]
fn in_the_place_that_each_names() {
    let registry = FakeRegistry::start();
    let daemon = Daemon::of_kiln(Kiln::configured(&plain(&registry)));
    let builder = format!("unix://{}", daemon.socket.display());
    let kiln = Kiln::configured(&plain(&registry));
    let project = Project::of(DOCKERFILE);
    for (name, more) in [("here", &[][..]), ("there", &["--builder", &builder])] {
        let output = format!(
            "type=image,name={}/{name}:1,push=true,annotation.of=output,annotation-index.also=x",
            registry.host()
        );
        let given = [
            &["-o", &output, "--platform=linux/amd64,linux/arm64"][..],
            &["--annotation", "a=b=c", "--annotation", "index:d=e"],
            &[
                "--annotation",
                "manifest[linux/arm64],manifest-descriptor:f=g",
            ],
            more,
        ];
        kiln.build(&project, &given.concat());
        let index = pushed(&registry, name, "1");
        assert_eq!(index["annotations"], json!({"also": "x", "d": "e"}));
        let arm = json!({"a": "b=c", "f": "g", "of": "output"});
        for (entry, expected) in [(0, json!({"a": "b=c", "of": "output"})), (1, arm)] {
            let entry = &index["manifests"][entry];
            assert_eq!(entry["annotations"], json!({"f": "g"}));
            let digest = entry["digest"].as_str().unwrap();
            assert_eq!(pushed(&registry, name, digest)["annotations"], expected);
        }
    }
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn of_a_single_image_and_of_a_target_of_bake() {
    let registry = FakeRegistry::start();
    let kiln = Kiln::configured(&plain(&registry));
    let project = Project::of(DOCKERFILE);
    let image = format!("{}/single:1", registry.host());
    kiln.build(&project, &["-t", &image, "--annotation", "a=b"]);
    // It says so still when it is pushed later.
    kiln.ok(["push", "-q", &image]);
    let manifest = pushed(&registry, "single", "1");
    assert_eq!(manifest["annotations"], json!({"a": "b"}));

    let layout = project.path().join("layout");
    let file = json!({"target": {"default": {
        "annotations": ["manifest-descriptor:a=b", "c=d"],
        "output": ["type=oci,dest=layout,tar=false"],
    }}});
    project.write("docker-bake.json", &file.to_string());
    let mut bake = kiln.command();
    finish(bake.arg("bake").current_dir(project.path())).ok();
    let from = format!("oci:{}", layout.display());
    let raw = tool("skopeo", &["inspect", "--raw", &from]);
    let manifest: Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(manifest["annotations"], json!({"c": "d"}));
    let index = std::fs::read(layout.join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(index["manifests"][0]["annotations"]["a"], "b");
}

#[test]
fn what_cannot_be_said_is_an_error() {
    let kiln = Kiln::new();
    let project = Project::of(DOCKERFILE);
    for (given, expected) in [
        (
            &["--annotation=a"][..],
            "invalid annotation \"a\", expected key=value",
        ),
        (
            &["--annotation=layer:a=b"],
            "unknown annotation type \"layer\"",
        ),
        (
            &["--annotation=index:a=b"],
            "index annotations not supported for single platform export",
        ),
        (
            &["--annotation=manifest[linux/s390x]:a=b"],
            "invalid annotation: no platform linux/s390x found in source",
        ),
        (
            &["--annotation=a=b", "--output=type=docker,dest=x"],
            "cannot export annotations with \"oci-mediatypes=false\"",
        ),
        (
            &["--annotation=a=b", "--output=out"],
            "--annotation is for images, and no output is one",
        ),
        (
            &["--output=type=local,dest=out,annotation.a=b"],
            "annotation",
        ),
    ] {
        let error = kiln.try_build(&project, given).error();
        assert!(error.contains(expected), "{given:?}: {error}");
    }
}
