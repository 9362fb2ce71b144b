//! Content stores of a client: caches and images in its directories, and what is exported there.

use serde_json::Value;

use super::client::{Client, Wanted};
use super::offers::Offers;
use super::stores::{Blobs, read};
use super::{build, run};
use crate::kiln::Project;
use crate::serving::Daemon;

const DOCKERFILE: &str = "FROM alpine\nRUN echo made >/made\n";

fn parsed(blobs: &Blobs, digest: &str) -> Value {
    serde_json::from_slice(&blobs.lock().unwrap()[digest]).unwrap()
}

/// All that a manifest names is there.
fn check(blobs: &Blobs, digest: &str) -> Value {
    let manifest = parsed(blobs, digest);
    let blobs = blobs.lock().unwrap();
    let layers = manifest["layers"].as_array().unwrap().iter();
    for blob in layers.chain([&manifest["config"]]) {
        assert!(
            blobs.contains_key(blob["digest"].as_str().unwrap()),
            "{blob}"
        );
    }
    drop(blobs);
    manifest
}

#[test]
fn a_cache_goes_to_a_directory_of_the_client_and_comes_from_there() {
    let files = [("Dockerfile", DOCKERFILE)];
    let (offers, blobs) = Offers::build(&files).store("local:/c");
    let daemon = Daemon::new();
    let manifest = run(async {
        let client = Client::connect(&daemon.socket).await;
        let wanted = Wanted {
            cache_to: vec![(
                "local",
                vec![("dest", "/c"), ("mode", "max"), ("tag", "odd")],
            )],
            ..Wanted::default()
        };
        let built = build(&client, "one", offers.clone(), &wanted).await;
        let manifest = &built.ok()["cache.manifest"];
        let manifest: Value = serde_json::from_str(manifest).unwrap();
        manifest["digest"].as_str().unwrap().to_owned()
    });
    check(&blobs, &manifest);
    assert_eq!(daemon.stop().code, 0);
    // A machine that knows nothing.
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let imports = format!(
            "[{{\"Type\":\"local\",\"Attrs\":{{\"src\":\"/c\",\"digest\":\"{manifest}\"}}}}]"
        );
        let wanted = Wanted {
            options: vec![("cache-imports", imports.leak())],
            ..super::image("again")
        };
        let built = build(&client, "one", offers, &wanted).await;
        built.ok();
        let steps = built.steps();
        assert_eq!(
            steps.get("[2/2] RUN echo made >/made"),
            Some(&true),
            "{steps:?}"
        );
        // A client that offers no store is told so.
        let built = build(&client, "two", Offers::build(&files), &wanted).await;
        let message = "the client does not offer the content store \"local:/c\"";
        assert_eq!(built.error().message(), message);
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_layout_goes_to_the_client_and_is_a_context() {
    let daemon = Daemon::new();
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let (offers, blobs) = Offers::build(&[("Dockerfile", DOCKERFILE)]).store("export");
        let wanted = Wanted {
            exporters: vec![("oci", vec![("tar", "false".to_owned())])],
            ..Wanted::default()
        };
        let built = build(&client, "one", offers, &wanted).await;
        let digest = built.ok()["containerimage.digest"].clone();
        check(&blobs, &digest);

        let text = "FROM other\nRUN cat /made\n";
        let offers = Offers::build(&[("Dockerfile", text)]).with_store("oci:mine", blobs);
        let context = format!("oci-layout://mine@{digest}");
        let wanted = Wanted {
            options: vec![("context:other", context.leak())],
            ..super::image("based")
        };
        let built = build(&client, "two", offers, &wanted).await;
        built.ok();
        assert_eq!(built.logs(), "made\n");
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_layout_that_lies_brings_nothing_in() {
    let daemon = Daemon::new();
    let project = Project::new(&[("Dockerfile", "FROM scratch\nLABEL a=b\n")]);
    let layout = project.join("layout");
    let output = format!("type=oci,tar=false,dest={}", layout.display());
    let path = project.path().to_str().unwrap();
    daemon.kiln.run(["build", "-o", &output, path]).ok();
    let blobs = read(&layout);
    let digest = {
        let mut blobs = blobs.lock().unwrap();
        let index = std::fs::read(layout.join("index.json")).unwrap();
        let index: Value = serde_json::from_slice(&index).unwrap();
        let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
        blobs.get_mut(&digest).unwrap().push(b'\n');
        digest
    };
    run(async {
        let client = Client::connect(&daemon.socket).await;
        let offers = Offers::build(&[("Dockerfile", "FROM other\n")]);
        let offers = offers.with_store("oci:mine", blobs);
        let context = format!("oci-layout://mine@{digest}");
        let wanted = Wanted {
            options: vec![("context:other", context.leak())],
            ..Wanted::default()
        };
        let built = build(&client, "one", offers, &wanted).await;
        assert_eq!(built.error().message(), format!("{digest} has other bytes"));
    });
    assert_eq!(daemon.stop().code, 0);
}
