//! What is stated about images, read as other tools read it.

use std::path::Path;

use serde_json::{Value, json};
use testkit::Scratch;

use crate::kiln::{Kiln, Project, tool};
use crate::standin;

const DOCKERFILE: &str = "FROM alpine\nARG MODE\nCOPY a /a\n\
                          RUN --mount=type=secret,id=token echo $MODE >/x\n";

fn project() -> Project {
    Project::new(&[("Dockerfile", DOCKERFILE), ("a", "from here\n")])
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn blob(layout: &Path, digest: &Value) -> Value {
    let name = digest.as_str().unwrap().replace(':', "/");
    parsed(&std::fs::read_to_string(layout.join("blobs").join(name)).unwrap())
}

/// The image of an index, its statement's manifest, and the statement.
fn parts(layout: &Path, index: &Value) -> (Value, Value, Value) {
    let [image, stated] = index["manifests"].as_array().unwrap().as_slice() else {
        panic!("{index}");
    };
    let manifest = blob(layout, &stated["digest"]);
    let statement = blob(layout, &manifest["layers"][0]["digest"]);
    (image.clone(), manifest, statement)
}

#[test]
fn an_archive_has_the_image_and_what_is_stated_about_it() {
    let (kiln, scratch) = (Kiln::new(), Scratch::new());
    let project = project();
    let raw = |place: &str, flags: &[&str]| {
        let path = scratch.join(place);
        let output = format!("type=oci,tar=false,name=img,dest={}", path.display());
        let build = ["--build-arg", "MODE=fast", "-o", &output];
        kiln.build(&project, &[&build[..], flags].concat());
        let from = format!("oci:{}:img", path.display());
        // Without a name of its own, skopeo finds the only one that there is.
        let from = from.trim_end_matches(":img").to_owned();
        (path, parsed(&tool("skopeo", &["inspect", "--raw", &from])))
    };
    let (_, plain) = raw("plain", &[]);
    assert!(plain["layers"].is_array(), "{plain}");
    let (layout, index) = raw("stated", &["--provenance=mode=max"]);
    let (image, manifest, statement) = parts(&layout, &index);
    assert_eq!(image["platform"]["os"], "linux");
    assert_eq!(blob(&layout, &image["digest"]), plain);
    assert_eq!(
        manifest["artifactType"],
        "application/vnd.docker.attestation.manifest.v1+json"
    );
    assert_eq!(manifest["subject"]["digest"], image["digest"]);
    let subject = &statement["subject"][0];
    let name = subject["name"].as_str().unwrap();
    assert!(
        name.starts_with("pkg:docker/img@latest?platform=linux%2F"),
        "{name}"
    );
    let hex = subject["digest"]["sha256"].as_str().unwrap();
    assert_eq!(image["digest"], format!("sha256:{hex}"));
    let definition = &statement["predicate"]["buildDefinition"];
    let base = definition["resolvedDependencies"][0]["uri"]
        .as_str()
        .unwrap();
    assert!(
        base.starts_with("pkg:docker/alpine@latest?platform="),
        "{base}"
    );
    let request = &definition["externalParameters"]["request"];
    assert_eq!(request["args"], json!({"build-arg:MODE": "fast"}));
    assert_eq!(
        request["secrets"],
        json!([{"id": "token", "optional": true}])
    );

    let (layout, index) = raw("min", &["--provenance=mode=min,version=v0.2"]);
    let (image, _, statement) = parts(&layout, &index);
    assert_eq!(blob(&layout, &image["digest"]), plain);
    assert_eq!(
        statement["predicateType"],
        "https://slsa.dev/provenance/v0.2"
    );
    let parameters = &statement["predicate"]["invocation"]["parameters"];
    let locals = json!([{"name": "context"}, {"name": "dockerfile"}]);
    assert_eq!(
        *parameters,
        json!({"frontend": "dockerfile.v0", "locals": locals})
    );

    // As images alone have it, an archive has none.
    let (_, inline) = raw("inline", &["--provenance=inline-only=true"]);
    assert_eq!(inline, plain);
}

#[test]
fn an_image_with_statements_is_stored_run_built_on_and_pushed() {
    let registry = standin::new_registry();
    let kiln = Kiln::with_mirror(&registry.host());
    let name = format!("{}/me/stated:1", registry.host());
    kiln.build(&project(), &["--provenance=mode=min", "-t", &name]);
    let names = kiln.ok(["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert_eq!(names.lines().filter(|line| **line == name).count(), 1);
    assert_eq!(kiln.ok(["run", "--rm", &name, "cat", "/a"]), "from here\n");
    let upper = Project::of(&format!("FROM {name}\nRUN cat /a >/b\n"));
    kiln.build(&upper, &["-t", "upper"]);
    assert_eq!(
        kiln.ok(["run", "--rm", "upper", "cat", "/b"]),
        "from here\n"
    );

    kiln.ok(["push", &name]);
    let (descriptor, index) = registry.manifest("me/stated", "1").unwrap();
    assert!(descriptor.media_type.is_index());
    let index: Value = serde_json::from_slice(&index).unwrap();
    let digest = |place: usize| index["manifests"][place]["digest"].as_str().unwrap();
    assert!(registry.manifest("me/stated", digest(0)).is_some());
    let (_, stated) = registry.manifest("me/stated", digest(1)).unwrap();
    let stated: Value = serde_json::from_slice(&stated).unwrap();
    assert_eq!(stated["subject"]["digest"], digest(0));

    let other = Kiln::with_mirror(&registry.host());
    other.ok(["pull", &name]);
    assert_eq!(other.ok(["run", "--rm", &name, "cat", "/a"]), "from here\n");
    // What is stated was not pulled, so it is not there to be pushed.
    other.ok(["push", &name]);
    assert!(other.ok(["images", "-q"]).lines().count() == 1);
}

#[test]
fn built_and_pushed_in_one_go() {
    let registry = standin::new_registry();
    let kiln = Kiln::with_mirror(&registry.host());
    let name = format!("{}/me/stated:1", registry.host());
    let output = format!("type=registry,name={name},oci-artifact=false");
    kiln.build(
        &project(),
        &[
            "--attest",
            "type=provenance,inline-only=true",
            "-o",
            &output,
        ],
    );
    let raw = ["inspect", "--raw", "--tls-verify=false"];
    let read = |reference: &str| {
        let from = format!("docker://{reference}");
        parsed(&tool("skopeo", &[&raw[..], &[&from]].concat()))
    };
    let index = read(&name);
    let stated = index["manifests"][1]["digest"].as_str().unwrap();
    let manifest = read(&format!("{}/me/stated@{stated}", registry.host()));
    assert_eq!(
        manifest["config"]["mediaType"],
        "application/vnd.oci.image.config.v1+json"
    );
}

#[test]
fn beside_files_there_is_a_statement_about_each() {
    let (kiln, scratch) = (Kiln::new(), Scratch::new());
    let project = Project::new(&[("Dockerfile", "FROM scratch\nCOPY a /d/a\n"), ("a", "x\n")]);
    let directory = scratch.join("out");
    let output = directory.display().to_string();
    kiln.build(&project, &["--provenance=true", "-o", &output]);
    let text = std::fs::read_to_string(directory.join("provenance.json")).unwrap();
    let digest = "73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac";
    assert_eq!(
        parsed(&text)["subject"],
        json!([{"name": "d/a", "digest": {"sha256": digest}}])
    );
    for (flags, message) in [
        (
            &["--provenance=true", "-o", "type=docker,dest=x"][..],
            "an attestation in Docker's media types is not supported by kiln: use \
             oci-mediatypes=true, or leave the attestation out",
        ),
        (&["--attest=type=x"], "unknown attestation type \"x\""),
        (
            &["--provenance=a=b"],
            "kiln does not support a of provenance",
        ),
    ] {
        let refused = kiln.try_build(&project, flags).error();
        assert!(refused.contains(message), "{refused}");
    }
}
